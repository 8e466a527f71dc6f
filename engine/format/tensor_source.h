/* tensor_source.h -- the tensors of a weights file, whatever format it came in.
 *
 * Every format here (safetensors, torch zip, torch legacy) keeps its numbers uncompressed in the
 * file, so one view fits all: a source is a read-only mapping of the file plus, sorted by name, a
 * table of named views into it. Opening validates everything (each element of each view lies inside
 * the mapping, products are checked, names are unique); after that, reading cannot fail.
 * The file must not shrink while it is open. */
#ifndef THAW_ENGINE_FORMAT_TENSOR_SOURCE_H
#define THAW_ENGINE_FORMAT_TENSOR_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/status.h"

#define TENSOR_MAX_DIMS  8
#define TENSOR_MAX_NAME  256   /* bytes, without the NUL */
#define TENSOR_MAX_COUNT 65536 /* tensors in one file */

enum dtype {
    DTYPE_F64,
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_I64,
    DTYPE_I32,
    DTYPE_I16,
    DTYPE_I8,
    DTYPE_U64,
    DTYPE_U32,
    DTYPE_U16,
    DTYPE_U8,
    DTYPE_BOOL,
    N_DTYPES
};

const char *dtype_name(enum dtype dtype); /* as safetensors spells it: "F32" */
size_t dtype_size(enum dtype dtype);      /* bytes of one element */
bool dtype_from_name(const char *name, enum dtype *dtype);

struct tensor_view {
    const char *name; /* owned by the source */
    enum dtype dtype;
    int n_dims;                       /* 0: a scalar */
    int64_t dims[TENSOR_MAX_DIMS];    /* row-major, torch's order */
    int64_t strides[TENSOR_MAX_DIMS]; /* in elements, >= 0 */
    size_t n_elements;
    const uint8_t *data; /* borrowed from the source; element (0,..,0); may be unaligned */
};

struct tensor_source {
    struct tensor_view *tensors; /* owned; sorted by name (byte order), names unique */
    size_t n_tensors, capacity;
    struct json *metadata; /* owned; an object string -> string; empty where the format has none */
    const char *format;    /* "safetensors", "torch zip", "torch legacy" */
    const uint8_t *bytes;  /* the whole file; owned iff `mapped` */
    size_t n_bytes;
    bool mapped;
};

/* Opens a weights file and recognises its format by its content. E_INVALID, in a sentence about the
 * content, for anything else. Initialises *source; on failure there is nothing to close. */
enum status tensor_source_open(const char *path, struct tensor_source *source, struct err *err);
/* The same over bytes that the caller keeps until the close. */
enum status tensor_source_from_bytes(const uint8_t *bytes, size_t len, struct tensor_source *source,
                                     struct err *err);
void tensor_source_close(struct tensor_source *source);

const struct tensor_view *tensor_source_find(const struct tensor_source *source, const char *name);

/* The elements in row-major order, converted to float32; `out` holds n_elements. */
void tensor_read(const struct tensor_view *view, float *out);
/* The same, but NaN or infinity (also an F64 too large for float32) is E_INVALID, with the tensor's
 * name and the element's position. */
enum status tensor_read_finite(const struct tensor_view *view, float *out, struct err *err);
/* The elements as they are, in row-major order: n_elements * dtype_size bytes. */
void tensor_read_raw(const struct tensor_view *view, uint8_t *out);

bool tensor_has_shape(const struct tensor_view *view, int n_dims, const int64_t *dims);
/* "(64, 3, 7, 7)"; returns `text`. */
const char *tensor_shape_text(int n_dims, const int64_t *dims, char *text, size_t size);

/* For readers of formats. tensor_view_contiguous sets row-major strides from dims (false: the
 * product overflows). tensor_source_add checks name, dims and strides against the `room` bytes that
 * begin at view->data, sets n_elements and appends the view (name copied); E_INVALID when an
 * element would lie outside. tensor_source_finish sorts, and refuses names that occur twice. */
bool tensor_view_contiguous(struct tensor_view *view);
enum status tensor_source_add(struct tensor_source *source, const struct tensor_view *view,
                              uint64_t room, struct err *err);
/* Gives a tensor another name, which it takes; to be followed by tensor_source_finish. */
void tensor_source_rename(struct tensor_source *source, size_t index, char *name);
enum status tensor_source_finish(struct tensor_source *source, struct err *err);

#endif
