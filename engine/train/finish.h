/* finish.h -- what becomes of a model that is done: a point of the learning curve where a fraction
 * of the data ends, and at the end of all the final model, its report and the result. */
#ifndef THAW_ENGINE_TRAIN_FINISH_H
#define THAW_ENGINE_TRAIN_FINISH_H

#include "engine/train/training.h"

/* The present stage has ended, which is written down, and is closed. Where the next one starts
 * afresh, or none follows, its model (the best, if the spec asks for it) is left in the graph, and
 * its answers are kept for the learning curve, if the job has one. */
enum status finish_stage(struct training *t, struct err *err);

/* The final model: the best epoch's where the spec asks for it, else what the last step left. Its
 * file, its report (report_run.h), `result`. The stage is closed. */
enum status finish_run(struct training *t, struct err *err);

#endif
