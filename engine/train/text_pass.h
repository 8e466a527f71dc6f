/* text_pass.h -- a classifier of texts over some items, once: model_pass.h for texts. */
#ifndef THAW_ENGINE_TRAIN_TEXT_PASS_H
#define THAW_ENGINE_TRAIN_TEXT_PASS_H

#include "base/status.h"
#include "engine/train/model_pass.h"
#include "engine/train/text_chunks.h"

struct text_pass {
    const struct text_corpus *corpus; /* borrowed; has the items' documents */
    struct text_chunks_options chunks;
};

/* As model_pass_run, which calls it where pass->text is set. Batches come by length. */
enum status text_pass_run(const struct model_pass *pass,
                          enum status (*take)(void *taker, const struct batch *batch,
                                              const float *logits, struct err *err),
                          void *taker, struct err *err);

#endif
