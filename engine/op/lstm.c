/* lstm.c -- one LSTM layer over (T,B,I), by oneDNN, with the parameters of torch's nn.LSTM and the
 * weight dropout of AWD-LSTM: elements of the hidden-to-hidden matrix, drawn at each forward.
 *
 *   forward   y, state = lstm(x, state; W_ih, mask * W_hh, b_ih + b_hh)
 *   backward  the state before is a constant: no gradient flows from one run to the one before
 *
 * Parameters stay plain; a kernel's weights are made of them at each forward, or by plan_refresh
 * where they neither train nor drop. The mask is not kept: its rows are drawn again where they are
 * wanted, each from a stream of its own. A kernel is for one number of steps; those that a run asks
 * for are made at its first use, with the layouts and in the memory of the longest. */
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/core/dnn_lstm.h"
#include "engine/core/simd.h"
#include "engine/op/op.h"
#include "engine/op/sequence.h"

enum { IH, HH, BIAS_IH, BIAS_HH }; /* the node's parameters */

/* Parts of the buffer `states`, (B,H) each: before the run, after it, the gradients of what comes
 * after (always zero), and those of what came before (nobody reads them). */
enum { H_BEFORE, C_BEFORE, H_AFTER, C_AFTER, DH_AFTER, DC_AFTER, DH_BEFORE, DC_BEFORE, N_STATES };

struct lstm {
    int64_t most;              /* time steps that kernels may have */
    struct dnn_lstm *forward;  /* (most + 1), by time steps; zeroed where not made; owned */
    struct dnn_lstm *backward; /* likewise; nothing made where no gradient is needed */
    int states, bias, workspace;
};

static int64_t index_of(const struct plan *plan, const struct step *step)
{
    return step->node - plan->graph->nodes;
}

static const struct lstm *lstm_of(const struct plan *plan, const struct step *step)
{
    return plan->nodes[index_of(plan, step)].lstm;
}

static struct dnn_lstm_options options_of(const struct plan *plan, int head, int64_t steps)
{
    const struct node *node = plan_graph_node(plan, head);
    return (struct dnn_lstm_options){.steps = steps,
                                     .batch = plan->options.batch,
                                     .in = node->params[IH]->dims[1],
                                     .hidden = node->channels,
                                     .training = plan->nodes[head].needs_gradient};
}

/* --- weights ---------------------------------------------------------------------------------- */

static bool drops(const struct plan *plan, const struct node *node)
{
    return plan->options.mode == PLAN_TRAIN && node->u.dropout > 0;
}

void lstm_draw_row(const struct plan *plan, int64_t node, int64_t row, float *mask, int64_t n)
{
    float share = plan->graph->nodes[node].u.dropout, scale = 1.f / (1.f - share);
    uint64_t which = (uint64_t)node << 32 | (uint64_t)row;
    struct rng rng = rng_stream("weight dropout", plan->seed, plan->run_step, which);
    for (int64_t i = 0; i < n; i++)
        mask[i] = rng_float(&rng) < share ? 0.f : scale;
}

/* at: W (4H,H), dropped */
static void run_drop(struct plan *plan, const struct step *step)
{
    int64_t h = step->node->channels, node = index_of(plan, step);
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < 4 * h; row++) {
        float *to = step->at[1] + row * h;
        lstm_draw_row(plan, node, row, to, h);
        for (int64_t i = 0; i < h; i++)
            to[i] *= step->at[0][row * h + i];
    }
}

static struct dnn_layout plain_of(const struct plan *plan, int head, int which)
{
    const struct node *node = plan_graph_node(plan, head);
    return dnn_layout_lstm(node->params[which]->dims[1], node->channels);
}

static void fill_prepared(struct plan *plan, const struct prepared *p)
{
    struct dnn_layout from = dnn_layout_lstm(p->param->dims[1], p->param->dims[0] / 4);
    dnn_reorder(&from, p->param->parts[PARAM_VALUE], &p->layout, plan->buffers[p->weights].data);
}

