/* batchnorm.c -- batch normalisation over C, for (N,H,W,C) and (N,C) (Ioffe and Szegedy 2015).
 *
 *   forward   y = [relu]((x - mean) * gamma / sqrt(var + eps) + beta [+ other])
 *   backward  g = dy [* (y > 0)]; dbeta = sum g; dgamma = sum g * xhat;
 *             dx = gamma / sqrt(var + eps) * (g - dbeta/M - xhat * dgamma/M);  dother = g
 * M = N*H*W rows; var is the biased batch variance; the running one is updated unbiased, as torch.
 */
#include <math.h>
#include <string.h>

#include <omp.h>

#include "engine/core/simd.h"
#include "engine/op/op.h"

#define CHUNK 64 /* rows that are summed in float before the sum goes on in double */

/* --- sums over rows, split over threads ---------------------------------------------------------
 */

/* What each thread sums lies in a scratch buffer: for each thread 2C doubles, then 2C floats. */
static size_t scratch_floats(const struct plan *plan, int64_t c)
{
    return (size_t)plan->threads * 6 * (size_t)c;
}

struct share {
    double *total; /* 2C */
    float *chunk;  /* 2C */
    int64_t begin, end;
};

static struct share my_share(float *scratch, int64_t rows, int64_t c)
{
    struct share share;
    char *base = (char *)(scratch + (size_t)omp_get_thread_num() * 6 * (size_t)c);
    share.total = (void *)base;
    share.chunk = (void *)(base + 2 * (size_t)c * sizeof(double));
    simd_share(rows, &share.begin, &share.end);
    memset(share.total, 0, 2 * (size_t)c * sizeof(double));
    return share;
}

SIMD static void flush(double *total, float *chunk, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        total[i] += chunk[i];
        chunk[i] = 0.f;
    }
}

/* The sum of all threads' totals, into the first thread's. */
static double *gather(float *scratch, int threads, int64_t c)
{
    double *sum = (void *)scratch;
    for (int t = 1; t < threads; t++) {
        const double *part = (const void *)(scratch + (size_t)t * 6 * (size_t)c);
        for (int64_t i = 0; i < 2 * c; i++)
            sum[i] += part[i];
    }
    return sum;
}

SIMD static void sum_rows(const float *x, int64_t rows, int64_t c, float *sum)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++)
            sum[i] += x[r * c + i];
}

SIMD static void sum_squares(const float *x, const float *mean, int64_t rows, int64_t c, float *sum)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++) {
            float d = x[r * c + i] - mean[i];
            sum[i] += d * d;
        }
}

SIMD static void sum_gradients(const float *x, const float *g, const float *mean,
                               const float *deviation, int64_t rows, int64_t c, float *sum)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++) {
            float d = g[r * c + i];
            sum[i] += d;
            sum[c + i] += d * ((x[r * c + i] - mean[i]) * deviation[i]);
        }
}

/* --- forward ------------------------------------------------------------------------------------
 */

static double *mean_sums(const float *x, const float *mean, int64_t rows, int64_t c, float *scratch)
{
    int threads = 1;
#pragma omp parallel
    {
        struct share share = my_share(scratch, rows, c);
        memset(share.chunk, 0, 2 * (size_t)c * sizeof(float));
        for (int64_t r = share.begin; r < share.end; r += CHUNK) {
            int64_t n = share.end - r < CHUNK ? share.end - r : CHUNK;
            if (mean)
                sum_squares(x + r * c, mean, n, c, share.chunk);
            else
                sum_rows(x + r * c, n, c, share.chunk);
            flush(share.total, share.chunk, c);
        }
#pragma omp single
        threads = omp_get_num_threads();
    }
    return gather(scratch, threads, c);
}

/* at: x, mean, deviation, running_mean, running_var, scratch */
static void run_statistics(struct plan *plan, const struct step *step)
{
    (void)plan;
    const float *x = step->at[0];
    float *mean = step->at[1], *deviation = step->at[2];
    float *running_mean = step->at[3], *running_var = step->at[4];
    int64_t rows = shape_rows(&step->in), c = step->in.c;
    float momentum = step->node->u.norm.momentum;
    double *sum = mean_sums(x, NULL, rows, c, step->at[5]);
    for (int64_t i = 0; i < c; i++)
        mean[i] = (float)(sum[i] / (double)rows);
    sum = mean_sums(x, mean, rows, c, step->at[5]);
    for (int64_t i = 0; i < c; i++) {
        double variance = sum[i] / (double)rows;
        double unbiased = rows > 1 ? sum[i] / (double)(rows - 1) : variance;
        deviation[i] = (float)(1 / sqrt(variance + step->node->u.norm.epsilon));
        running_mean[i] = (1 - momentum) * running_mean[i] + momentum * mean[i];
        running_var[i] = (float)((1 - momentum) * running_var[i] + momentum * unbiased);
    }
}

