/* report_parts.h -- what a report keeps while rows come; shared by report.c, which fills it,
 * report_json.c, which writes it down, and report_pass.c. */
#ifndef THAW_ENGINE_TRAIN_REPORT_PARTS_H
#define THAW_ENGINE_TRAIN_REPORT_PARTS_H

#include "base/buf.h"
#include "engine/train/calibration.h"
#include "engine/train/confusion.h"
#include "engine/train/multilabel.h"
#include "engine/train/predictions.h"
#include "engine/train/report.h"
#include "engine/train/top_losses.h"

struct run_report {
    struct run_report_options options;
    int64_t classes;
    const char **names;  /* owned array of names borrowed from options.classes */
    float *row;          /* owned; (classes) probabilities of one item */
    float *targets;      /* owned; (classes) multi-label: whether it has each label */
    struct buf texts[2]; /* multi-label: the names of an item's labels, and of its predictions */

    int64_t items;              /* added */
    int64_t n;                  /* of these with a label: what all scores are about */
    double loss;                /* sum over the n */
    struct confusion confusion; /* empty for multi-label */
    struct calibration calibration;
    struct multilabel multilabel; /* multi-label only */
    struct top_losses top;
    struct predictions predictions;
};

/* Of one row: softmax, or a sigmoid each. */
void report_probabilities(bool multilabel, const float *logits, int64_t classes,
                          float *probabilities);

/* report.json, complete and under its name. */
enum status report_json_write(struct run_report *report, const struct json *curve,
                              const struct warnings *warnings, struct err *err);

#endif
