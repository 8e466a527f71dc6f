/* sequence.h -- what a plan asks of the operations over sequences beyond op.h's contract. */
#ifndef THAW_ENGINE_OP_SEQUENCE_H
#define THAW_ENGINE_OP_SEQUENCE_H

#include "engine/core/plan_build.h"

/* The state h, then c, (B,H) each, that the last run left. */
float *lstm_state(const struct plan *plan, int node, size_t *floats);
/* Row `row` of the mask of the hidden-to-hidden weights that the current forward draws. */
void lstm_draw_row(const struct plan *plan, int64_t node, int64_t row, float *mask, int64_t n);

/* By what the embedding of `word` is multiplied in the current forward. */
float embedding_draw(const struct plan *plan, int64_t node, int64_t word);

/* (n,V) logits of rows of a decoder's input, after a forward. */
void decoder_logits(const struct plan *plan, int node, const int32_t *rows, int64_t n,
                    float *logits);

#endif
