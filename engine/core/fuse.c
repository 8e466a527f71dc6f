/* fuse.c -- which nodes run inside another's kernel.
 *
 *   conv -> [batchnorm] -> [add] -> [relu]   where no gradient is needed: one convolution
 *   depthwise -> [batchnorm] -> [relu]       likewise
 *   conv -> [relu], depthwise -> [relu]      in training
 *   batchnorm -> [add] -> [relu]             in training
 * where relu is ReLU or ReLU6.
 *
 * A node is taken in only if nothing else reads what comes before it. Batch norm folds into a
 * convolution only when it uses stored statistics and nothing up to it needs a gradient. */
#include "engine/core/plan_build.h"

#include "base/mem.h"

struct fusion {
    struct plan *plan;
    int *consumers; /* how many nodes read each node */
    int *reader;    /* one of them */
};

/* The only reader of `node` if it is of kind `op`, else NONE. */
static int only_reader(const struct fusion *f, int node, enum op_kind op)
{
    const struct graph *graph = f->plan->graph;
    if (f->consumers[node] != 1 || node == f->plan->output ||
        graph->nodes[f->reader[node]].op != op)
        return NONE;
    return f->reader[node];
}

static void take(struct fusion *f, int head, int node)
{
    f->plan->nodes[node].head = head;
    f->plan->nodes[head].end = node;
}

static void try_norm(struct fusion *f, int head)
{
    struct plan_node *nodes = f->plan->nodes;
    int norm = only_reader(f, nodes[head].end, OP_BATCHNORM);
    if (norm == NONE || nodes[norm].needs_gradient || nodes[norm].batch_statistics)
        return;
    nodes[head].norm = norm;
    take(f, head, norm);
}

/* A convolution can only add to a value that it may overwrite: one that nobody reads later. */
static bool may_overwrite(const struct fusion *f, int value, int add)
{
    const struct graph *graph = f->plan->graph;
    if (value == f->plan->options.input_node)
        return false;
    for (int i = add + 1; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i].n_inputs; k++)
            if (graph->nodes[i].inputs[k] == value)
                return false;
    return true;
}

static void try_add(struct fusion *f, int head)
{
    struct plan_node *nodes = f->plan->nodes;
    int end = nodes[head].end, add = only_reader(f, end, OP_ADD);
    bool conv = f->plan->graph->nodes[head].op == OP_CONV;
    if (add == NONE || nodes[add].head != add || (conv && nodes[add].needs_gradient))
        return;
    const int *inputs = f->plan->graph->nodes[add].inputs;
    int other = inputs[0] == end ? inputs[1] : inputs[0];
    if (other == end || (conv && !may_overwrite(f, other, add)))
        return;
    nodes[head].other = other;
    take(f, head, add);
}

static void try_relu(struct fusion *f, int head)
{
    struct plan_node *nodes = f->plan->nodes;
    int relu = only_reader(f, nodes[head].end, OP_ACTIVATION);
    if (relu == NONE || f->plan->graph->nodes[relu].u.activation == ACTIVATION_SILU)
        return;
    nodes[head].activation = relu;
    take(f, head, relu);
}

void plan_fuse(struct plan *plan)
{
    const struct graph *graph = plan->graph;
    size_t n = (size_t)graph->n_nodes;
    struct fusion f = {plan, mem_alloc(n * sizeof(int)), mem_alloc(n * sizeof(int))};
    for (int i = 0; i < graph->n_nodes; i++) {
        for (int k = 0; k < graph->nodes[i].n_inputs && plan_runs(plan, i); k++) {
            f.consumers[graph->nodes[i].inputs[k]]++;
            f.reader[graph->nodes[i].inputs[k]] = i;
        }
        plan->nodes[i].head = plan->nodes[i].end = i;
    }
    for (int i = 0; i < graph->n_nodes; i++) {
        enum op_kind op = graph->nodes[i].op;
        bool conv = op == OP_CONV || op == OP_DEPTHWISE;
        if (!plan_runs(plan, i) || plan->nodes[i].head != i || (!conv && op != OP_BATCHNORM))
            continue;
        if (conv)
            try_norm(&f, i);
        if (op != OP_DEPTHWISE)
            try_add(&f, i);
        try_relu(&f, i);
    }
    mem_free(f.consumers);
    mem_free(f.reader);
}
