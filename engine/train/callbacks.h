/* callbacks.h -- what a run does by itself at an epoch's end, because of a metric that it watches.
 *
 *   save best           the epoch is the best of the run so far: its weights are kept
 *   early stop          `patience` epochs of the stage without a better one: the stage ends
 *   reduce on plateau   `patience` epochs without a better one: the stage's rates are multiplied by
 *                       `factor` from here on, none by it below min_lr; counting begins again
 *
 * Better is meant by more than min_delta. Counts begin anew with each stage, as fastai's do with
 * each fit; which epoch is the best one is kept over stages (trainer.c says when not). A metric
 * that is not known, as without validation items, decides nothing. A loss that is no number is no
 * callback's matter: it ends the run (trainer.c). To add one: a row in callbacks.c. */
#ifndef THAW_ENGINE_TRAIN_CALLBACKS_H
#define THAW_ENGINE_TRAIN_CALLBACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/train/metrics.h"
#include "engine/train/recipe.h"

/* Of one watched metric, within a stage: the best value, and the epochs since. */
struct patience {
    double best; /* NaN: none yet */
    int64_t wait;
};

/* All that callbacks remember; part of a run's position. */
struct callbacks {
    struct patience early_stop, plateau;
    double rate_factor; /* the product of all reductions of the stage */
};

/* What an epoch's end asks for. */
struct verdict {
    bool best;    /* the best epoch so far */
    bool stop;    /* the stage is to end */
    bool reduced; /* the rates fell */
};

struct callbacks callbacks_start(void); /* of a stage */

/* An epoch ended with `latest`; `best` are the best one's scores before it. */
struct verdict callbacks_epoch(const struct recipe *recipe, const struct scores *latest,
                               const struct scores *best, struct callbacks *callbacks);

/* Applies the reductions to the schedule's rates of a step. */
void callbacks_rates(const struct recipe *recipe, const struct callbacks *callbacks, int n_groups,
                     double *rates);

#endif
