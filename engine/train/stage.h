/* stage.h -- a stage made ready to run: its items, its loss, its plans, its batches.
 *
 * Both plans share the graph's parameters; making the training plan decides which of them train.
 * A stage whose frozen part is cached (feature_cache.h) has plans of the rest alone, and batches of
 * features in place of pictures. */
#ifndef THAW_ENGINE_TRAIN_STAGE_H
#define THAW_ENGINE_TRAIN_STAGE_H

#include <stdint.h>

#include "base/status.h"
#include "engine/core/plan.h"
#include "engine/train/batches.h"
#include "engine/train/feature_cache.h"
#include "engine/train/loss.h"
#include "engine/train/mix.h"
#include "engine/train/run.h"

struct stage {
    struct plan *train_plan, *valid_plan; /* owned; valid_plan NULL without validation items */
    struct plan *prefix_plan;             /* owned; of what is cached, until the cache is full */
    int cut;                              /* where the cache ends; NODE_NONE: not cached */
    const char *why_not;                  /* it was to be cached and cannot be: a clause; or NULL */
    struct split split;                   /* owned: the stage's sample */
    struct loss loss;                     /* owned */
    struct mix mix;                       /* owned */
    struct feature_cache *cache;          /* owned; NULL: not cached */
    struct batches *train, *valid;        /* owned; valid NULL likewise */
};

/* Plans of the stage number `index` of the run's recipe, to be cached or not. After a failure the
 * stage is still closed. */
enum status stage_open_plans(struct stage *stage, const struct run *run, int64_t index, bool cached,
                             struct err *err);

struct stage_options {
    int threads;        /* of loaders */
    const char *folder; /* where a cache is */
    /* Asked while a cache is filled; false stops it with E_CANCELLED. */
    bool (*go_on)(void *context, int64_t done, int64_t all);
    void *context;
    char *warning; /* FEATURE_CACHE_WARNING bytes: a sentence about the cache, or "" */
};

/* Everything else. A cache that cannot be had (no room) leaves the stage without: the warning says
 * so. */
enum status stage_open_data(struct stage *stage, const struct run *run, int64_t index,
                            const struct stage_options *options, struct err *err);
void stage_close(struct stage *stage);

#endif
