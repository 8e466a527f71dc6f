/* loader.h -- batches of a pack, decoded by threads, in an order that the threads cannot change.
 *
 * A training epoch is the items as the sampler orders them (order.h), cut into batches; the last
 * short one is dropped unless it is the only one. Crops and flips are drawn from
 * rng_stream("augment", seed, stage << 32 | epoch, item). A validation pass takes the items in
 * order with the centre crop; its last batch may be short. A pass of views is a validation pass in
 * which each item is followed by `views` augmented copies of itself, drawn from
 * rng_stream("augment", seed, view, item), view = 1... LOADER_AUGMENTED gives the very pictures of
 * the training epoch that is begun, but in the items' order and all of them. So batch k of an epoch
 * is a pure function of (pack, items, seed, stage, epoch, k), and a resumed run starts at any k.
 *
 * Threads: `threads` workers fill a ring of slots, LOADER_AHEAD batches ahead of the one that is
 * lent out. loader.lock guards all that they share and is a leaf. One thread consumes. */
#ifndef THAW_ENGINE_DATA_LOADER_H
#define THAW_ENGINE_DATA_LOADER_H

#include <stdint.h>

#include "base/status.h"
#include "engine/data/augment.h"
#include "engine/data/order.h"
#include "engine/data/pack.h"

#define LOADER_AHEAD 2 /* batches decoded ahead of the one that is lent out */

enum loader_pass { LOADER_TRAIN, LOADER_VALID, LOADER_VIEWS, LOADER_AUGMENTED };

struct loader_options {
    enum loader_pass pass;
    const uint32_t *items; /* borrowed until loader_open returns: item numbers of the pack */
    uint32_t n_items;
    int batch_size; /* lowered to n_items where larger */
    int size;       /* pictures are (size,size,3) */
    int threads;    /* at least 1 */
    uint64_t seed;
    struct augment_options augment; /* all passes but LOADER_VALID */
    int views;                      /* LOADER_VIEWS: augmented copies that follow each item */
    enum sampler sampler;           /* LOADER_TRAIN; the others take the items in order */
};

struct batch {
    const float *images;   /* (count,size,size,3), normalised; borrowed from the loader */
    size_t row_floats;     /* of one image: size*size*3 */
    const int32_t *labels; /* (count) */
    const uint32_t *items; /* (count) item numbers of the pack */
    int count;             /* batch_size, less only in the last batch of the other passes */
};

struct loader; /* owns its threads and slots; borrows the pack */

/* E_INVALID: no items, a size or batch that cannot be; E_NO_SPACE: the slots do not fit memory. */
enum status loader_open(const struct pack *pack, const struct loader_options *options,
                        struct loader **loader, struct err *err);
void loader_close(struct loader *loader);

int loader_batch_size(const struct loader *loader); /* after lowering */
int64_t loader_steps(const struct loader *loader);  /* batches of one epoch */

/* Begins an epoch at its batch number `first_step`; what was under way is dropped. A validation
 * pass ignores stage and epoch. */
void loader_begin(struct loader *loader, uint32_t stage, uint32_t epoch, int64_t first_step);

/* The next batch, lent until the following loader_next or loader_begin; at the end of the epoch
 * batch->count is 0. E_INVALID (an item cannot be decoded: its path is named) and E_IO end the
 * epoch. */
enum status loader_next(struct loader *loader, struct batch *batch, struct err *err);

#endif
