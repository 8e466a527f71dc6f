/* depthwise.c -- 3x3 convolution of each channel by itself, our own kernels: no sums over channels,
 * so there is no matrix product to win, and what counts is to touch every row of C floats once.
 *
 *   forward   y(n,oy,ox,:) = [relu](b + sum over taps of x(n,iy,ix,:) * w(ky,kx,:))
 *   backward  dx(n,iy,ix,:) = sum over taps of dy(n,oy,ox,:) * w(ky,kx,:)
 *             dw(ky,kx,:)   = sum over rows of x(n,iy,ix,:) * dy(n,oy,ox,:)
 * where iy = oy*stride - 1 + ky. Weights are stored (3,3,C). A tap that falls outside the image
 * reads a row of zeros, so that no kernel knows about borders. */
#include <string.h>

#include <omp.h>

#include "engine/core/simd.h"
#include "engine/op/op.h"

#define KERNEL 3
#define TAPS   (KERNEL * KERNEL)

/* --- sums over taps -----------------------------------------------------------------------------
 */

struct taps {
    int n;
    const float *x[TAPS], *w[TAPS]; /* rows of C */
};

/* What a sum begins and ends with. */
struct frame {
    const float *start; /* a row of C: bias or zeros */
    bool accumulate;    /* begin with what y holds */
    bool relu;          /* end with a ReLU cut off at `ceiling` */
    float ceiling;
};

#define LANES 8

/* Eight channels at a time. The compiler's own vectors would do, did it not give up at so many
 * pointers; and nine sums of a row of weights should stay in registers. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* y = start + the sum of n taps, for whole lanes: with a constant n it stays in a register. */
static inline __attribute__((always_inline)) void sum_lanes(const struct taps *taps, int n,
                                                            const float *start, int64_t whole,
                                                            float *y)
{
    for (int64_t i = 0; i < whole; i += LANES) {
        lanes sum = *(const lanes *)(start + i);
        for (int t = 0; t < n; t++)
            sum += *(const lanes *)(taps->x[t] + i) * *(const lanes *)(taps->w[t] + i);
        *(lanes *)(y + i) = sum;
    }
}

/* y = start + the sum of all taps, then the ReLU. `start` may be y itself. */
SIMD static void sum_taps(const struct taps *taps, const struct frame *frame, int64_t c, float *y)
{
    const float *start = frame->accumulate ? y : frame->start;
    float ceiling = frame->ceiling;
    int64_t whole = c / LANES * LANES;
    if (taps->n == TAPS)
        sum_lanes(taps, TAPS, start, whole, y);
    else if (taps->n == 4)
        sum_lanes(taps, 4, start, whole, y);
    else if (taps->n == 2)
        sum_lanes(taps, 2, start, whole, y);
    else
        sum_lanes(taps, 1, start, whole, y);
    for (int64_t i = whole; i < c; i++) {
        float sum = start[i];
        for (int t = 0; t < taps->n; t++)
            sum += taps->x[t][i] * taps->w[t][i];
        y[i] = sum;
    }
    for (int64_t i = 0; i < c && frame->relu; i++) { /* NaN stays, as in torch */
        float v = y[i] < 0.f ? 0.f : y[i];
        y[i] = v > ceiling ? ceiling : v;
    }
}

/* Row (n,y,x) of an image, or the zeros outside it. */
static inline const float *row_at(const float *image, const struct shape *s, int64_t n, int64_t y,
                                  int64_t x, const float *zeros)
{
    if (y < 0 || y >= s->h || x < 0 || x >= s->w)
        return zeros;
    return image + ((n * s->h + y) * s->w + x) * s->c;
}

/* --- forward ------------------------------------------------------------------------------------
 */

/* at: x, w, zeros, y, [bias] */
static void forward_row(const struct step *step, int64_t row)
{
    const struct shape *in = &step->in, *out = &step->out;
    int stride = step->node->u.conv.stride;
    int64_t n = row / out->h, oy = row % out->h, c = out->c;
    struct frame frame = {.start = step->n_operands > 4 ? step->at[4] : step->at[2],
                          .relu = step->relu,
                          .ceiling = step->ceiling};
    struct taps taps = {.n = TAPS};
    for (int t = 0; t < TAPS; t++)
        taps.w[t] = step->at[1] + t * c;
    for (int64_t ox = 0; ox < out->w; ox++) {
        for (int t = 0; t < TAPS; t++)
            taps.x[t] = row_at(step->at[0], in, n, oy * stride - 1 + t / KERNEL,
                               ox * stride - 1 + t % KERNEL, step->at[2]);
        sum_taps(&taps, &frame, c, step->at[3] + (row * out->w + ox) * c);
    }
}

