/* join.c -- two values become one: addition, and concatenation along C. Additions that fuse.c gave
 * to a convolution or a batch norm do not come here. */
#include <string.h>

#include "engine/core/simd.h"
#include "engine/op/op.h"

SIMD static void sum_range(const float *a, const float *b, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

/* at: a, b, y */
static void run_add(struct plan *plan, const struct step *step)
{
    (void)plan;
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share((int64_t)shape_floats(&step->out), &begin, &end);
        sum_range(step->at[0] + begin, step->at[1] + begin, end - begin, step->at[2] + begin);
    }
}

static void append_forward(struct plan *plan, int head, const char *what,
                           void (*run)(struct plan *plan, const struct step *step))
{
    const struct node *node = plan_graph_node(plan, head);
    int out = plan_output_buffer(plan, head);
    struct step *step = op_kernel(plan, head, what, run);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, plan->nodes[node->inputs[1]].buffer);
    step_buffer(plan, step, out);
}

enum status add_forward(struct plan *plan, int head, struct err *err)
{
    (void)err;
    append_forward(plan, head, "add", run_add);
    return OK;
}

/* at: from, to; both of the output's shape */
static void run_copy(struct plan *plan, const struct step *step)
{
    (void)plan;
    memcpy(step->at[1], step->at[0], shape_floats(&step->out) * sizeof(float));
}

enum status add_backward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    int gradient = plan->nodes[head].gradient;
    (void)err;
    for (int k = 0; k < node->n_inputs; k++) {
        bool accumulate;
        int target = plan_contribute(plan, node->inputs[k], &accumulate);
        if (target == NONE)
            continue;
        if (accumulate) {
            op_add_to(plan, node->inputs[k], gradient, target);
            continue;
        }
        struct step *step = op_kernel(plan, head, "add backward", run_copy);
        step_buffer(plan, step, gradient);
        step_buffer(plan, step, target);
    }
    return OK;
}

/* at: a (rows, c0), b (rows, c1), y (rows, c0+c1); step->in is a's shape */
static void run_concat(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t rows = shape_rows(&step->out), c = step->out.c, c0 = step->in.c, c1 = c - c0;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        memcpy(step->at[2] + r * c, step->at[0] + r * c0, (size_t)c0 * sizeof(float));
        memcpy(step->at[2] + r * c + c0, step->at[1] + r * c1, (size_t)c1 * sizeof(float));
    }
}

enum status concat_forward(struct plan *plan, int head, struct err *err)
{
    (void)err;
    append_forward(plan, head, "concat", run_concat);
    return OK;
}

SIMD static void slice_rows(const float *dy, int64_t rows, int64_t c, int64_t part, bool add,
                            float *dx)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < part; i++)
            dx[r * part + i] = (add ? dx[r * part + i] : 0.f) + dy[r * c + i];
}

/* at: dy (rows, c0+c1), dx (rows, part). The first input's slice starts at 0; the second's, which
 * `other` marks, is the last `part` channels. */
static void run_slice(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t c = step->out.c, part = step->in.c, from = step->other ? c - part : 0;
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share(shape_rows(&step->out), &begin, &end);
        slice_rows(step->at[0] + begin * c + from, end - begin, c, part, step->accumulate,
                   step->at[1] + begin * part);
    }
}

enum status concat_backward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    (void)err;
    for (int k = 0; k < node->n_inputs; k++) {
        bool accumulate;
        int target = plan_contribute(plan, node->inputs[k], &accumulate);
        if (target == NONE)
            continue;
        struct step *step = op_kernel(plan, head, "concat backward", run_slice);
        step->in = plan->nodes[node->inputs[k]].shape;
        step->other = k == 1;
        step->accumulate = accumulate;
        step_buffer(plan, step, plan->nodes[head].gradient);
        step_buffer(plan, step, target);
    }
    return OK;
}
