/* epoch.h -- steps up to an epoch's end, and what an epoch ends with: validation and callbacks. */
#ifndef THAW_ENGINE_TRAIN_EPOCH_H
#define THAW_ENGINE_TRAIN_EPOCH_H

#include "engine/train/training.h"

/* Lets the loader decode ahead from where the run stands. */
void epoch_begin_loading(struct training *t);

/* From where the run stands to the end of its epoch, or to a pause. Sets at.stage_ended when
 * nothing of the stage is left to do: its steps are done, a callback ends it, or time is over. */
enum status epoch_run(struct training *t, struct err *err);

#endif
