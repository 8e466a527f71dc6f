/* text_evaluate.h -- a classifier of texts over a data set's items: what the tasks `evaluate` and
 * `predict` need beside what pictures need (evaluate_subject.h). */
#ifndef THAW_ENGINE_TRAIN_TEXT_EVALUATE_H
#define THAW_ENGINE_TRAIN_TEXT_EVALUATE_H

#include "base/status.h"
#include "engine/format/model_file.h"
#include "engine/train/text_pass.h"

struct text_evaluate {
    struct vocab *vocab;        /* owned: the model's */
    struct text_corpus *corpus; /* owned: the items' words */
    struct text_pass pass;      /* of that corpus */
};

/* Reads the items, which ascend, into the file `words`; batches have so many rows at most.
 * E_CANCELLED when `work` says so. */
enum status text_evaluate_open(struct text_evaluate *text, const struct model_info *info,
                               const struct pack *pack, const uint32_t *items, uint32_t n,
                               int64_t batch, const char *words,
                               const struct text_corpus_work *work, struct err *err);
void text_evaluate_close(struct text_evaluate *text); /* zeroed is fine */

/* How its plans are made, without a data set: texts of max_len words. */
struct text_chunks_options text_evaluate_chunks(const struct model_info *info, int64_t batch,
                                                int64_t longest);

#endif
