/* lstm.c -- one LSTM layer over (T,B,I), with the parameters of torch's nn.LSTM and the weight
 * dropout of AWD-LSTM: elements of the hidden-to-hidden matrix, drawn at each forward.
 *
 *   a[t] = x[t] W_ih' + b_ih + b_hh + h[t-1] W_hh'     gates i, f, g, o = s(a), s(a), tanh(a), s(a)
 *   c[t] = f c[t-1] + i g                              h[t] = o tanh(c[t])
 *
 * The state before the first step is a constant: no gradient flows from one run to the one before.
 *
 * Products are oneDNN's sgemm: the inputs' and the weights' gradients over all steps at once, the
 * hidden state's step by step. (oneDNN has an LSTM too. It multiplies no faster, wants the weights
 * in other layouts, a kernel for each T, four times the memory, and gradients of frozen weights.)
 * Parameters and their gradients stay plain. A forward keeps the gates and cells; the backward
 * turns the gates into their gradients in place. The weights' mask is not kept: its rows are drawn
 * again, each from a stream of its own. */
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "engine/core/simd.h"
#include "engine/op/fast_exp.h"
#include "engine/op/op.h"
#include "engine/op/sequence.h"

enum { IH, HH, BIAS_IH, BIAS_HH };                            /* the node's parameters */
enum { H_BEFORE, C_BEFORE, H_AFTER, C_AFTER, N_STATES };      /* parts of `states`, (B,H) each */
enum { X, W_IH, W_HH, B_IH, B_HH, STATES, GATES, CELLS, Y };  /* of the forward's operands */
enum { DY, TO_STATES, TO_GATES, TO_CELLS, TO_WHH, REST, DX }; /* of the backward's */

#define TILE 16 /* of a transposition: a cache line of floats */

static int64_t index_of(const struct plan *plan, const struct step *step)
{
    return step->node - plan->graph->nodes;
}

/* --- weights ---------------------------------------------------------------------------------- */

static bool drops(const struct plan *plan, const struct node *node)
{
    return plan->options.mode == PLAN_TRAIN && node->u.dropout > 0;
}

void lstm_draw_row(const struct plan *plan, int64_t node, int64_t row, float *mask, int64_t n)
{
    op_draw_mask(plan, "weight dropout", node, row, plan->graph->nodes[node].u.dropout, mask, n);
}

SIMD static void multiply(float *to, const float *by, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] *= by[i];
}

/* at: W (4H,H), dropped */
static void run_drop(struct plan *plan, const struct step *step)
{
    int64_t h = step->node->channels, node = index_of(plan, step);
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < 4 * h; row++) {
        lstm_draw_row(plan, node, row, step->at[1] + row * h, h);
        multiply(step->at[1] + row * h, step->at[0] + row * h, h);
    }
}

/* The hidden-to-hidden weights of this forward, plain: a buffer, or NONE for the parameter itself.
 */
static int dropped_weights(struct plan *plan, int head)
{
    const struct node *node = plan_graph_node(plan, head);
    if (!drops(plan, node))
        return NONE;
    int buffer = plan_buffer(plan, node->params[HH]->n_elements);
    struct step *step = op_kernel(plan, head, "weight dropout", run_drop);
    step_param(step, node->params[HH], PARAM_VALUE);
    step_buffer(plan, step, buffer);
    return buffer;
}

static void weights_operand(struct plan *plan, struct step *step, int head, int buffer)
{
    if (buffer == NONE)
        step_param(step, plan_graph_node(plan, head)->params[HH], PARAM_VALUE);
    else
        step_buffer(plan, step, buffer);
}

/* Rows [begin,end) of `from` (rows,columns) become columns of `to` (columns,rows). */
SIMD static void transpose(const float *from, int64_t rows, int64_t columns, int64_t begin,
                           int64_t end, float *to)
{
    for (int64_t r = begin; r < end; r += TILE)
        for (int64_t c = 0; c < columns; c++)
            for (int64_t k = r; k < r + TILE && k < end; k++)
                to[c * rows + k] = from[k * columns + c];
}

static void transpose_weights(const float *from, int64_t h, float *to)
{
#pragma omp parallel for schedule(static)
    for (int64_t begin = 0; begin < 4 * h; begin += TILE)
        transpose(from, 4 * h, h, begin, begin + TILE < 4 * h ? begin + TILE : 4 * h, to);
}

/* at: W (4H,H), its transpose */
static void run_transpose(struct plan *plan, const struct step *step)
{
    (void)plan;
    transpose_weights(step->at[0], step->node->channels, step->at[1]);
}

