#include "engine/core/dnn.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine;
static dnnl_stream_t stream;

/* For what can only fail when oneDNN or the program is broken. */
static void must(dnnl_status_t result, const char *what)
{
    if (result == dnnl_success)
        return;
    fprintf(stderr, "oneDNN: %s failed with status %d\n", what, (int)result);
    abort();
}

static void start(void)
{
    must(dnnl_engine_create(&engine, dnnl_cpu, 0), "making the CPU engine");
    must(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "making the stream");
}

dnnl_engine_t dnn_engine(void)
{
    pthread_once(&once, start);
    return engine;
}

dnnl_stream_t dnn_stream(void)
{
    pthread_once(&once, start);
    return stream;
}

static const struct {
    dnnl_cpu_isa_t isa;
    const char *name;
} isa_names[] = {
    {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
    {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
    {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
    {dnnl_cpu_isa_avx512_core, "avx512_core"},
    {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
    {dnnl_cpu_isa_avx2, "avx2"},
    {dnnl_cpu_isa_avx, "avx"},
    {dnnl_cpu_isa_sse41, "sse41"},
};

const char *dnn_isa(void)
{
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    for (size_t i = 0; i < sizeof isa_names / sizeof *isa_names; i++)
        if (isa_names[i].isa == isa)
            return isa_names[i].name;
    return "other";
}

void dnn_version(char *text, size_t size)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, size, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}

enum status dnn_check(dnnl_status_t result, const char *what, struct err *err)
{
    if (result == dnnl_success)
        return OK;
    if (result == dnnl_out_of_memory)
        return err_set(err, E_NO_SPACE, "Not enough memory for %s; a smaller batch needs less.",
                       what);
    return err_set(err, E_INTERNAL, "oneDNN could not make %s (status %d).", what, (int)result);
}

struct dnn_layout dnn_layout_plain(int n_dims, const int64_t *dims)
{
    static const dnnl_format_tag_t tags[] = {dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc,
                                             dnnl_abcd};
    struct dnn_layout layout;
    dnnl_dims_t d;
    for (int i = 0; i < n_dims; i++)
        d[i] = dims[i];
    must(dnnl_memory_desc_init_by_tag(&layout.md, n_dims, d, dnnl_f32, tags[n_dims]),
         "a plain layout");
    return layout;
}

struct dnn_layout dnn_layout_nhwc(int64_t n, int64_t h, int64_t w, int64_t c)
{
    struct dnn_layout layout;
    dnnl_dims_t dims = {n, c, h, w};
    must(dnnl_memory_desc_init_by_tag(&layout.md, 4, dims, dnnl_f32, dnnl_nhwc), "an NHWC layout");
    return layout;
}

struct dnn_layout dnn_layout_depthwise(int64_t c, int kernel)
{
    struct dnn_layout layout;
    dnnl_dims_t dims = {c, 1, kernel, kernel};
    must(dnnl_memory_desc_init_by_tag(&layout.md, 4, dims, dnnl_f32, dnnl_cdba),
         "a layout of depthwise weights");
    return layout;
}

bool dnn_layout_equal(const struct dnn_layout *a, const struct dnn_layout *b)
{
    return dnnl_memory_desc_equal(&a->md, &b->md);
}

size_t dnn_layout_floats(const struct dnn_layout *layout)
{
    return dnnl_memory_desc_get_size(&layout->md) / sizeof(float);
}

void dnn_layout_print(const struct dnn_layout *layout, char *text, size_t size)
{
    const dnnl_memory_desc_t *md = &layout->md;
    size_t len = 0;
    for (int i = 0; i < md->ndims && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%lld", i ? "x" : "",
                                (long long)md->padded_dims[i]);
    const dnnl_blocking_desc_t *blocking = &md->format_desc.blocking;
    for (int i = 0; i < md->ndims && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%lld", i ? "," : " strides ",
                                (long long)blocking->strides[i]);
    for (int i = 0; i < blocking->inner_nblks && len < size; i++)
        len +=
            (size_t)snprintf(text + len, size - len, " %lld%c", (long long)blocking->inner_blks[i],
                             (char)('a' + blocking->inner_idxs[i]));
}

enum status dnn_reorder_new(const struct dnn_layout *from, const struct dnn_layout *to,
                            dnnl_primitive_t *primitive, struct err *err)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t result = dnnl_reorder_primitive_desc_create(&pd, &from->md, dnn_engine(), &to->md,
                                                              dnn_engine(), NULL);
    if (result == dnnl_success)
        result = dnnl_primitive_create(primitive, pd);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return dnn_check(result, "a reorder", err);
}

void dnn_reorder(const struct dnn_layout *from, const float *source, const struct dnn_layout *to,
                 float *target)
{
    struct err err = {0};
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t memory[2] = {NULL, NULL};
    if (dnn_reorder_new(from, to, &primitive, &err))
        must(dnnl_runtime_error, err.detail);
    must(dnnl_memory_create(&memory[0], &from->md, dnn_engine(), (void *)(uintptr_t)source),
         "a reorder's source");
    must(dnnl_memory_create(&memory[1], &to->md, dnn_engine(), target), "a reorder's target");
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, memory[0]}, {DNNL_ARG_TO, memory[1]}};
    must(dnnl_primitive_execute(primitive, dnn_stream(), 2, args), "a reorder");
    must(dnnl_stream_wait(dnn_stream()), "waiting for a reorder");
    dnnl_memory_destroy(memory[0]);
    dnnl_memory_destroy(memory[1]);
    dnnl_primitive_destroy(primitive);
}

/* --- convolution ----------------------------------------------------------------------------- */

