/* text_classifier.c -- as fastai's SentenceEncoder: texts of a batch end together, padded in front
 * by whole chunks of seq_len, the last chunk behind. A row's state is cleared where its text
 * begins, and the head pools its own steps alone, so padding changes nothing. Of a text's outputs
 * as many of the last chunks are kept as fit into max_len, as in training. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/infer/text_model.h"
#include "engine/op/xent.h"
#include "engine/zoo/awd_lstm.h"
#include "engine/zoo/text_rows.h"

#define STEP_MULTIPLE 8 /* the last chunk's steps are rounded up: few kernels for many lengths */

static const int64_t sizes[] = {1, 8};

struct plans {
    int64_t batch;
    struct plan *encoder, *head; /* owned */
};

struct text_classifier {
    struct text_model *model; /* borrowed */
    struct plans plans[ARRAY_LEN(sizes)];
    int64_t seq_len, max_len, width, n_classes;
    int64_t most_chunks;  /* that are kept */
    float *probabilities; /* owned; (largest batch, classes) */
};

/* One text of a batch. */
struct row {
    struct text_item *item; /* borrowed */
    int32_t *words;         /* owned */
    int64_t n;
    int64_t begins; /* of the batch's steps, where a chunk begins */
};

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum status make_plans(struct text_classifier *c, struct plans *plans, struct err *err)
{
    struct graph *graph = c->model->graph;
    int cut = awd_lstm_encoder_output(graph);
    struct plan_options encoder = {
        .mode = PLAN_INFER, .batch = plans->batch, .steps = c->seq_len, .output_node = cut};
    struct plan_options head = {.mode = PLAN_INFER,
                                .batch = plans->batch,
                                .steps = c->seq_len * c->most_chunks,
                                .input_node = cut};
    enum status status = plan_new(graph, &encoder, &plans->encoder, err);
    return status ? status : plan_new(graph, &head, &plans->head, err);
}

enum status text_classifier_new(struct text_model *model, struct text_classifier **out,
                                struct err *err)
{
    struct text_classifier *c = mem_alloc(sizeof *c);
    const struct model_text *text = &model->info.text;
    enum status status = OK;
    c->model = model;
    c->seq_len = text->seq_len;
    c->max_len = text->max_len > text->seq_len ? text->max_len : text->seq_len;
    c->most_chunks = (c->max_len + c->seq_len - 1) / c->seq_len;
    c->width = text->embedding;
    c->n_classes = (int64_t)json_len(model->info.classes);
    for (size_t i = 0; status == OK && i < ARRAY_LEN(sizes); i++) {
        c->plans[i].batch = sizes[i];
        status = make_plans(c, &c->plans[i], err);
    }
    c->probabilities =
        mem_alloc((size_t)(sizes[ARRAY_LEN(sizes) - 1] * c->n_classes) * sizeof *c->probabilities);
    if (status == OK)
        *out = c;
    else
        text_classifier_free(c);
    return status;
}

void text_classifier_free(struct text_classifier *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        plan_free(c->plans[i].encoder);
        plan_free(c->plans[i].head);
    }
    mem_free(c->probabilities);
    mem_free(c);
}

void text_classifier_hash(const struct text_classifier *c, char hex[65])
{
    plan_hash(c->plans[0].encoder, hex);
}

/* --- A batch ---------------------------------------------------------------------------------- */

/* Where the rows stand: `chunks` in all, of which the last `kept` reach the head; the last one has
 * `last_steps`. */
struct layout {
    int64_t chunks, kept, last_steps;
};

static struct layout lay_out(const struct text_classifier *c, struct row *rows, size_t n)
{
    struct layout layout = {.last_steps = 1};
    for (size_t i = 0; i < n; i++) {
        int64_t chunks = (rows[i].n + c->seq_len - 1) / c->seq_len;
        int64_t rest = rows[i].n - (chunks - 1) * c->seq_len;
        layout.chunks = chunks > layout.chunks ? chunks : layout.chunks;
        layout.last_steps = rest > layout.last_steps ? rest : layout.last_steps;
        rows[i].begins = -chunks * c->seq_len;
    }
    for (size_t i = 0; i < n; i++)
        rows[i].begins += layout.chunks * c->seq_len;
    layout.last_steps = (layout.last_steps + STEP_MULTIPLE - 1) / STEP_MULTIPLE * STEP_MULTIPLE;
    layout.last_steps = min64(layout.last_steps, c->seq_len);
    layout.kept = min64(layout.chunks, c->most_chunks);
    return layout;
}

