/* metrics.h -- the numbers a run reports: smoothed training loss, validation loss, accuracy. */
#ifndef THAW_ENGINE_TRAIN_METRICS_H
#define THAW_ENGINE_TRAIN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "engine/train/loss.h"

/* Exponential moving average with beta .98, debiased (fastai's AvgSmoothLoss): reported train loss.
 * Zeroed at the start of a stage. */
struct smooth_loss {
    double average;
    int64_t count;
};

void smooth_loss_add(struct smooth_loss *loss, double value);
double smooth_loss_value(const struct smooth_loss *loss); /* NaN before the first value */

/* Sums over a validation pass (validate.h). */
struct evaluation {
    struct loss_sum loss;
    int64_t correct, rows;
    bool of_words; /* of a language model: rows are words, and exp(loss) is a perplexity */
};

/* What an epoch ends with. NaN = not known (no validation items). */
struct scores {
    double train_loss, valid_loss, accuracy, error_rate;
    double perplexity; /* of language models alone */
};

struct scores scores_unknown(void); /* all NaN */
struct scores scores_from(const struct smooth_loss *train, const struct evaluation *valid);

/* As fields of an event (NaN becomes null; perplexity is there for language models alone), and
 * back. */
void scores_set(const struct scores *scores, struct json *object);
struct scores scores_parse(const struct json *object);

/* The metric called `name`, NaN if there is none; and whether `a` is better than `b` in it (lower
 * for losses and errors, higher for accuracy; anything is better than NaN). */
bool scores_knows(const char *name);
double scores_get(const struct scores *scores, const char *name);
bool scores_is_better(const char *name, double a, double b);
bool scores_is_better_by(const char *name, double a, double b, double more_than);

#endif
