/* split.h -- which items train and which validate.
 *
 * A pack that brings a validation split keeps it. Otherwise each item's own content hash, mixed
 * with split_seed, ranks it within its class, and the first round(valid_fraction * n) of every
 * class validate: stratified, independent of order and of the job's seed, and nested (a smaller
 * fraction's set is part of a larger one's). Every class with two items or more has at least one
 * on either side; copies of one picture stay on one side where that is possible. The test split is
 * never used. */
#ifndef THAW_ENGINE_DATA_SPLIT_H
#define THAW_ENGINE_DATA_SPLIT_H

#include <stdint.h>

#include "base/status.h"
#include "engine/data/pack.h"

struct split {
    uint32_t *train; /* owned; item numbers, ascending */
    uint32_t *valid; /* owned; item numbers, ascending */
    uint32_t n_train, n_valid;
};

/* valid_fraction in [0,1); with 0 and no validation split, valid is empty. */
enum status split_make(const struct pack *pack, double valid_fraction, uint64_t split_seed,
                       struct split *split, struct err *err);
void split_deinit(struct split *split);

#endif
