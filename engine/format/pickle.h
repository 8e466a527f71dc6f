/* pickle.h -- reads the pickles of torch state dicts and of vocabularies, and executes nothing.
 *
 * A pickle is a program for a stack machine that can call anything Python can import. This machine
 * knows only the opcodes that state dicts use and a table of globals (OrderedDict, torch's tensor
 * rebuilders, its storage types); those are recognised by name and turned into plain values here.
 * Any other global is E_INVALID and named. Bytes, values, memo and stack are bounded, containers
 * may be cyclic (memo), so walkers bound their depth. */
#ifndef THAW_ENGINE_FORMAT_PICKLE_H
#define THAW_ENGINE_FORMAT_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "engine/format/tensor_source.h"

#define PICKLE_MAX_BYTES  (64u << 20)
#define PICKLE_MAX_VALUES (1u << 20) /* values, and container slots */

enum pickle_type {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT, /* a long beyond 64 bits becomes its lowest 64 */
    PICKLE_FLOAT,
    PICKLE_STRING, /* text or bytes; a NUL inside is kept */
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT, /* also OrderedDict; in order, a key may stand there more than once */
    PICKLE_GLOBAL,
    PICKLE_STORAGE,
    PICKLE_TENSOR
};

struct pickle_value; /* what it points at is owned by the arena, or borrowed from the pickle */

struct pickle_text {
    const char *text; /* borrowed from the pickle; not terminated */
    size_t len;
};

struct pickle_items {
    struct pickle_value **items; /* for a dict: key, value, key, value, ... */
    size_t n, capacity;
};

struct pickle_storage {
    enum dtype dtype;
    struct pickle_text key; /* names the bytes in the file */
    int64_t n_elements;     /* of the whole storage */
    int64_t view_offset;    /* legacy: a tensor sees only this part of it, in elements; */
    int64_t view_elements;  /* else all */
};

struct pickle_tensor {
    const struct pickle_storage *storage;
    int64_t offset; /* of element (0,..,0), in elements */
    int n_dims;
    int64_t dims[TENSOR_MAX_DIMS], strides[TENSOR_MAX_DIMS];
};

struct pickle_value {
    enum pickle_type type;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct pickle_text string;
        struct pickle_items items;
        const struct pickle_global *global;
        const struct pickle_storage *storage;
        const struct pickle_tensor *tensor;
    } u;
};

struct pickle {
    const struct pickle_value *root;
    struct pickle_items storages; /* every storage it mentions, in order, repeats included */
    size_t used;                  /* bytes it took */
};

/* Reads one pickle from the front of `bytes`. All its values are owned by `arena`; texts borrow
 * from `bytes`. */
enum status pickle_read(const uint8_t *bytes, size_t len, struct arena *arena,
                        struct pickle *pickle, struct err *err);

/* The same for a vocabulary, a list of words: it needs no globals, so any is refused by name. */
enum status pickle_read_plain(const uint8_t *bytes, size_t len, struct arena *arena,
                              struct pickle *pickle, struct err *err);

/* The value under a string key of a dict (the last one, as Python has it); NULL if it is no dict or
 * has no such key. */
const struct pickle_value *pickle_get(const struct pickle_value *dict, const char *key);
bool pickle_text_is(struct pickle_text text, const char *expected);

#endif
