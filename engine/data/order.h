/* order.h -- the order in which an epoch takes its items: a pure function of pack, items, seed,
 * stage and epoch, for all that read batches (loader.h; cached features in engine/train). */
#ifndef THAW_ENGINE_DATA_ORDER_H
#define THAW_ENGINE_DATA_ORDER_H

#include <stdint.h>

#include "base/status.h"
#include "engine/data/pack.h"

enum sampler {
    SAMPLER_SHUFFLED, /* every item once: rng_stream("order", seed, stage, epoch) */
    SAMPLER_BALANCED, /* for each place a class, each with the same chance, then one of its items:
                         rng_stream("balanced", seed, stage, epoch). An item may come often or not
                         at all; of several labels each is one of these classes, and items without
                         a label are a class too */
    SAMPLER_IN_ORDER  /* as given */
};

struct order; /* owns a copy of the items */

/* `items` and `pack` are borrowed until it returns. */
enum status order_new(const struct pack *pack, const uint32_t *items, uint32_t n,
                      enum sampler sampler, uint64_t seed, struct order **order, struct err *err);
void order_free(struct order *order);

/* The items of an epoch, as many as there are, to `out`. */
void order_draw(const struct order *order, uint32_t stage, uint32_t epoch, uint32_t *out);

#endif
