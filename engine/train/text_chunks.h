/* text_chunks.h -- a classifier of texts over one batch: the encoder chunk by chunk, then the head.
 *
 * As fastai's SentenceEncoder: every text is padded in front by whole chunks of seq_len and behind
 * by the rest, up to the longest of the batch; the encoder goes over the chunks with its state
 * carried on, which a row forgets where its text begins. Of the outputs the last chunks that fit
 * into max_len are kept, and the head pools those that are no padding.
 *
 * No gradient flows from one chunk into the one before. So the backward pass takes each kept chunk
 * by itself: the state at its beginning is put back, it is run forward again with the same masks,
 * then backward. Memory does not grow with the length of texts. */
#ifndef THAW_ENGINE_TRAIN_TEXT_CHUNKS_H
#define THAW_ENGINE_TRAIN_TEXT_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/core/plan.h"
#include "engine/train/text_corpus.h"

struct text_chunks_options {
    enum plan_mode mode;
    int64_t batch;
    int64_t seq_len, max_len;
    int64_t longest; /* words of the longest text: fewer outputs are kept where that is shorter */
    int frozen_groups;
    bool backwards;
};

/* The two plans, as plan_new takes them: for those who only count. */
struct plan_options text_chunks_encoder(const struct text_chunks_options *options,
                                        const struct graph *graph);
struct plan_options text_chunks_head(const struct text_chunks_options *options,
                                     const struct graph *graph);

struct text_chunks; /* owns two plans and the states between chunks; borrows the graph */

enum status text_chunks_new(struct graph *graph, const struct text_chunks_options *options,
                            struct text_chunks **chunks, struct err *err);
void text_chunks_free(struct text_chunks *chunks); /* NULL is fine */

void text_chunks_refresh(struct text_chunks *chunks); /* as plan_refresh */
void text_chunks_hash(const struct text_chunks *chunks, char hex[65]);

/* Logits (batch, classes) of `count` documents; rows beyond them are meaningless. `draw` names what
 * dropout draws. */
enum status text_chunks_forward(struct text_chunks *chunks, const struct text_corpus *corpus,
                                const uint32_t *documents, int64_t count, uint64_t seed,
                                uint64_t draw, struct err *err);
const float *text_chunks_logits(const struct text_chunks *chunks);

/* Of the last forward: write the gradient of the logits, then every gradient is computed. */
float *text_chunks_gradient(struct text_chunks *chunks);
enum status text_chunks_backward(struct text_chunks *chunks, struct err *err);

#endif
