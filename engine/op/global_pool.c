/* global_pool.c -- one value a channel for a whole image: (N,H,W,C) -> (N,C) average, and fastai's
 * AdaptiveConcatPool2d: (N,H,W,C) -> (N,2C), maximum first, then average.
 *
 * The maximum's gradient goes to the first pixel that holds it, as in torch; its index is kept as
 * an int32 a channel. */
#include <math.h>
#include <string.h>

#include "engine/core/simd.h"
#include "engine/op/op.h"

SIMD static void average(const float *x, int64_t pixels, int64_t c, float *y)
{
    for (int64_t i = 0; i < c; i++)
        y[i] = 0.f;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t i = 0; i < c; i++)
            y[i] += x[p * c + i];
    for (int64_t i = 0; i < c; i++)
        y[i] /= (float)pixels;
}

SIMD static void maximum(const float *x, int64_t pixels, int64_t c, float *y, int32_t *where)
{
    for (int64_t i = 0; i < c; i++) {
        y[i] = -INFINITY;
        where[i] = 0;
    }
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t i = 0; i < c; i++) {
            bool wins = x[p * c + i] > y[i] || x[p * c + i] != x[p * c + i];
            y[i] = wins ? x[p * c + i] : y[i];
            where[i] = wins ? (int32_t)p : where[i];
        }
}

/* at: x, y */
static void run_average(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t pixels = step->in.h * step->in.w, c = step->in.c;
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < step->in.n; n++)
        average(step->at[0] + n * pixels * c, pixels, c, step->at[1] + n * c);
}

/* at: x, y, where */
static void run_concat(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t pixels = step->in.h * step->in.w, c = step->in.c;
    int32_t *where = (void *)step->at[2];
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < step->in.n; n++) {
        const float *x = step->at[0] + n * pixels * c;
        float *y = step->at[1] + n * 2 * c;
        maximum(x, pixels, c, y, where + n * c);
        average(x, pixels, c, y + c);
    }
}

SIMD static void spread(const float *dy, float share, bool add, int64_t pixels, int64_t c,
                        float *dx)
{
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t i = 0; i < c; i++)
            dx[p * c + i] = (add ? dx[p * c + i] : 0.f) + dy[i] * share;
}

/* at: dy, dx */
static void run_average_backward(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t pixels = step->in.h * step->in.w, c = step->in.c;
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < step->in.n; n++)
        spread(step->at[0] + n * c, 1.f / (float)pixels, step->accumulate, pixels, c,
               step->at[1] + n * pixels * c);
}

/* at: dy, dx, where */
static void run_concat_backward(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t pixels = step->in.h * step->in.w, c = step->in.c;
    const int32_t *where = (const void *)step->at[2];
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < step->in.n; n++) {
        const float *dy = step->at[0] + n * 2 * c;
        float *dx = step->at[1] + n * pixels * c;
        spread(dy + c, 1.f / (float)pixels, step->accumulate, pixels, c, dx);
        for (int64_t i = 0; i < c; i++)
            dx[where[n * c + i] * c + i] += dy[i];
    }
}

static void append_forward(struct plan *plan, int head, const char *what,
                           void (*run)(struct plan *plan, const struct step *step))
{
    int out = plan_output_buffer(plan, head);
    struct step *step = op_kernel(plan, head, what, run);
    step_buffer(plan, step, plan->nodes[plan_graph_node(plan, head)->inputs[0]].buffer);
    step_buffer(plan, step, out);
    if (plan->nodes[head].mask != NONE)
        step_buffer(plan, step, plan->nodes[head].mask);
}

static void append_backward(struct plan *plan, int head, const char *what,
                            void (*run)(struct plan *plan, const struct step *step))
{
    bool accumulate;
    int target = plan_contribute(plan, plan_graph_node(plan, head)->inputs[0], &accumulate);
    struct step *step = op_kernel(plan, head, what, run);
    step->accumulate = accumulate;
    step_buffer(plan, step, plan->nodes[head].gradient);
    step_buffer(plan, step, target);
    if (plan->nodes[head].mask != NONE)
        step_buffer(plan, step, plan->nodes[head].mask);
}

enum status global_pool_forward(struct plan *plan, int head, struct err *err)
{
    (void)err;
    append_forward(plan, head, "global pool", run_average);
    return OK;
}

enum status global_pool_backward(struct plan *plan, int head, struct err *err)
{
    if (plan->nodes[plan_graph_node(plan, head)->inputs[0]].needs_gradient)
        append_backward(plan, head, "global pool backward", run_average_backward);
    (void)err;
    return OK;
}

enum status concat_pool_forward(struct plan *plan, int head, struct err *err)
{
    (void)err;
    plan->nodes[head].mask = plan_buffer(plan, shape_floats(&plan->nodes[head].shape) / 2);
    append_forward(plan, head, "concat pool", run_concat);
    return OK;
}

enum status concat_pool_backward(struct plan *plan, int head, struct err *err)
{
    if (plan->nodes[plan_graph_node(plan, head)->inputs[0]].needs_gradient)
        append_backward(plan, head, "concat pool backward", run_concat_backward);
    (void)err;
    return OK;
}
