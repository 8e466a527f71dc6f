/* flops.c -- what a plan computes, counted: the convolutions, linear layers, LSTMs and decoders,
 * which are nearly all of it. One product and one sum are two. */
#include "engine/core/plan_build.h"

/* Multiply-adds of one pass through a node. */
static double node_products(const struct plan *plan, int i)
{
    const struct node *node = plan_graph_node(plan, i);
    double out = (double)shape_floats(&plan->nodes[i].shape);
    if (node->op == OP_DEPTHWISE)
        return out * node->u.conv.kernel * node->u.conv.kernel;
    if (node->op == OP_LSTM)
        return out * 4 * (double)(node->params[0]->dims[1] + node->channels);
    if (node->op == OP_DECODER_LOSS)
        return out * (double)node->params[0]->n_elements;
    if (node->op != OP_CONV && node->op != OP_LINEAR)
        return 0;
    double window = node->op == OP_CONV ? node->u.conv.kernel * node->u.conv.kernel : 1;
    return out * window * (double)plan->nodes[node->inputs[0]].shape.c;
}

/* How often a node's products are computed: forward, for its input's gradient, for its weights'. */
static int node_passes(const struct plan *plan, int i)
{
    const struct node *node = plan_graph_node(plan, i);
    if (plan->options.mode != PLAN_TRAIN || !plan->nodes[i].needs_gradient || !node->n_inputs)
        return 1;
    bool input = plan->nodes[node->inputs[0]].needs_gradient;
    bool weights = node->n_params > 0 && plan_trains(plan, node->params[0]);
    return 1 + input + weights;
}

double plan_flops(const struct plan *plan)
{
    double flops = 0;
    for (int i = 0; i < plan->graph->n_nodes; i++)
        if (plan_runs(plan, i))
            flops += 2 * node_products(plan, i) * node_passes(plan, i);
    return flops;
}
