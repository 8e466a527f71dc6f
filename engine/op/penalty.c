/* penalty.c -- fastai's RNNRegularizer as a node: the identity whose gradient is larger.
 *
 *   AR   a * mean(y^2)                over (T,B,C):   dy += 2a/(TBC) * y
 *   TAR  s * mean((y[t] - y[t-1])^2)  over (T-1,B,C): dy[t] += 2s/((T-1)BC) * (2y[t]-y[t-1]-y[t+1])
 * with the missing neighbours' differences left out at both ends. Neither is in the loss that is
 * reported. */
#include "engine/core/simd.h"
#include "engine/op/op.h"

/* One time step: n floats; before and after are NULL at the ends. */
SIMD static void one_step(const float *y, const float *before, const float *after, const float *dy,
                          float activation, float slope, int64_t n, float *dx)
{
    for (int64_t i = 0; i < n; i++) {
        float d = dy[i] + activation * y[i];
        if (before)
            d += slope * (y[i] - before[i]);
        if (after)
            d += slope * (y[i] - after[i]);
        dx[i] = d;
    }
}

/* at: dy, y, dx, [sum] */
static void run_backward(struct plan *plan, const struct step *step)
{
    int64_t n = step->out.h * step->out.c, steps = plan->steps;
    double pairs = (double)((steps - 1) * n);
    float activation = (float)(2 * step->node->u.penalty.activation / (double)(steps * n));
    float slope = steps > 1 ? (float)(2 * step->node->u.penalty.slope / pairs) : 0.f;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < steps; t++) {
        const float *y = step->at[1] + t * n;
        one_step(y, t > 0 ? y - n : NULL, t < steps - 1 ? y + n : NULL, step->at[0] + t * n,
                 activation, slope, n, step->at[2] + t * n);
    }
}

enum status penalty_forward(struct plan *plan, int head, struct err *err)
{
    (void)err;
    plan->nodes[head].buffer = plan->nodes[plan_graph_node(plan, head)->inputs[0]].buffer;
    return OK;
}

enum status penalty_backward(struct plan *plan, int head, struct err *err)
{
    bool accumulate;
    int input = plan_graph_node(plan, head)->inputs[0];
    (void)err;
    int target = plan_contribute(plan, input, &accumulate);
    if (target == NONE)
        return OK;
    int dx = accumulate ? plan_buffer(plan, shape_floats(&plan->nodes[head].shape)) : target;
    struct step *step = op_kernel(plan, head, "penalty backward", run_backward);
    step_buffer(plan, step, plan->nodes[head].gradient);
    step_buffer(plan, step, plan->nodes[head].buffer);
    step_buffer(plan, step, dx);
    if (accumulate)
        op_add_to(plan, input, dx, target);
    return OK;
}
