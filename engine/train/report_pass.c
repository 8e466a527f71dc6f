#include "engine/train/report_pass.h"

#include <string.h>

#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/data/loader.h"
#include "engine/infer/tta.h"
#include "engine/train/report_parts.h"

/* A pass under way. */
struct under_way {
    const struct report_pass *pass;
    struct run_report *report; /* all owned */
    struct plan *plan;
    struct loader *loader;
    int64_t classes;
    int64_t seen;             /* TTA: pictures of the present item so far */
    float *plain, *sum, *row; /* TTA: (classes) probabilities: plain, of the views, of one row */
};

static enum status begin(struct under_way *way, struct err *err)
{
    const struct report_pass *pass = way->pass;
    struct loader_options loading = {
        .pass = pass->report.tta > 0 ? LOADER_VIEWS : LOADER_VALID,
        .items = pass->items,
        .n_items = pass->n_items,
        .batch_size = pass->batch,
        .size = pass->size,
        .threads = pass->threads,
        .seed = pass->seed,
        .augment = pass->augment,
        .views = (int)pass->report.tta,
    };
    enum status status = loader_open(pass->report.pack, &loading, &way->loader, err);
    if (status != OK)
        return status;
    struct plan_options planning = {.mode = PLAN_INFER,
                                    .batch = loader_batch_size(way->loader),
                                    .height = pass->size,
                                    .width = pass->size};
    status = plan_new(pass->graph, &planning, &way->plan, err);
    if (status == OK)
        status = run_report_open(&pass->report, &way->report, err);
    size_t row = (size_t)way->classes * sizeof(float);
    way->plain = mem_alloc(row);
    way->sum = mem_alloc(row);
    way->row = mem_alloc(row);
    return status;
}

static void end(struct under_way *way)
{
    run_report_close(way->report);
    plan_free(way->plan);
    loader_close(way->loader);
    mem_free(way->plain);
    mem_free(way->sum);
    mem_free(way->row);
}

/* The next row of a pass of views: an item's plain picture, then its views. */
static enum status add_view(struct under_way *way, uint32_t item, const float *logits,
                            struct err *err)
{
    int64_t views = way->pass->report.tta;
    report_probabilities(way->pass->report.multilabel, logits, way->classes, way->row);
    for (int64_t i = 0; i < way->classes; i++) {
        if (way->seen == 0) {
            way->plain[i] = way->row[i];
            way->sum[i] = 0;
        } else {
            way->sum[i] += way->row[i];
        }
    }
    if (++way->seen <= views)
        return OK;
    way->seen = 0;
    tta_mix(way->plain, way->sum, (int)views, way->classes);
    struct run_report_rows rows = {.rows = 1, .items = &item, .probabilities = way->plain};
    return run_report_add(way->report, &rows, err);
}

static enum status add_batch(struct under_way *way, const struct batch *batch, struct err *err)
{
    const float *logits = plan_output(way->plan);
    if (way->pass->report.tta == 0) {
        struct run_report_rows rows = {
            .rows = batch->count, .items = batch->items, .logits = logits};
        return run_report_add(way->report, &rows, err);
    }
    enum status status = OK;
    for (int i = 0; status == OK && i < batch->count; i++)
        status = add_view(way, batch->items[i], logits + i * way->classes, err);
    return status;
}

static enum status run_batches(struct under_way *way, struct err *err)
{
    const struct report_pass *pass = way->pass;
    int64_t done = 0, total = loader_steps(way->loader);
    struct batch batch;
    enum status status;
    loader_begin(way->loader, 0, 0, 0);
    while ((status = loader_next(way->loader, &batch, err)) == OK && batch.count > 0) {
        memcpy(plan_input(way->plan), batch.images,
               (size_t)batch.count * batch.row_floats * sizeof(float));
        plan_forward(way->plan, 0, 0);
        status = add_batch(way, &batch, err);
        if (status != OK)
            return status;
        if (pass->go_on && !pass->go_on(pass->context, ++done, total))
            return err_set(err, E_CANCELLED, "The report was told to stop.");
    }
    return status;
}

enum status report_pass_run(const struct report_pass *pass, struct warnings *warnings,
                            struct run_report_scores *scores, struct err *err)
{
    struct under_way way = {.pass = pass, .classes = (int64_t)json_len(pass->report.classes)};
    enum status status = begin(&way, err);
    if (status == OK)
        status = run_batches(&way, err);
    if (status == OK)
        status = run_report_finish(way.report, pass->curve, pass->before, warnings, err);
    if (status == OK)
        *scores = run_report_scores(way.report);
    end(&way);
    return status;
}
