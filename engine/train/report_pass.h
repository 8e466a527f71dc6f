/* report_pass.h -- runs one model over some items, or several whose probabilities are averaged, and
 * leaves the report of it (report.h): what the end of a training run and the tasks evaluate and
 * predict share. */
#ifndef THAW_ENGINE_TRAIN_REPORT_PASS_H
#define THAW_ENGINE_TRAIN_REPORT_PASS_H

#include "base/json.h"
#include "base/status.h"
#include "engine/train/model_pass.h"
#include "engine/train/report.h"
#include "engine/train/warnings.h"

/* One of the models; all passes are over the same items, with the same batch. */
struct report_model {
    struct model_pass pass;
    const int32_t *places; /* (classes) where this model's logits have each class of the report;
                              NULL: in the same place */
};

/* A row's probabilities are the arithmetic mean over the models. With report->tta each item is seen
 * so many more times, as pass.augment draws it, and a model's probabilities are fastai's lerp(mean
 * of the views, plain, .25). The first pass's go_on is asked. `curve` and `before` as
 * run_report_finish takes them. OK: the three files are in place; else nothing is left. */
enum status report_pass_run(const struct report_model *models, int n_models,
                            const struct run_report_options *report, const struct json *curve,
                            const struct warnings *before, struct warnings *warnings,
                            struct run_report_scores *scores, struct err *err);

#endif
