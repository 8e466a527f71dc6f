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

double xent_loss(const float *logits, const int32_t *labels, int64_t rows, int64_t classes,
                 float *gradient, float *row_loss)
{
    double total = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float *row = logits + r * classes;
        double log_sum = log_sum_exp(row, classes), loss = log_sum - row[labels[r]];
        total += loss;
        if (row_loss)
            row_loss[r] = (float)loss;
        for (int64_t i = 0; gradient && i < classes; i++) {
            double target = i == labels[r];
            gradient[r * classes + i] = (float)((exp(row[i] - log_sum) - target) / (double)rows);
        }
    }
    return total / (double)rows;
}

void softmax_rows(const float *logits, int64_t rows, int64_t classes, float *probabilities)
{
    for (int64_t r = 0; r < rows; r++) {
        double log_sum = log_sum_exp(logits + r * classes, classes);
        for (int64_t i = 0; i < classes; i++)
            probabilities[r * classes + i] = (float)exp(logits[r * classes + i] - log_sum);
    }
}
