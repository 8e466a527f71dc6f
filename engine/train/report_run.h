/* report_run.h -- what a training run reports beyond its epochs: warnings at its start, a point of
 * the learning curve at the end of each fraction, the report of its final model and all stages. */
#ifndef THAW_ENGINE_TRAIN_REPORT_RUN_H
#define THAW_ENGINE_TRAIN_REPORT_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/train/events.h"
#include "engine/train/run.h"
#include "engine/train/warnings.h"

/* All borrowed. The weights reported on are those that the run's graph has. */
struct report_run {
    const struct run *run;
    struct events *events;
    const struct position *at; /* what its stages came to */
    const char *folder;
    int threads;
    /* false: stop; may be NULL. A total of 0: not known. */
    bool (*go_on)(void *context, int64_t done, int64_t total);
    void *context;
};

/* What warnings.h says of the run's data and recipe. The caller sends them when the run begins (not
 * when it goes on); they are in its report, too. */
void report_run_warnings(const struct run *run, struct warnings *warnings);

/* To be called when a stage has ended, before that is written down: where it is the last stage of
 * one of the job's `fractions`, keeps which of the validation items (those of the run's last stage)
 * the model names rightly now. Else nothing happens. */
enum status report_run_stage(const struct report_run *report, int64_t stage, struct err *err);

/* The final model over the validation items of the run's last stage, with its recipe's TTA: leaves
 * report.json, predictions.csv and predictions.ndjson, sends a warning for whatever is new, and an
 * `artifact` each. Without validation items nothing happens. Of a language model report.json alone,
 * with the `scores` that it had when it was validated. A report that cannot be made costs no
 * model: it becomes a warning, too; only E_CANCELLED is returned. */
enum status report_run_final(const struct report_run *report, const struct scores *scores,
                             struct err *err);

#endif
