/* events.h -- what a run tells while it goes: stage, step, epoch and checkpoint headers.
 *
 * The fields are those of api/spec/wire.h. Step headers are thinned to four a second; remaining
 * time is estimated from the pace of this stage's steps, scaled to the stages that come. */
#ifndef THAW_ENGINE_TRAIN_EVENTS_H
#define THAW_ENGINE_TRAIN_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/graph.h"
#include "engine/train/recipe.h"
#include "engine/train/feature_cache.h"
#include "engine/train/finder.h"
#include "engine/train/snapshot.h"
#include "engine/train/trainer.h"

struct events {
    const struct trainer_hooks *hooks; /* all borrowed */
    const struct recipe *recipe;
    const struct graph *graph;
    double last_step;    /* when a step header was last sent */
    double last_pass;    /* likewise, of a pass */
    double step_seconds; /* of one training step of this stage, smoothed; 0 = not yet known */
    double step_tokens;  /* of one, likewise: words */
    double row_seconds;  /* of one row of validation (recipe_valid_rows); 0 = not yet known */
};

/* A stage begins, or is gone on with; its plan has been made, so the graph knows what trains.
 * `cache`: what its features are read from, or NULL. */
void events_stage(struct events *events, int64_t stage, const struct feature_cache *cache);

/* A step of `tokens` words (of pictures 0) took `seconds`; `at` counts it already. */
void events_step(struct events *events, const struct position *at, int64_t tokens, double seconds);

/* A step of the rate finder's sweep over the stage, as of a stage of its own. */
void events_sweep_step(struct events *events, int64_t stage, const struct finder *finder,
                       double seconds);

/* `done` of `all` parts of a pass over the data that is no training: "features", "report". */
void events_pass(struct events *events, const char *what, int64_t done, int64_t all);

/* A whole validation pass of the stage: for the estimate. */
void events_validated(struct events *events, int64_t stage, double seconds);

/* The epoch that ended at `at`: at->latest are its scores, `seconds` its time with validation,
 * `tokens_per_second` the pace of its steps (of pictures: 0). */
void events_epoch(struct events *events, const struct position *at, double seconds,
                  double tokens_per_second);

/* The file of `slot` is on disk; scores are the best epoch's for "best", else the latest. */
void events_checkpoint(struct events *events, const char *slot, const struct position *at);

/* The file `name` of the run's folder is complete on disk (wire_artifact_is_valid has the names).
 */
void events_artifact(struct events *events, const char *name);

void events_log(struct events *events, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void events_warning(struct events *events, const char *code, const char *detail);
/* The most that this process has had resident so far. */
int64_t events_peak_memory(void);
void events_paused(struct events *events, bool by_recipe);
/* weights_sha256 NULL: of a task that leaves no weights. `info`: what the model is; may be NULL. */
void events_result(struct events *events, const char *weights_sha256, const struct scores *scores,
                   const struct model_info *info);

#endif
