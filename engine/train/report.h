/* report.h -- what a finished model is worth, item by item: report.json, predictions.csv and
 * predictions.ndjson.
 *
 * The trainer opens a report before the pass of the final model over the validation items, adds
 * each batch's logits, and finishes it; tasks evaluate and predict do the same over another split.
 * Rows stream through: predictions go to disk at once, everything else is kept as counts, so a
 * million items need no more memory than a thousand. The files get their names when they are
 * complete and on disk; a report that is closed without being finished leaves nothing.
 *
 * The formulas stand where they are computed: confusion.h, calibration.h, multilabel.h, curve.h. */
#ifndef THAW_ENGINE_TRAIN_REPORT_H
#define THAW_ENGINE_TRAIN_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/data/pack.h"
#include "engine/data/split.h"
#include "engine/train/warnings.h"

#define REPORT_JSON   "report.json"
#define REPORT_CSV    "predictions.csv"
#define REPORT_NDJSON "predictions.ndjson"

struct run_report; /* owns the counts and the unfinished files; borrows what its options name */

struct run_report_options {
    const char *folder;         /* the three files are made there */
    const char *task;           /* "image_classification", "evaluate", ...: as in the spec */
    const char *split;          /* which items: "valid", "test", "train", "all" */
    const struct pack *pack;    /* paths, labels as the data set names them, the sizes of splits */
    const struct split *parts;  /* sizes of what trained and validated; NULL: the pack's own */
    const struct json *models;  /* array of names: those that were averaged; NULL: it is one */
    const struct json *classes; /* array of names in the order of the logits */
    const int32_t *label_map;   /* (the pack's classes) each one's place in `classes`, -1: the model
                                   does not know it; NULL: they are the same */
    bool multilabel;
    double threshold; /* multi-label: a class is predicted where its probability reaches this */
    const struct json *baseline; /* of texts: what a simple model reaches; NULL: none. Borrowed */
    const struct json *run; /* of training: {stages, vocabulary (of texts)}; or NULL. Borrowed */
    int64_t tta;            /* augmented views averaged into each row; 0: none */
};

/* Some items' outcome, in any number and order; no item twice. Their labels are the pack's. */
struct run_report_rows {
    int64_t rows;
    const uint32_t *items;      /* (rows) item numbers of the pack */
    const float *logits;        /* (rows, classes), or NULL and: */
    const float *probabilities; /* (rows, classes) */
};

enum status run_report_open(const struct run_report_options *options, struct run_report **report,
                            struct err *err);
enum status run_report_add(struct run_report *report, const struct run_report_rows *rows,
                           struct err *err);

/* Writes report.json and gives all three files their names. `curve` (curve.h; NULL: none) becomes
 * its learning_curve and power_law; `before` (may be NULL) are warnings that were given at the
 * start, and `warnings` gets these and what the results add: those from before->n on are new. */
enum status run_report_finish(struct run_report *report, const struct json *curve,
                              const struct warnings *before, struct warnings *warnings,
                              struct err *err);
void run_report_close(struct run_report *report); /* NULL is fine */

/* Of the rows added so far that have a label; NaN before the first. */
struct run_report_scores {
    int64_t n;
    double loss;                 /* multi-label: mean binary cross-entropy */
    double accuracy, error_rate; /* multi-label: of the whole set of labels */
};
struct run_report_scores run_report_scores(const struct run_report *report);

#endif
