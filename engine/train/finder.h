/* finder.h -- the learning-rate finder's curve, and what is read off it (Smith 2017, as fastai v2
 * does it).
 *
 * The rate of step i of n is start * (end/start)^(i/n). The loss is smoothed like a run's
 * (metrics.h); the sweep is over after n steps, when the smoothed loss exceeds four times its best,
 * or when a loss is no number (which is not recorded). Suggestions look at the smoothed losses
 * without the first n/10 and the last 5:
 *
 *   valley    within the longest decreasing subsequence: at start + int(len/3) + int(len/6), where
 *             end is where the first longest one ends and start = end - len
 *   steep     where the loss falls fastest over the logarithm of the rate
 *   minimum   the rate at the lowest loss, divided by 10
 *   slide     from the end, an interval of 15 steps slides down until the loss's slopes at its ends
 *             differ by .005 at most
 *
 * How a run is swept without being changed: finder_run.h. */
#ifndef THAW_ENGINE_TRAIN_FINDER_H
#define THAW_ENGINE_TRAIN_FINDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "engine/train/metrics.h"

#define FINDER_FILE      "lr_find.json"
#define FINDER_MAX_STEPS 10000

struct finder_options {
    double start, end; /* rates, 0 < start < end */
    int64_t steps;     /* 1..FINDER_MAX_STEPS */
};

struct finder {
    struct finder_options options;
    double *rates, *losses, *smoothed; /* owned; one a recorded step */
    int64_t n;                         /* recorded steps */
    struct smooth_loss average;
    double best; /* lowest smoothed loss */
};

void finder_init(struct finder *finder, const struct finder_options *options);
void finder_deinit(struct finder *finder);

double finder_rate(const struct finder *finder);     /* of the next step */
bool finder_add(struct finder *finder, double loss); /* of that step; false: the sweep is over */

/* Rates; NaN = the curve is too short for this one. */
struct finder_suggestions {
    double valley, steep, minimum, slide;
};
struct finder_suggestions finder_suggest(const struct finder *finder);

/* {learning_rates, losses, smoothed, suggestions:{valley, steep, minimum, slide}}; the caller's. */
struct json *finder_json(const struct finder *finder);

#endif