static int prepare(struct plan *plan, const struct param *param, const struct dnn_layout *layout)
{
    plan->prepared =
        mem_realloc(plan->prepared, (size_t)(plan->n_prepared + 1) * sizeof *plan->prepared);
    struct prepared *p = &plan->prepared[plan->n_prepared++];
    *p = (struct prepared){.prepare = fill_prepared, .param = param, .layout = *layout};
    p->bias = NONE;
    p->weights = plan_persistent_buffer(plan, dnn_layout_floats(layout));
    return p->weights;
}

/* Copies a part of a parameter, or `source` where that is not NONE, into a buffer of another
 * layout. */
static enum status reorder(struct plan *plan, int head, const struct param *param, int source,
                           const struct dnn_layout *from, const struct dnn_layout *to, int *target,
                           struct err *err)
{
    dnnl_primitive_t primitive;
    if (dnn_reorder_new(from, to, &primitive, err))
        return err->status;
    *target = plan_buffer(plan, dnn_layout_floats(to));
    struct step *step = plan_step(plan, head, "reorder of weights");
    step->primitive = primitive;
    if (source == NONE)
        step_param_arg(step, DNNL_ARG_FROM, param, PARAM_VALUE, from);
    else
        step_buffer_arg(plan, step, DNNL_ARG_FROM, source, from);
    step_buffer_arg(plan, step, DNNL_ARG_TO, *target, to);
    return OK;
}

/* *buffer holds the weights as the kernel wants them, dropped; NONE: the parameter itself does. */
static enum status weights(struct plan *plan, int head, int which, const struct dnn_layout *layout,
                           int *buffer, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct param *param = node->params[which];
    struct dnn_layout plain = plain_of(plan, head, which);
    bool same = dnn_layout_equal(&plain, layout);
    *buffer = NONE;
    if (which == HH && drops(plan, node)) {
        int dropped = plan_buffer(plan, param->n_elements);
        struct step *step = op_kernel(plan, head, "weight dropout", run_drop);
        step_param(step, param, PARAM_VALUE);
        step_buffer(plan, step, dropped);
        *buffer = dropped;
        return same ? OK : reorder(plan, head, param, dropped, &plain, layout, buffer, err);
    }
    if (same)
        return OK;
    if (plan_trains(plan, param))
        return reorder(plan, head, param, NONE, &plain, layout, buffer, err);
    *buffer = prepare(plan, param, layout);
    return OK;
}

static void weights_operand(struct plan *plan, struct step *step, int head, int which, int buffer)
{
    if (buffer == NONE)
        step_param(step, plan_graph_node(plan, head)->params[which], PARAM_VALUE);
    else
        step_buffer(plan, step, buffer);
}

/* --- forward ---------------------------------------------------------------------------------- */

/* at: b_ih, b_hh, sum */
static void run_bias(struct plan *plan, const struct step *step)
{
    (void)plan;
    for (int64_t i = 0; i < 4 * step->node->channels; i++)
        step->at[2][i] = step->at[0][i] + step->at[1][i];
}

/* The arguments that forward and backward share: at: x, states, W_ih, W_hh, bias, y, workspace,
 * scratch. */
static void common_arguments(const struct plan *plan, const struct step *step, float **at)
{
    size_t part = (size_t)(plan->options.batch * step->node->channels);
    at[DNN_LSTM_SRC] = step->at[0];
    at[DNN_LSTM_SRC_H] = step->at[1] + H_BEFORE * part;
    at[DNN_LSTM_SRC_C] = step->at[1] + C_BEFORE * part;
    at[DNN_LSTM_DST_H] = step->at[1] + H_AFTER * part;
    at[DNN_LSTM_DST_C] = step->at[1] + C_AFTER * part;
    at[DNN_LSTM_WEIGHTS_IH] = step->at[2];
    at[DNN_LSTM_WEIGHTS_HH] = step->at[3];
    at[DNN_LSTM_BIAS] = step->at[4];
    at[DNN_LSTM_DST] = step->at[5];
    at[DNN_LSTM_WORKSPACE] = step->at[6];
    at[DNN_LSTM_SCRATCH] = step->at[7];
}

