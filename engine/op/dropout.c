/* dropout.c -- zeroes a share p of the values and scales the rest by 1/(1-p), each row by a mask of
 * its own; the identity in inference. */
#include "base/rng.h"
#include "engine/core/simd.h"
#include "engine/op/op.h"

SIMD static void mask_of(float *numbers, float share, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        numbers[i] = numbers[i] < share ? 0.f : scale;
}

void op_draw_mask(const struct plan *plan, const char *purpose, int64_t node, int64_t row,
                  float share, float *mask, int64_t n)
{
    uint64_t which = (uint64_t)node << 32 | (uint64_t)row;
    struct rng rng = rng_stream(purpose, plan->seed, plan->run_step, which);
    rng_floats(&rng, mask, (size_t)n);
    mask_of(mask, share, 1.f / (1.f - share), n);
}

/* at: x, y, mask */
static void run_forward(struct plan *plan, const struct step *step)
{
    int64_t rows = shape_rows(&step->out), c = step->out.c;
    int64_t node = step->node - plan->graph->nodes;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *x = step->at[0] + r * c;
        float *y = step->at[1] + r * c, *mask = step->at[2] + r * c;
        op_draw_mask(plan, "dropout", node, r, step->node->u.dropout, mask, c);
        for (int64_t i = 0; i < c; i++)
            y[i] = x[i] * mask[i];
    }
}

/* at: dy, mask, dx */
static void run_backward(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t n = (int64_t)shape_floats(&step->out);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float d = step->at[0][i] * step->at[1][i];
        step->at[2][i] = step->accumulate ? step->at[2][i] + d : d;
    }
}

enum status dropout_forward(struct plan *plan, int head, struct err *err)
{
    int input = plan_graph_node(plan, head)->inputs[0];
    struct plan_node *known = &plan->nodes[head];
    (void)err;
    if (plan->options.mode == PLAN_INFER) {
        known->buffer = plan->nodes[input].buffer;
        return OK;
    }
    int out = plan_output_buffer(plan, head);
    known->mask = plan_persistent_buffer(plan, shape_floats(&known->shape));
    struct step *step = op_kernel(plan, head, "dropout", run_forward);
    step_buffer(plan, step, plan->nodes[input].buffer);
    step_buffer(plan, step, out);
    step_buffer(plan, step, known->mask);
    return OK;
}

enum status dropout_backward(struct plan *plan, int head, struct err *err)
{
    bool accumulate;
    (void)err;
    int target = plan_contribute(plan, plan_graph_node(plan, head)->inputs[0], &accumulate);
    if (target == NONE)
        return OK;
    struct step *step = op_kernel(plan, head, "dropout backward", run_backward);
    step->accumulate = accumulate;
    step_buffer(plan, step, plan->nodes[head].gradient);
    step_buffer(plan, step, plan->nodes[head].mask);
    step_buffer(plan, step, target);
    return OK;
}
