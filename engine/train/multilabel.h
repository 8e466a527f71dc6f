/* multilabel.h -- scores of a model that may give an item several labels, or none.
 *
 * A class is predicted where its probability reaches the threshold. F1 as in confusion.h; micro
 * F1 over all classes' counts together; subset accuracy: the share of items with exactly the right
 * labels. Average precision is scikit-learn's average_precision_score: the sum over falling scores
 * of (recall gained) * precision, equal scores taken together; its mean (mAP) is over the classes
 * that occur as labels.
 *
 * Average precision needs every score of a class in order. Scores wait in an unnamed file of
 * the folder, and are sorted for as many classes at a time as fit 64 MB. */
#ifndef THAW_ENGINE_TRAIN_MULTILABEL_H
#define THAW_ENGINE_TRAIN_MULTILABEL_H

#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "engine/train/confusion.h"

struct multilabel {
    int64_t classes, n;
    int64_t right; /* items with exactly the right labels */
    double threshold;
    struct class_count *per_class; /* owned; (classes) */
    FILE *scores; /* owned; (n, classes) floats, negative where the label is there */
    float *row;   /* owned; (classes) */
};

enum status multilabel_init(struct multilabel *scores, int64_t classes, double threshold,
                            const char *folder, struct err *err);
void multilabel_deinit(struct multilabel *scores);

/* One item: probabilities and targets (0 or 1) are (classes). */
enum status multilabel_add(struct multilabel *scores, const float *probabilities,
                           const float *targets, struct err *err);

double multilabel_micro_f1(const struct multilabel *scores);

/* precision[c] of each class, NaN where it does not occur, and their mean. */
enum status multilabel_average_precision(struct multilabel *scores, double *precision, double *mean,
                                         struct err *err);

#endif