struct conv_shape {
    dnnl_memory_desc_t src, weights, bias, dst;
    dnnl_dims_t stride, padding;
};

static dnnl_memory_desc_t wish(int n_dims, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md;
    must(dnnl_memory_desc_init_by_tag(&md, n_dims, dims, dnnl_f32, tag), "a convolution's layout");
    return md;
}

static struct conv_shape conv_shape(const struct dnn_conv_options *o)
{
    struct conv_shape s = {.stride = {o->stride, o->stride}, .padding = {o->padding, o->padding}};
    s.src = dnn_layout_nhwc(o->n, o->h, o->w, o->c).md;
    s.dst = dnn_layout_nhwc(o->n, o->out_h, o->out_w, o->out_c).md;
    s.weights = wish(4, (dnnl_dims_t){o->out_c, o->c, o->kernel, o->kernel}, dnnl_format_tag_any);
    s.bias = wish(1, (dnnl_dims_t){o->out_c}, dnnl_a);
    return s;
}

/* Scratch memory is the caller's; relu and sum are appended in the order the kernel applies them.
 */
static dnnl_primitive_attr_t conv_attributes(const struct dnn_conv_options *o)
{
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t ops;
    must(dnnl_primitive_attr_create(&attributes), "attributes");
    must(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user), "scratch");
    must(dnnl_post_ops_create(&ops), "post-ops");
    if (o->sum)
        must(dnnl_post_ops_append_sum(ops, 1.f), "a sum");
    if (o->relu && isfinite(o->ceiling))
        must(dnnl_post_ops_append_eltwise(ops, 1.f, dnnl_eltwise_clip, 0.f, o->ceiling), "a clip");
    else if (o->relu)
        must(dnnl_post_ops_append_eltwise(ops, 1.f, dnnl_eltwise_relu, 0.f, 0.f), "a relu");
    must(dnnl_primitive_attr_set_post_ops(attributes, ops), "post-ops");
    dnnl_post_ops_destroy(ops);
    return attributes;
}

static dnnl_status_t forward_desc(const struct dnn_conv_options *o, dnnl_primitive_desc_t *pd)
{
    struct conv_shape s = conv_shape(o);
    dnnl_convolution_desc_t desc;
    dnnl_primitive_attr_t attributes = conv_attributes(o);
    dnnl_status_t result = dnnl_convolution_forward_desc_init(
        &desc, o->training ? dnnl_forward_training : dnnl_forward_inference,
        dnnl_convolution_direct, &s.src, &s.weights, o->bias ? &s.bias : NULL, &s.dst, s.stride,
        s.padding, s.padding);
    if (result == dnnl_success)
        result = dnnl_primitive_desc_create(pd, &desc, attributes, dnn_engine(), NULL);
    dnnl_primitive_attr_destroy(attributes);
    return result;
}

static dnnl_status_t backward_desc(const struct dnn_conv_options *o, enum dnn_pass pass,
                                   dnnl_primitive_desc_t *pd)
{
    struct dnn_conv_options plain = *o;
    plain.relu = plain.sum = false;
    plain.training = true;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t result = forward_desc(&plain, &hint);
    if (result != dnnl_success)
        return result;
    struct conv_shape s = conv_shape(o);
    dnnl_convolution_desc_t desc;
    dnnl_primitive_attr_t attributes = conv_attributes(&plain);
    if (pass == DNN_BACKWARD_DATA)
        result = dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &s.src,
                                                          &s.weights, &s.dst, s.stride, s.padding,
                                                          s.padding);
    else
        result = dnnl_convolution_backward_weights_desc_init(
            &desc, dnnl_convolution_direct, &s.src, &s.weights, o->bias ? &s.bias : NULL, &s.dst,
            s.stride, s.padding, s.padding);
    if (result == dnnl_success)
        result = dnnl_primitive_desc_create(pd, &desc, attributes, dnn_engine(), hint);
    dnnl_primitive_attr_destroy(attributes);
    dnnl_primitive_desc_destroy(hint);
    return result;
}

static struct dnn_layout ask(const_dnnl_primitive_desc_t pd, dnnl_query_t what, int index)
{
    struct dnn_layout layout;
    memset(&layout, 0, sizeof layout);
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, what, index);
    if (md)
        layout.md = *md;
    return layout;
}

enum status dnn_conv_new(const struct dnn_conv_options *options, enum dnn_pass pass,
                         struct dnn_conv *conv, struct err *err)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t result =
        pass == DNN_FORWARD ? forward_desc(options, &pd) : backward_desc(options, pass, &pd);
    if (result == dnnl_success)
        result = dnnl_primitive_create(&conv->primitive, pd);
    if (result != dnnl_success) {
        if (pd)
            dnnl_primitive_desc_destroy(pd);
        return dnn_check(result, "a convolution", err);
    }
    bool data = pass == DNN_BACKWARD_DATA, weights = pass == DNN_BACKWARD_WEIGHTS;
    conv->src = ask(pd, data ? dnnl_query_diff_src_md : dnnl_query_src_md, 0);
    conv->weights = ask(pd, weights ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    conv->bias = ask(pd, weights ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 1);
    conv->dst = ask(pd, data || weights ? dnnl_query_diff_dst_md : dnnl_query_dst_md, 0);
    struct dnn_layout scratch = ask(pd, dnnl_query_scratchpad_md, 0);
    conv->scratch_floats = (dnnl_memory_desc_get_size(&scratch.md) + 3) / sizeof(float);
    const char *implementation = "?";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&implementation);
    snprintf(conv->implementation, sizeof conv->implementation, "%s", implementation);
    dnnl_primitive_desc_destroy(pd);
    return OK;
}
