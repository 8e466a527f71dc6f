/* dtype.c -- element types, and reading a view's elements one by one.
 *
 * Files are little-endian and so is every machine this runs on; elements may be unaligned, hence
 * memcpy. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/format/tensor_source.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weights are read in place");

static float f64_to_float(const uint8_t *at)
{
    double value;
    memcpy(&value, at, sizeof value);
    return (float)value;
}

static float f32_to_float(const uint8_t *at)
{
    float value;
    memcpy(&value, at, sizeof value);
    return value;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static float f16_to_float(const uint8_t *at)
{
    uint16_t half;
    memcpy(&half, at, sizeof half);
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 31, fraction = half & 0x3ff;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) { /* zero and subnormals: fraction * 2^-24, exact in float32 */
        float value = ldexpf((float)fraction, -24);
        return sign ? -value : value;
    }
    return from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

static float bf16_to_float(const uint8_t *at)
{
    uint16_t upper;
    memcpy(&upper, at, sizeof upper);
    return from_bits((uint32_t)upper << 16);
}

#define INTEGER_TO_FLOAT(name, type)                                                               \
    static float name(const uint8_t *at)                                                           \
    {                                                                                              \
        type value;                                                                                \
        memcpy(&value, at, sizeof value);                                                          \
        return (float)value;                                                                       \
    }
INTEGER_TO_FLOAT(i64_to_float, int64_t)
INTEGER_TO_FLOAT(i32_to_float, int32_t)
INTEGER_TO_FLOAT(i16_to_float, int16_t)
INTEGER_TO_FLOAT(i8_to_float, int8_t)
INTEGER_TO_FLOAT(u64_to_float, uint64_t)
INTEGER_TO_FLOAT(u32_to_float, uint32_t)
INTEGER_TO_FLOAT(u16_to_float, uint16_t)
INTEGER_TO_FLOAT(u8_to_float, uint8_t)

static const struct {
    const char *name;
    size_t size;
    float (*to_float)(const uint8_t *at);
} dtypes[N_DTYPES] = {
    [DTYPE_F64] = {"F64", 8, f64_to_float},  [DTYPE_F32] = {"F32", 4, f32_to_float},
    [DTYPE_F16] = {"F16", 2, f16_to_float},  [DTYPE_BF16] = {"BF16", 2, bf16_to_float},
    [DTYPE_I64] = {"I64", 8, i64_to_float},  [DTYPE_I32] = {"I32", 4, i32_to_float},
    [DTYPE_I16] = {"I16", 2, i16_to_float},  [DTYPE_I8] = {"I8", 1, i8_to_float},
    [DTYPE_U64] = {"U64", 8, u64_to_float},  [DTYPE_U32] = {"U32", 4, u32_to_float},
    [DTYPE_U16] = {"U16", 2, u16_to_float},  [DTYPE_U8] = {"U8", 1, u8_to_float},
    [DTYPE_BOOL] = {"BOOL", 1, u8_to_float},
};

const char *dtype_name(enum dtype dtype)
{
    return dtypes[dtype].name;
}

size_t dtype_size(enum dtype dtype)
{
    return dtypes[dtype].size;
}

bool dtype_from_name(const char *name, enum dtype *dtype)
{
    for (size_t i = 0; i < N_DTYPES; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *dtype = (enum dtype)i;
            return true;
        }
    }
    return false;
}

/* A walk over a view's rows: runs of elements at one stride. A contiguous view is a single row. */
struct walk {
    const struct tensor_view *view;
    int n_outer; /* dims that `index` counts through */
    int64_t index[TENSOR_MAX_DIMS];
    size_t row_elements, row_stride, left; /* stride in bytes; left: elements not yet walked */
};

static bool is_contiguous(const struct tensor_view *view)
{
    struct tensor_view plain = *view;
    if (!tensor_view_contiguous(&plain))
        return false;
    for (int i = 0; i < view->n_dims; i++) {
        if (view->dims[i] != 1 && view->strides[i] != plain.strides[i])
            return false;
    }
    return true;
}

static struct walk walk_begin(const struct tensor_view *view)
{
    struct walk walk = {.view = view, .left = view->n_elements};
    size_t size = dtype_size(view->dtype);
    if (view->n_elements == 0)
        return walk;
    if (is_contiguous(view)) {
        walk.row_elements = view->n_elements;
        walk.row_stride = size;
    } else {
        walk.n_outer = view->n_dims - 1;
        walk.row_elements = (size_t)view->dims[walk.n_outer];
        walk.row_stride = (size_t)view->strides[walk.n_outer] * size;
    }
    return walk;
}

/* The next row's first element; NULL after the last. */
static const uint8_t *walk_row(struct walk *walk)
{
    if (walk->left == 0)
        return NULL;
    size_t offset = 0;
    for (int i = 0; i < walk->n_outer; i++)
        offset += (size_t)walk->index[i] * (size_t)walk->view->strides[i];
    for (int i = walk->n_outer - 1; i >= 0 && ++walk->index[i] == walk->view->dims[i]; i--)
        walk->index[i] = 0;
    walk->left -= walk->row_elements;
    return walk->view->data + offset * dtype_size(walk->view->dtype);
}

void tensor_read(const struct tensor_view *view, float *out)
{
    float (*to_float)(const uint8_t *) = dtypes[view->dtype].to_float;
    struct walk walk = walk_begin(view);
    const uint8_t *row;
    while ((row = walk_row(&walk))) {
        if (view->dtype == DTYPE_F32 && walk.row_stride == sizeof *out) {
            memcpy(out, row, walk.row_elements * sizeof *out);
        } else {
            for (size_t i = 0; i < walk.row_elements; i++)
                out[i] = to_float(row + i * walk.row_stride);
        }
        out += walk.row_elements;
    }
}

enum status tensor_read_finite(const struct tensor_view *view, float *out, struct err *err)
{
    tensor_read(view, out);
    for (size_t i = 0; i < view->n_elements; i++) {
        if (!isfinite(out[i]))
            return err_set(err, E_INVALID,
                           "The tensor %s holds %s at element %zu; weights must be finite numbers.",
                           view->name, isnan(out[i]) ? "NaN" : "an infinite value", i);
    }
    return OK;
}

void tensor_read_raw(const struct tensor_view *view, uint8_t *out)
{
    size_t size = dtype_size(view->dtype);
    struct walk walk = walk_begin(view);
    const uint8_t *row;
    while ((row = walk_row(&walk))) {
        if (walk.row_stride == size) {
            memcpy(out, row, walk.row_elements * size);
        } else {
            for (size_t i = 0; i < walk.row_elements; i++)
                memcpy(out + i * size, row + i * walk.row_stride, size);
        }
        out += walk.row_elements * size;
    }
}
