/* pool.c -- pooling over windows: max (the first of equal values wins, NaN wins over all, as torch)
 * and average (the mean of the window's pixels that are inside the image).
 *
 * Max keeps each winner's position in the window, one byte, for the backward pass, which works
 * image by image since windows overlap. */
#include <math.h>
#include <string.h>

#include "engine/core/simd.h"
#include "engine/op/op.h"

static int64_t pooled(int64_t in, const struct node *node)
{
    int kernel = node->u.pool.kernel, stride = node->u.pool.stride, padding = node->u.pool.padding;
    int64_t span = in + 2 * padding - kernel + (node->u.pool.ceil ? stride - 1 : 0);
    int64_t out = span / stride + 1;
    if (node->u.pool.ceil && (out - 1) * stride >= in + padding)
        out--; /* a window that would start beyond the image */
    return out;
}

struct shape pool_shape_of(const struct node *node, const struct shape *inputs)
{
    struct shape shape = inputs[0];
    shape.h = pooled(inputs[0].h, node);
    shape.w = pooled(inputs[0].w, node);
    return shape;
}

/* The part of output pixel (y, x)'s window that is inside the image. */
struct window {
    int64_t top, left; /* of the whole window, may be negative */
    int64_t y0, y1, x0, x1;
};

static struct window window_at(const struct step *step, int64_t y, int64_t x)
{
    const struct node *node = step->node;
    int64_t kernel = node->u.pool.kernel;
    struct window w;
    w.top = y * node->u.pool.stride - node->u.pool.padding;
    w.left = x * node->u.pool.stride - node->u.pool.padding;
    w.y0 = w.top < 0 ? 0 : w.top;
    w.x0 = w.left < 0 ? 0 : w.left;
    w.y1 = w.top + kernel > step->in.h ? step->in.h : w.top + kernel;
    w.x1 = w.left + kernel > step->in.w ? step->in.w : w.left + kernel;
    return w;
}

SIMD static void take_larger(const float *x, uint8_t position, int64_t c, float *best,
                             uint8_t *winner)
{
    for (int64_t i = 0; i < c; i++) {
        bool wins = x[i] > best[i] || x[i] != x[i];
        best[i] = wins ? x[i] : best[i];
        winner[i] = wins ? position : winner[i];
    }
}

SIMD static void add_scaled(const float *x, float scale, int64_t c, float *sum)
{
    for (int64_t i = 0; i < c; i++)
        sum[i] += x[i] * scale;
}

static void pool_pixel(const struct step *step, const float *image, const struct window *w,
                       float *out, uint8_t *winner)
{
    int64_t c = step->in.c;
    bool max = step->node->u.pool.kind == POOL_MAX;
    float share = 1.f / (float)((w->y1 - w->y0) * (w->x1 - w->x0));
    for (int64_t i = 0; i < c; i++)
        out[i] = max ? -INFINITY : 0.f;
    if (max)
        memset(winner, 0, (size_t)c);
    for (int64_t y = w->y0; y < w->y1; y++)
        for (int64_t x = w->x0; x < w->x1; x++) {
            const float *pixel = image + (y * step->in.w + x) * c;
            int64_t position = (y - w->top) * step->node->u.pool.kernel + (x - w->left);
            if (max)
                take_larger(pixel, (uint8_t)position, c, out, winner);
            else
                add_scaled(pixel, share, c, out);
        }
}

/* at: x, y, winners */
static void run_forward(struct plan *plan, const struct step *step)
{
    (void)plan;
    uint8_t *winners = (void *)step->at[2];
    int64_t rows = step->out.n * step->out.h;
    size_t image = (size_t)(step->in.h * step->in.w * step->in.c);
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t x = 0; x < step->out.w; x++) {
            struct window w = window_at(step, row % step->out.h, x);
            int64_t at = (row * step->out.w + x) * step->out.c;
            pool_pixel(step, step->at[0] + (size_t)(row / step->out.h) * image, &w,
                       step->at[1] + at, winners ? winners + at : NULL);
        }
}

static void spread_pixel(const struct step *step, const struct window *w, const float *dy,
                         const uint8_t *winner, float *image)
{
    int64_t c = step->in.c, kernel = step->node->u.pool.kernel;
    if (step->node->u.pool.kind == POOL_MAX) {
        for (int64_t i = 0; i < c; i++) {
            int64_t y = w->top + winner[i] / kernel, x = w->left + winner[i] % kernel;
            image[(y * step->in.w + x) * c + i] += dy[i];
        }
        return;
    }
    float share = 1.f / (float)((w->y1 - w->y0) * (w->x1 - w->x0));
    for (int64_t y = w->y0; y < w->y1; y++)
        for (int64_t x = w->x0; x < w->x1; x++)
            add_scaled(dy, share, c, image + (y * step->in.w + x) * c);
}

/* at: dy, dx, winners */
static void run_backward(struct plan *plan, const struct step *step)
{
    (void)plan;
    const uint8_t *winners = (const void *)step->at[2];
    size_t floats = (size_t)(step->in.h * step->in.w * step->in.c);
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < step->in.n; n++) {
        float *image = step->at[1] + (size_t)n * floats;
        if (!step->accumulate)
            memset(image, 0, floats * sizeof *image);
        for (int64_t y = 0; y < step->out.h; y++)
            for (int64_t x = 0; x < step->out.w; x++) {
                struct window w = window_at(step, y, x);
                int64_t at = ((n * step->out.h + y) * step->out.w + x) * step->out.c;
                spread_pixel(step, &w, step->at[0] + at, winners ? winners + at : NULL, image);
            }
    }
}

enum status pool_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct plan_node *known = &plan->nodes[head];
    (void)err;
    int out = plan_output_buffer(plan, head);
    if (node->u.pool.kind == POOL_MAX)
        known->mask = plan_buffer(plan, (shape_floats(&known->shape) + 3) / 4);
    struct step *step = op_kernel(plan, head, "pool", run_forward);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, out);
    step_buffer(plan, step, known->mask);
    return OK;
}

enum status pool_backward(struct plan *plan, int head, struct err *err)
{
    const struct plan_node *known = &plan->nodes[head];
    bool accumulate;
    (void)err;
    int target = plan_contribute(plan, plan_graph_node(plan, head)->inputs[0], &accumulate);
    struct step *step = op_kernel(plan, head, "pool backward", run_backward);
    step->accumulate = accumulate;
    step_buffer(plan, step, known->gradient);
    step_buffer(plan, step, target);
    step_buffer(plan, step, known->mask);
    return OK;
}
