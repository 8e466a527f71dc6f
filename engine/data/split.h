/* split.h -- which items train and which validate.
 *
 * A pack that brings a validation split keeps it. Otherwise each item's own content hash, mixed
 * with split_seed, ranks it within its class, and the first round(valid_fraction * n) of every
 * class validate: stratified, independent of order and of the job's seed, and nested (a smaller
 * fraction's set is part of a larger one's). Every class with two items or more has at least one
 * on either side; copies of one picture stay on one side where that is possible. The test split is
 * never used.
 *
 * Where items have groups (pack.h), the group's hash decides for all of it, whatever its classes:
 * it validates where its rank, a number in [0,1), is below the fraction. So the fraction is met on
 * average only, and a class may be missing on one side; but nothing of a group is on both.
 *
 * A sample is a part of a split ("1 % first"): within each class, items are ranked by content hash
 * and the job's seed, and the first max(min_per_class, round(fraction * n)) are taken. So it is
 * stratified, and nested: a smaller fraction's sample is part of a larger one's of the same seed.
 */
#ifndef THAW_ENGINE_DATA_SPLIT_H
#define THAW_ENGINE_DATA_SPLIT_H

#include <stdbool.h>
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

struct sample_options {
    double fraction;        /* in (0,1]; 1 = everything */
    uint32_t min_per_class; /* taken where a class has so many, however small the fraction */
    bool sample_valid;      /* validate on a sample too; else on all validation items */
};

/* E_INVALID when a class that trains would be left without an item; it is named, and what would
 * do. A sampled validation split keeps at least one item of each class it had. */
enum status split_sample(const struct pack *pack, const struct split *all,
                         const struct sample_options *options, uint64_t seed, struct split *sample,
                         struct err *err);

#endif
