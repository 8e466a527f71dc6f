/* penalty.c -- fastai's RNNRegularizer as a node: the identity whose gradient is larger.
 *
 *   AR   a * mean(y^2)                over (T,B,C):   dy += 2a/(TBC) * y
 *   TAR  s * mean((y[t] - y[t-1])^2)  over (T-1,B,C): dy[t] += 2s/((T-1)BC) * (2y[t]-y[t-1]-y[t+1])
 * with the missing neighbours' differences left out at both ends. Neither is in the loss that is
 * reported. */
#include "engine/core/simd.h"
#include "engine/op/op.h"

/* One time step: n floats; before and after are NULL at the ends. */
SIMD static void one_step(const float *y, const float *before, const float *after, float activation,
                          float slope, int64_t n, float *dy)
{
    for (int64_t i = 0; i < n; i++) {
        float d = dy[i] + activation * y[i];
        if (before)
            d += slope * (y[i] - before[i]);
        if (after)
            d += slope * (y[i] - after[i]);
        dy[i] = d;
    }
}

/* at: dy, which becomes dx, and y */
static void run_backward(struct plan *plan, const struct step *step)
{
    int64_t n = step->out.h * step->out.c, steps = plan->steps;
    double pairs = (double)((steps - 1) * n);
    float activation = (float)(2 * step->node->u.penalty.activation / (double)(steps * n));
    float slope = steps > 1 ? (float)(2 * step->node->u.penalty.slope / pairs) : 0.f;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < steps; t++) {
        const float *y = step->at[1] + t * n;
        one_step(y, t > 0 ? y - n : NULL, t < steps - 1 ? y + n : NULL, activation, slope, n,
                 step->at[0] + t * n);
    }
}

enum status penalty_forward(struct plan *plan, int head, struct err *err)
{
    (void)err;
    plan->nodes[head].buffer = plan->nodes[plan_graph_node(plan, head)->inputs[0]].buffer;
    return OK;
}

/* In place where nothing else contributes: over a long text a gradient is large. */
enum status penalty_backward(struct plan *plan, int head, struct err *err)
{
    const struct plan_node *known = &plan->nodes[head];
    struct plan_node *input = &plan->nodes[plan_graph_node(plan, head)->inputs[0]];
    (void)err;
    if (!input->needs_gradient)
        return OK;
    int before = input->gradient;
    struct step *step = op_kernel(plan, head, "penalty backward", run_backward);
    step_buffer(plan, step, known->gradient);
    step_buffer(plan, step, known->buffer);
    if (before == NONE)
        input->gradient = known->gradient;
    else
        op_add_to(plan, plan_graph_node(plan, head)->inputs[0], known->gradient, before);
    return OK;
}
