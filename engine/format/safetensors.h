/* safetensors.h -- the safetensors format: u64 header length | JSON header | tensor bytes.
 *
 * Reading validates the whole header before any tensor is touched: at most 16 MiB, known dtypes,
 * checked products, and byte ranges that cover the data exactly, without holes or overlap.
 * Writing is deterministic: metadata keys and tensors in byte order of their names, header padded
 * with spaces to a multiple of 8, tensors one after the other; the same content gives the same
 * bytes. */
#ifndef THAW_ENGINE_FORMAT_SAFETENSORS_H
#define THAW_ENGINE_FORMAT_SAFETENSORS_H

#include "base/digest.h"
#include "base/json.h"
#include "base/status.h"
#include "engine/format/tensor_source.h"

#define SAFETENSORS_MAX_HEADER (16u << 20)

/* Whether the bytes look like one (a plausible header length, then '{'): for recognition only. */
bool safetensors_recognise(const uint8_t *bytes, size_t len);

/* Fills an empty source with views into `bytes`. E_INVALID names what is wrong. On failure the
 * caller still closes the source. */
enum status safetensors_parse(const uint8_t *bytes, size_t len, struct tensor_source *source,
                              struct err *err);

struct safetensors_item {
    const char *name; /* borrowed */
    int n_dims;
    const int64_t *dims; /* borrowed */
};

/* What to write: float32 tensors, asked for one at a time, so that a model is never in memory
 * twice. */
struct safetensors_content {
    const struct json *metadata;          /* borrowed; an object string -> string; NULL: none */
    const struct safetensors_item *items; /* borrowed; any order, unique names */
    size_t n_items;
    /* Writes item's elements, row-major, into `plain`. Called once an item, in order of names. */
    void (*fill)(void *context, size_t item, float *plain);
    void *context;
};

/* Writes PATH.tmp, then renames it to `path`: the file is wholly there or not at all. hex (may be
 * NULL) gets the weights_sha256 of what was written. */
enum status safetensors_write(const char *path, const struct safetensors_content *content,
                              char hex[SHA256_HEX], struct err *err);

#endif
