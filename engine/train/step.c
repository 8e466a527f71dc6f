/* step.c -- see step.h. */
#include "engine/train/step.h"

static enum status add_up(struct graph *graph, int64_t items, struct err *err)
{
    enum status status = OK;
    for (int i = 0; i < graph->n_params && status == OK; i++)
        if (graph->params[i]->trainable)
            status = param_sum_gradient(graph->params[i], (float)items, err);
    return status;
}

static void take_sums(struct graph *graph, int64_t items)
{
    for (int i = 0; i < graph->n_params; i++)
        if (graph->params[i]->trainable)
            param_take_sum(graph->params[i], (float)(1 / (double)items));
}

enum status step_update(struct optim *optim, struct graph *graph, const struct step_update *update,
                        int64_t *accumulated, struct err *err)
{
    if (update->accumulate > 0) {
        enum status status = add_up(graph, update->items, err);
        if (status != OK)
            return status;
        *accumulated += update->items;
        if (*accumulated < update->accumulate && !update->last)
            return OK;
        take_sums(graph, *accumulated);
        *accumulated = 0;
    }
    optim_step(optim, graph, update->rates, update->momentum);
    return OK;
}
