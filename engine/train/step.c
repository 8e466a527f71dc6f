/* step.c -- see step.h. */
#include "engine/train/step.h"

#include <math.h>

enum status step_gradients(struct stage *stage, const struct run *run, int64_t index, int64_t draw,
                           double *loss, struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    struct plan *plan = stage->train_plan;
    struct batch batch;
    enum status status = batches_next(stage->train, &batch, err);
    if (status != OK)
        return status;
    if (batch.count != recipe->batch)
        return err_set(err, E_INTERNAL, "The loader gave %d items, not %lld.", batch.count,
                       (long long)recipe->batch);
    const float *soft = mix_batch(&stage->mix, &stage->loss, &batch, recipe->size, (uint64_t)draw,
                                  plan_input(plan));
    plan_forward(plan, run->recipe.seed, (uint64_t)draw);
    *loss = loss_train(&stage->loss, plan_output(plan), &batch, soft, plan_output_gradient(plan));
    if (isfinite(*loss))
        plan_backward(plan);
    return OK;
}

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
