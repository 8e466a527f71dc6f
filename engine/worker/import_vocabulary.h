/* import_vocabulary.h -- a stranger's vocabulary in this service's order.
 *
 * The special tokens have ids 0 to 8 here (engine/format/model_text.h). Other libraries, and older
 * versions of fastai, have them elsewhere, under older names, or not at all: words move, and a row
 * that is missing is the mean of all, as PARITY has it for new words. */
#ifndef THAW_ENGINE_WORKER_IMPORT_VOCABULARY_H
#define THAW_ENGINE_WORKER_IMPORT_VOCABULARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"

struct vocabulary_order {
    struct json *words; /* owned; array of strings, the special tokens first */
    int64_t *rows;      /* owned; of each word, its row in the weights; -1: the mean of all rows */
    int64_t n;
    int64_t n_theirs; /* rows of the weights */
    char added[128];  /* the special tokens that they lack, for a sentence; "" */
    bool same;        /* nothing moves */
};

/* E_INVALID where what comes out is no vocabulary (model_text_check_vocabulary). */
enum status vocabulary_order(const struct json *words, struct vocabulary_order *order,
                             struct err *err);
void vocabulary_order_deinit(struct vocabulary_order *order);

/* (n_theirs, width) -> (n, width). */
void vocabulary_order_rows(const struct vocabulary_order *order, const float *theirs, int64_t width,
                           float *ours);

#endif
