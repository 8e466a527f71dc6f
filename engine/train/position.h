/* position.h -- where a run stands between two steps, and how that is written down.
 *
 * With the weights, their moments and what decides the run (spec, data, starting weights) it is all
 * that the next step depends on. A field added here is kept through a resume by its row in
 * position.c. */
#ifndef THAW_ENGINE_TRAIN_POSITION_H
#define THAW_ENGINE_TRAIN_POSITION_H

#include <stdint.h>

#include "base/digest.h"
#include "base/status.h"
#include "engine/train/callbacks.h"
#include "engine/train/metrics.h"
#include "engine/train/stage_record.h"

struct position {
    int64_t generation;     /* resume files written so far: the newest has the largest */
    int64_t stage;          /* from 0 */
    int64_t step;           /* completed steps (batches) of the stage */
    int64_t total_steps;    /* completed steps of the run: names the dropout streams */
    int64_t optim_steps;    /* the optimiser's, since its last reset */
    int64_t accumulated;    /* samples whose gradients are summed and not yet stepped with */
    int64_t stage_ended;    /* 1: nothing of the stage is left to do, early or not */
    int64_t rested;         /* 1: the pause that the stage's "then" wishes for was made */
    int64_t threads;        /* how it was computed so far: with other threads or kernels */
    char plans[SHA256_HEX]; /* (digest of the begun stages' plans) sums round differently */
    struct smooth_loss loss;
    double found_rate; /* the finder's, of a stage with lr "auto"; 0: none */
    double seconds;    /* that the run has trained, over all its processes */
    struct callbacks callbacks;
    struct scores latest, best; /* of the last and the best epoch; NaN = none yet */
    struct scores stage_before; /* the last epoch's of the stage before, comparable; or NaN */
    struct stage_record stages[RECIPE_MAX_STAGES]; /* for the report: nothing depends on it */
    char best_weights[SHA256_HEX]; /* weights_sha256 of the file "best" as it belongs to `best` */
};

struct position position_start(void);

/* As JSON text, and back to the last bit. E_INVALID: a clause that says what is wrong. */
char *position_text(const struct position *position); /* free with mem_free */
enum status position_parse(const char *text, struct position *position, struct err *err);

#endif
