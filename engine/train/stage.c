#include "engine/train/stage.h"

enum status stage_open_plans(struct stage *stage, const struct run *run, int64_t index,
                             struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    struct plan_options options = {
        .mode = PLAN_TRAIN,
        .batch = recipe->batch,
        .height = recipe->size,
        .width = recipe->size,
        .frozen_groups = recipe->frozen_groups,
        .frozen_norm_trains = run->recipe.frozen_norm_trains,
    };
    enum status status = plan_new(run->graph, &options, &stage->train_plan, err);
    options.mode = PLAN_INFER;
    if (status == OK && run->split.n_valid > 0)
        status = plan_new(run->graph, &options, &stage->valid_plan, err);
    return status;
}

enum status stage_open_loaders(struct stage *stage, const struct run *run, int64_t index,
                               int threads, struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    const struct split *split = &run->split;
    struct loader_options options = {
        .pass = LOADER_TRAIN,
        .items = split->train,
        .n_items = split->n_train,
        .batch_size = (int)recipe->batch,
        .size = (int)recipe->size,
        .threads = threads,
        .seed = run->recipe.seed,
        .augment = recipe->augment,
    };
    enum status status = loader_open(run->pack, &options, &stage->train, err);
    options.pass = LOADER_VALID;
    options.items = split->valid;
    options.n_items = split->n_valid;
    if (status == OK && split->n_valid > 0)
        status = loader_open(run->pack, &options, &stage->valid, err);
    if (status == OK && loader_steps(stage->train) != recipe->steps_per_epoch)
        status = err_set(err, E_INTERNAL, "The loader has %lld steps an epoch, not %lld.",
                         (long long)loader_steps(stage->train), (long long)recipe->steps_per_epoch);
    return status;
}

void stage_close(struct stage *stage)
{
    loader_close(stage->train);
    loader_close(stage->valid);
    plan_free(stage->train_plan);
    plan_free(stage->valid_plan);
    *stage = (struct stage){0};
}
