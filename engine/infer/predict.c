#include "engine/infer/predict.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/data/preprocess.h"
#include "engine/format/model_file.h"
#include "engine/infer/tta.h"
#include "engine/op/bce.h"
#include "engine/op/xent.h"
#include "engine/zoo/zoo.h"

#define MAX_DECODERS 16
#define MAX_ROWS     (PREDICT_MAX_BATCH * (1 + TTA_VIEWS))
#define PLAIN        (-1)

static const int plan_rows[] = {1, 4, PREDICT_MAX_BATCH};

/* One picture as the network sees it once. */
struct row {
    struct predict_item *item; /* borrowed */
    int view;                  /* PLAIN, or a view of test-time augmentation */
    float *probabilities;      /* where it is added: the item's, or its sum of views */
    enum status status;        /* its own, because the rows of an item are decoded at once */
    struct err err;
};

struct predictor {
    struct graph *graph;                      /* owned */
    struct plan *plans[ARRAY_LEN(plan_rows)]; /* owned; they share the graph's parameters */
    struct model_info info;                   /* owned */
    const struct json **classes;              /* owned array of values borrowed from info */
    int64_t n_classes;
    float *probabilities;                      /* owned; (PREDICT_MAX_BATCH, classes), of a run */
    float *sums;                               /* owned; the same of each item's views, added up */
    struct row *rows;                          /* owned; MAX_ROWS */
    struct preprocess *decoders[MAX_DECODERS]; /* owned; one a thread */
    char plan_hash[65];
};

static enum status build(struct predictor *p, const struct tensor_source *source, struct err *err)
{
    enum zoo_head head;
    const struct zoo_net *net = zoo_find(p->info.architecture);
    if (!net)
        return err_set(err, E_INVALID, "The weights are of an unknown network \"%.60s\".",
                       p->info.architecture);
    if (!p->info.classes || !zoo_head_from_name(p->info.head, &head))
        return err_set(err, E_INVALID,
                       "The model has no classifier, so it cannot predict: train one on it first.");
    p->n_classes = (int64_t)json_len(p->info.classes);
    p->classes = mem_alloc((size_t)p->n_classes * sizeof *p->classes);
    size_t i = 0;
    json_each(name, p->info.classes) p->classes[i++] = name;
    p->graph = zoo_build(net, &(struct zoo_options){.head = head, .classes = p->n_classes});
    return model_file_load(source, p->graph, NULL, err);
}

static enum status make_plans(struct predictor *p, struct err *err)
{
    struct plan_options options = {
        .mode = PLAN_INFER, .height = p->info.image_size, .width = p->info.image_size};
    enum status status = OK;
    for (size_t i = 0; status == OK && i < ARRAY_LEN(plan_rows); i++) {
        options.batch = plan_rows[i];
        status = plan_new(p->graph, &options, &p->plans[i], err);
    }
    if (status == OK)
        plan_hash(p->plans[0], p->plan_hash);
    return status;
}

static enum status load(struct predictor *p, const char *weights, struct err *err)
{
    struct tensor_source source;
    enum status status = model_file_open(weights, &source, &p->info, err);
    if (status != OK)
        return status;
    status = build(p, &source, err);
    tensor_source_close(&source);
    if (status == OK)
        status = make_plans(p, err);
    return status;
}

enum status predictor_open(const char *weights, struct predictor **predictor, struct err *err)
{
    struct predictor *p = mem_alloc(sizeof *p);
    enum status status = load(p, weights, err);
    if (status != OK) {
        predictor_close(p);
        return status;
    }
    size_t values = PREDICT_MAX_BATCH * (size_t)p->n_classes;
    p->probabilities = mem_alloc(values * sizeof *p->probabilities);
    p->sums = mem_alloc(values * sizeof *p->sums);
    p->rows = mem_alloc(MAX_ROWS * sizeof *p->rows);
    for (size_t i = 0; i < MAX_DECODERS; i++)
        p->decoders[i] = preprocess_new();
    *predictor = p;
    return OK;
}

void predictor_close(struct predictor *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < ARRAY_LEN(plan_rows); i++)
        plan_free(p->plans[i]);
    for (size_t i = 0; i < MAX_DECODERS; i++)
        preprocess_free(p->decoders[i]);
    graph_free(p->graph);
    model_info_deinit(&p->info);
    mem_free(p->classes);
    mem_free(p->probabilities);
    mem_free(p->sums);
    mem_free(p->rows);
    mem_free(p);
}

int64_t predictor_n_classes(const struct predictor *p)
{
    return p->n_classes;
}

const char *predictor_class(const struct predictor *p, int64_t index)
{
    return json_as_string(p->classes[index], "");
}

const char *predictor_plan_hash(const struct predictor *p)
{
    return p->plan_hash;
}

static struct plan *smallest_plan(const struct predictor *p, size_t rows)
{
    size_t i = 0;
    while ((size_t)plan_rows[i] < rows)
        i++;
    return p->plans[i];
}

