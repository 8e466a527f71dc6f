/* report_pass.h -- runs a model over some items and leaves the report of it (report.h): what the
 * end of a training run and the tasks evaluate and predict share. */
#ifndef THAW_ENGINE_TRAIN_REPORT_PASS_H
#define THAW_ENGINE_TRAIN_REPORT_PASS_H

#include "base/json.h"
#include "base/status.h"
#include "engine/train/model_pass.h"
#include "engine/train/report.h"
#include "engine/train/warnings.h"

/* With report->tta each item is seen so many more times, as pass->augment draws it, and its
 * probabilities are fastai's lerp(mean of the views, plain, .25). `curve` and `before` as
 * run_report_finish takes them. OK: the three files are in place; else nothing is left. */
enum status report_pass_run(const struct model_pass *pass, const struct run_report_options *report,
                            const struct json *curve, const struct warnings *before,
                            struct warnings *warnings, struct run_report_scores *scores,
                            struct err *err);

#endif
