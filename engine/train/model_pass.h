/* model_pass.h -- a model over some items, once, in order: what every report is made from.
 *
 * The pass has a plan and a loader of its own, for inference; the graph's weights stay as they are.
 * It goes to its end by itself (model_pass_run), or batch by batch (model_stream), so that several
 * models can be taken over the same items side by side. */
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

/* Batch by batch. Passes over the same items with the same batch and views, of pictures or of
 * texts, have the same items in each batch, whatever the model. */
struct model_stream; /* owns plans and loader; borrows the pass */
enum status model_stream_open(const struct model_pass *pass, struct model_stream **stream,
                              struct err *err);
void model_stream_close(struct model_stream *stream); /* NULL is fine */
/* The next batch and its logits, both lent until the following call; count 0 at the end. */
enum status model_stream_next(struct model_stream *stream, struct batch *batch,
                              const float **logits, struct err *err);
/* Asks the pass's go_on after a batch; E_CANCELLED: told to stop. */
enum status model_stream_poll(struct model_stream *stream, struct err *err);

#endif