/* at: mean, deviation, running_mean, running_var: the stored statistics in the batch's place */
static void run_stored_statistics(struct plan *plan, const struct step *step)
{
    (void)plan;
    for (int64_t i = 0; i < step->in.c; i++) {
        step->at[0][i] = step->at[2][i];
        step->at[1][i] = (float)(1 / sqrt((double)step->at[3][i] + step->node->u.norm.epsilon));
    }
}

struct affine {
    const float *mean, *deviation, *gamma, *beta;
};

/* The range that a fused ReLU leaves. */
struct range {
    float low, high;
};

static inline float clip(float v, struct range range) /* NaN stays, as in torch */
{
    v = v < range.low ? range.low : v;
    return v > range.high ? range.high : v;
}

SIMD static void normalise(const float *x, const struct affine *a, const float *other,
                           struct range range, int64_t rows, int64_t c, float *y)
{
    const float *mean = a->mean, *deviation = a->deviation, *gamma = a->gamma, *beta = a->beta;
    for (int64_t r = 0; r < rows; r++)
        if (other)
            for (int64_t i = 0; i < c; i++) {
                float v = (x[r * c + i] - mean[i]) * (deviation[i] * gamma[i]) + beta[i] +
                          other[r * c + i];
                y[r * c + i] = clip(v, range);
            }
        else
            for (int64_t i = 0; i < c; i++) {
                float v = (x[r * c + i] - mean[i]) * (deviation[i] * gamma[i]) + beta[i];
                y[r * c + i] = clip(v, range);
            }
}

/* at: x, mean, deviation, gamma, beta, y, [other] */
static void run_normalise(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t rows = shape_rows(&step->in), c = step->in.c;
    struct affine a = {step->at[1], step->at[2], step->at[3], step->at[4]};
    struct range range = {step->relu ? 0.f : -INFINITY, step->ceiling};
    const float *other = step->other ? step->at[6] : NULL;
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share(rows, &begin, &end);
        normalise(step->at[0] + begin * c, &a, other ? other + begin * c : NULL, range, end - begin,
                  c, step->at[5] + begin * c);
    }
}

static void statistics(struct plan *plan, int head)
{
    const struct node *node = plan_graph_node(plan, head);
    struct plan_node *known = &plan->nodes[head];
    size_t c = (size_t)known->shape.c;
    known->mean = plan_buffer(plan, c);
    known->deviation = plan_buffer(plan, c);
    if (!known->batch_statistics) {
        struct step *step = op_kernel(plan, head, "stored statistics", run_stored_statistics);
        step_buffer(plan, step, known->mean);
        step_buffer(plan, step, known->deviation);
        step_param(step, node->params[2], PARAM_VALUE);
        step_param(step, node->params[3], PARAM_VALUE);
        return;
    }
    int scratch = plan_buffer(plan, scratch_floats(plan, known->shape.c));
    struct step *step = op_kernel(plan, head, "batch statistics", run_statistics);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, known->mean);
    step_buffer(plan, step, known->deviation);
    step_param(step, node->params[2], PARAM_VALUE);
    step_param(step, node->params[3], PARAM_VALUE);
    step_buffer(plan, step, scratch);
}

enum status batchnorm_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct plan_node *known = &plan->nodes[head];
    (void)err;
    statistics(plan, head);
    int out = plan_output_buffer(plan, head);
    struct step *step = op_kernel(plan, head, "normalise", run_normalise);
    step->relu = known->activation != NONE;
    step->ceiling = op_relu_ceiling(plan, head);
    step->other = known->other != NONE;
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, known->mean);
    step_buffer(plan, step, known->deviation);
    step_param(step, node->params[0], PARAM_VALUE);
    step_param(step, node->params[1], PARAM_VALUE);
    step_buffer(plan, step, out);
    if (step->other)
        step_buffer(plan, step, plan->nodes[known->other].buffer);
    return OK;
}

/* --- backward -----------------------------------------------------------------------------------
 */

