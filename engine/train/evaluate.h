/* evaluate.h -- the tasks `evaluate` and `predict`: a model, or several, over a data set's split.
 *
 * The model's own image size and preprocessing apply. Classes are matched by name: a label that the
 * model does not know is an error (evaluate) or counts as no label (predict). With `tta` each item
 * is seen n more times as training would see it, and its probabilities are
 * lerp(mean of the n views, plain, .25), fastai's. With an ensemble the probabilities are the mean
 * over its models, each with its own of all that, matched by the classes' names. Leaves the same
 * files as the end of a training run (report.h). Nothing is resumed: a run that is stopped starts
 * again. */
#ifndef THAW_ENGINE_TRAIN_EVALUATE_H
#define THAW_ENGINE_TRAIN_EVALUATE_H

#include "base/status.h"
#include "engine/train/trainer.h"

/* Options and hooks as trainer_run's; options->weights must be a model with a classifier. Told to
 * pause, it ends as if it had not begun: `paused` is sent, and the next run starts anew. */
enum status evaluate_run(const struct trainer_options *options, const struct trainer_hooks *hooks,
                         struct err *err);

#endif