static void run_forward(struct plan *plan, const struct step *step)
{
    float *at[N_DNN_LSTM_ARGS] = {NULL};
    size_t part = (size_t)(plan->options.batch * step->node->channels);
    common_arguments(plan, step, at);
    memcpy(at[DNN_LSTM_SRC_H], at[DNN_LSTM_DST_H], 2 * part * sizeof(float));
    dnn_lstm_run(&lstm_of(plan, step)->forward[plan->steps], at);
}

static int optional_buffer(struct plan *plan, size_t floats)
{
    return floats ? plan_buffer(plan, floats) : NONE;
}

static struct lstm *make_lstm(struct plan *plan, int head)
{
    struct lstm *lstm = plan->nodes[head].lstm = mem_alloc(sizeof *lstm);
    size_t n = (size_t)plan->options.steps + 1, hidden = (size_t)plan->nodes[head].shape.c;
    lstm->most = plan->options.steps;
    lstm->forward = mem_alloc(n * sizeof *lstm->forward);
    lstm->backward = mem_alloc(n * sizeof *lstm->backward);
    lstm->states = plan_persistent_buffer(plan, N_STATES * (size_t)plan->options.batch * hidden);
    lstm->bias = plan_buffer(plan, 4 * hidden);
    return lstm;
}

enum status lstm_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct lstm *lstm = make_lstm(plan, head);
    struct dnn_lstm_options options = options_of(plan, head, lstm->most);
    struct dnn_lstm *kernel = &lstm->forward[lstm->most];
    int ih, hh;
    if (dnn_lstm_new(&options, false, NULL, kernel, err) ||
        weights(plan, head, IH, &kernel->layouts[DNN_LSTM_WEIGHTS_IH], &ih, err) ||
        weights(plan, head, HH, &kernel->layouts[DNN_LSTM_WEIGHTS_HH], &hh, err))
        return err->status;
    struct step *step = op_kernel(plan, head, "sum of biases", run_bias);
    step_param(step, node->params[BIAS_IH], PARAM_VALUE);
    step_param(step, node->params[BIAS_HH], PARAM_VALUE);
    step_buffer(plan, step, lstm->bias);
    int out = plan_output_buffer(plan, head);
    int scratch = optional_buffer(plan, kernel->floats[DNN_LSTM_SCRATCH]);
    lstm->workspace = optional_buffer(plan, kernel->floats[DNN_LSTM_WORKSPACE]);
    step = op_kernel(plan, head, "lstm", run_forward);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, lstm->states);
    weights_operand(plan, step, head, IH, ih);
    weights_operand(plan, step, head, HH, hh);
    step_buffer(plan, step, lstm->bias);
    step_buffer(plan, step, out);
    step_buffer(plan, step, lstm->workspace);
    step_buffer(plan, step, scratch);
    return OK;
}

/* --- backward --------------------------------------------------------------------------------- */

