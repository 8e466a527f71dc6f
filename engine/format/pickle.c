/* pickle.c -- the stack machine: one table of opcodes (CPython's Lib/pickletools.py describes
 * them).
 *
 * Values live in the caller's arena and are never freed one by one, so a cycle that a memo makes
 * does no harm. The stack holds values and marks; a mark is a NULL, so that no opcode can take it
 * for a value: pickle_pop() refuses it. */
#include "engine/format/pickle.h"

#include <string.h>

#include "engine/format/pickle_machine.h"

struct opcode {
    const char *name;
    enum status (*run)(struct pickle_machine *machine, const struct opcode *op, struct err *err);
    int arg; /* bytes of a fixed argument, or a number the handler knows */
};

static enum status skip_argument(struct pickle_machine *machine, const struct opcode *op,
                                 struct err *err)
{
    const uint8_t *bytes = NULL;
    return pickle_take(machine, (size_t)op->arg, &bytes, err);
}

static enum status stop(struct pickle_machine *machine, const struct opcode *op, struct err *err)
{
    (void)op, (void)err;
    machine->stopped = true;
    return OK;
}

static enum status push_mark(struct pickle_machine *machine, const struct opcode *op,
                             struct err *err)
{
    (void)op;
    return pickle_push(machine, NULL, err);
}

static enum status drop(struct pickle_machine *machine, const struct opcode *op, struct err *err)
{
    struct pickle_value *value = NULL;
    (void)op;
    return pickle_pop(machine, &value, err);
}

static enum status drop_to_mark(struct pickle_machine *machine, const struct opcode *op,
                                struct err *err)
{
    struct pickle_items items = {0};
    (void)op;
    return pickle_pop_to_mark(machine, &items, err);
}

static enum status push_none(struct pickle_machine *machine, const struct opcode *op,
                             struct err *err)
{
    (void)op;
    return pickle_push_new(machine, (struct pickle_value){.type = PICKLE_NONE}, err);
}

static enum status push_bool(struct pickle_machine *machine, const struct opcode *op,
                             struct err *err)
{
    return pickle_push_new(machine,
                           (struct pickle_value){.type = PICKLE_BOOL, .u.boolean = op->arg}, err);
}

/* BININT1 and BININT2 are unsigned, BININT is signed. */
static enum status push_integer(struct pickle_machine *machine, const struct opcode *op,
                                struct err *err)
{
    uint64_t bits = 0;
    enum status status = pickle_take_unsigned(machine, op->arg, &bits, err);
    if (status != OK)
        return status;
    int64_t integer = op->arg == 4 ? (int32_t)(uint32_t)bits : (int64_t)bits;
    return pickle_push_new(machine, (struct pickle_value){.type = PICKLE_INT, .u.integer = integer},
                           err);
}

/* LONG1: a length byte, then two's complement; what lies beyond 64 bits is dropped. */
static enum status push_long(struct pickle_machine *machine, const struct opcode *op,
                             struct err *err)
{
    uint64_t n = 0, bits = 0;
    const uint8_t *bytes = NULL;
    enum status status = pickle_take_unsigned(machine, op->arg, &n, err);
    if (status == OK)
        status = pickle_take(machine, (size_t)n, &bytes, err);
    if (status != OK)
        return status;
    bool negative = n > 0 && bytes[n - 1] & 0x80;
    for (size_t i = 0; i < 8; i++)
        bits |= (uint64_t)(i < n ? bytes[i] : negative ? 0xff : 0) << (8 * i);
    return pickle_push_new(
        machine, (struct pickle_value){.type = PICKLE_INT, .u.integer = (int64_t)bits}, err);
}

/* BINFLOAT is big-endian, alone of all. */
static enum status push_float(struct pickle_machine *machine, const struct opcode *op,
                              struct err *err)
{
    uint64_t bits = 0;
    double real;
    enum status status = pickle_take_unsigned(machine, op->arg, &bits, err);
    if (status != OK)
        return status;
    bits = __builtin_bswap64(bits);
    memcpy(&real, &bits, sizeof real);
    return pickle_push_new(machine, (struct pickle_value){.type = PICKLE_FLOAT, .u.real = real},
                           err);
}

static enum status push_text(struct pickle_machine *machine, const struct opcode *op,
                             struct err *err)
{
    uint64_t n = 0;
    const uint8_t *bytes = NULL;
    enum status status = pickle_take_unsigned(machine, op->arg, &n, err);
    if (status == OK)
        status = pickle_take(machine, (size_t)n, &bytes, err);
    if (status != OK)
        return status;
    return pickle_push_new(
        machine,
        (struct pickle_value){.type = PICKLE_STRING, .u.string = {(const char *)bytes, (size_t)n}},
        err);
}