static void fill_prepared(struct plan *plan, const struct prepared *p)
{
    transpose_weights(p->param->parts[PARAM_VALUE], p->param->dims[1],
                      plan->buffers[p->weights].data);
}

static int prepare(struct plan *plan, const struct param *param)
{
    plan->prepared =
        mem_realloc(plan->prepared, (size_t)(plan->n_prepared + 1) * sizeof *plan->prepared);
    struct prepared *p = &plan->prepared[plan->n_prepared++];
    *p = (struct prepared){.prepare = fill_prepared, .param = param, .bias = NONE};
    p->weights = plan_persistent_buffer(plan, param->n_elements);
    return p->weights;
}

/* The same weights transposed, (H,4H), as the forward's small products are fastest; by plan_refresh
 * where they neither train nor drop. */
static int transposed_weights(struct plan *plan, int head)
{
    const struct node *node = plan_graph_node(plan, head);
    if (!drops(plan, node) && !plan_trains(plan, node->params[HH]))
        return prepare(plan, node->params[HH]);
    int dropped = dropped_weights(plan, head);
    int buffer = plan_buffer(plan, node->params[HH]->n_elements);
    struct step *step = op_kernel(plan, head, "transposition of weights", run_transpose);
    weights_operand(plan, step, head, dropped);
    step_buffer(plan, step, buffer);
    return buffer;
}

/* --- forward ---------------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) float sigmoid(float x)
{
    float e = fast_exp(-fabsf(x)), share = 1.f / (1.f + e);
    return x < 0.f ? e * share : share;
}

/* Cephes' tanhf: a polynomial near 0, else from exp. */
static inline __attribute__((always_inline)) float hyperbolic_tangent(float x)
{
    float size = fabsf(x), z = x * x, e = fast_exp(-2.f * size), far = (1.f - e) / (1.f + e);
    float y = -5.70498872745e-3f;
    y = y * z + 2.06390887954e-2f;
    y = y * z - 5.37397155531e-2f;
    y = y * z + 1.33314422036e-1f;
    y = y * z - 3.33332819422e-1f;
    y = y * z * x + x;
    far = x < 0.f ? -far : far;
    return size < .625f ? y : far;
}

/* One row of one step: gates of 4H sums become the gates' values. */
SIMD static void step_row(float *restrict gates, const float *restrict before, int64_t h,
                          float *restrict cell, float *restrict y)
{
    float *restrict in = gates, *restrict forget = gates + h, *restrict new = gates + 2 * h,
                    *restrict out = gates + 3 * h;
    for (int64_t k = 0; k < h; k++) {
        float i = sigmoid(in[k]), f = sigmoid(forget[k]), g = hyperbolic_tangent(new[k]);
        float o = sigmoid(out[k]), c = f * before[k] + i * g;
        in[k] = i;
        forget[k] = f;
        new[k] = g;
        out[k] = o;
        cell[k] = c;
        y[k] = o * hyperbolic_tangent(c);
    }
}

SIMD static void fill_row(const float *a, const float *b, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = a[i] + b[i];
}

/* The sums of the inputs' part, over all steps at once. */
static void input_sums(const struct step *step, int64_t rows)
{
    int64_t gates = 4 * step->node->channels, in = step->in.c;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        fill_row(step->at[B_IH], step->at[B_HH], gates, step->at[GATES] + r * gates);
    op_gemm('N', 'T', rows, gates, in, step->at[X], in, step->at[W_IH], in, 1.f, step->at[GATES]);
}

static void run_forward(struct plan *plan, const struct step *step)
{
    int64_t batch = step->in.h, h = step->node->channels, part = batch * h;
    float *states = step->at[STATES], *y = step->at[Y], *cells = step->at[CELLS];
    memcpy(states + H_BEFORE * part, states + H_AFTER * part, (size_t)(2 * part) * sizeof *states);
    input_sums(step, plan->steps * batch);
    for (int64_t t = 0; t < plan->steps; t++) {
        const float *h_before = t ? y + (t - 1) * part : states + H_BEFORE * part;
        const float *c_before = t ? cells + (t - 1) * part : states + C_BEFORE * part;
        float *gates = step->at[GATES] + t * 4 * part;
        op_gemm('N', 'N', batch, 4 * h, h, h_before, h, step->at[W_HH], 4 * h, 1.f, gates);
#pragma omp parallel for schedule(static)
        for (int64_t b = 0; b < batch; b++)
            step_row(gates + b * 4 * h, c_before + b * h, h, cells + t * part + b * h,
                     y + t * part + b * h);
    }
    memcpy(states + H_AFTER * part, y + (plan->steps - 1) * part, (size_t)part * sizeof *states);
    memcpy(states + C_AFTER * part, cells + (plan->steps - 1) * part,
           (size_t)part * sizeof *states);
}