/* at: the common ones, dy, dx, dW_ih, dW_hh, db */
static void run_backward(struct plan *plan, const struct step *step)
{
    float *at[N_DNN_LSTM_ARGS] = {NULL};
    size_t part = (size_t)(plan->options.batch * step->node->channels);
    const struct dnn_lstm *kernel = &lstm_of(plan, step)->backward[plan->steps];
    common_arguments(plan, step, at);
    at[DNN_LSTM_DIFF_DST] = step->at[8];
    at[DNN_LSTM_DIFF_SRC] = step->at[9];
    at[DNN_LSTM_DIFF_WEIGHTS_IH] = step->at[10];
    at[DNN_LSTM_DIFF_WEIGHTS_HH] = step->at[11];
    at[DNN_LSTM_DIFF_BIAS] = step->at[12];
    at[DNN_LSTM_DIFF_DST_H] = step->at[1] + DH_AFTER * part;
    at[DNN_LSTM_DIFF_DST_C] = step->at[1] + DC_AFTER * part;
    at[DNN_LSTM_DIFF_SRC_H] = step->at[1] + DH_BEFORE * part;
    at[DNN_LSTM_DIFF_SRC_C] = step->at[1] + DC_BEFORE * part;
    for (int i = DNN_LSTM_DIFF_WEIGHTS_IH; i <= DNN_LSTM_DIFF_BIAS; i++)
        memset(at[i], 0, kernel->floats[i] * sizeof(float));
    dnn_lstm_run(kernel, at);
}

SIMD static void take_row(const float *from, const float *mask, bool add, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (add ? to[i] : 0.f) + (mask ? from[i] * mask[i] : from[i]);
}

/* at: dW plain, gradient, and room for a row of the mask a thread, where weights drop */
static void run_take(struct plan *plan, const struct step *step)
{
    int64_t n = step->in.c, node = index_of(plan, step);
#pragma omp parallel
    {
        int64_t begin, end;
        float *mask = step->other ? step->at[2] + omp_get_thread_num() * n : NULL;
        simd_share(4 * step->node->channels, &begin, &end);
        for (int64_t row = begin; row < end; row++) {
            if (mask)
                lstm_draw_row(plan, node, row, mask, n);
            take_row(step->at[0] + row * n, mask, plan->add_gradients, n, step->at[1] + row * n);
        }
    }
}

/* at: db, gradient, gradient */
static void run_take_bias(struct plan *plan, const struct step *step)
{
    int64_t n = 4 * step->node->channels;
    take_row(step->at[0], NULL, plan->add_gradients, n, step->at[1]);
    take_row(step->at[0], NULL, plan->add_gradients, n, step->at[2]);
}

static enum status take_weights(struct plan *plan, int head, int which, int buffer,
                                const struct dnn_layout *layout, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct param *param = node->params[which];
    struct dnn_layout plain = plain_of(plan, head, which);
    if (!dnn_layout_equal(&plain, layout) &&
        reorder(plan, head, param, buffer, layout, &plain, &buffer, err))
        return err->status;
    bool masked = which == HH && drops(plan, node);
    size_t row = (size_t)param->dims[1];
    int mask = masked ? plan_buffer(plan, row * (size_t)plan->threads) : NONE;
    struct step *step = op_kernel(plan, head, "lstm weights", run_take);
    step->in.c = param->dims[1];
    step->other = masked;
    step_buffer(plan, step, buffer);
    step_param(step, param, PARAM_GRADIENT);
    step_buffer(plan, step, mask);
    return OK;
}

static enum status take_gradients(struct plan *plan, int head, const struct dnn_lstm *kernel,
                                  const int *diff, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    if (take_weights(plan, head, IH, diff[0], &kernel->layouts[DNN_LSTM_DIFF_WEIGHTS_IH], err) ||
        take_weights(plan, head, HH, diff[1], &kernel->layouts[DNN_LSTM_DIFF_WEIGHTS_HH], err))
        return err->status;
    struct step *step = op_kernel(plan, head, "lstm biases", run_take_bias);
    step_buffer(plan, step, diff[2]);
    step_param(step, node->params[BIAS_IH], PARAM_GRADIENT);
    step_param(step, node->params[BIAS_HH], PARAM_GRADIENT);
    return OK;
}

