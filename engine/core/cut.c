/* cut.c -- a part of a graph as a plan of its own: from a node's value on, or up to it.
 *
 * The lowest thing that trains divides a network. Below it nothing changes while a stage trains:
 * what comes out of there can be computed once (engine/train/feature_cache.h) and fed to a plan
 * that begins where the prefix ends. */
#include "base/mem.h"
#include "engine/core/plan_build.h"

/* --- where a training plan can be cut --------------------------------------------------------- */

bool plan_will_train(const struct plan_options *options, const struct param *param)
{
    if (options->mode != PLAN_TRAIN || param_is_statistic(param))
        return false;
    return param->group >= options->frozen_groups ||
           (param_is_norm(param) && options->frozen_norm_trains);
}

static bool frozen_norm_trains(const struct graph *graph, const struct plan_options *options)
{
    for (int i = 0; i < graph->n_params; i++)
        if (graph->params[i]->group < options->frozen_groups && options->frozen_norm_trains &&
            param_is_norm(graph->params[i]))
            return true;
    return false;
}

/* Its value is the same at every step: nothing at or before it trains or is drawn. (Text is not
 * cut: words are drawn, LSTMs go on from where they were.) */
static bool is_constant(const struct graph *graph, const bool *constant, int i,
                        const struct plan_options *options)
{
    const struct node *node = &graph->nodes[i];
    if (node->op == OP_DROPOUT || node->op == OP_TOKENS)
        return false;
    for (int k = 0; k < node->n_params; k++)
        if (plan_will_train(options, node->params[k]))
            return false;
    for (int k = 0; k < node->n_inputs; k++)
        if (!constant[node->inputs[k]])
            return false;
    return true;
}

/* The one constant node that others read; NODE_NONE if there are several. */
static int only_way_out(const struct graph *graph, const bool *constant)
{
    int cut = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i].n_inputs && !constant[i]; k++) {
            int input = graph->nodes[i].inputs[k];
            if (!constant[input] || input == cut)
                continue;
            if (cut != 0)
                return NODE_NONE;
            cut = input;
        }
    return cut;
}

int plan_find_cut(const struct graph *graph, const struct plan_options *options, const char **why)
{
    if (options->frozen_groups == 0) {
        *why = "no layer group is frozen";
        return NODE_NONE;
    }
    if (frozen_norm_trains(graph, options)) {
        *why = "batch norm of the frozen layers trains (frozen_batchnorm is \"train\")";
        return NODE_NONE;
    }
    bool *constant = mem_alloc((size_t)graph->n_nodes * sizeof *constant);
    for (int i = 0; i < graph->n_nodes; i++)
        constant[i] = is_constant(graph, constant, i, options);
    int cut = constant[graph->output] ? NODE_NONE : only_way_out(graph, constant);
    mem_free(constant);
    if (cut > 0)
        return cut;
    *why = cut == 0 ? "the first layer trains" : "the frozen layers have no single output";
    return NODE_NONE;
}

/* --- which nodes a plan runs -------------------------------------------------------------------
 */

enum status plan_mark_needed(struct plan *plan, struct err *err)
{
    int input = plan->options.input_node;
    plan->nodes[plan->output].needed = true;
    for (int i = plan->output; i > input; i--) {
        const struct node *node = plan_graph_node(plan, i);
        for (int k = 0; k < node->n_inputs && plan->nodes[i].needed; k++)
            plan->nodes[node->inputs[k]].needed = true;
    }
    for (int i = 0; i < input; i++)
        if (plan->nodes[i].needed)
            return err_set(err, E_INTERNAL, "The network cannot be cut at %s: %s is needed too.",
                           plan_graph_node(plan, input)->name, plan_graph_node(plan, i)->name);
    if (plan->nodes[input].needs_gradient && !plan->options.input_gradient)
        return err_set(err, E_INTERNAL, "The network cannot be cut at %s: something below trains.",
                       plan_graph_node(plan, input)->name);
    return OK;
}
