/* stage_plans.h -- which plans a stage of a recipe takes: one place for those who make them and for
 * those who only count what they would cost. */
#ifndef THAW_ENGINE_TRAIN_STAGE_PLANS_H
#define THAW_ENGINE_TRAIN_STAGE_PLANS_H

#include "engine/core/plan.h"
#include "engine/train/recipe.h"

struct stage_plans {
    struct plan_options train, valid;
    struct plan_options prefix;                 /* fills the feature cache; where there is one */
    struct plan_options head_train, head_valid; /* a classifier of texts: behind its encoder */
    bool has_head;
    double chunks;       /* and how often its encoder runs, on average */
    int cut;             /* train and valid begin there; NODE_NONE: there is no cache */
    const char *why_not; /* a clause, where a cache was wanted and cannot be; else NULL */
};

/* With `cached`, behind a feature cache where that can be. */
struct stage_plans stage_plans(const struct recipe *recipe, const struct recipe_stage *stage,
                               const struct graph *graph, bool cached);

#endif
