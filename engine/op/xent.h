/* xent.h -- softmax cross-entropy over rows of logits.
 *
 * With smoothing e, class weights w and target probabilities p (one-hot for a label), C classes:
 *     row loss = sum over c of t[c] * -log softmax(z)[c],  t[c] = w[c] * ((1-e) * p[c] + e/C)
 * which is torch's for labels and for probabilities alike; they differ in what a sum of rows is
 * divided by: xent_weight. Sums are in double. */
#ifndef THAW_ENGINE_OP_XENT_H
#define THAW_ENGINE_OP_XENT_H

#include <stdint.h>

/* Mean over `rows` of -log softmax(logits)[label]. logits and gradient are (rows, classes);
 * gradient (may be NULL) gets d(mean loss)/d(logits) = (softmax - onehot) / rows; row_loss (may be
 * NULL) each row's loss. */
double xent_loss(const float *logits, const int32_t *labels, int64_t rows, int64_t classes,
                 float *gradient, float *row_loss);

struct xent_options {
    double smoothing;     /* e, in [0,1) */
    const float *weights; /* (classes); NULL: all 1 */
};

/* What the rows' targets are: labels (rows), or, where not NULL, soft (rows, classes). */
struct xent_targets {
    const int32_t *labels;
    const float *soft;
};

/* The sum of the rows' losses; gradient (may be NULL) gets d(sum / divisor)/d(logits). */
double xent_sum(const struct xent_options *options, const float *logits,
                const struct xent_targets *targets, int64_t rows, int64_t classes, double divisor,
                float *gradient, float *row_loss);

/* What torch's "mean" divides that sum by: the labels' weights; of soft targets the rows. */
double xent_weight(const struct xent_options *options, const struct xent_targets *targets,
                   int64_t rows);

/* The place of the largest of a row's n logits or probabilities, of equals the first. */
int64_t row_largest(const float *row, int64_t n);

/* Probabilities (rows, classes) of logits. */
void softmax_rows(const float *logits, int64_t rows, int64_t classes, float *probabilities);

#endif
