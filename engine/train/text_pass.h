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

/* As model_stream, which is one where pass->text is set. Batches come by length: a text has as many
 * words in every vocabulary. *total: of them. */
struct text_stream;
enum status text_stream_open(const struct model_pass *pass, struct text_stream **stream,
                             int64_t *total, struct err *err);
void text_stream_close(struct text_stream *stream); /* NULL is fine */
enum status text_stream_next(struct text_stream *stream, struct batch *batch, const float **logits,
                             struct err *err);

#endif
