#include "engine/train/text_pass.h"

#include "base/mem.h"
#include "engine/train/text_batches.h"

static enum status open_both(const struct model_pass *pass, struct text_batches **batches,
                             struct text_chunks **chunks, struct err *err)
{
    struct text_batches_options options = {.pack = pass->pack,
                                           .corpus = pass->text->corpus,
                                           .items = pass->items,
                                           .n_items = pass->n_items,
                                           .batch = pass->batch};
    enum status status = text_batches_open(&options, batches, err);
    struct text_chunks_options infer = pass->text->chunks;
    infer.mode = PLAN_INFER;
    infer.batch = pass->batch;
    return status == OK ? text_chunks_new(pass->graph, &infer, chunks, err) : status;
}

enum status text_pass_run(const struct model_pass *pass,
                          enum status (*take)(void *taker, const struct batch *batch,
                                              const float *logits, struct err *err),
                          void *taker, struct err *err)
{
    struct text_batches *batches = NULL;
    struct text_chunks *chunks = NULL;
    struct batch batch = {0};
    uint32_t *documents = mem_alloc((size_t)pass->batch * sizeof *documents);
    int64_t done = 0, total = (pass->n_items + pass->batch - 1) / pass->batch;
    enum status status = open_both(pass, &batches, &chunks, err);
    if (status == OK)
        text_batches_begin(batches, 0, 0, 0);
    while (status == OK) {
        text_batches_next(batches, &batch);
        if (batch.count == 0)
            break;
        for (int i = 0; i < batch.count; i++)
            documents[i] = text_corpus_find(pass->text->corpus, batch.items[i]);
        status = text_chunks_forward(chunks, pass->text->corpus, documents, batch.count, 0, 0, err);
        if (status == OK)
            status = take(taker, &batch, text_chunks_logits(chunks), err);
        if (status == OK && pass->go_on && !pass->go_on(pass->context, ++done, total))
            status = err_set(err, E_CANCELLED, "The pass over the items was told to stop.");
    }
    text_chunks_free(chunks);
    text_batches_close(batches);
    mem_free(documents);
    return status;
}
