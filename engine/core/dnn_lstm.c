#include "engine/core/dnn_lstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int arg;
    bool backward_only;
} args[N_DNN_LSTM_ARGS] = {
    [DNN_LSTM_SRC] = {DNNL_ARG_SRC_LAYER, false},
    [DNN_LSTM_SRC_H] = {DNNL_ARG_SRC_ITER, false},
    [DNN_LSTM_SRC_C] = {DNNL_ARG_SRC_ITER_C, false},
    [DNN_LSTM_WEIGHTS_IH] = {DNNL_ARG_WEIGHTS_LAYER, false},
    [DNN_LSTM_WEIGHTS_HH] = {DNNL_ARG_WEIGHTS_ITER, false},
    [DNN_LSTM_BIAS] = {DNNL_ARG_BIAS, false},
    [DNN_LSTM_DST] = {DNNL_ARG_DST_LAYER, false},
    [DNN_LSTM_DST_H] = {DNNL_ARG_DST_ITER, false},
    [DNN_LSTM_DST_C] = {DNNL_ARG_DST_ITER_C, false},
    [DNN_LSTM_WORKSPACE] = {DNNL_ARG_WORKSPACE, false},
    [DNN_LSTM_SCRATCH] = {DNNL_ARG_SCRATCHPAD, false},
    [DNN_LSTM_DIFF_SRC] = {DNNL_ARG_DIFF_SRC_LAYER, true},
    [DNN_LSTM_DIFF_SRC_H] = {DNNL_ARG_DIFF_SRC_ITER, true},
    [DNN_LSTM_DIFF_SRC_C] = {DNNL_ARG_DIFF_SRC_ITER_C, true},
    [DNN_LSTM_DIFF_WEIGHTS_IH] = {DNNL_ARG_DIFF_WEIGHTS_LAYER, true},
    [DNN_LSTM_DIFF_WEIGHTS_HH] = {DNNL_ARG_DIFF_WEIGHTS_ITER, true},
    [DNN_LSTM_DIFF_BIAS] = {DNNL_ARG_DIFF_BIAS, true},
    [DNN_LSTM_DIFF_DST] = {DNNL_ARG_DIFF_DST_LAYER, true},
    [DNN_LSTM_DIFF_DST_H] = {DNNL_ARG_DIFF_DST_ITER, true},
    [DNN_LSTM_DIFF_DST_C] = {DNNL_ARG_DIFF_DST_ITER_C, true},
};

static void must(dnnl_status_t result, const char *what)
{
    if (result == dnnl_success)
        return;
    fprintf(stderr, "oneDNN: %s failed with status %d\n", what, (int)result);
    abort();
}

static dnnl_memory_desc_t tensor(int n_dims, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md;
    must(dnnl_memory_desc_init_by_tag(&md, n_dims, dims, dnnl_f32, tag), "an LSTM's layout");
    return md;
}

/* (layers, directions, in, gates, hidden) */
static dnnl_memory_desc_t weights(int64_t in, int64_t hidden, dnnl_format_tag_t tag)
{
    return tensor(5, (dnnl_dims_t){1, 1, in, 4, hidden}, tag);
}

struct dnn_layout dnn_layout_lstm(int64_t in, int64_t hidden)
{
    return (struct dnn_layout){weights(in, hidden, dnnl_ldgoi)};
}

struct descs {
    dnnl_memory_desc_t src, state, ih, hh, bias, dst, any_ih, any_hh;
};

static struct descs describe(const struct dnn_lstm_options *o, const struct dnn_lstm *like)
{
    struct descs d = {
        .src = tensor(3, (dnnl_dims_t){o->steps, o->batch, o->in}, dnnl_tnc),
        .state = tensor(4, (dnnl_dims_t){1, 1, o->batch, o->hidden}, dnnl_ldnc),
        .bias = tensor(4, (dnnl_dims_t){1, 1, 4, o->hidden}, dnnl_ldgo),
        .dst = tensor(3, (dnnl_dims_t){o->steps, o->batch, o->hidden}, dnnl_tnc),
        .any_ih = weights(o->in, o->hidden, dnnl_format_tag_any),
        .any_hh = weights(o->hidden, o->hidden, dnnl_format_tag_any),
    };
    d.ih = like ? like->layouts[DNN_LSTM_WEIGHTS_IH].md : d.any_ih;
    d.hh = like ? like->layouts[DNN_LSTM_WEIGHTS_HH].md : d.any_hh;
    return d;
}

static dnnl_status_t create(const dnnl_rnn_desc_t *desc, const_dnnl_primitive_desc_t hint,
                            dnnl_primitive_desc_t *pd)
{
    dnnl_primitive_attr_t attributes;
    must(dnnl_primitive_attr_create(&attributes), "attributes");
    must(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user), "scratch");
    dnnl_status_t result = dnnl_primitive_desc_create(pd, desc, attributes, dnn_engine(), hint);
    dnnl_primitive_attr_destroy(attributes);
    return result;
}