/* at: x, g, mean, deviation, dgamma, dbeta, scratch */
static void run_parameter_gradients(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t rows = shape_rows(&step->in), c = step->in.c;
    const float *x = step->at[0], *g = step->at[1];
    int threads = 1;
#pragma omp parallel
    {
        struct share share = my_share(step->at[6], rows, c);
        memset(share.chunk, 0, 2 * (size_t)c * sizeof(float));
        for (int64_t r = share.begin; r < share.end; r += CHUNK) {
            int64_t n = share.end - r < CHUNK ? share.end - r : CHUNK;
            sum_gradients(x + r * c, g + r * c, step->at[2], step->at[3], n, c, share.chunk);
            flush(share.total, share.chunk, 2 * c);
        }
#pragma omp single
        threads = omp_get_num_threads();
    }
    const double *sum = gather(step->at[6], threads, c);
    for (int64_t i = 0; i < c; i++) {
        step->at[4][i] = (float)sum[c + i];
        step->at[5][i] = (float)sum[i];
    }
}

struct slopes {
    const float *mean, *deviation, *gamma, *dgamma, *dbeta;
};

SIMD static void input_gradient(const float *x, const float *g, const struct slopes *s,
                                float per_row, bool accumulate, int64_t rows, int64_t c, float *dx)
{
    const float *mean = s->mean, *deviation = s->deviation, *gamma = s->gamma;
    const float *dgamma = s->dgamma, *dbeta = s->dbeta;
    float keep = accumulate ? 1.f : 0.f;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++) {
            float xhat = (x[r * c + i] - mean[i]) * deviation[i];
            float d =
                gamma[i] * deviation[i] * (g[r * c + i] - (dbeta[i] + xhat * dgamma[i]) * per_row);
            dx[r * c + i] = keep != 0.f ? dx[r * c + i] + d : d;
        }
}

/* at: x, g, mean, deviation, gamma, dgamma, dbeta, dx */
static void run_input_gradient(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t rows = shape_rows(&step->in), c = step->in.c;
    struct slopes s = {step->at[2], step->at[3], step->at[4], step->at[5], step->at[6]};
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share(rows, &begin, &end);
        input_gradient(step->at[0] + begin * c, step->at[1] + begin * c, &s, 1.f / (float)rows,
                       step->accumulate, end - begin, c, step->at[7] + begin * c);
    }
}

/* The value that was added before the ReLU gets the same gradient: the buffer itself where nothing
 * else has contributed, since this chain has done with it. */
static void pass_to_other(struct plan *plan, int head)
{
    int other = plan->nodes[head].other, gradient = plan->nodes[plan->nodes[head].end].gradient;
    if (other == NONE || !plan->nodes[other].needs_gradient)
        return;
    if (plan->nodes[other].gradient == NONE)
        plan->nodes[other].gradient = gradient;
    else
        op_add_to(plan, other, gradient, plan->nodes[other].gradient);
}

static void parameter_gradients(struct plan *plan, int head)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct plan_node *known = &plan->nodes[head];
    int scratch = plan_buffer(plan, scratch_floats(plan, known->shape.c));
    struct step *step = op_kernel(plan, head, "norm parameters", run_parameter_gradients);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, plan->nodes[known->end].gradient);
    step_buffer(plan, step, known->mean);
    step_buffer(plan, step, known->deviation);
    step_param(step, node->params[0], PARAM_GRADIENT);
    step_param(step, node->params[1], PARAM_GRADIENT);
    step_buffer(plan, step, scratch);
}

enum status batchnorm_backward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct plan_node *known = &plan->nodes[head];
    bool accumulate = false;
    if (!known->batch_statistics)
        return err_set(err, E_INTERNAL,
                       "%s uses stored statistics but lies above a trainable "
                       "layer: frozen groups must come first.",
                       node->name);
    if (known->activation != NONE)
        op_relu_mask(plan, head);
    parameter_gradients(plan, head);
    int target = plan_contribute(plan, node->inputs[0], &accumulate);
    if (target != NONE) {
        struct step *step = op_kernel(plan, head, "norm input", run_input_gradient);
        step->accumulate = accumulate;
        step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
        step_buffer(plan, step, plan->nodes[known->end].gradient);
        step_buffer(plan, step, known->mean);
        step_buffer(plan, step, known->deviation);
        step_param(step, node->params[0], PARAM_VALUE);
        step_param(step, node->params[0], PARAM_GRADIENT);
        step_param(step, node->params[1], PARAM_GRADIENT);
        step_buffer(plan, step, target);
    }
    pass_to_other(plan, head);
    return OK;
}
