/* erase.h -- random erasing (Zhong et al. 2017, as fastai's): a rectangle of noise, N(0,1), in a
 * picture that is normalised already. */
#ifndef THAW_ENGINE_DATA_ERASE_H
#define THAW_ENGINE_DATA_ERASE_H

#include "engine/data/augment.h"

/* The rectangle in a picture of this side; empty (width 0) when there is none. */
struct region erase_region(const struct augment *augment, int size);

/* In place, (size,size,3). The noise is that of rng_stream("erase", augment->noise, 0, 0), pixel by
 * pixel in reading order. */
void erase_apply(const struct augment *augment, int size, float *values);

#endif
