/* batches.h -- where a stage's batches come from: a loader's pictures, or a cache's features, in
 * the very same order. In a batch of features, batch.images is (count, row_floats). */
#ifndef THAW_ENGINE_TRAIN_BATCHES_H
#define THAW_ENGINE_TRAIN_BATCHES_H

#include <stdint.h>

#include "base/status.h"
#include "engine/data/loader.h"
#include "engine/train/feature_cache.h"

struct batches; /* owns a loader, or reads from a cache */

/* A loader over pack and options. */
enum status batches_open(const struct pack *pack, const struct loader_options *options,
                         struct batches **batches, struct err *err);
/* The batches that loader_open with these options would give, as features. Borrows the cache, which
 * is filled. */
enum status batches_open_cached(const struct feature_cache *cache, const struct pack *pack,
                                const struct loader_options *options, struct batches **batches,
                                struct err *err);
void batches_close(struct batches *batches);

int64_t batches_steps(const struct batches *batches); /* of one epoch */

/* As loader_begin and loader_next. */
void batches_begin(struct batches *batches, uint32_t stage, uint32_t epoch, int64_t first_step);
enum status batches_next(struct batches *batches, struct batch *batch, struct err *err);

#endif