static dnnl_status_t forward_desc(const struct dnn_lstm_options *o, const struct descs *d,
                                  dnnl_primitive_desc_t *pd)
{
    dnnl_rnn_desc_t desc;
    dnnl_status_t result = dnnl_lstm_forward_desc_init(
        &desc, o->training ? dnnl_forward_training : dnnl_forward_inference,
        dnnl_unidirectional_left2right, &d->src, &d->state, &d->state, &d->ih, &d->hh, &d->bias,
        &d->dst, &d->state, &d->state, dnnl_rnn_flags_undef);
    return result == dnnl_success ? create(&desc, NULL, pd) : result;
}

static dnnl_status_t backward_desc(const struct dnn_lstm_options *o, const struct descs *d,
                                   dnnl_primitive_desc_t *pd)
{
    dnnl_rnn_desc_t desc;
    dnnl_primitive_desc_t hint = NULL;
    struct descs wish = describe(o, NULL);
    dnnl_status_t result = forward_desc(o, &wish, &hint);
    if (result != dnnl_success)
        return result;
    result = dnnl_lstm_backward_desc_init(
        &desc, dnnl_backward, dnnl_unidirectional_left2right, &d->src, &d->state, &d->state, &d->ih,
        &d->hh, &d->bias, &d->dst, &d->state, &d->state, &d->src, &d->state, &d->state, &d->any_ih,
        &d->any_hh, &d->bias, &d->dst, &d->state, &d->state, dnnl_rnn_flags_undef);
    if (result == dnnl_success)
        result = create(&desc, hint, pd);
    dnnl_primitive_desc_destroy(hint);
    return result;
}

/* The arguments' layouts and memories, which get their addresses at each run. */
static dnnl_status_t make_arguments(struct dnn_lstm *lstm, const_dnnl_primitive_desc_t pd,
                                    bool backward)
{
    for (int i = 0; i < N_DNN_LSTM_ARGS; i++) {
        if (args[i].backward_only && !backward)
            continue;
        const dnnl_memory_desc_t *md =
            dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, args[i].arg);
        if (!md || dnnl_memory_desc_get_size(md) == 0)
            continue;
        lstm->layouts[i].md = *md;
        lstm->floats[i] = (dnnl_memory_desc_get_size(md) + 3) / sizeof(float);
        dnnl_status_t result =
            dnnl_memory_create(&lstm->memories[i], md, dnn_engine(), DNNL_MEMORY_NONE);
        if (result != dnnl_success)
            return result;
    }
    return dnnl_success;
}

enum status dnn_lstm_new(const struct dnn_lstm_options *options, bool backward,
                         const struct dnn_lstm *like, struct dnn_lstm *lstm, struct err *err)
{
    dnnl_primitive_desc_t pd = NULL;
    struct descs d = describe(options, like);
    memset(lstm, 0, sizeof *lstm);
    dnnl_status_t result =
        backward ? backward_desc(options, &d, &pd) : forward_desc(options, &d, &pd);
    if (result == dnnl_success)
        result = dnnl_primitive_create(&lstm->primitive, pd);
    if (result == dnnl_success)
        result = make_arguments(lstm, pd, backward);
    const char *implementation = "?";
    if (result == dnnl_success)
        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&implementation);
    snprintf(lstm->implementation, sizeof lstm->implementation, "%s", implementation);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (result != dnnl_success)
        dnn_lstm_deinit(lstm);
    return dnn_check(result, "an LSTM", err);
}

void dnn_lstm_deinit(struct dnn_lstm *lstm)
{
    for (int i = 0; i < N_DNN_LSTM_ARGS; i++)
        if (lstm->memories[i])
            dnnl_memory_destroy(lstm->memories[i]);
    if (lstm->primitive)
        dnnl_primitive_destroy(lstm->primitive);
    memset(lstm, 0, sizeof *lstm);
}

void dnn_lstm_run(const struct dnn_lstm *lstm, float *const *at)
{
    dnnl_exec_arg_t list[N_DNN_LSTM_ARGS];
    int n = 0;
    for (int i = 0; i < N_DNN_LSTM_ARGS; i++) {
        if (!lstm->memories[i])
            continue;
        must(dnnl_memory_set_data_handle(lstm->memories[i], at[i]), "an LSTM's argument");
        list[n++] = (dnnl_exec_arg_t){args[i].arg, lstm->memories[i]};
    }
    must(dnnl_primitive_execute(lstm->primitive, dnn_stream(), n, list), "an LSTM");
    must(dnnl_stream_wait(dnn_stream()), "waiting for an LSTM");
}
