/* stage.h -- a stage made ready to run: its items, its loss, its plans, its batches.
 *
 * What that means depends on the kind of data: the stage's learner (learner.h) does it.
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
#include "engine/train/metrics.h"
#include "engine/train/mix.h"
#include "engine/train/run.h"

struct learner;

struct stage {
    const struct learner *learner;        /* NULL: closed */
    bool validates;                       /* there are validation items */
    struct plan *train_plan, *valid_plan; /* owned; valid_plan NULL without validation items */
    struct plan *prefix_plan;             /* owned; of what is cached, until the cache is full */
    int cut;                              /* where the cache ends; NODE_NONE: not cached */
    const char *why_not;                  /* it was to be cached and cannot be: a clause; or NULL */
    struct split split;                   /* owned: the stage's sample */
    struct loss loss;                     /* owned */
    struct mix mix;                       /* owned */
    struct feature_cache *cache;          /* owned; NULL: not cached */
    struct batches *train, *valid;        /* owned; valid NULL likewise */
    int64_t tokens;                       /* words of the last batch; 0: of pictures */
    void *own;                            /* owned: what the learner keeps besides */
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

void stage_hash(const struct stage *stage, char hex[SHA256_HEX]); /* of the training plans */

/* Lets batches be made ready from a step of an epoch on. `number` names what is drawn: the stage's
 * own, or the sweep's. */
void stage_begin(struct stage *stage, uint32_t number, uint32_t epoch, int64_t first_step);

/* The stage's next batch: its mean loss, and its gradients in the graph's parameters, unless the
 * loss is no number. `draw` names what dropout and mixing draw: another one for each batch. */
enum status stage_gradients(struct stage *stage, const struct run *run, int64_t index, int64_t draw,
                            double *loss, struct err *err);

/* Asked during a pass; false ends it with E_CANCELLED. */
struct stage_asked {
    bool (*go_on)(void *context);
    void *context;
};

/* A pass over the validation items with the network as it stands. */
enum status stage_validate(struct stage *stage, const struct run *run,
                           const struct stage_asked *asked, struct evaluation *evaluation,
                           struct err *err);

/* What the next step depends on beside the weights and the position: a language model's state. */
size_t stage_carried_floats(const struct stage *stage);
void stage_read_carried(const struct stage *stage, float *carried);
void stage_write_carried(struct stage *stage, const float *carried);

#endif
