/* dnn.h -- the only place that knows oneDNN's engine, stream and what its versions disagree on.
 *
 * One CPU engine and one stream for the process, made at first use. Layouts are memory descriptors,
 * convolutions come with `any` weights (the kernel's own wish) and NHWC activations, scratch memory
 * is the caller's, so that a plan can count and share it. Written for oneDNN 2.6. */
#ifndef THAW_ENGINE_CORE_DNN_H
#define THAW_ENGINE_CORE_DNN_H

#include <dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct dnn_layout {
    dnnl_memory_desc_t md;
};

dnnl_engine_t dnn_engine(void);
dnnl_stream_t dnn_stream(void);
const char *dnn_isa(void);                 /* "avx512_core", "avx2", ... */
void dnn_version(char *text, size_t size); /* "oneDNN 2.6.3" */
enum status dnn_check(dnnl_status_t result, const char *what, struct err *err);

struct dnn_layout dnn_layout_plain(int n_dims, const int64_t *dims); /* row-major, torch's order */
struct dnn_layout dnn_layout_depthwise(int64_t c, int kernel); /* (C,1,k,k) stored (k,k,1,C) */
struct dnn_layout dnn_layout_nhwc(int64_t n, int64_t h, int64_t w, int64_t c);
bool dnn_layout_equal(const struct dnn_layout *a, const struct dnn_layout *b);
size_t dnn_layout_floats(const struct dnn_layout *layout); /* stored, padding included */
void dnn_layout_print(const struct dnn_layout *layout, char *text, size_t size);

/* Copies between layouts of the same dims, now. Aborts only when oneDNN itself is broken. */
void dnn_reorder(const struct dnn_layout *from, const float *source, const struct dnn_layout *to,
                 float *target);
/* The same as a primitive (DNNL_ARG_FROM, DNNL_ARG_TO) that needs no scratch. */
enum status dnn_reorder_new(const struct dnn_layout *from, const struct dnn_layout *to,
                            dnnl_primitive_t *primitive, struct err *err);

enum dnn_pass { DNN_FORWARD, DNN_BACKWARD_DATA, DNN_BACKWARD_WEIGHTS };

struct dnn_conv_options {
    int64_t n, h, w, c;          /* input (N,H,W,C) */
    int64_t out_h, out_w, out_c; /* output */
    int kernel, stride, padding;
    bool bias, relu, sum; /* relu and sum (dst += before relu): forward only */
    float ceiling;        /* of the relu: 6 for ReLU6, else infinity */
    bool training;
};

struct dnn_conv {
    dnnl_primitive_t primitive; /* owned by who asked */
    struct dnn_layout src, weights, bias, dst;
    size_t scratch_floats;
    char implementation[48]; /* "brgconv:avx512_core" */
};

enum status dnn_conv_new(const struct dnn_conv_options *options, enum dnn_pass pass,
                         struct dnn_conv *conv, struct err *err);

#endif
