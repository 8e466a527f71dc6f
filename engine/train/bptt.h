/* bptt.h -- batches of a language model: all documents as one stream of words.
 *
 * As fastai's LMDataLoader: an epoch's documents, shuffled, one after the other, are cut into B
 * rows of equal length, (words - 1) / B each; a batch is the next T words of every row, its
 * targets the same words one further, so that a network's state goes on from batch to batch. The
 * last batch has the steps that are left. Of a validation pass the order is the documents' own.
 *
 * The stream is a pure function of the documents, the seed and the numbers of stage and epoch; a
 * row is a cursor into it, so that memory does not grow with the words. */
#ifndef THAW_ENGINE_TRAIN_BPTT_H
#define THAW_ENGINE_TRAIN_BPTT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/train/text_corpus.h"

struct bptt_options {
    const struct text_corpus *corpus; /* borrowed */
    const uint32_t *documents;        /* borrowed */
    uint32_t n_documents;
    int64_t batch, seq_len; /* B, T */
    bool shuffle, backwards;
    uint64_t seed;
};

struct bptt; /* owns an order and B cursors */

/* E_INVALID when there are fewer than two words a row. */
enum status bptt_open(const struct bptt_options *options, struct bptt **bptt, struct err *err);
void bptt_close(struct bptt *bptt);

int64_t bptt_steps(const struct bptt *bptt); /* batches of an epoch */

void bptt_begin(struct bptt *bptt, uint32_t stage, uint32_t epoch, int64_t first_step);
/* The next batch: tokens and targets (T,B), time-major; returns T, 0 at the epoch's end. */
int64_t bptt_next(struct bptt *bptt, int32_t *tokens, int32_t *targets);

/* Batches of an epoch over so many words. */
int64_t bptt_count(int64_t words, int64_t batch, int64_t seq_len);

#endif
