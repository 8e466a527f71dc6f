#include "engine/train/stage_plans.h"

#include "engine/train/feature_cache.h"

struct stage_plans stage_plans(const struct recipe *recipe, const struct recipe_stage *stage,
                               const struct graph *graph, bool cached)
{
    struct stage_plans plans = {.cut = NODE_NONE};
    plans.train = (struct plan_options){
        .mode = PLAN_TRAIN,
        .batch = stage->batch,
        .height = stage->size,
        .width = stage->size,
        .frozen_groups = stage->frozen_groups,
        .frozen_norm_trains = recipe->frozen_norm_trains,
    };
    if (cached)
        plans.cut = feature_cache_cut(graph, &plans.train, &recipe->mix, &plans.why_not);
    if (plans.cut != NODE_NONE) {
        plans.prefix = feature_cache_prefix(&plans.train, plans.cut);
        plans.train.input_node = plans.cut;
    }
    plans.valid = plans.train;
    plans.valid.mode = PLAN_INFER;
    return plans;
}