enum status lstm_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct plan_node *known = &plan->nodes[head];
    size_t floats = shape_floats(&known->shape);
    (void)err;
    int weights = transposed_weights(plan, head);
    int out = plan_output_buffer(plan, head);
    known->states = plan_persistent_buffer(plan, N_STATES * (size_t)plan->options.batch *
                                                     (size_t)known->shape.c);
    known->gates = plan_buffer(plan, 4 * floats);
    known->cells = plan_buffer(plan, floats);
    struct step *step = op_kernel(plan, head, "lstm", run_forward);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_param(step, node->params[IH], PARAM_VALUE);
    step_buffer(plan, step, weights);
    step_param(step, node->params[BIAS_IH], PARAM_VALUE);
    step_param(step, node->params[BIAS_HH], PARAM_VALUE);
    step_buffer(plan, step, known->states);
    step_buffer(plan, step, known->gates);
    step_buffer(plan, step, known->cells);
    step_buffer(plan, step, out);
    return OK;
}

/* --- backward --------------------------------------------------------------------------------- */

/* One row of one step: the gates become the gradients of their sums. dh is what comes from the next
 * step; dc goes from the next step's to the one's before. */
SIMD static void step_row_backward(float *restrict gates, const float *restrict cell,
                                   const float *restrict before, const float *restrict dy,
                                   const float *restrict dh, float *restrict dc, int64_t h)
{
    float *restrict in = gates, *restrict forget = gates + h, *restrict new = gates + 2 * h,
                    *restrict out = gates + 3 * h;
    for (int64_t k = 0; k < h; k++) {
        float i = in[k], f = forget[k], g = new[k], o = out[k];
        float tanh_c = hyperbolic_tangent(cell[k]), d = dy[k] + dh[k];
        float through = dc[k] + d * o * (1.f - tanh_c * tanh_c);
        in[k] = through * g * i * (1.f - i);
        forget[k] = through * before[k] * f * (1.f - f);
        new[k] = through *i *(1.f - g * g);
        out[k] = d * tanh_c * o * (1.f - o);
        dc[k] = through * f;
    }
}

/* at: dy, states, gates, cells, W_hh plain, room for dh and dc, [dx] */
static void run_backward(struct plan *plan, const struct step *step)
{
    int64_t batch = step->in.h, h = step->node->channels, part = batch * h, in = step->in.c;
    const float *cells = step->at[TO_CELLS], *c_first = step->at[TO_STATES] + C_BEFORE * part;
    float *dh = step->at[REST], *dc = dh + part;
    memset(dh, 0, (size_t)(2 * part) * sizeof *dh);
    for (int64_t t = plan->steps - 1; t >= 0; t--) {
        const float *before = t ? cells + (t - 1) * part : c_first;
        float *gates = step->at[TO_GATES] + t * 4 * part;
#pragma omp parallel for schedule(static)
        for (int64_t b = 0; b < batch; b++)
            step_row_backward(gates + b * 4 * h, cells + t * part + b * h, before + b * h,
                              step->at[DY] + t * part + b * h, dh + b * h, dc + b * h, h);
        if (t)
            op_gemm('N', 'N', batch, h, 4 * h, gates, 4 * h, step->at[TO_WHH], h, 0.f, dh);
    }
    if (step->at[DX])
        op_gemm('N', 'N', plan->steps * batch, in, 4 * h, step->at[TO_GATES], 4 * h,
                step->node->params[IH]->parts[PARAM_VALUE], in, step->accumulate ? 1.f : 0.f,
                step->at[DX]);
}

SIMD static void sum_columns(const float *d, int64_t rows, int64_t n, int64_t begin, int64_t end,
                             float *sum)
{
    for (int64_t i = begin; i < end; i++)
        sum[i] = 0.f;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = begin; i < end; i++)
            sum[i] += d[r * n + i];
}

