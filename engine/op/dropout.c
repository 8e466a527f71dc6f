/* dropout.c -- zeroes a share p of the values and scales the rest by 1/(1-p); the identity in
 * inference. Each row's mask is a stream of its own, named by seed, step, node and row: the same on
 * every machine, whatever the threads, and again after a resume. */
#include "base/rng.h"
#include "engine/op/op.h"

static void draw_row(struct plan *plan, const struct step *step, int64_t row, float *mask)
{
    float share = step->node->u.dropout, scale = 1.f / (1.f - share);
    uint64_t which = (uint64_t)(step->node - plan->graph->nodes) << 32 | (uint64_t)row;
    struct rng rng = rng_stream("dropout", plan->seed, plan->run_step, which);
    for (int64_t i = 0; i < step->out.c; i++)
        mask[i] = rng_float(&rng) < share ? 0.f : scale;
}

/* at: x, y, mask */
static void run_forward(struct plan *plan, const struct step *step)
{
    int64_t rows = shape_rows(&step->out), c = step->out.c;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *x = step->at[0] + r * c;
        float *y = step->at[1] + r * c, *mask = step->at[2] + r * c;
        draw_row(plan, step, r, mask);
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
