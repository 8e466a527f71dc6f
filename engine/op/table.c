/* table.c -- every operation there is. To add one: an op_kind in graph.h with its builder, a file
 * here, a row below, a golden and a line in the oracle's list. */
#include "engine/op/op.h"

#include <math.h>
#include <string.h>

#include "engine/core/simd.h"

static struct shape shape_input(const struct node *node, const struct shape *inputs)
{
    (void)node;
    return inputs[0];
}

static struct shape shape_same(const struct node *node, const struct shape *inputs)
{
    struct shape shape = inputs[0];
    shape.c = node->channels;
    return shape;
}

static struct shape shape_rows_of(const struct node *node, const struct shape *inputs)
{
    return (struct shape){inputs[0].n, 1, 1, node->channels};
}

const struct op op_table[N_OPS] = {
    [OP_INPUT] = {"input", shape_input, NULL, NULL},
    [OP_CONV] = {"conv", conv_shape_of, conv_forward, conv_backward},
    [OP_DEPTHWISE] = {"depthwise", conv_shape_of, depthwise_forward, depthwise_backward},
    [OP_BATCHNORM] = {"batchnorm", shape_same, batchnorm_forward, batchnorm_backward},
    [OP_ACTIVATION] = {"activation", shape_same, activation_forward, activation_backward},
    [OP_POOL] = {"pool", pool_shape_of, pool_forward, pool_backward},
    [OP_GLOBAL_POOL] = {"global_pool", shape_rows_of, global_pool_forward, global_pool_backward},
    [OP_CONCAT_POOL] = {"concat_pool", shape_rows_of, concat_pool_forward, concat_pool_backward},
    [OP_ADD] = {"add", shape_same, add_forward, add_backward},
    [OP_CONCAT] = {"concat", shape_same, concat_forward, concat_backward},
    [OP_DROPOUT] = {"dropout", shape_same, dropout_forward, dropout_backward},
    [OP_LINEAR] = {"linear", shape_rows_of, linear_forward, linear_backward},
    [OP_TOKENS] = {"tokens", shape_input, NULL, NULL},
    [OP_EMBEDDING] = {"embedding", shape_same, embedding_forward, embedding_backward},
    [OP_LOCKED_DROPOUT] = {"locked_dropout", shape_same, locked_dropout_forward,
                           locked_dropout_backward},
    [OP_LSTM] = {"lstm", shape_same, lstm_forward, lstm_backward},
    [OP_PENALTY] = {"penalty", shape_same, penalty_forward, penalty_backward},
    [OP_DECODER_LOSS] = {"decoder_loss", decoder_loss_shape_of, decoder_loss_forward, NULL},
    [OP_SEQUENCE_POOL] = {"sequence_pool", sequence_pool_shape_of, sequence_pool_forward,
                          sequence_pool_backward},
};

struct step *op_kernel(struct plan *plan, int head, const char *what,
                       void (*run)(struct plan *plan, const struct step *step))
{
    struct step *step = plan_step(plan, head, what);
    step->run = run;
    return step;
}

float op_relu_ceiling(const struct plan *plan, int head)
{
    int activation = plan->nodes[head].activation;
    bool six =
        activation != NONE && plan_graph_node(plan, activation)->u.activation == ACTIVATION_RELU6;
    return six ? 6.f : INFINITY;
}

SIMD static void mask_range(float *gradient, const float *value, float ceiling, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        gradient[i] = value[i] > 0.f && value[i] < ceiling ? gradient[i] : 0.f;
}

static void run_relu_mask(struct plan *plan, const struct step *step)
{
    (void)plan;
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share((int64_t)shape_floats(&step->out), &begin, &end);
        mask_range(step->at[0] + begin, step->at[1] + begin, step->ceiling, end - begin);
    }
}

void op_relu_mask(struct plan *plan, int head)
{
    const struct plan_node *end = &plan->nodes[plan->nodes[head].end];
    struct step *step = op_kernel(plan, head, "relu backward", run_relu_mask);
    step->ceiling = op_relu_ceiling(plan, head);
    step_buffer(plan, step, end->gradient);
    step_buffer(plan, step, end->buffer);
}

SIMD static void add_range(float *target, const float *source, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        target[i] += source[i];
}

static void run_add_to(struct plan *plan, const struct step *step)
{
    (void)plan;
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share((int64_t)shape_floats(&step->out), &begin, &end);
        add_range(step->at[0] + begin, step->at[1] + begin, end - begin);
    }
}

void op_add_to(struct plan *plan, int node, int source, int target)
{
    struct step *step = op_kernel(plan, plan->nodes[node].head, "sum of gradients", run_add_to);
    step->out = plan->nodes[node].shape;
    step_buffer(plan, step, target);
    step_buffer(plan, step, source);
}

static void run_copy_to(struct plan *plan, const struct step *step)
{
    (void)plan;
    memcpy(step->at[0], step->at[1], shape_floats(&step->out) * sizeof(float));
}

void op_copy_to(struct plan *plan, int node, int source, int target, bool add)
{
    if (add) {
        op_add_to(plan, node, source, target);
        return;
    }
    struct step *step = op_kernel(plan, plan->nodes[node].head, "copy of gradients", run_copy_to);
    step->out = plan->nodes[node].shape;
    step_buffer(plan, step, target);
    step_buffer(plan, step, source);
}
