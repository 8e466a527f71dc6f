/* step.h -- what the optimiser makes of a batch's gradients (stage_gradients).
 *
 * With `accumulate` the gradients of several batches become one step: each batch's mean gradient
 * counts by its items, so the sum divided by all items is the gradient of one large batch (batch
 * norm alone sees the small ones). The optimiser steps when so many items have passed, and at an
 * epoch's end with what there is. Rates follow the batches, as in fastai. */
#ifndef THAW_ENGINE_TRAIN_STEP_H
#define THAW_ENGINE_TRAIN_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/train/optim.h"

/* The optimiser's part. `accumulated` counts the items summed so far; `last`: of the epoch. */
struct step_update {
    const double *rates; /* (groups) */
    double momentum;
    int64_t items;      /* of the batch */
    int64_t accumulate; /* 0: a step a batch */
    bool last;
};
enum status step_update(struct optim *optim, struct graph *graph, const struct step_update *update,
                        int64_t *accumulated, struct err *err);

#endif
