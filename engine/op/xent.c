#include "engine/op/xent.h"

#include <math.h>
#include <stddef.h>

/* log(sum exp(logits)), shifted by the maximum so that nothing overflows. */
static double log_sum_exp(const float *logits, int64_t classes)
{
    float top = logits[0];
    double sum = 0;
    for (int64_t i = 1; i < classes; i++)
        top = logits[i] > top ? logits[i] : top;
    for (int64_t i = 0; i < classes; i++)
        sum += exp((double)logits[i] - top);
    return top + log(sum);
}

/* t[c] of row r. */
static double target(const struct xent_options *options, const struct xent_targets *targets,
                     int64_t r, int64_t c, int64_t classes)
{
    double p = targets->soft ? (double)targets->soft[r * classes + c] : c == targets->labels[r];
    double t = (1 - options->smoothing) * p + options->smoothing / (double)classes;
    return options->weights ? t * options->weights[c] : t;
}

double xent_sum(const struct xent_options *options, const float *logits,
                const struct xent_targets *targets, int64_t rows, int64_t classes, double divisor,
                float *gradient, float *row_loss)
{
    double total = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float *row = logits + r * classes;
        double log_sum = log_sum_exp(row, classes), loss = 0, weight = 0;
        for (int64_t c = 0; c < classes; c++) {
            double t = target(options, targets, r, c, classes);
            weight += t;
            if (t != 0)
                loss += t * (log_sum - row[c]);
        }
        for (int64_t c = 0; gradient && c < classes; c++) {
            double t = target(options, targets, r, c, classes);
            gradient[r * classes + c] = (float)((weight * exp(row[c] - log_sum) - t) / divisor);
        }
        if (row_loss)
            row_loss[r] = (float)loss;
        total += loss;
    }
    return total;
}

double xent_weight(const struct xent_options *options, const struct xent_targets *targets,
                   int64_t rows)
{
    if (targets->soft || !options->weights)
        return (double)rows;
    double sum = 0;
    for (int64_t r = 0; r < rows; r++)
        sum += options->weights[targets->labels[r]];
    return sum;
}

double xent_loss(const float *logits, const int32_t *labels, int64_t rows, int64_t classes,
                 float *gradient, float *row_loss)
{
    static const struct xent_options plain = {0, NULL};
    struct xent_targets targets = {labels, NULL};
    double n = (double)rows;
    return xent_sum(&plain, logits, &targets, rows, classes, n, gradient, row_loss) / n;
}

int64_t row_largest(const float *row, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (row[i] > row[best])
            best = i;
    return best;
}

void softmax_rows(const float *logits, int64_t rows, int64_t classes, float *probabilities)
{
    for (int64_t r = 0; r < rows; r++) {
        double log_sum = log_sum_exp(logits + r * classes, classes);
        for (int64_t i = 0; i < classes; i++)
            probabilities[r * classes + i] = (float)exp(logits[r * classes + i] - log_sum);
    }
}
