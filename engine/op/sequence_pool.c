/* sequence_pool.c -- one value for a whole text: (T,B,C) -> (B,3C), the last step, the maximum and
 * the mean over the steps [begin,end) of each row: fastai's masked_concat_pool, in its order.
 *
 * The maximum's gradient goes to the first step that holds it, as in torch; its index is kept as an
 * int32 a channel. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/simd.h"
#include "engine/op/op.h"

/* One row: x points at its step 0, steps are `stride` floats apart. */
SIMD static void pool_row(const float *x, int64_t stride, int64_t begin, int64_t end, int64_t c,
                          float *y, int32_t *where)
{
    float *last = y, *top = y + c, *mean = y + 2 * c;
    for (int64_t i = 0; i < c; i++) {
        last[i] = x[(end - 1) * stride + i];
        top[i] = -INFINITY;
        mean[i] = 0.f;
        where[i] = (int32_t)begin;
    }
    for (int64_t t = begin; t < end; t++)
        for (int64_t i = 0; i < c; i++) {
            float value = x[t * stride + i];
            bool wins = value > top[i] || value != value;
            top[i] = wins ? value : top[i];
            where[i] = wins ? (int32_t)t : where[i];
            mean[i] += value;
        }
    for (int64_t i = 0; i < c; i++)
        mean[i] /= (float)(end - begin);
}

static void check(const struct plan *plan, int32_t begin, int32_t end)
{
    if (begin >= 0 && begin < end && end <= plan->steps)
        return;
    fprintf(stderr, "sequence pool: steps %d to %d are not within %lld\n", begin, end,
            (long long)plan->steps);
    abort();
}

/* at: x, begins, ends, y, where */
static void run_forward(struct plan *plan, const struct step *step)
{
    int64_t c = step->in.c, rows = step->in.h;
    const int32_t *begins = (const void *)step->at[1], *ends = (const void *)step->at[2];
    int32_t *where = (void *)step->at[4];
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < rows; b++) {
        check(plan, begins[b], ends[b]);
        pool_row(step->at[0] + b * c, rows * c, begins[b], ends[b], c, step->at[3] + b * 3 * c,
                 where + b * c);
    }
}

/* at: dy, begins, ends, dx, where */
static void run_backward(struct plan *plan, const struct step *step)
{
    int64_t c = step->in.c, rows = step->in.h, stride = rows * c;
    const int32_t *begins = (const void *)step->at[1], *ends = (const void *)step->at[2];
    const int32_t *where = (const void *)step->at[4];
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < rows; b++) {
        const float *dy = step->at[0] + b * 3 * c;
        float *dx = step->at[3] + b * c, share = 1.f / (float)(ends[b] - begins[b]);
        for (int64_t t = 0; t < plan->steps && !step->accumulate; t++)
            memset(dx + t * stride, 0, (size_t)c * sizeof *dx);
        for (int64_t t = begins[b]; t < ends[b]; t++)
            for (int64_t i = 0; i < c; i++)
                dx[t * stride + i] += share * dy[2 * c + i];
        for (int64_t i = 0; i < c; i++) {
            dx[(ends[b] - 1) * stride + i] += dy[i];
            dx[where[b * c + i] * stride + i] += dy[c + i];
        }
    }
}

struct shape sequence_pool_shape_of(const struct node *node, const struct shape *inputs)
{
    return (struct shape){inputs[0].h, 1, 1, node->channels};
}

enum status sequence_pool_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct plan_node *known = &plan->nodes[head];
    (void)err;
    int out = plan_output_buffer(plan, head);
    known->mask = plan_buffer(plan, shape_floats(&known->shape) / 3);
    plan->begins = plan_persistent_buffer(plan, (size_t)plan->options.batch);
    plan->ends = plan_persistent_buffer(plan, (size_t)plan->options.batch);
    struct step *step = op_kernel(plan, head, "sequence pool", run_forward);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, plan->begins);
    step_buffer(plan, step, plan->ends);
    step_buffer(plan, step, out);
    step_buffer(plan, step, known->mask);
    return OK;
}

enum status sequence_pool_backward(struct plan *plan, int head, struct err *err)
{
    bool accumulate;
    (void)err;
    int target = plan_contribute(plan, plan_graph_node(plan, head)->inputs[0], &accumulate);
    if (target == NONE)
        return OK;
    struct step *step = op_kernel(plan, head, "sequence pool backward", run_backward);
    step->accumulate = accumulate;
    step_buffer(plan, step, plan->nodes[head].gradient);
    step_buffer(plan, step, plan->begins);
    step_buffer(plan, step, plan->ends);
    step_buffer(plan, step, target);
    step_buffer(plan, step, plan->nodes[head].mask);
    return OK;
}
