/* mix.h -- MixUp and CutMix: each picture of a batch is blended with another one of it.
 *
 *   MixUp   x = l*x + (1-l)*x[other], l = max(b, 1-b) drawn for each item, b ~ Beta(alpha, alpha)
 *           (Zhang et al. 2018, with fastai's maximum)
 *   CutMix  a box of the picture comes from the other one; one b ~ Beta(alpha, alpha) and one box a
 *           batch, l is what the box leaves of the area (Yun et al. 2019, fastai's rounding)
 *
 * The targets become l*t + (1-l)*t[other]. A batch is mixed in one way: the spec refuses both.
 * Everything is drawn from rng_stream("mix", seed, step): a resumed step repeats itself, and the
 * number of threads does not matter. */
#ifndef THAW_ENGINE_TRAIN_MIX_H
#define THAW_ENGINE_TRAIN_MIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/train/loss.h"

struct mix_options {
    double mixup, cutmix; /* alpha; 0 = off; at most one of them is on */
};

struct mix_box {
    int64_t left, top, right, bottom; /* right and bottom are outside; empty where equal */
};

struct mix {
    struct mix_options options;
    uint64_t seed;
    int64_t rows, classes; /* that the buffers hold */
    float *targets;        /* owned; (rows, classes); NULL while both are off */

    /* Of the last batch: drawn by mix_draw, used by mix_apply. */
    uint32_t *others; /* owned; (rows): whom each item is mixed with */
    float *shares;    /* owned; (rows): how much of itself each item keeps */
    bool cuts;        /* CutMix, with `box`; else MixUp */
    struct mix_box box;
};

/* For batches of at most `rows`. Nothing is allocated when both are off. */
enum status mix_init(struct mix *mix, const struct mix_options *options, uint64_t seed,
                     int64_t rows, int64_t classes, struct err *err);
void mix_deinit(struct mix *mix);

bool mix_is_on(const struct mix_options *options);

/* Writes the batch's pictures (count,size,size,3), mixed, to `input` (a plan's, another memory than
 * the batch's) and returns the soft targets (count, classes), good until the next call. When both
 * are off it copies the batch's rows, pictures or features, and returns NULL. `step` names the
 * draw: it must be different for every batch of a run. */
const float *mix_batch(struct mix *mix, struct loss *loss, const struct batch *batch, int64_t size,
                       uint64_t step, float *input);

/* --- the parts of mix_batch --- */

void mix_draw(struct mix *mix, int64_t count, int64_t size, uint64_t step);
const float *mix_apply(struct mix *mix, struct loss *loss, const struct batch *batch, int64_t size,
                       float *input);

/* The box of CutMix for a share b around (x, y) in a picture of this side: its sides are
 * round(size * sqrt(1-b)), even when halved, and it is cut at the picture's edges. */
struct mix_box mix_box_around(double b, int64_t x, int64_t y, int64_t size);

#endif
