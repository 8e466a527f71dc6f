/* text_items.h -- which texts a language model learns from, and on which it is validated.
 *
 * It learns from all texts that the classifier may know: the training items and those without a
 * label; of the classifier's validation items only where "text.lm_on_valid" says so, never of a
 * test split. A tenth of them (lm_valid_fraction), chosen by each text's own hash, validates the
 * language model. Where there is no classifier, the data set's own validation split does, if it has
 * one. A sample is chosen likewise by hash and seed, so that a smaller one is part of a larger one;
 * it has at least a hundred texts, where there are so many. */
#ifndef THAW_ENGINE_TRAIN_TEXT_ITEMS_H
#define THAW_ENGINE_TRAIN_TEXT_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/data/pack.h"
#include "engine/data/split.h"

struct text_items_options {
    const struct pack *pack;   /* borrowed */
    const struct split *split; /* of the classifier; NULL: there is none */
    double valid_fraction;
    bool on_valid;
    double sample; /* in (0,1] */
    uint64_t seed; /* of the sample */
};

/* Item numbers, ascending; owned by the caller (split_deinit). E_INVALID when there is none to
 * learn from. */
enum status text_items(const struct text_items_options *options, struct split *items,
                       struct err *err);

#endif