/* at: x, gates' gradients, dW_ih, db_ih, db_hh, room for the sums */
static void run_inputs(struct plan *plan, const struct step *step)
{
    int64_t rows = plan->steps * step->in.h, n = 4 * step->node->channels, in = step->in.c;
    const float *d = step->at[1];
    float keep = plan->add_gradients ? 1.f : 0.f, *sums = step->at[5];
    op_gemm('T', 'N', n, in, rows, d, n, step->at[0], in, keep, step->at[2]);
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share(n, &begin, &end);
        sum_columns(d, rows, n, begin, end, sums);
    }
    for (int64_t i = 0; i < n; i++) {
        step->at[3][i] = (plan->add_gradients ? step->at[3][i] : 0.f) + sums[i];
        step->at[4][i] = (plan->add_gradients ? step->at[4][i] : 0.f) + sums[i];
    }
}

SIMD static void take_row(const float *from, const float *mask, bool add, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (add ? to[i] : 0.f) + from[i] * mask[i];
}

/* dW_hh of the undropped weights: target += or = mask * dW. */
static void take_masked(struct plan *plan, const struct step *step, const float *dw, float *rows)
{
    int64_t h = step->node->channels, node = index_of(plan, step);
#pragma omp parallel
    {
        int64_t begin, end;
        float *mask = rows + omp_get_thread_num() * h;
        simd_share(4 * h, &begin, &end);
        for (int64_t row = begin; row < end; row++) {
            lstm_draw_row(plan, node, row, mask, h);
            take_row(dw + row * h, mask, plan->add_gradients, h, step->at[3] + row * h);
        }
    }
}

/* at: y, states, gates' gradients, dW_hh, [room for it before the mask, and a row a thread] */
static void run_hidden(struct plan *plan, const struct step *step)
{
    int64_t batch = step->in.h, h = step->node->channels, n = 4 * h;
    bool masked = step->other;
    float *to = masked ? step->at[4] : step->at[3];
    float keep = plan->add_gradients && !masked ? 1.f : 0.f;
    const float *first = step->at[1] + H_BEFORE * batch * h, *d = step->at[2];
    op_gemm('T', 'N', n, h, batch, d, n, first, h, keep, to);
    if (plan->steps > 1)
        op_gemm('T', 'N', n, h, (plan->steps - 1) * batch, d + batch * n, n, step->at[0], h, 1.f,
                to);
    if (masked)
        take_masked(plan, step, to, step->at[5]);
}

static void weights_backward(struct plan *plan, int head)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct plan_node *known = &plan->nodes[head];
    size_t h = (size_t)node->channels;
    int sums = plan_buffer(plan, 4 * h);
    struct step *step = op_kernel(plan, head, "lstm inputs' weights", run_inputs);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, known->gates);
    step_param(step, node->params[IH], PARAM_GRADIENT);
    step_param(step, node->params[BIAS_IH], PARAM_GRADIENT);
    step_param(step, node->params[BIAS_HH], PARAM_GRADIENT);
    step_buffer(plan, step, sums);
    bool masked = drops(plan, node);
    int unmasked = masked ? plan_buffer(plan, 4 * h * h) : NONE;
    int rows = masked ? plan_buffer(plan, h * (size_t)plan->threads) : NONE;
    step = op_kernel(plan, head, "lstm hidden weights", run_hidden);
    step->other = masked;
    step_buffer(plan, step, known->buffer);
    step_buffer(plan, step, known->states);
    step_buffer(plan, step, known->gates);
    step_param(step, node->params[HH], PARAM_GRADIENT);
    step_buffer(plan, step, unmasked);
    step_buffer(plan, step, rows);
}

enum status lstm_backward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct plan_node *known = &plan->nodes[head];
    bool accumulate = false;
    int input = node->inputs[0];
    (void)err;
    int weights = dropped_weights(plan, head);
    int dx = plan_contribute(plan, input, &accumulate);
    int rest = plan_buffer(plan, 2 * (size_t)(known->shape.h * known->shape.c));
    struct step *step = op_kernel(plan, head, "lstm backward", run_backward);
    step->accumulate = accumulate;
    step_buffer(plan, step, known->gradient);
    step_buffer(plan, step, known->states);
    step_buffer(plan, step, known->gates);
    step_buffer(plan, step, known->cells);
    weights_operand(plan, step, head, weights);
    step_buffer(plan, step, rest);
    step_buffer(plan, step, dx);
    if (plan_trains(plan, node->params[IH]))
        weights_backward(plan, head);
    return OK;
}

float *lstm_state(const struct plan *plan, int node, size_t *floats)
{
    size_t part = (size_t)(plan->options.batch * plan->nodes[node].shape.c);
    *floats = 2 * part;
    return plan->buffers[plan->nodes[node].states].data + H_AFTER * part;
}