enum status lstm_backward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct plan_node *known = &plan->nodes[head];
    struct lstm *lstm = known->lstm;
    struct dnn_lstm_options options = options_of(plan, head, lstm->most);
    struct dnn_lstm *kernel = &lstm->backward[lstm->most];
    bool accumulate = false;
    int input = node->inputs[0], ih, hh, diff[3];
    if (dnn_lstm_new(&options, true, NULL, kernel, err) ||
        weights(plan, head, IH, &kernel->layouts[DNN_LSTM_WEIGHTS_IH], &ih, err) ||
        weights(plan, head, HH, &kernel->layouts[DNN_LSTM_WEIGHTS_HH], &hh, err))
        return err->status;
    int target = plan_contribute(plan, input, &accumulate);
    int dx = target == NONE || accumulate ? plan_buffer(plan, kernel->floats[DNN_LSTM_DIFF_SRC])
                                          : target;
    for (int i = 0; i < 3; i++)
        diff[i] = plan_buffer(plan, kernel->floats[DNN_LSTM_DIFF_WEIGHTS_IH + i]);
    int scratch = optional_buffer(plan, kernel->floats[DNN_LSTM_SCRATCH]);
    struct step *step = op_kernel(plan, head, "lstm backward", run_backward);
    step_buffer(plan, step, plan->nodes[input].buffer);
    step_buffer(plan, step, lstm->states);
    weights_operand(plan, step, head, IH, ih);
    weights_operand(plan, step, head, HH, hh);
    step_buffer(plan, step, lstm->bias);
    step_buffer(plan, step, known->buffer);
    step_buffer(plan, step, lstm->workspace);
    step_buffer(plan, step, scratch);
    step_buffer(plan, step, known->gradient);
    step_buffer(plan, step, dx);
    for (int i = 0; i < 3; i++)
        step_buffer(plan, step, diff[i]);
    if (accumulate)
        op_add_to(plan, input, dx, target);
    return plan_trains(plan, node->params[IH]) ? take_gradients(plan, head, kernel, diff, err) : OK;
}

/* --- other numbers of steps, and the state ---------------------------------------------------- */

/* The kernel for `steps`, with the longest one's layouts and within its memory. */
static enum status make_kernel(const struct plan *plan, int head, struct dnn_lstm *kernels,
                               bool backward, int64_t steps, struct err *err)
{
    const struct dnn_lstm *longest = &kernels[plan->nodes[head].lstm->most];
    struct dnn_lstm *kernel = &kernels[steps];
    struct dnn_lstm_options options = options_of(plan, head, steps);
    if (kernel->primitive || !longest->primitive)
        return OK;
    if (dnn_lstm_new(&options, backward, longest, kernel, err))
        return err->status;
    for (int i = 0; i < N_DNN_LSTM_ARGS; i++) {
        bool weight = i == DNN_LSTM_DIFF_WEIGHTS_IH || i == DNN_LSTM_DIFF_WEIGHTS_HH;
        if (kernel->floats[i] > longest->floats[i] ||
            (backward && weight && !dnn_layout_equal(&kernel->layouts[i], &longest->layouts[i])))
            return err_set(err, E_INTERNAL,
                           "oneDNN's LSTM of %lld steps does not fit that of %lld.",
                           (long long)steps, (long long)plan->nodes[head].lstm->most);
    }
    return OK;
}

enum status lstm_set_steps(struct plan *plan, int head, int64_t steps, struct err *err)
{
    struct lstm *lstm = plan->nodes[head].lstm;
    enum status status = make_kernel(plan, head, lstm->forward, false, steps, err);
    return status ? status : make_kernel(plan, head, lstm->backward, true, steps, err);
}

void lstm_free(struct lstm *lstm)
{
    for (int64_t i = 0; i <= lstm->most; i++) {
        dnn_lstm_deinit(&lstm->forward[i]);
        dnn_lstm_deinit(&lstm->backward[i]);
    }
    mem_free(lstm->forward);
    mem_free(lstm->backward);
    mem_free(lstm);
}

float *lstm_state(const struct plan *plan, int node, size_t *floats)
{
    size_t part = (size_t)(plan->options.batch * plan->nodes[node].shape.c);
    *floats = 2 * part;
    return plan->buffers[plan->nodes[node].lstm->states].data + H_AFTER * part;
}
