#include "engine/train/model_pass.h"

#include <string.h>

#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/train/text_pass.h"

struct model_stream {
    const struct model_pass *pass; /* borrowed */
    struct loader *loader;         /* owned, with the plan: of pictures */
    struct plan *plan;
    struct text_stream *text; /* owned: of texts */
    int64_t done, total;      /* batches */
};

static enum status open_pictures(struct model_stream *stream, struct err *err)
{
    const struct model_pass *pass = stream->pass;
    struct loader_options loading = {
        .pass = pass->views > 0 ? LOADER_VIEWS : LOADER_VALID,
        .items = pass->items,
        .n_items = pass->n_items,
        .batch_size = pass->batch,
        .size = pass->size,
        .threads = pass->threads,
        .seed = pass->seed,
        .augment = pass->augment,
        .views = pass->views,
    };
    enum status status = loader_open(pass->pack, &loading, &stream->loader, err);
    if (status != OK)
        return status;
    struct plan_options planning = {.mode = PLAN_INFER,
                                    .batch = loader_batch_size(stream->loader),
                                    .height = pass->size,
                                    .width = pass->size};
    status = plan_new(pass->graph, &planning, &stream->plan, err);
    if (status != OK)
        return status;
    stream->total = loader_steps(stream->loader);
    loader_begin(stream->loader, 0, 0, 0);
    return OK;
}

enum status model_stream_open(const struct model_pass *pass, struct model_stream **out,
                              struct err *err)
{
    struct model_stream *stream = mem_alloc(sizeof *stream);
    *stream = (struct model_stream){.pass = pass};
    enum status status = pass->text ? text_stream_open(pass, &stream->text, &stream->total, err)
                                    : open_pictures(stream, err);
    if (status == OK)
        *out = stream;
    else
        model_stream_close(stream);
    return status;
}

void model_stream_close(struct model_stream *stream)
{
    if (!stream)
        return;
    text_stream_close(stream->text);
    plan_free(stream->plan);
    loader_close(stream->loader);
    mem_free(stream);
}

enum status model_stream_next(struct model_stream *stream, struct batch *batch,
                              const float **logits, struct err *err)
{
    if (stream->text)
        return text_stream_next(stream->text, batch, logits, err);
    enum status status = loader_next(stream->loader, batch, err);
    if (status != OK || batch->count == 0)
        return status;
    memcpy(plan_input(stream->plan), batch->images,
           (size_t)batch->count * batch->row_floats * sizeof *batch->images);
    plan_forward(stream->plan, 0, 0);
    *logits = plan_output(stream->plan);
    return OK;
}

enum status model_stream_poll(struct model_stream *stream, struct err *err)
{
    const struct model_pass *pass = stream->pass;
    if (!pass->go_on || pass->go_on(pass->context, ++stream->done, stream->total))
        return OK;
    return err_set(err, E_CANCELLED, "The pass over the items was told to stop.");
}

enum status model_pass_run(const struct model_pass *pass,
                           enum status (*take)(void *taker, const struct batch *batch,
                                               const float *logits, struct err *err),
                           void *taker, struct err *err)
{
    struct model_stream *stream = NULL;
    struct batch batch = {0};
    const float *logits = NULL;
    enum status status = model_stream_open(pass, &stream, err);
    while (status == OK) {
        status = model_stream_next(stream, &batch, &logits, err);
        if (status != OK || batch.count == 0)
            break;
        status = take(taker, &batch, logits, err);
        if (status == OK)
            status = model_stream_poll(stream, err);
    }
    model_stream_close(stream);
    return status;
}
