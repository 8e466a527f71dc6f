#include "engine/train/report_pass.h"

#include "base/mem.h"
#include "engine/infer/tta.h"
#include "engine/train/report_parts.h"

/* What takes the rows of a pass. */
struct taker {
    struct run_report *report; /* owned */
    int64_t classes;
    int views;
    bool multilabel;
    int seen;                 /* pictures of the present item so far */
    float *plain, *sum, *row; /* owned; (classes) probabilities: plain, of the views, of one row */
};

static void taker_deinit(struct taker *taker)
{
    run_report_close(taker->report);
    mem_free(taker->plain);
    mem_free(taker->sum);
    mem_free(taker->row);
}

static enum status taker_init(struct taker *taker, const struct run_report_options *options,
                              struct err *err)
{
    *taker = (struct taker){.classes = (int64_t)json_len(options->classes),
                            .views = (int)options->tta,
                            .multilabel = options->multilabel};
    size_t row = (size_t)taker->classes * sizeof(float);
    taker->plain = mem_alloc(row);
    taker->sum = mem_alloc(row);
    taker->row = mem_alloc(row);
    return run_report_open(options, &taker->report, err);
}

/* The next row of a pass of views: an item's plain picture, then its views. */
static enum status add_view(struct taker *taker, uint32_t item, const float *logits,
                            struct err *err)
{
    report_probabilities(taker->multilabel, logits, taker->classes, taker->row);
    for (int64_t i = 0; i < taker->classes; i++) {
        if (taker->seen == 0) {
            taker->plain[i] = taker->row[i];
            taker->sum[i] = 0;
        } else {
            taker->sum[i] += taker->row[i];
        }
    }
    if (++taker->seen <= taker->views)
        return OK;
    taker->seen = 0;
    tta_mix(taker->plain, taker->sum, taker->views, taker->classes);
    struct run_report_rows rows = {.rows = 1, .items = &item, .probabilities = taker->plain};
    return run_report_add(taker->report, &rows, err);
}

static enum status take(void *context, const struct batch *batch, const float *logits,
                        struct err *err)
{
    struct taker *taker = context;
    if (taker->views == 0) {
        struct run_report_rows rows = {
            .rows = batch->count, .items = batch->items, .logits = logits};
        return run_report_add(taker->report, &rows, err);
    }
    enum status status = OK;
    for (int i = 0; status == OK && i < batch->count; i++)
        status = add_view(taker, batch->items[i], logits + i * taker->classes, err);
    return status;
}

enum status report_pass_run(const struct model_pass *pass, const struct run_report_options *report,
                            const struct json *curve, const struct warnings *before,
                            struct warnings *warnings, struct run_report_scores *scores,
                            struct err *err)
{
    struct taker taker;
    struct model_pass viewed = *pass;
    viewed.views = (int)report->tta;
    enum status status = taker_init(&taker, report, err);
    if (status == OK)
        status = model_pass_run(&viewed, take, &taker, err);
    if (status == OK)
        status = run_report_finish(taker.report, curve, before, warnings, err);
    if (status == OK)
        *scores = run_report_scores(taker.report);
    taker_deinit(&taker);
    return status;
}
