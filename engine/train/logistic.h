/* logistic.h -- logistic regression over sparse rows, as scikit-learn's LogisticRegression.
 *
 * Minimises C * (sum of the rows' cross-entropies) + |W|^2 / 2; biases are free of the penalty. Two
 * classes have one vector of weights (the decision is for the second), more have one each. By
 * L-BFGS (Nocedal & Wright 2006, algorithms 7.4 and 7.5) until the gradient is next to nothing: the
 * function is convex, so there is one answer. Sums have one order: the result is the same wherever
 * and however often it is computed. */
#ifndef THAW_ENGINE_TRAIN_LOGISTIC_H
#define THAW_ENGINE_TRAIN_LOGISTIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/text/sparse.h"

struct logistic_options {
    double c; /* the larger, the weaker the penalty */
    int max_steps;
    bool (*go_on)(
        void *context); /* NULL, or asked before every step: false ends with E_CANCELLED */
    void *context;
};

struct logistic {
    double *weights; /* owned; (rows(n_classes), n_columns), then a bias for each */
    uint32_t n_classes, n_columns;
    int steps; /* that it took */
};

/* labels[rows->n_rows], each below n_classes, which is at least 2. */
enum status logistic_fit(const struct sparse_rows *rows, const uint32_t *labels, uint32_t n_classes,
                         const struct logistic_options *options, struct logistic *model,
                         struct err *err);
void logistic_deinit(struct logistic *model);

/* Of one row: scores[n_classes], of two classes 0 and the decision. */
void logistic_scores(const struct logistic *model, const struct sparse_rows *rows, uint32_t row,
                     double *scores);

#endif
