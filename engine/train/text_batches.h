/* text_batches.h -- batches of texts for a classifier: by length, so that little is padding.
 *
 * As fastai's SortedDL: an epoch's items, shuffled (or drawn, order.h), fall into pools of 50
 * batches, each sorted from the longest text to the shortest; then the batches between the first
 * and the last are shuffled. The longest text of all comes first, so that memory is known at once.
 * A pass that does not train takes the items by length, all of them. */
#ifndef THAW_ENGINE_TRAIN_TEXT_BATCHES_H
#define THAW_ENGINE_TRAIN_TEXT_BATCHES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/data/loader.h"
#include "engine/data/order.h"
#include "engine/train/text_corpus.h"

struct text_batches_options {
    const struct pack *pack;          /* all borrowed */
    const struct text_corpus *corpus; /* has the items' documents */
    const uint32_t *items;
    uint32_t n_items;
    int64_t batch;
    bool train; /* shuffled, whole batches alone; else by length, the last one as it is */
    bool balanced;
    uint64_t seed;
};

struct text_batches; /* owns an order and one batch's labels */

enum status text_batches_open(const struct text_batches_options *options,
                              struct text_batches **batches, struct err *err);
void text_batches_close(struct text_batches *batches);

void text_batches_begin(struct text_batches *batches, uint32_t stage, uint32_t epoch,
                        int64_t first_step);
/* The next batch: items and labels, borrowed until the next call; count 0 at the end. */
void text_batches_next(struct text_batches *batches, struct batch *batch);

#endif
