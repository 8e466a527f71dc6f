/* finder_run.h -- sweeps the rate over the stage that is about to begin (finder.h has the curve).
 *
 * All groups train at the same rate, as in fastai. Weights and statistics are put back bit for bit,
 * moments are cleared, and what it draws (order, crops, dropout) has numbers that no training step
 * has: a run with a sweep before it is the same run. */
#ifndef THAW_ENGINE_TRAIN_FINDER_RUN_H
#define THAW_ENGINE_TRAIN_FINDER_RUN_H

#include "engine/train/finder.h"
#include "engine/train/training.h"

/* Sweeps with the stage's open plans and batches, and writes FOLDER/lr_find.json. Told to pause, it
 * ends early without a file; t->want_pause says so. `tell`: each step is an event. */
enum status finder_run(struct training *t, bool tell, struct finder_suggestions *suggested,
                       struct err *err);

/* For a stage with "lr": "auto": the suggestion valley becomes the stage's rate, kept in the
 * position, so that a resumed run does not look again. E_INVALID when there is none. */
enum status finder_choose_rate(struct training *t, struct err *err);

#endif
