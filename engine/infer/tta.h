/* tta.h -- test-time augmentation, as fastai's: the probabilities of several augmented views are
 * averaged, and mixed with those of the plain picture (beta .25).
 *
 * What a view is like depends on its number and the picture's size alone, so the same picture gets
 * the same answer, whatever is asked before or with it. */
#ifndef THAW_ENGINE_INFER_TTA_H
#define THAW_ENGINE_INFER_TTA_H

#include <stdint.h>

#include "engine/data/augment.h"

#define TTA_VIEWS 4    /* beside the plain picture */
#define TTA_BETA  0.25 /* the plain picture's weight */

/* View 0, 1, ...: drawn from augment_full(), for a picture of width x height as people see it. */
struct augment tta_view(int width, int height, int view);

/* `plain` (n) becomes (1 - TTA_BETA) * sum / n_views + TTA_BETA * plain; `sum` (n) is over the
 * views. n_views 0 leaves it. */
void tta_mix(float *plain, const float *sum, int n_views, int64_t n);

#endif
