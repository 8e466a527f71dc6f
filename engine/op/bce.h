/* bce.h -- binary cross-entropy on logits, for targets of which any number may be true.
 *
 * One value: w[c] * (max(z,0) - z*t + log(1 + exp(-|z|))), as torch's BCEWithLogitsLoss(weight):
 * it neither overflows nor loses what is small. Sums are in double. */
#ifndef THAW_ENGINE_OP_BCE_H
#define THAW_ENGINE_OP_BCE_H

#include <stdint.h>

/* The sum over all values; logits, targets and gradient are (rows, classes), weights (classes) or
 * NULL for all 1. gradient (may be NULL) gets d(sum / divisor)/d(logits); row_loss (may be NULL)
 * each row's mean over its classes. */
double bce_sum(const float *logits, const float *targets, const float *weights, int64_t rows,
               int64_t classes, double divisor, float *gradient, float *row_loss);

/* Probabilities (rows, classes) of logits, each by itself. */
void sigmoid_rows(const float *logits, int64_t rows, int64_t classes, float *probabilities);

#endif
