/* report_pass.h -- runs a model over some items and leaves the report of it (report.h): what the
 * end of a training run and the tasks evaluate and predict share. */
#ifndef THAW_ENGINE_TRAIN_REPORT_PASS_H
#define THAW_ENGINE_TRAIN_REPORT_PASS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/data/augment.h"
#include "engine/train/report.h"
#include "engine/train/warnings.h"

struct report_pass {
    struct run_report_options report; /* with .tta: each item is seen .tta more times as `augment`
                                         draws it; its probabilities are fastai's
                                         lerp(mean of the views, plain, .25) */
    struct graph *graph;              /* all borrowed */
    const uint32_t *items;            /* of report.pack */
    uint32_t n_items;
    int size, batch, threads;
    uint64_t seed; /* names the draws of the views */
    struct augment_options augment;

    const struct json *curve; /* as run_report_finish takes them: may be NULL */
    const struct warnings *before;
    /* Called after each batch, with the batches done so far and in all; false: stop. */
    bool (*go_on)(void *context, int64_t done, int64_t total);
    void *context;
};

/* OK: the three files are in place. E_CANCELLED: told to stop; nothing is left. */
enum status report_pass_run(const struct report_pass *pass, struct warnings *warnings,
                            struct run_report_scores *scores, struct err *err);

#endif
