/* pickle_machine.h -- inside the pickle reader: the stack machine that opcodes and globals share.
 *
 * Used by pickle.c (opcodes) and pickle_torch.c (what the allowed globals mean) alone. */
#ifndef THAW_ENGINE_FORMAT_PICKLE_MACHINE_H
#define THAW_ENGINE_FORMAT_PICKLE_MACHINE_H

#include "engine/format/pickle.h"

/* What a pickle is expected to be: words for sentences, and whether it may name globals. */
struct pickle_kind {
    const char *file, *content, *contents; /* "weights file", "state dict", "state dicts" */
    const char *hint;
    bool has_globals;
};

struct pickle_machine {
    const struct pickle_kind *kind;
    const uint8_t *bytes; /* borrowed */
    size_t len, at;
    struct arena *arena;          /* borrowed; owns every value */
    struct pickle_items stack;    /* items owned; a mark is a NULL */
    struct pickle_items memo;     /* items owned; NULL where nothing was put */
    struct pickle_items storages; /* as in struct pickle */
    size_t n_values;              /* made so far, container slots included */
    bool stopped;
};

/* An allowed global. `call` is what REDUCE on it does; NULL where it is only a name. */
struct pickle_global {
    const char *module, *name;
    enum status (*call)(struct pickle_machine *machine, const struct pickle_items *args,
                        struct pickle_value **result, struct err *err);
    bool is_storage;
    enum dtype dtype; /* of a storage */
};

/* E_INVALID: "The pickle ... is damaged at byte N: WHY." */
enum status pickle_damaged(const struct pickle_machine *machine, const char *why, struct err *err);

/* A value of that type, zeroed; E_INVALID past PICKLE_MAX_VALUES. */
enum status pickle_new(struct pickle_machine *machine, enum pickle_type type,
                       struct pickle_value **value, struct err *err);
enum status pickle_append(struct pickle_machine *machine, struct pickle_items *items,
                          struct pickle_value *value, struct err *err);

/* The stack. pickle_top looks at the value on top, which must be of that type. pickle_pop_to_mark
 * takes everything above the topmost mark, and the mark; the items stay valid until the next push.
 */
enum status pickle_push(struct pickle_machine *machine, struct pickle_value *value,
                        struct err *err);
enum status pickle_push_new(struct pickle_machine *machine, struct pickle_value value,
                            struct err *err);
enum status pickle_pop(struct pickle_machine *machine, struct pickle_value **value,
                       struct err *err);
enum status pickle_top(struct pickle_machine *machine, enum pickle_type type,
                       struct pickle_value **value, struct err *err);
enum status pickle_pop_to_mark(struct pickle_machine *machine, struct pickle_items *items,
                               struct err *err);

/* Remembers the value on top under a number. */
enum status pickle_put(struct pickle_machine *machine, uint64_t index, struct err *err);

/* The pickle's next bytes. */
enum status pickle_take(struct pickle_machine *machine, size_t n, const uint8_t **bytes,
                        struct err *err);
enum status pickle_take_unsigned(struct pickle_machine *machine, int n_bytes, uint64_t *value,
                                 struct err *err);

/* The table of globals: NULL for all the rest. */
const struct pickle_global *pickle_find_global(struct pickle_text module, struct pickle_text name);

/* What a persistent id stands for: torch's ('storage', type, key, location, n[, view]). */
enum status pickle_load_persistent(struct pickle_machine *machine, const struct pickle_value *id,
                                   struct pickle_value **result, struct err *err);

#endif
