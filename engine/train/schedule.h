/* schedule.h -- learning rate and momentum as functions of the step.
 *
 * Formulas are fastai's, in double precision (fastai rounds the position to float32, we do not).
 * cos anneal from s to e at p in [0,1]: s + (1 + cos(pi * (1 - p))) * (e - s) / 2.
 *
 * one_cycle v2: position p = step / steps, applied before the batch; up to pct_start the rate rises
 *   from max/div to max, after it falls to max/div_final; momentum runs the other way.
 * one_cycle v1: two phases of int(steps * pct_start) and the rest, each at least one step; a phase
 *   is applied after each batch, so step 0 runs at the start value and step k at the k-th value.
 * flat: the rate as given. flat_cos: flat up to pct_start, then a cosine down to max/div_final.
 * sgdr (Loshchilov & Hutter 2017): cycles of cycle_len, cycle_len*cycle_mult, ... epochs, each a
 *   cosine from max to 0; what does not fit the stage is cut off.
 * triangular (Howard & Ruder 2018, slanted): with cut = int(steps * cut_frac), at least 1, rises
 *   for cut steps from max/ratio to max along p = step/cut, then falls along
 *   p = 1 - (step - cut) / (cut * (1/cut_frac - 1)), never below 0: max * (1 + p*(ratio-1)) /
 * ratio. All but one_cycle leave momentum at momentum[0]. */
#ifndef THAW_ENGINE_TRAIN_SCHEDULE_H
#define THAW_ENGINE_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "base/json.h"
#include "base/status.h"

enum recipe_form { FORM_V1, FORM_V2 }; /* fastai's generations: schedule, optimiser and head */

enum schedule_kind {
    SCHEDULE_ONE_CYCLE,
    SCHEDULE_FLAT,
    SCHEDULE_FLAT_COS,
    SCHEDULE_SGDR,
    SCHEDULE_TRIANGULAR
};

struct schedule {
    enum schedule_kind kind;
    enum recipe_form form;
    double pct_start, div, div_final;
    int64_t cycle_len, cycle_mult; /* sgdr: epochs of the first cycle; growth */
    double cut_frac, ratio;        /* triangular */
    double momentum[3];            /* start, at the peak, end */
    int64_t steps;                 /* of the whole stage, at least 1 */
    int64_t steps_per_epoch;       /* sgdr counts in them; at least 1 */
};

/* From a resolved stage's "schedule": an object, or a name alone, which takes the defaults of
 * `form`. `steps` and `steps_per_epoch` are set by the caller. */
enum status schedule_parse(const struct json *json, enum recipe_form form,
                           struct schedule *schedule, struct err *err);

/* The share of the maximum rate that step `step` (from 0) uses; multiply by a group's rate. */
double schedule_rate(const struct schedule *schedule, int64_t step);
double schedule_momentum(const struct schedule *schedule, int64_t step);

/* The maximum rate of each of `n_groups` groups from a resolved "lr":
 *   3e-3                     the same for all
 *   {"slice": [a, b]}        geometric, a * (b/a)^(i/(n-1)); one group gets b
 *   {"slice": [null, b]}     b for the last group, b/10 for those before
 *   {"groups": [...]}        one each */
enum status schedule_parse_rates(const struct json *lr, int n_groups, double *rates,
                                 struct err *err);

#endif
