/* xent.h -- softmax cross-entropy over rows of logits. */
#ifndef THAW_ENGINE_OP_XENT_H
#define THAW_ENGINE_OP_XENT_H

#include <stdint.h>

/* Mean over `rows` of -log softmax(logits)[label]. logits and gradient are (rows, classes);
 * gradient (may be NULL) gets d(mean loss)/d(logits) = (softmax - onehot) / rows; row_loss (may be
 * NULL) each row's loss. Sums are in double. */
double xent_loss(const float *logits, const int32_t *labels, int64_t rows, int64_t classes,
                 float *gradient, float *row_loss);

/* Probabilities (rows, classes) of logits. */
void softmax_rows(const float *logits, int64_t rows, int64_t classes, float *probabilities);

#endif