static void run_forward(struct plan *plan, const struct step *step)
{
    (void)plan;
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share(step->out.n * step->out.h, &begin, &end);
        for (int64_t row = begin; row < end; row++)
            forward_row(step, row);
    }
}

static void weights_operand(struct plan *plan, struct step *step, int head, int buffer)
{
    if (buffer == NONE)
        step_param(step, plan_graph_node(plan, head)->params[0], PARAM_VALUE);
    else
        step_buffer(plan, step, buffer);
}

enum status depthwise_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct dnn_layout layout = dnn_layout_depthwise(node->channels, KERNEL);
    int weights, bias;
    if (conv_weights(plan, head, &layout, &weights, &bias, err))
        return err->status;
    int zeros = plan_persistent_buffer(plan, (size_t)node->channels);
    int out = plan_output_buffer(plan, head);
    struct step *step = op_kernel(plan, head, "depthwise", run_forward);
    step->relu = plan->nodes[head].activation != NONE;
    step->ceiling = op_relu_ceiling(plan, head);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    weights_operand(plan, step, head, weights);
    step_buffer(plan, step, zeros);
    step_buffer(plan, step, out);
    if (bias != NONE)
        step_buffer(plan, step, bias);
    return OK;
}

/* --- backward: the input's gradient -------------------------------------------------------------
 */

/* at: dy, w, zeros, dx. The taps that reach input row (iy,ix) are those whose oy and ox are whole:
 * all nine at stride 1, one, two or four at stride 2. */
static void data_taps(const struct step *step, int64_t n, int64_t iy, int64_t ix, struct taps *taps)
{
    int stride = step->node->u.conv.stride;
    taps->n = 0;
    for (int t = 0; t < TAPS; t++) {
        int64_t y = iy + 1 - t / KERNEL, x = ix + 1 - t % KERNEL;
        if (y % stride || x % stride)
            continue;
        taps->x[taps->n] = row_at(step->at[0], &step->out, n, y / stride, x / stride, step->at[2]);
        taps->w[taps->n++] = step->at[1] + t * step->out.c;
    }
}

static void run_data(struct plan *plan, const struct step *step)
{
    (void)plan;
    const struct shape *in = &step->in;
    const struct frame frame = {.start = step->at[2], .accumulate = step->accumulate};
#pragma omp parallel
    {
        int64_t begin, end;
        struct taps taps;
        simd_share(in->n * in->h, &begin, &end);
        for (int64_t row = begin; row < end; row++)
            for (int64_t ix = 0; ix < in->w; ix++) {
                data_taps(step, row / in->h, row % in->h, ix, &taps);
                sum_taps(&taps, &frame, in->c, step->at[3] + (row * in->w + ix) * in->c);
            }
    }
}

/* --- backward: the weights' gradient ------------------------------------------------------------
 */

/* One output row: the three rows of x that it read, and its dy. */
struct weight_row {
    const float *x[KERNEL]; /* input row iy; outside the image a row of zeros, */
    int64_t x_step[KERNEL]; /* where the next column is the same one: C or 0 */
    const float *dy;
    int64_t out_w, in_w, c;
    int stride;
};

/* sum += x * dy at one output column; `checked`: a tap may lie left or right of the image. */
static inline __attribute__((always_inline)) void add_column(const struct weight_row *row,
                                                             int64_t ox, int64_t channel,
                                                             bool checked, lanes *sum)
{
    lanes dy = *(const lanes *)(row->dy + ox * row->c + channel);
    for (int t = 0; t < TAPS; t++) {
        int64_t ix = ox * row->stride - 1 + t % KERNEL;
        if (!checked || (ix >= 0 && ix < row->in_w))
            sum[t] +=
                *(const lanes *)(row->x[t / KERNEL] + ix * row->x_step[t / KERNEL] + channel) * dy;
    }
}

/* chunk(3,3,C) += x * dy over the row, for LANES channels. */
static inline __attribute__((always_inline)) void weight_lanes(const struct weight_row *row,
                                                               int64_t channel, float *chunk)
{
    lanes sum[TAPS] = {{0}};
    int64_t inner_end = row->in_w < 2 ? 1 : (row->in_w - 2) / row->stride + 1;
    if (inner_end > row->out_w)
        inner_end = row->out_w;
    add_column(row, 0, channel, true, sum);
    for (int64_t ox = 1; ox < inner_end; ox++)
        add_column(row, ox, channel, false, sum);
    for (int64_t ox = inner_end < 1 ? 1 : inner_end; ox < row->out_w; ox++)
        add_column(row, ox, channel, true, sum);
    for (int t = 0; t < TAPS; t++)
        *(lanes *)(chunk + t * row->c + channel) += sum[t];
}

