#include "engine/train/stage_plans.h"

#include <math.h>

#include "engine/train/feature_cache.h"
#include "engine/train/text_run.h"

static struct stage_plans plans_of_text(const struct recipe *recipe,
                                        const struct recipe_stage *stage, const struct graph *graph)
{
    const struct text_options *options = recipe->texts->options;
    struct stage_plans plans = {.cut = NODE_NONE, .chunks = 1};
    if (stage->phase == PHASE_LANGUAGE_MODEL) {
        plans.train = (struct plan_options){.mode = PLAN_TRAIN,
                                            .batch = stage->batch,
                                            .steps = options->seq_len,
                                            .frozen_groups = stage->frozen_groups};
        plans.valid = plans.train;
        plans.valid.mode = PLAN_INFER;
        plans.valid.batch = stage->valid_rows;
        return plans;
    }
    struct text_chunks_options train = text_run_chunks(options, stage, PLAN_TRAIN), valid = train;
    valid.mode = PLAN_INFER;
    plans.train = text_chunks_encoder(&train, graph);
    plans.valid = text_chunks_encoder(&valid, graph);
    plans.head_train = text_chunks_head(&train, graph);
    plans.head_valid = text_chunks_head(&valid, graph);
    plans.has_head = true;
    plans.chunks = ceil(recipe->texts->mean_words / (double)options->seq_len);
    return plans;
}

struct stage_plans stage_plans(const struct recipe *recipe, const struct recipe_stage *stage,
                               const struct graph *graph, bool cached)
{
    if (recipe->texts)
        return plans_of_text(recipe, stage, graph);
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
