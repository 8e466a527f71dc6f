/* lighting.h -- brightness and contrast in logit space, as fastai's.
 *
 * A value v in 0..1 becomes sigmoid(contrast * (logit(v) + logit(brightness))), with logit clamped
 * to 1e-7 from either end, so 0 and 1 stay finite. */
#ifndef THAW_ENGINE_DATA_LIGHTING_H
#define THAW_ENGINE_DATA_LIGHTING_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/data/augment.h"

bool lighting_is_plain(const struct augment *augment);

/* In place; n values in 0..1. */
void lighting_apply(const struct augment *augment, float *values, size_t n);

#endif