static enum status push_container(struct pickle_machine *machine, const struct opcode *op,
                                  struct err *err)
{
    return pickle_push_new(machine, (struct pickle_value){.type = (enum pickle_type)op->arg}, err);
}

/* Appends `items`, which lie on the stack, and drops nothing: the stack only shrank. */
static enum status append_all(struct pickle_machine *machine, struct pickle_value *container,
                              const struct pickle_items *items, struct err *err)
{
    enum status status = OK;
    for (size_t i = 0; i < items->n && status == OK; i++)
        status = pickle_append(machine, &container->u.items, items->items[i], err);
    return status;
}

static enum status push_tuple_of(struct pickle_machine *machine, const struct pickle_items *items,
                                 struct err *err)
{
    struct pickle_value *tuple = NULL;
    enum status status = pickle_new(machine, PICKLE_TUPLE, &tuple, err);
    if (status == OK)
        status = append_all(machine, tuple, items, err);
    if (status == OK)
        status = pickle_push(machine, tuple, err);
    return status;
}

static enum status make_tuple(struct pickle_machine *machine, const struct opcode *op,
                              struct err *err)
{
    struct pickle_items items = {0};
    (void)op;
    enum status status = pickle_pop_to_mark(machine, &items, err);
    return status == OK ? push_tuple_of(machine, &items, err) : status;
}

/* TUPLE1, TUPLE2, TUPLE3. */
static enum status make_short_tuple(struct pickle_machine *machine, const struct opcode *op,
                                    struct err *err)
{
    struct pickle_value *values[3];
    struct pickle_items items = {.items = values, .n = (size_t)op->arg};
    for (size_t i = items.n; i-- > 0;) {
        enum status status = pickle_pop(machine, &values[i], err);
        if (status != OK)
            return status;
    }
    return push_tuple_of(machine, &items, err);
}

/* APPEND and SETITEM: the top `arg` values go into the container below them. */
static enum status add_top(struct pickle_machine *machine, const struct opcode *op, struct err *err)
{
    struct pickle_value *values[2], *container = NULL;
    struct pickle_items items = {.items = values, .n = (size_t)op->arg};
    for (size_t i = items.n; i-- > 0;) {
        enum status status = pickle_pop(machine, &values[i], err);
        if (status != OK)
            return status;
    }
    enum status status =
        pickle_top(machine, op->arg == 2 ? PICKLE_DICT : PICKLE_LIST, &container, err);
    return status == OK ? append_all(machine, container, &items, err) : status;
}

/* APPENDS and SETITEMS: all above the mark goes into the container below it. */
static enum status add_marked(struct pickle_machine *machine, const struct opcode *op,
                              struct err *err)
{
    struct pickle_items items = {0};
    struct pickle_value *container = NULL;
    enum status status = pickle_pop_to_mark(machine, &items, err);
    if (status == OK)
        status = pickle_top(machine, (enum pickle_type)op->arg, &container, err);
    if (status != OK)
        return status;
    if (op->arg == PICKLE_DICT && items.n % 2 != 0)
        return pickle_damaged(machine, "a dict's key lacks its value", err);
    return append_all(machine, container, &items, err);
}

static enum status put(struct pickle_machine *machine, const struct opcode *op, struct err *err)
{
    uint64_t index = 0;
    enum status status = pickle_take_unsigned(machine, op->arg, &index, err);
    return status == OK ? pickle_put(machine, index, err) : status;
}

static enum status memoize(struct pickle_machine *machine, const struct opcode *op, struct err *err)
{
    (void)op;
    return pickle_put(machine, machine->memo.n, err);
}

static enum status get(struct pickle_machine *machine, const struct opcode *op, struct err *err)
{
    uint64_t index = 0;
    enum status status = pickle_take_unsigned(machine, op->arg, &index, err);
    if (status != OK)
        return status;
    if (index >= machine->memo.n || !machine->memo.items[index])
        return pickle_damaged(machine, "it asks the memo for what was never put there", err);
    return pickle_push(machine, machine->memo.items[index], err);
}

static int shown(struct pickle_text text)
{
    return text.len > 80 ? 80 : (int)text.len;
}

static bool is_printable(struct pickle_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.text[i] < 0x20 || text.text[i] > 0x7e)
            return false;
    }
    return true;
}

