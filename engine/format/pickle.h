/* pickle.h -- reads the pickles of torch state dicts, and executes nothing.
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
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_STRING, /* text or bytes; a NUL inside is kept */
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT, /* also OrderedDict: order kept, later keys do not replace earlier ones */
    PICKLE_GLOBAL,
    PICKLE_STORAGE,
    PICKLE_TENSOR
};

struct pickle_value {
    enum pickle_type type;
    union {
        bool boolean;
        int64_t integer; /* a long that does not fit is E_INVALID, but for legacy's magic number */
        double real;
        struct {
            const char *text; /* borrowed from the pickle; not terminated */
            size_t len;
        } string;
        struct {
            struct pickle_value **items; /* owned by the pickle; for a dict key, value, key, ... */
            size_t n_items, capacity;
        } container;
        const struct pickle_global *global; /* one of the table in pickle.c */
        struct {
            enum dtype dtype;
            const char *key; /* borrowed from the pickle; not terminated */
            size_t key_len;
            int64_t n_elements;
            int64_t view_offset; /* legacy: this storage is part of `key`'s, from here on */
        } storage;
        struct {
            const struct pickle_value *storage;
            int64_t offset; /* in elements */
            int n_dims;
            int64_t dims[TENSOR_MAX_DIMS], strides[TENSOR_MAX_DIMS];
        } tensor;
    } u;
};

/* Reads one pickle from the front of `bytes`. *used (may be NULL) is where it ended. The root and
 * all it reaches are owned by `arena` and borrow from `bytes`. */
enum status pickle_read(const uint8_t *bytes, size_t len, struct arena *arena,
                        const struct pickle_value **root, size_t *used, struct err *err);

/* The value under a string key of a dict; NULL if it is no dict or has no such key. */
const struct pickle_value *pickle_get(const struct pickle_value *dict, const char *key);
bool pickle_string_is(const struct pickle_value *value, const char *text);

#endif
