/* confusion.h -- who was taken for whom, and the scores that follow from it.
 *
 * Counts only: memory does not grow with the items. Wrong answers are kept as a table of pairs, of
 * which there are at most 2^20: all of them up to 1000 classes; beyond that the pairs met first,
 * and a frequent pair is met early. Definitions are scikit-learn's: precision right/predicted,
 * recall right/actual, F1 2*right/(actual+predicted), macro F1 the mean over the classes that occur
 * among labels or predictions, balanced accuracy the mean recall over the classes that occur as
 * labels. */
#ifndef THAW_ENGINE_TRAIN_CONFUSION_H
#define THAW_ENGINE_TRAIN_CONFUSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define CONFUSION_MAX_MATRIX 1000 /* classes up to which every pair is counted */

struct pair_count {
    int32_t actual, predicted;
    int64_t count; /* 0: the slot is free */
};

struct class_count {
    int64_t actual, predicted, right;
};

struct confusion {
    int64_t classes, n, right;
    struct class_count *per_class; /* owned; (classes) */
    struct pair_count *slots;      /* owned; open addressing, a power of two */
    size_t n_slots, n_pairs;
};

enum status confusion_init(struct confusion *confusion, int64_t classes, struct err *err);
void confusion_deinit(struct confusion *confusion);
void confusion_add(struct confusion *confusion, int32_t actual, int32_t predicted);

int64_t confusion_count(const struct confusion *confusion, int32_t actual, int32_t predicted);

/* The most frequent wrong pairs, most frequent first, then by class; returns how many, at most
 * `max`. */
size_t confusion_worst(const struct confusion *confusion, struct pair_count *worst, size_t max);

/* NaN where nothing defines them: a precision of what was never predicted, a recall of what never
 * occurs, an F1 of what does neither. */
double class_precision(const struct class_count *count);
double class_recall(const struct class_count *count);
double class_f1(const struct class_count *count);

/* Over all classes; NaN when nothing was added. */
double confusion_accuracy(const struct confusion *confusion);
double confusion_majority_rate(const struct confusion *confusion); /* of always the commonest */
double confusion_balanced_accuracy(const struct confusion *confusion);
double class_macro_f1(const struct class_count *counts, int64_t classes);

#endif