static enum status push_global(struct pickle_machine *machine, struct pickle_text module,
                               struct pickle_text name, struct err *err)
{
    const struct pickle_kind *kind = machine->kind;
    const struct pickle_global *global =
        kind->has_globals ? pickle_find_global(module, name) : NULL;
    if (global)
        return pickle_push_new(
            machine, (struct pickle_value){.type = PICKLE_GLOBAL, .u.global = global}, err);
    if (!is_printable(module) || !is_printable(name))
        return pickle_damaged(machine, "it names a global that is not printable", err);
    err_set(err, E_INVALID,
            "The %s asks Python for %.*s.%.*s, which no %s needs; nothing was executed.",
            kind->file, shown(module), module.text, shown(name), name.text, kind->content);
    err_name(err, NULL, kind->hint);
    return E_INVALID;
}

static enum status take_line(struct pickle_machine *machine, struct pickle_text *line,
                             struct err *err)
{
    const uint8_t *from = machine->bytes + machine->at;
    const uint8_t *end = memchr(from, '\n', machine->len - machine->at);
    if (!end)
        return pickle_damaged(machine, "it is cut short", err);
    *line = (struct pickle_text){(const char *)from, (size_t)(end - from)};
    machine->at += line->len + 1;
    return OK;
}

static enum status load_global(struct pickle_machine *machine, const struct opcode *op,
                               struct err *err)
{
    struct pickle_text module = {0}, name = {0};
    (void)op;
    enum status status = take_line(machine, &module, err);
    if (status == OK)
        status = take_line(machine, &name, err);
    return status == OK ? push_global(machine, module, name, err) : status;
}

static enum status load_stack_global(struct pickle_machine *machine, const struct opcode *op,
                                     struct err *err)
{
    struct pickle_value *module = NULL, *name = NULL;
    (void)op;
    enum status status = pickle_pop(machine, &name, err);
    if (status == OK)
        status = pickle_pop(machine, &module, err);
    if (status != OK)
        return status;
    if (module->type != PICKLE_STRING || name->type != PICKLE_STRING)
        return pickle_damaged(machine, "a global's name is no string", err);
    return push_global(machine, module->u.string, name->u.string, err);
}

static enum status reduce(struct pickle_machine *machine, const struct opcode *op, struct err *err)
{
    struct pickle_value *callable = NULL, *args = NULL, *result = NULL;
    (void)op;
    enum status status = pickle_pop(machine, &args, err);
    if (status == OK)
        status = pickle_pop(machine, &callable, err);
    if (status != OK)
        return status;
    if (callable->type != PICKLE_GLOBAL || !callable->u.global->call || args->type != PICKLE_TUPLE)
        return pickle_damaged(machine, "it calls something that cannot be called", err);
    status = callable->u.global->call(machine, &args->u.items, &result, err);
    return status == OK ? pickle_push(machine, result, err) : status;
}

/* A state dict carries attributes (`_metadata`: module versions); they are not weights. Nor is what
 * leave_out of pickle_torch.c stands for, a NONE here. */
static enum status drop_state(struct pickle_machine *machine, const struct opcode *op,
                              struct err *err)
{
    struct pickle_value *state = NULL, *object = NULL;
    (void)op;
    enum status status = pickle_pop(machine, &state, err);
    if (status == OK && machine->stack.n > 0 && machine->stack.items[machine->stack.n - 1] &&
        machine->stack.items[machine->stack.n - 1]->type == PICKLE_NONE)
        return OK;
    return status == OK ? pickle_top(machine, PICKLE_DICT, &object, err) : status;
}

static enum status load_persistent(struct pickle_machine *machine, const struct opcode *op,
                                   struct err *err)
{
    struct pickle_value *id = NULL, *result = NULL;
    (void)op;
    enum status status = pickle_pop(machine, &id, err);
    if (status == OK)
        status = pickle_load_persistent(machine, id, &result, err);
    return status == OK ? pickle_push(machine, result, err) : status;
}

