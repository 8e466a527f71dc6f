/* pickle_machine.c -- what every opcode is made of: bounded values, stack, memo, bytes.
 *
 * A mark on the stack is a NULL, so that no opcode can take it for a value: pickle_pop refuses it.
 */
#include "engine/format/pickle_machine.h"

#include <string.h>

enum status pickle_damaged(const struct pickle_machine *machine, const char *why, struct err *err)
{
    return err_set(err, E_INVALID, "The pickle in the %s is damaged at byte %zu: %s.",
                   machine->kind->file, machine->at, why);
}

static enum status count_value(struct pickle_machine *machine, struct err *err)
{
    if (++machine->n_values > PICKLE_MAX_VALUES)
        return err_set(err, E_INVALID, "The pickle in the %s holds more than %u values.",
                       machine->kind->file, PICKLE_MAX_VALUES);
    return OK;
}

enum status pickle_new(struct pickle_machine *machine, enum pickle_type type,
                       struct pickle_value **value, struct err *err)
{
    enum status status = count_value(machine, err);
    if (status != OK)
        return status;
    *value = arena_alloc(machine->arena, sizeof **value);
    (*value)->type = type;
    return OK;
}

enum status pickle_append(struct pickle_machine *machine, struct pickle_items *items,
                          struct pickle_value *value, struct err *err)
{
    enum status status = count_value(machine, err);
    if (status != OK)
        return status;
    if (items->n == items->capacity) {
        size_t capacity = items->capacity ? 2 * items->capacity : 8;
        struct pickle_value **larger = arena_alloc(machine->arena, capacity * sizeof *larger);
        if (items->n > 0)
            memcpy(larger, items->items, items->n * sizeof *larger);
        items->items = larger;
        items->capacity = capacity;
    }
    items->items[items->n++] = value;
    return OK;
}

/* The stack and the memo are plain memory, not the arena's: they come and go. */
static void reserve(struct pickle_items *items, size_t n)
{
    if (n <= items->capacity)
        return;
    size_t capacity = items->capacity ? items->capacity : 64;
    while (capacity < n)
        capacity *= 2;
    items->items = mem_realloc(items->items, capacity * sizeof *items->items);
    memset(items->items + items->capacity, 0, (capacity - items->capacity) * sizeof *items->items);
    items->capacity = capacity;
}

enum status pickle_push(struct pickle_machine *machine, struct pickle_value *value, struct err *err)
{
    if (machine->stack.n == PICKLE_MAX_VALUES)
        return pickle_damaged(machine, "its stack grows too large", err);
    reserve(&machine->stack, machine->stack.n + 1);
    machine->stack.items[machine->stack.n++] = value;
    return OK;
}

enum status pickle_pop(struct pickle_machine *machine, struct pickle_value **value, struct err *err)
{
    struct pickle_items *stack = &machine->stack;
    if (stack->n == 0 || !stack->items[stack->n - 1])
        return pickle_damaged(machine, "an operation lacks its operand", err);
    *value = stack->items[--stack->n];
    return OK;
}

enum status pickle_top(struct pickle_machine *machine, enum pickle_type type,
                       struct pickle_value **value, struct err *err)
{
    enum status status = pickle_pop(machine, value, err);
    if (status != OK)
        return status;
    machine->stack.n++;
    if ((*value)->type != type)
        return pickle_damaged(machine, "an operation has an operand of the wrong type", err);
    return OK;
}

enum status pickle_pop_to_mark(struct pickle_machine *machine, struct pickle_items *items,
                               struct err *err)
{
    struct pickle_items *stack = &machine->stack;
    size_t at = stack->n;
    while (at > 0 && stack->items[at - 1])
        at--;
    if (at == 0)
        return pickle_damaged(machine, "a mark is missing", err);
    *items = (struct pickle_items){.items = stack->items + at, .n = stack->n - at};
    stack->n = at - 1;
    return OK;
}

enum status pickle_take(struct pickle_machine *machine, size_t n, const uint8_t **bytes,
                        struct err *err)
{
    if (n > machine->len - machine->at)
        return pickle_damaged(machine, "it is cut short", err);
    *bytes = machine->bytes + machine->at;
    machine->at += n;
    return OK;
}

enum status pickle_take_unsigned(struct pickle_machine *machine, int n_bytes, uint64_t *value,
                                 struct err *err)
{
    const uint8_t *bytes = NULL;
    enum status status = pickle_take(machine, (size_t)n_bytes, &bytes, err);
    if (status != OK)
        return status;
    *value = 0;
    for (int i = n_bytes - 1; i >= 0; i--)
        *value = *value << 8 | bytes[i];
    return OK;
}

enum status pickle_push_new(struct pickle_machine *machine, struct pickle_value value,
                            struct err *err)
{
    struct pickle_value *copy = NULL;
    enum status status = pickle_new(machine, value.type, &copy, err);
    if (status != OK)
        return status;
    *copy = value;
    return pickle_push(machine, copy, err);
}

enum status pickle_put(struct pickle_machine *machine, uint64_t index, struct err *err)
{
    struct pickle_value *value = NULL;
    enum status status = pickle_pop(machine, &value, err);
    if (status != OK)
        return status;
    machine->stack.n++;
    if (index >= PICKLE_MAX_VALUES)
        return pickle_damaged(machine, "it numbers its memo too high", err);
    reserve(&machine->memo, (size_t)index + 1);
    machine->memo.items[index] = value;
    if (machine->memo.n <= index)
        machine->memo.n = (size_t)index + 1;
    return OK;
}
