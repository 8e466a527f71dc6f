#include "engine/op/bce.h"

#include <math.h>
#include <stddef.h>

/* 1 / (1 + exp(-z)) without an overflow. */
static double sigmoid(double z)
{
    double e = exp(-fabs(z));
    return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static double value_loss(double z, double t)
{
    return (z > 0 ? z : 0) - z * t + log1p(exp(-fabs(z)));
}

double bce_sum(const float *logits, const float *targets, const float *weights, int64_t rows,
               int64_t classes, double divisor, float *gradient, float *row_loss)
{
    double total = 0;
    for (int64_t r = 0; r < rows; r++) {
        double loss = 0;
        for (int64_t c = 0; c < classes; c++) {
            int64_t i = r * classes + c;
            double z = logits[i], t = targets[i], w = weights ? weights[c] : 1;
            loss += w * value_loss(z, t);
            if (gradient)
                gradient[i] = (float)(w * (sigmoid(z) - t) / divisor);
        }
        if (row_loss)
            row_loss[r] = (float)(loss / (double)classes);
        total += loss;
    }
    return total;
}

void sigmoid_rows(const float *logits, int64_t rows, int64_t classes, float *probabilities)
{
    for (int64_t i = 0; i < rows * classes; i++)
        probabilities[i] = (float)sigmoid(logits[i]);
}
