/* metrics.h -- the numbers a run reports: smoothed training loss, validation loss, accuracy. */
#ifndef THAW_ENGINE_TRAIN_METRICS_H
#define THAW_ENGINE_TRAIN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

/* Exponential moving average with beta .98, debiased (fastai's AvgSmoothLoss): reported train loss.
 * Zeroed at the start of a stage. */
struct smooth_loss {
    double average;
    int64_t count;
};

void smooth_loss_add(struct smooth_loss *loss, double value);
double smooth_loss_value(const struct smooth_loss *loss); /* NaN before the first value */

/* Sums over a validation pass. */
struct evaluation {
    double loss_sum;
    int64_t correct, rows;
};

/* Adds `rows` rows of logits (rows, classes). */
void evaluation_add(struct evaluation *evaluation, const float *logits, const int32_t *labels,
                    int64_t rows, int64_t classes);

/* What an epoch ends with. NaN = not known (no validation items). */
struct scores {
    double train_loss, valid_loss, accuracy, error_rate;
};

struct scores scores_unknown(void); /* all NaN */
struct scores scores_from(const struct smooth_loss *train, const struct evaluation *valid);

/* As fields of an event (NaN becomes null), and back. */
void scores_set(const struct scores *scores, struct json *object);
struct scores scores_parse(const struct json *object);

/* The metric called `name`, NaN if there is none; and whether `a` is better than `b` in it (lower
 * for losses and errors, higher for accuracy; anything is better than NaN). */
bool scores_knows(const char *name);
double scores_get(const struct scores *scores, const char *name);
bool scores_is_better(const char *name, double a, double b);

#endif
