#include "engine/infer/predict.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/data/preprocess.h"
#include "engine/format/model_file.h"
#include "engine/op/xent.h"
#include "engine/zoo/zoo.h"

#define MAX_DECODERS 16

static const int plan_rows[] = {1, 4, PREDICT_MAX_BATCH};

struct predictor {
    struct graph *graph;                      /* owned */
    struct plan *plans[ARRAY_LEN(plan_rows)]; /* owned; they share the graph's parameters */
    struct model_info info;                   /* owned */
    const struct json **classes;              /* owned array of values borrowed from info */
    int64_t n_classes;
    float *probabilities;                      /* owned; (PREDICT_MAX_BATCH, classes) */
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
    p->probabilities =
        mem_alloc(PREDICT_MAX_BATCH * (size_t)p->n_classes * sizeof *p->probabilities);
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

static void decode(struct predictor *p, struct predict_item *item, float *row)
{
    int size = p->info.image_size;
    struct preprocess *decoder = p->decoders[omp_get_thread_num()];
    struct image_header header;
    item->status = image_read_header(item->bytes, item->len, IMAGE_MAX_PIXELS, &header, &item->err);
    if (item->status == OK)
        item->status =
            preprocess_eval(decoder, item->bytes, item->len, &header, size, row, &item->err);
    if (item->status != OK)
        memset(row, 0, (size_t)size * (size_t)size * 3 * sizeof *row);
}

static void decode_all(struct predictor *p, struct predict_item *items, size_t n, float *input)
{
    size_t row = (size_t)p->info.image_size * (size_t)p->info.image_size * 3;
    int threads = omp_get_max_threads() < MAX_DECODERS ? omp_get_max_threads() : MAX_DECODERS;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < n; i++)
        decode(p, &items[i], input + i * row);
}

/* Hands out one row of probabilities. A network of finite weights can still overflow. */
static void answer(struct predictor *p, struct predict_item *item, const float *row)
{
    if (item->status != OK)
        return;
    for (int64_t i = 0; i < p->n_classes; i++) {
        if (!isfinite(row[i])) {
            item->status =
                err_set(&item->err, E_INVALID, "The model's output for this image is no number.");
            return;
        }
    }
    memcpy(item->probabilities, row, (size_t)p->n_classes * sizeof *row);
}

void predictor_run(struct predictor *p, struct predict_item *items, size_t n)
{
    struct plan *plan = smallest_plan(p, n);
    decode_all(p, items, n, plan_input(plan));
    plan_forward(plan, 0, 0);
    softmax_rows(plan_output(plan), (int64_t)n, p->n_classes, p->probabilities);
    for (size_t i = 0; i < n; i++)
        answer(p, &items[i], p->probabilities + (int64_t)i * p->n_classes);
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
