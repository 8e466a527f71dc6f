/* linear.c -- y = x W' + b over rows, W (O,I) as torch stores it, by oneDNN's sgemm (row-major).
 *
 *   forward   y (N,O) = x (N,I) W'        backward  dW (O,I) = dy' x;  dx (N,I) = dy W;  db = sum
 * dy */
#include <stdio.h>
#include <stdlib.h>

#include "engine/op/op.h"

void op_gemm(char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k, const float *a,
             int64_t lda, const float *b, int64_t ldb, float beta, float *c)
{
    if (dnnl_sgemm(transpose_a, transpose_b, m, n, k, 1.f, a, lda, b, ldb, beta, c, n) ==
        dnnl_success)
        return;
    fprintf(stderr, "sgemm: oneDNN's sgemm failed for %lldx%lldx%lld\n", (long long)m, (long long)n,
            (long long)k);
    abort();
}

/* at: x, W, y, [b] */
static void run_forward(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t rows = step->in.n, in = step->in.c, out = step->out.c;
    const float *bias = step->other ? step->at[3] : NULL;
    op_gemm('N', 'T', rows, out, in, step->at[0], in, step->at[1], in, 0.f, step->at[2]);
    for (int64_t r = 0; bias && r < rows; r++)
        for (int64_t i = 0; i < out; i++)
            step->at[2][r * out + i] += bias[i];
}

/* at: x, dy, dW, [db] */
static void run_backward_weights(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t rows = step->in.n, in = step->in.c, out = step->out.c;
    op_gemm('T', 'N', out, in, rows, step->at[1], out, step->at[0], in, 0.f, step->at[2]);
    for (int64_t i = 0; step->other && i < out; i++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++)
            sum += step->at[1][r * out + i];
        step->at[3][i] = (float)sum;
    }
}

/* at: dy, W, dx */
static void run_backward_data(struct plan *plan, const struct step *step)
{
    (void)plan;
    int64_t rows = step->in.n, in = step->in.c, out = step->out.c;
    op_gemm('N', 'N', rows, in, out, step->at[0], out, step->at[1], in,
            step->accumulate ? 1.f : 0.f, step->at[2]);
}

enum status linear_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    (void)err;
    int out = plan_output_buffer(plan, head);
    struct step *step = op_kernel(plan, head, "linear", run_forward);
    step->other = node->n_params > 1;
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_param(step, node->params[0], PARAM_VALUE);
    step_buffer(plan, step, out);
    if (step->other)
        step_param(step, node->params[1], PARAM_VALUE);
    return OK;
}

static void backward_weights(struct plan *plan, int head)
{
    const struct node *node = plan_graph_node(plan, head);
    struct step *step = op_kernel(plan, head, "linear weights", run_backward_weights);
    step->other = node->n_params > 1;
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, plan->nodes[head].gradient);
    step_param(step, node->params[0], PARAM_GRADIENT);
    if (step->other)
        step_param(step, node->params[1], PARAM_GRADIENT);
}

enum status linear_backward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    bool accumulate;
    (void)err;
    if (plan_trains(plan, node->params[0]))
        backward_weights(plan, head);
    int target = plan_contribute(plan, node->inputs[0], &accumulate);
    if (target == NONE)
        return OK;
    struct step *step = op_kernel(plan, head, "linear data", run_backward_data);
    step->accumulate = accumulate;
    step_buffer(plan, step, plan->nodes[head].gradient);
    step_param(step, node->params[0], PARAM_VALUE);
    step_buffer(plan, step, target);
    return OK;
}