static const struct opcode opcodes[256] = {
    [0x80] = {"PROTO", skip_argument, 1},
    [0x95] = {"FRAME", skip_argument, 8},
    ['.'] = {"STOP", stop, 0},
    ['('] = {"MARK", push_mark, 0},
    ['0'] = {"POP", drop, 0},
    ['1'] = {"POP_MARK", drop_to_mark, 0},
    ['N'] = {"NONE", push_none, 0},
    [0x88] = {"NEWTRUE", push_bool, true},
    [0x89] = {"NEWFALSE", push_bool, false},
    ['K'] = {"BININT1", push_integer, 1},
    ['M'] = {"BININT2", push_integer, 2},
    ['J'] = {"BININT", push_integer, 4},
    [0x8a] = {"LONG1", push_long, 1},
    ['G'] = {"BINFLOAT", push_float, 8},
    [0x8c] = {"SHORT_BINUNICODE", push_text, 1},
    ['X'] = {"BINUNICODE", push_text, 4},
    [0x8d] = {"BINUNICODE8", push_text, 8},
    ['U'] = {"SHORT_BINSTRING", push_text, 1},
    ['T'] = {"BINSTRING", push_text, 4},
    ['C'] = {"SHORT_BINBYTES", push_text, 1},
    ['B'] = {"BINBYTES", push_text, 4},
    [')'] = {"EMPTY_TUPLE", push_container, PICKLE_TUPLE},
    [']'] = {"EMPTY_LIST", push_container, PICKLE_LIST},
    ['}'] = {"EMPTY_DICT", push_container, PICKLE_DICT},
    ['t'] = {"TUPLE", make_tuple, 0},
    [0x85] = {"TUPLE1", make_short_tuple, 1},
    [0x86] = {"TUPLE2", make_short_tuple, 2},
    [0x87] = {"TUPLE3", make_short_tuple, 3},
    ['a'] = {"APPEND", add_top, 1},
    ['s'] = {"SETITEM", add_top, 2},
    ['e'] = {"APPENDS", add_marked, PICKLE_LIST},
    ['u'] = {"SETITEMS", add_marked, PICKLE_DICT},
    ['q'] = {"BINPUT", put, 1},
    ['r'] = {"LONG_BINPUT", put, 4},
    [0x94] = {"MEMOIZE", memoize, 0},
    ['h'] = {"BINGET", get, 1},
    ['j'] = {"LONG_BINGET", get, 4},
    ['c'] = {"GLOBAL", load_global, 0},
    [0x93] = {"STACK_GLOBAL", load_stack_global, 0},
    ['R'] = {"REDUCE", reduce, 0},
    [0x81] = {"NEWOBJ", reduce, 0},
    ['b'] = {"BUILD", drop_state, 0},
    ['Q'] = {"BINPERSID", load_persistent, 0},
};

/* --- The reader ------------------------------------------------------------------------------ */

static enum status step(struct pickle_machine *machine, struct err *err)
{
    if (machine->at == machine->len)
        return pickle_damaged(machine, "it is cut short", err);
    uint8_t code = machine->bytes[machine->at++];
    if (!opcodes[code].run)
        return err_set(err, E_INVALID,
                       "The pickle in the %s uses the operation 0x%02x, which %s do not need; "
                       "nothing was executed.",
                       machine->kind->file, code, machine->kind->contents);
    return opcodes[code].run(machine, &opcodes[code], err);
}

static const struct pickle_kind state_dict = {
    "weights file", "state dict", "state dicts",
    "Save the weights alone: torch.save(model.state_dict(), path).", true};
static const struct pickle_kind word_list = {
    "vocabulary", "list of words", "lists of words",
    "Save the words alone: pickle.dump(list(vocab), open(path, 'wb')).", false};

static enum status read_kind(const struct pickle_kind *kind, const uint8_t *bytes, size_t len,
                             struct arena *arena, struct pickle *pickle, struct err *err)
{
    struct pickle_machine machine = {.kind = kind, .bytes = bytes, .arena = arena};
    struct pickle_value *root = NULL;
    machine.len = len > PICKLE_MAX_BYTES ? PICKLE_MAX_BYTES : len;
    enum status status = OK;
    while (status == OK && !machine.stopped)
        status = step(&machine, err);
    if (status == OK)
        status = pickle_pop(&machine, &root, err);
    if (status == OK)
        *pickle = (struct pickle){root, machine.storages, machine.at};
    mem_free(machine.stack.items);
    mem_free(machine.memo.items);
    return status;
}

enum status pickle_read(const uint8_t *bytes, size_t len, struct arena *arena,
                        struct pickle *pickle, struct err *err)
{
    return read_kind(&state_dict, bytes, len, arena, pickle, err);
}

enum status pickle_read_plain(const uint8_t *bytes, size_t len, struct arena *arena,
                              struct pickle *pickle, struct err *err)
{
    return read_kind(&word_list, bytes, len, arena, pickle, err);
}

bool pickle_text_is(struct pickle_text text, const char *expected)
{
    return strlen(expected) == text.len && memcmp(text.text, expected, text.len) == 0;
}

const struct pickle_value *pickle_get(const struct pickle_value *dict, const char *key)
{
    if (!dict || dict->type != PICKLE_DICT)
        return NULL;
    for (size_t i = dict->u.items.n; i >= 2; i -= 2) {
        const struct pickle_value *name = dict->u.items.items[i - 2];
        if (name->type == PICKLE_STRING && pickle_text_is(name->u.string, key))
            return dict->u.items.items[i - 1];
    }
    return NULL;
}
