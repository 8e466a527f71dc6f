#include "engine/train/calibration.h"

#include <math.h>

#define Z 1.959963984540054 /* the normal distribution's 97.5th percentile */

struct interval wilson_interval(int64_t right, int64_t n)
{
    if (n == 0)
        return (struct interval){NAN, NAN};
    double count = (double)n, p = (double)right / count, z2 = Z * Z;
    double centre = (p + z2 / (2 * count)) / (1 + z2 / count);
    double half = Z / (1 + z2 / count) * sqrt(p * (1 - p) / count + z2 / (4 * count * count));
    /* The ends of all right and all wrong are 1 and 0: rounding must not miss them. */
    return (struct interval){right == 0 ? 0 : centre - half, right == n ? 1 : centre + half};
}

void calibration_add(struct calibration *calibration, double confidence, bool right)
{
    int bin = (int)ceil(confidence * CALIBRATION_BINS) - 1;
    bin = bin < 0 ? 0 : bin >= CALIBRATION_BINS ? CALIBRATION_BINS - 1 : bin;
    calibration->bins[bin].n++;
    calibration->bins[bin].right += right;
    calibration->bins[bin].confidence += confidence;
}

double calibration_error(const struct calibration *calibration)
{
    double sum = 0;
    int64_t n = 0;
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        sum += fabs((double)calibration->bins[i].right - calibration->bins[i].confidence);
        n += calibration->bins[i].n;
    }
    return n > 0 ? sum / (double)n : NAN;
}

struct json *calibration_bins(const struct calibration *calibration)
{
    struct json *list = json_new_array();
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        double n = (double)calibration->bins[i].n;
        struct json *bin = json_add_object(list);
        json_set_number(bin, "low", (double)i / CALIBRATION_BINS);
        json_set_number(bin, "high", (double)(i + 1) / CALIBRATION_BINS);
        json_set_integer(bin, "n", calibration->bins[i].n);
        json_set_number(bin, "confidence", n > 0 ? calibration->bins[i].confidence / n : NAN);
        json_set_number(bin, "accuracy", n > 0 ? (double)calibration->bins[i].right / n : NAN);
    }
    return list;
}
