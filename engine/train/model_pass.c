#include "engine/train/model_pass.h"

#include <string.h>

#include "engine/core/plan.h"
#include "engine/train/text_pass.h"

static enum status open_both(const struct model_pass *pass, struct loader **loader,
                             struct plan **plan, struct err *err)
{
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
    enum status status = loader_open(pass->pack, &loading, loader, err);
    if (status != OK)
        return status;
    struct plan_options planning = {.mode = PLAN_INFER,
                                    .batch = loader_batch_size(*loader),
                                    .height = pass->size,
                                    .width = pass->size};
    return plan_new(pass->graph, &planning, plan, err);
}

enum status model_pass_run(const struct model_pass *pass,
                           enum status (*take)(void *taker, const struct batch *batch,
                                               const float *logits, struct err *err),
                           void *taker, struct err *err)
{
    if (pass->text)
        return text_pass_run(pass, take, taker, err);
    struct loader *loader = NULL;
    struct plan *plan = NULL;
    struct batch batch = {0};
    int64_t done = 0;
    enum status status = open_both(pass, &loader, &plan, err);
    if (status == OK)
        loader_begin(loader, 0, 0, 0);
    while (status == OK) {
        status = loader_next(loader, &batch, err);
        if (status != OK || batch.count == 0)
            break;
        memcpy(plan_input(plan), batch.images,
               (size_t)batch.count * batch.row_floats * sizeof *batch.images);
        plan_forward(plan, 0, 0);
        status = take(taker, &batch, plan_output(plan), err);
        if (status == OK && pass->go_on &&
            !pass->go_on(pass->context, ++done, loader_steps(loader)))
            status = err_set(err, E_CANCELLED, "The pass over the items was told to stop.");
    }
    plan_free(plan);
    loader_close(loader);
    return status;
}
