/* locked_dropout.c -- dropout over (T,B,C) with one mask (B,C) for all time steps (Gal and
 * Ghahramani 2016; fastai's RNNDropout): the identity in inference. */
#include "engine/core/simd.h"
#include "engine/op/op.h"

static void draw(const struct plan *plan, const struct step *step, float *mask)
{
    int64_t c = step->out.c, node = step->node - plan->graph->nodes;
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < step->out.h; b++)
        op_draw_mask(plan, "locked dropout", node, b, step->node->u.dropout, mask + b * c, c);
}

/* Time steps [begin,end): y = x * mask, n floats each. */
SIMD static void multiply(const float *x, const float *mask, bool add, int64_t n, int64_t begin,
                          int64_t end, float *y)
{
    for (int64_t t = begin; t < end; t++)
        for (int64_t i = 0; i < n; i++)
            y[t * n + i] = (add ? y[t * n + i] : 0.f) + x[t * n + i] * mask[i];
}

static void apply(const struct plan *plan, const struct step *step, const float *x,
                  const float *mask, float *y)
{
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share(plan->steps, &begin, &end);
        multiply(x, mask, step->accumulate, step->out.h * step->out.c, begin, end, y);
    }
}

/* at: x, y, mask */
static void run_forward(struct plan *plan, const struct step *step)
{
    draw(plan, step, step->at[2]);
    apply(plan, step, step->at[0], step->at[2], step->at[1]);
}

/* at: dy, mask, dx */
static void run_backward(struct plan *plan, const struct step *step)
{
    apply(plan, step, step->at[0], step->at[1], step->at[2]);
}

enum status locked_dropout_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct plan_node *known = &plan->nodes[head];
    (void)err;
    if (plan->options.mode == PLAN_INFER || node->u.dropout <= 0) {
        known->buffer = plan->nodes[node->inputs[0]].buffer;
        return OK;
    }
    int out = plan_output_buffer(plan, head);
    known->mask = plan_persistent_buffer(plan, (size_t)(known->shape.h * known->shape.c));
    struct step *step = op_kernel(plan, head, "locked dropout", run_forward);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, out);
    step_buffer(plan, step, known->mask);
    return OK;
}

enum status locked_dropout_backward(struct plan *plan, int head, struct err *err)
{
    bool accumulate;
    int input = plan_graph_node(plan, head)->inputs[0];
    (void)err;
    int target = plan_contribute(plan, input, &accumulate);
    if (target == NONE)
        return OK;
    if (plan->nodes[head].mask == NONE) {
        op_copy_to(plan, input, plan->nodes[head].gradient, target, accumulate);
        return OK;
    }
    struct step *step = op_kernel(plan, head, "locked dropout backward", run_backward);
    step->accumulate = accumulate;
    step_buffer(plan, step, plan->nodes[head].gradient);
    step_buffer(plan, step, plan->nodes[head].mask);
    step_buffer(plan, step, target);
    return OK;
}