static enum status encode(const struct text_classifier *c, const struct plans *plans,
                          const struct row *rows, size_t n, const struct layout *layout,
                          struct err *err)
{
    struct text_row texts[TEXT_MAX_BATCH];
    size_t values = (size_t)(plans->batch * c->width);
    enum status status = OK;
    for (size_t i = 0; i < n; i++)
        texts[i] = (struct text_row){rows[i].words, rows[i].n, rows[i].begins, false};
    for (int64_t chunk = 0; status == OK && chunk < layout->chunks; chunk++) {
        int64_t steps = chunk == layout->chunks - 1 ? layout->last_steps : c->seq_len;
        int64_t first = chunk * c->seq_len, slot = chunk - (layout->chunks - layout->kept);
        text_rows_begin(plans->encoder, texts, (int64_t)n, first);
        status = text_rows_read(plans->encoder, texts, (int64_t)n, plans->batch, first, steps, err);
        if (status != OK)
            break;
        plan_forward(plans->encoder, 0, 0);
        if (slot >= 0)
            memcpy(plan_input(plans->head) + (size_t)(slot * c->seq_len) * values,
                   plan_output(plans->encoder), (size_t)steps * values * sizeof(float));
    }
    return status;
}

/* Steps of a text's beginning that are not pooled: whole chunks. */
static int64_t left_out(const struct text_classifier *c, int64_t n)
{
    return n > c->max_len ? (n - c->max_len + c->seq_len - 1) / c->seq_len * c->seq_len : 0;
}

static enum status pool(const struct text_classifier *c, const struct plans *plans,
                        const struct row *rows, size_t n, const struct layout *layout,
                        struct err *err)
{
    int64_t dropped = (layout->chunks - layout->kept) * c->seq_len;
    enum status status =
        plan_set_steps(plans->head, (layout->kept - 1) * c->seq_len + layout->last_steps, err);
    if (status != OK)
        return status;
    for (int64_t b = 0; b < plans->batch; b++) {
        const struct row *row = b < (int64_t)n ? &rows[b] : NULL;
        int64_t begin = row ? row->begins - dropped : 0;
        plan_begins(plans->head)[b] = (int32_t)(row ? begin + left_out(c, row->n) : 0);
        plan_ends(plans->head)[b] = (int32_t)(row ? begin + row->n : 1);
    }
    plan_forward(plans->head, 0, 0);
    softmax_rows(plan_output(plans->head), plans->batch, c->n_classes, c->probabilities);
    return OK;
}

static void take_answer(const struct text_classifier *c, struct text_item *item,
                        const float *probabilities)
{
    memcpy(item->probabilities, probabilities, (size_t)c->n_classes * sizeof *probabilities);
    for (int64_t i = 0; i < c->n_classes && item->status == OK; i++)
        if (!isfinite(probabilities[i]))
            item->status =
                err_set(&item->err, E_INVALID, "The model's output for this text is no number.");
}

static void run_rows(struct text_classifier *c, struct row *rows, size_t n)
{
    struct plans *plans = &c->plans[n > 1];
    struct err err = {0};
    struct layout layout = lay_out(c, rows, n);
    enum status status = encode(c, plans, rows, n, &layout, &err);
    if (status == OK)
        status = pool(c, plans, rows, n, &layout, &err);
    for (size_t i = 0; i < n; i++) {
        rows[i].item->status = status;
        rows[i].item->err = err;
        if (status == OK)
            take_answer(c, rows[i].item, c->probabilities + (int64_t)i * c->n_classes);
    }
}

/* What is cut off is whole chunks, so that the rest is divided as it was. */
static int64_t shorten(const struct text_classifier *c, int32_t *words, int64_t n)
{
    int64_t most = TEXT_READS * c->max_len;
    int64_t cut = n > most ? (n - most + c->seq_len - 1) / c->seq_len * c->seq_len : 0;
    memmove(words, words + cut, (size_t)(n - cut) * sizeof *words);
    return n - cut;
}

void text_classifier_run(struct text_classifier *c, struct text_item *items, size_t n)
{
    struct row rows[TEXT_MAX_BATCH];
    size_t n_rows = 0, most = (size_t)sizes[ARRAY_LEN(sizes) - 1];
    for (size_t i = 0; i < n; i++) {
        struct row *row = &rows[n_rows];
        struct text_item *item = &items[i];
        *row = (struct row){.item = item};
        item->err = (struct err){0};
        item->status =
            text_model_words(c->model, item->text, item->len, &row->words, &row->n, &item->err);
        item->n_words = row->n;
        if (item->status != OK)
            continue;
        row->n = shorten(c, row->words, row->n);
        n_rows++;
    }
    for (size_t first = 0; first < n_rows; first += most)
        run_rows(c, rows + first, n_rows - first < most ? n_rows - first : most);
    for (size_t i = 0; i < n_rows; i++)
        mem_free(rows[i].words);
}
