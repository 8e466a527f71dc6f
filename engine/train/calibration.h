/* calibration.h -- how far a figure can be trusted: intervals, and confidence against truth. */
#ifndef THAW_ENGINE_TRAIN_CALIBRATION_H
#define THAW_ENGINE_TRAIN_CALIBRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

struct interval {
    double low, high;
};

/* Wilson's 95 % score interval of a share `right` of `n` (Wilson 1927); NaN for n = 0. */
struct interval wilson_interval(int64_t right, int64_t n);

/* Expected calibration error over 15 bins of equal width, (low, high] (Guo et al. 2017): the mean
 * over items of |accuracy - mean confidence| of their bin. An item's confidence is the probability
 * of what was predicted. */
#define CALIBRATION_BINS 15

struct calibration {
    struct {
        int64_t n, right;
        double confidence; /* sum */
    } bins[CALIBRATION_BINS];
};

void calibration_add(struct calibration *calibration, double confidence, bool right);
double calibration_error(const struct calibration *calibration); /* NaN of nothing */

/* The reliability diagram: [{low, high, n, confidence, accuracy}], every bin; means of an empty one
 * are null. Owned by the caller. */
struct json *calibration_bins(const struct calibration *calibration);

#endif