/* The same for one channel: what is left where C is no multiple of LANES. */
static void weight_channel(const struct weight_row *row, int64_t channel, float *chunk)
{
    for (int t = 0; t < TAPS; t++) {
        float sum = 0.f;
        for (int64_t ox = 0; ox < row->out_w; ox++) {
            int64_t ix = ox * row->stride - 1 + t % KERNEL;
            if (ix >= 0 && ix < row->in_w)
                sum += row->x[t / KERNEL][ix * row->x_step[t / KERNEL] + channel] *
                       row->dy[ox * row->c + channel];
        }
        chunk[t * row->c + channel] += sum;
    }
}

SIMD static void weight_row(const struct weight_row *row, float *chunk)
{
    int64_t whole = row->c / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        weight_lanes(row, i, chunk);
    for (int64_t i = whole; i < row->c; i++)
        weight_channel(row, i, chunk);
}

SIMD static void flush(double *total, const float *chunk, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        total[i] += chunk[i];
}

/* A thread's scratch: 9C doubles, then 9C floats; whole cache lines. */
static size_t scratch_floats(int64_t c)
{
    return (3 * TAPS * (size_t)c + 15) / 16 * 16;
}

/* at: x, dy, dw, scratch, zeros */
static void sum_my_rows(const struct step *step, float *scratch)
{
    const struct shape *in = &step->in, *out = &step->out;
    int64_t begin, end, n = TAPS * out->c;
    double *total = (void *)scratch;
    float *chunk = scratch + 2 * n;
    struct weight_row row = {
        .out_w = out->w, .in_w = in->w, .c = out->c, .stride = step->node->u.conv.stride};
    memset(total, 0, (size_t)n * sizeof *total);
    simd_share(out->n * out->h, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        row.dy = step->at[1] + r * out->w * out->c;
        for (int ky = 0; ky < KERNEL; ky++) {
            int64_t iy = r % out->h * row.stride - 1 + ky;
            row.x[ky] = row_at(step->at[0], in, r / out->h, iy, 0, step->at[4]);
            row.x_step[ky] = row.x[ky] == step->at[4] ? 0 : in->c;
        }
        memset(chunk, 0, (size_t)n * sizeof *chunk);
        weight_row(&row, chunk);
        flush(total, chunk, n);
    }
}

static void run_weights(struct plan *plan, const struct step *step)
{
    (void)plan;
    float *scratch = step->at[3];
    size_t each = scratch_floats(step->out.c);
    int threads = 1;
#pragma omp parallel
    {
        sum_my_rows(step, scratch + (size_t)omp_get_thread_num() * each);
#pragma omp single
        threads = omp_get_num_threads();
    }
    for (int64_t i = 0; i < TAPS * step->out.c; i++) {
        double sum = 0;
        for (int t = 0; t < threads; t++)
            sum += ((const double *)(const void *)(scratch + (size_t)t * each))[i];
        step->at[2][i] = (float)sum;
    }
}

static void backward_weights(struct plan *plan, int head)
{
    const struct node *node = plan_graph_node(plan, head);
    int scratch =
        plan_buffer(plan, (size_t)plan->threads * scratch_floats(plan->nodes[head].shape.c));
    int zeros = plan_persistent_buffer(plan, (size_t)node->channels);
    struct step *step = op_kernel(plan, head, "depthwise weights", run_weights);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, plan->nodes[plan->nodes[head].end].gradient);
    step_param(step, node->params[0], PARAM_GRADIENT);
    step_buffer(plan, step, scratch);
    step_buffer(plan, step, zeros);
}

static enum status backward_data(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct dnn_layout layout = dnn_layout_depthwise(node->channels, KERNEL);
    int weights, bias;
    bool accumulate;
    if (conv_weights(plan, head, &layout, &weights, &bias, err))
        return err->status;
    int zeros = plan_persistent_buffer(plan, (size_t)node->channels);
    int target = plan_contribute(plan, node->inputs[0], &accumulate);
    struct step *step = op_kernel(plan, head, "depthwise data", run_data);
    step->accumulate = accumulate;
    step_buffer(plan, step, plan->nodes[plan->nodes[head].end].gradient);
    weights_operand(plan, step, head, weights);
    step_buffer(plan, step, zeros);
    step_buffer(plan, step, target);
    return OK;
}

enum status depthwise_backward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    if (plan->nodes[head].activation != NONE)
        op_relu_mask(plan, head);
    if (plan_trains(plan, node->params[0]))
        backward_weights(plan, head);
    if (plan->nodes[node->inputs[0]].needs_gradient)
        return backward_data(plan, head, err);
    return OK;
}
