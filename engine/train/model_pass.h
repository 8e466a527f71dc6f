/* model_pass.h -- a model over some items, once, in order: what every report is made from.
 *
 * The pass has a plan and a loader of its own, for inference; the graph's weights stay as they are.
 */
#ifndef THAW_ENGINE_TRAIN_MODEL_PASS_H
#define THAW_ENGINE_TRAIN_MODEL_PASS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/data/loader.h"

struct text_pass;

struct model_pass {
    struct graph *graph; /* all borrowed */
    const struct pack *pack;
    const uint32_t *items;
    uint32_t n_items;
    int size, batch, threads;
    int views; /* augmented copies that follow each item's row (loader.h); 0: none */
    struct augment_options augment;
    uint64_t seed;                /* names their draws */
    const struct text_pass *text; /* of texts (text_pass.h); else NULL */

    /* Called after each batch, with the batches done so far and in all; false: stop. May be NULL.
     */
    bool (*go_on)(void *context, int64_t done, int64_t total);
    void *context;
};

/* `take` gets each batch's logits (batch->count, classes); its failure ends the pass. E_CANCELLED:
 * told to stop. */
enum status model_pass_run(const struct model_pass *pass,
                           enum status (*take)(void *taker, const struct batch *batch,
                                               const float *logits, struct err *err),
                           void *taker, struct err *err);

#endif