/* --- A run ------------------------------------------------------------------------------------ */

static size_t add_row(struct predictor *p, size_t n, struct predict_item *item, int view,
                      float *probabilities)
{
    struct row *row = &p->rows[n];
    row->item = item;
    row->view = view;
    row->probabilities = probabilities;
    row->status = OK;
    memset(probabilities, 0, (size_t)p->n_classes * sizeof *probabilities);
    return n + 1;
}

static size_t make_rows(struct predictor *p, struct predict_item *items, size_t n)
{
    size_t n_rows = 0;
    for (size_t i = 0; i < n; i++) {
        items[i].status = OK;
        n_rows = add_row(p, n_rows, &items[i], PLAIN, items[i].probabilities);
        for (int view = 0; items[i].tta && view < TTA_VIEWS; view++)
            n_rows = add_row(p, n_rows, &items[i], view, p->sums + (int64_t)i * p->n_classes);
    }
    return n_rows;
}

static enum status decode_row(struct preprocess *decoder, int size, const struct row *row,
                              float *out, struct err *err)
{
    const struct predict_item *item = row->item;
    struct image_header header;
    int width, height;
    enum status status = image_read_header(item->bytes, item->len, IMAGE_MAX_PIXELS, &header, err);
    if (status)
        return status;
    if (row->view == PLAIN)
        return preprocess_eval(decoder, item->bytes, item->len, &header, size, out, err);
    image_turned_size(&header, &width, &height);
    struct augment augment = tta_view(width, height, row->view);
    return preprocess_train(decoder, item->bytes, item->len, &header, &augment, size, out, err);
}

static void decode_all(struct predictor *p, struct row *rows, size_t n, float *input)
{
    int size = p->info.image_size;
    size_t values = (size_t)size * (size_t)size * 3;
    int threads = omp_get_max_threads() < MAX_DECODERS ? omp_get_max_threads() : MAX_DECODERS;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < n; i++) {
        struct preprocess *decoder = p->decoders[omp_get_thread_num()];
        float *out = input + i * values;
        rows[i].status = decode_row(decoder, size, &rows[i], out, &rows[i].err);
        if (rows[i].status != OK)
            memset(out, 0, values * sizeof *out);
    }
}

/* One row of probabilities. A network of finite weights can still overflow. */
static void take_answer(const struct predictor *p, struct row *row, const float *probabilities)
{
    for (int64_t i = 0; i < p->n_classes && row->status == OK; i++) {
        row->probabilities[i] += probabilities[i];
        if (!isfinite(probabilities[i]))
            row->status =
                err_set(&row->err, E_INVALID, "The model's output for this image is no number.");
    }
    if (row->status != OK && row->item->status == OK) {
        row->item->status = row->status;
        row->item->err = row->err;
    }
}

static void run_rows(struct predictor *p, struct row *rows, size_t n)
{
    struct plan *plan = smallest_plan(p, n);
    decode_all(p, rows, n, plan_input(plan));
    plan_forward(plan, 0, 0);
    if (model_info_is_multilabel(&p->info))
        sigmoid_rows(plan_output(plan), (int64_t)n, p->n_classes, p->probabilities);
    else
        softmax_rows(plan_output(plan), (int64_t)n, p->n_classes, p->probabilities);
    for (size_t i = 0; i < n; i++)
        take_answer(p, &rows[i], p->probabilities + (int64_t)i * p->n_classes);
}

/* How many of the rows that are left run together: unused rows of a plan cost as much as used
 * ones, so up to three runs of the middle plan are better than one of the largest. */
static size_t next_run(size_t left)
{
    if (left > 12)
        return left < PREDICT_MAX_BATCH ? left : PREDICT_MAX_BATCH;
    return left > 4 ? 4 : left;
}

void predictor_run(struct predictor *p, struct predict_item *items, size_t n)
{
    size_t n_rows = make_rows(p, items, n);
    for (size_t first = 0, run; first < n_rows; first += run) {
        run = next_run(n_rows - first);
        run_rows(p, p->rows + first, run);
    }
    for (size_t i = 0; i < n; i++)
        if (items[i].status == OK && items[i].tta)
            tta_mix(items[i].probabilities, p->sums + (int64_t)i * p->n_classes, TTA_VIEWS,
                    p->n_classes);
}

void predict_top_k(const float *probabilities, int64_t classes, int64_t k, int64_t *indices)
{
    int64_t n = 0; /* chosen so far, in order: insertion into a short list */
    for (int64_t i = 0; i < classes; i++) {
        int64_t at = n < k ? n++ : k;
        while (at > 0 && probabilities[i] > probabilities[indices[at - 1]]) {
            if (at < k)
                indices[at] = indices[at - 1];
            at--;
        }
        if (at < k)
            indices[at] = i;
    }
}
