#include "engine/train/text_pass.h"

#include "base/mem.h"
#include "engine/train/text_batches.h"

struct text_stream {
    const struct text_corpus *corpus; /* borrowed */
    struct text_batches *batches;     /* owned */
    struct text_chunks *chunks;       /* owned */
    uint32_t *documents;              /* owned; (batch) of the present one */
};

static enum status open_both(struct text_stream *stream, const struct model_pass *pass,
                             struct err *err)
{
    struct text_batches_options options = {.pack = pass->pack,
                                           .corpus = pass->text->corpus,
                                           .items = pass->items,
                                           .n_items = pass->n_items,
                                           .batch = pass->batch};
    enum status status = text_batches_open(&options, &stream->batches, err);
    struct text_chunks_options infer = pass->text->chunks;
    infer.mode = PLAN_INFER;
    infer.batch = pass->batch;
    return status == OK ? text_chunks_new(pass->graph, &infer, &stream->chunks, err) : status;
}

enum status text_stream_open(const struct model_pass *pass, struct text_stream **out,
                             int64_t *total, struct err *err)
{
    struct text_stream *stream = mem_alloc(sizeof *stream);
    *stream = (struct text_stream){.corpus = pass->text->corpus,
                                   .documents =
                                       mem_alloc((size_t)pass->batch * sizeof *stream->documents)};
    enum status status = open_both(stream, pass, err);
    if (status != OK) {
        text_stream_close(stream);
        return status;
    }
    text_batches_begin(stream->batches, 0, 0, 0);
    *total = (pass->n_items + pass->batch - 1) / pass->batch;
    *out = stream;
    return OK;
}

void text_stream_close(struct text_stream *stream)
{
    if (!stream)
        return;
    text_chunks_free(stream->chunks);
    text_batches_close(stream->batches);
    mem_free(stream->documents);
    mem_free(stream);
}

enum status text_stream_next(struct text_stream *stream, struct batch *batch, const float **logits,
                             struct err *err)
{
    text_batches_next(stream->batches, batch);
    if (batch->count == 0)
        return OK;
    for (int i = 0; i < batch->count; i++)
        stream->documents[i] = text_corpus_find(stream->corpus, batch->items[i]);
    enum status status = text_chunks_forward(stream->chunks, stream->corpus, stream->documents,
                                             batch->count, 0, 0, err);
    *logits = text_chunks_logits(stream->chunks);
    return status;
}
