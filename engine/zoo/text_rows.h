/* text_rows.h -- texts side by side in front of a classifier's encoder, which reads them chunk by
 * chunk.
 *
 * Each row's text begins at a chunk's first step, where the row forgets what it read before; in
 * front of it and behind it stands padding. Where texts begin, and how much of the encoder's output
 * is kept, the caller decides: training lays a batch out as fastai does
 * (engine/train/text_chunks.c), prediction so that a text's answer does not depend on those beside
 * it (engine/infer/text_classifier.c). */
#ifndef THAW_ENGINE_ZOO_TEXT_ROWS_H
#define THAW_ENGINE_ZOO_TEXT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/core/plan.h"

struct text_row {
    const int32_t *words; /* borrowed */
    int64_t n;
    int64_t begins; /* step of time of its first word: a multiple of the chunks' steps */
    bool backwards; /* the last word is read first */
};

/* Rows whose text begins at step `first` forget. */
void text_rows_begin(struct plan *encoder, const struct text_row *rows, int64_t n, int64_t first);

/* The plan's tokens (steps, batch) of the steps first, first + 1, ...; rows from n up to `batch`
 * are padding. */
enum status text_rows_read(struct plan *encoder, const struct text_row *rows, int64_t n,
                           int64_t batch, int64_t first, int64_t steps, struct err *err);

#endif
