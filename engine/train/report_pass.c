#include "engine/train/report_pass.h"

#include <string.h>

#include "base/mem.h"
#include "engine/infer/tta.h"
#include "engine/train/report_parts.h"

/* One model on its way over the items. */
struct member {
    struct model_pass pass;
    const int32_t *places;
    struct model_stream *stream; /* owned */
    int seen;                    /* pictures of the present item so far */
    float *plain, *sum, *row; /* owned; (classes) probabilities: plain, of the views, of one row */
};

/* What takes the rows of the passes. */
struct taker {
    struct run_report *report; /* owned */
    int64_t classes;
    int views;
    bool multilabel;
    struct member *members; /* owned */
    int n_members;
    uint32_t *items; /* owned; (batch) whose probabilities are complete, of the present batch */
    float *means;    /* owned; (batch, classes) */
};

static void taker_deinit(struct taker *taker)
{
    run_report_close(taker->report);
    for (int k = 0; k < taker->n_members; k++) {
        model_stream_close(taker->members[k].stream);
        mem_free(taker->members[k].plain);
        mem_free(taker->members[k].sum);
        mem_free(taker->members[k].row);
    }
    mem_free(taker->members);
    mem_free(taker->items);
    mem_free(taker->means);
}

static enum status taker_init(struct taker *taker, const struct report_model *models, int n_models,
                              const struct run_report_options *options, struct err *err)
{
    *taker = (struct taker){.classes = (int64_t)json_len(options->classes),
                            .views = (int)options->tta,
                            .multilabel = options->multilabel,
                            .members = mem_alloc((size_t)n_models * sizeof *taker->members)};
    size_t row = (size_t)taker->classes * sizeof(float), batch = (size_t)models[0].pass.batch;
    taker->items = mem_alloc(batch * sizeof *taker->items);
    taker->means = mem_alloc(batch * row);
    enum status status = run_report_open(options, &taker->report, err);
    for (int k = 0; status == OK && k < n_models; k++) {
        struct member *member = &taker->members[taker->n_members++];
        *member = (struct member){.pass = models[k].pass,
                                  .places = models[k].places,
                                  .plain = mem_alloc(row),
                                  .sum = mem_alloc(row),
                                  .row = mem_alloc(row)};
        member->pass.views = taker->views;
        status = model_stream_open(&member->pass, &member->stream, err);
    }
    return status;
}

/* The next row of a model's pass: an item's plain picture or text, then its views. True: the item
 * is complete, and `plain` has its probabilities. */
static bool add_view(const struct taker *taker, struct member *member, const float *logits)
{
    report_probabilities(taker->multilabel, logits, taker->classes, member->row);
    for (int64_t i = 0; i < taker->classes; i++) {
        if (member->seen == 0) {
            member->plain[i] = member->row[i];
            member->sum[i] = 0;
        } else {
            member->sum[i] += member->row[i];
        }
    }
    if (++member->seen <= taker->views)
        return false;
    member->seen = 0;
    tta_mix(member->plain, member->sum, taker->views, taker->classes);
    return true;
}

/* A batch of one model: its part of the means. Returns the number of items that it completed, or -1
 * where it has other items than the models before it. */
static int add_batch(struct taker *taker, struct member *member, const struct batch *batch,
                     const float *logits)
{
    int done = 0;
    bool first = member == taker->members;
    for (int i = 0; i < batch->count; i++) {
        if (!add_view(taker, member, logits + i * taker->classes))
            continue;
        float *mean = taker->means + done * taker->classes;
        for (int64_t c = 0; c < taker->classes; c++)
            mean[c] =
                (first ? 0 : mean[c]) +
                member->plain[member->places ? member->places[c] : c] / (float)taker->n_members;
        if (!first && taker->items[done] != batch->items[i])
            return -1;
        taker->items[done++] = batch->items[i];
    }
    return done;
}

/* The next batch of all models; *count 0 at the end. One model without views hands on its logits,
 * of which the loss is known better than of probabilities. */
static enum status next_batch(struct taker *taker, struct run_report_rows *rows, int *count,
                              struct err *err)
{
    struct batch batch = {0};
    const float *logits = NULL;
    bool alone = taker->n_members == 1 && taker->views == 0 && !taker->members->places;
    enum status status = OK;
    for (int k = 0; status == OK && k < taker->n_members; k++) {
        status = model_stream_next(taker->members[k].stream, &batch, &logits, err);
        if (status != OK)
            break;
        if (!alone)
            rows->rows = add_batch(taker, &taker->members[k], &batch, logits);
        if (rows->rows < 0 || (k > 0 && batch.count != *count))
            return err_set(err, E_INTERNAL, "The models of an ensemble lost their step.");
        *count = batch.count;
    }
    if (alone)
        *rows =
            (struct run_report_rows){.rows = batch.count, .items = batch.items, .logits = logits};
    else
        *rows = (struct run_report_rows){
            .rows = rows->rows, .items = taker->items, .probabilities = taker->means};
    return status;
}

static enum status run_all(struct taker *taker, struct err *err)
{
    enum status status = OK;
    while (status == OK) {
        struct run_report_rows rows = {0};
        int count = 0;
        status = next_batch(taker, &rows, &count, err);
        if (status != OK || count == 0)
            break;
        status = run_report_add(taker->report, &rows, err);
        if (status == OK)
            status = model_stream_poll(taker->members->stream, err);
    }
    return status;
}

enum status report_pass_run(const struct report_model *models, int n_models,
                            const struct run_report_options *report, const struct json *curve,
                            const struct warnings *before, struct warnings *warnings,
                            struct run_report_scores *scores, struct err *err)
{
    struct taker taker;
    enum status status = taker_init(&taker, models, n_models, report, err);
    if (status == OK)
        status = run_all(&taker, err);
    if (status == OK)
        status = run_report_finish(taker.report, curve, before, warnings, err);
    if (status == OK)
        *scores = run_report_scores(taker.report);
    taker_deinit(&taker);
    return status;
}
