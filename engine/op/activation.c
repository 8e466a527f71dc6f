/* activation.c -- ReLU, ReLU6, and SiLU x * sigmoid(x) (Elfwing et al. 2018) for the smooth twins
 * of tests. Only those that fuse.c left standing come here. */
#include <math.h>

#include "engine/core/simd.h"
#include "engine/op/op.h"

SIMD static void relu_range(const float *x, float ceiling, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++) { /* NaN stays, as in torch */
        float v = x[i] < 0.f ? 0.f : x[i];
        y[i] = v > ceiling ? ceiling : v;
    }
}

static void silu_range(const float *x, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] / (1.f + expf(-x[i]));
}

/* at: x, y */
static void run_forward(struct plan *plan, const struct step *step)
{
    (void)plan;
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share((int64_t)shape_floats(&step->out), &begin, &end);
        if (step->node->u.activation == ACTIVATION_SILU)
            silu_range(step->at[0] + begin, end - begin, step->at[1] + begin);
        else
            relu_range(step->at[0] + begin, step->ceiling, end - begin, step->at[1] + begin);
    }
}

SIMD static void relu_gradient(const float *x, const float *dy, float ceiling, bool add, int64_t n,
                               float *dx)
{
    for (int64_t i = 0; i < n; i++) {
        float d = x[i] > 0.f && x[i] < ceiling ? dy[i] : 0.f;
        dx[i] = add ? dx[i] + d : d;
    }
}

/* d/dx x*s = s + x*s*(1-s) with s = sigmoid(x) */
static void silu_gradient(const float *x, const float *dy, bool add, int64_t n, float *dx)
{
    for (int64_t i = 0; i < n; i++) {
        float s = 1.f / (1.f + expf(-x[i]));
        float d = dy[i] * s * (1.f + x[i] * (1.f - s));
        dx[i] = add ? dx[i] + d : d;
    }
}

/* at: x, dy, dx */
static void run_backward(struct plan *plan, const struct step *step)
{
    (void)plan;
#pragma omp parallel
    {
        int64_t b, end;
        simd_share((int64_t)shape_floats(&step->out), &b, &end);
        const float *x = step->at[0] + b, *dy = step->at[1] + b;
        if (step->node->u.activation == ACTIVATION_SILU)
            silu_gradient(x, dy, step->accumulate, end - b, step->at[2] + b);
        else
            relu_gradient(x, dy, step->ceiling, step->accumulate, end - b, step->at[2] + b);
    }
}

static float ceiling_of(const struct step *step)
{
    return step->node->u.activation == ACTIVATION_RELU6 ? 6.f : INFINITY;
}

enum status activation_forward(struct plan *plan, int head, struct err *err)
{
    (void)err;
    int out = plan_output_buffer(plan, head);
    struct step *step = op_kernel(plan, head, "activation", run_forward);
    step->ceiling = ceiling_of(step);
    step_buffer(plan, step, plan->nodes[plan_graph_node(plan, head)->inputs[0]].buffer);
    step_buffer(plan, step, out);
    return OK;
}

enum status activation_backward(struct plan *plan, int head, struct err *err)
{
    int input = plan_graph_node(plan, head)->inputs[0];
    bool accumulate;
    (void)err;
    int target = plan_contribute(plan, input, &accumulate);
    struct step *step = op_kernel(plan, head, "activation backward", run_backward);
    step->accumulate = accumulate;
    step->ceiling = ceiling_of(step);
    step_buffer(plan, step, plan->nodes[input].buffer);
    step_buffer(plan, step, plan->nodes[plan->nodes[head].end].gradient);
    step_buffer(plan, step, target);
    return OK;
}
