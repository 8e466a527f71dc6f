#include "engine/infer/text.h"

#include <string.h>

#include "base/mem.h"
#include "engine/infer/text_model.h"
#include "engine/zoo/text_network.h"

struct text_predictor {
    struct text_model model;            /* owned */
    struct text_classifier *classifier; /* owned; one of the two is NULL */
    struct text_generator *generator;   /* owned */
    const struct json **classes;        /* owned array of values borrowed from the model's info */
    int64_t n_classes;
    char plan_hash[65];
};

/* --- The model -------------------------------------------------------------------------------- */

enum status text_model_open(const char *weights, struct text_model *model, struct err *err)
{
    struct tensor_source source;
    *model = (struct text_model){0};
    enum status status = model_file_open(weights, &source, &model->info, err);
    if (status != OK)
        return status;
    if (!model_info_is_text(&model->info))
        status = err_set(err, E_INVALID, "The model is one of pictures, not of text.");
    if (status == OK)
        status = model_text_vocab(&model->info.text, &model->vocab, err);
    if (status == OK)
        status = text_network_load(&model->info, &source, &model->graph, err);
    tensor_source_close(&source);
    model->reader = reader_new();
    if (status != OK)
        text_model_close(model);
    return status;
}

void text_model_close(struct text_model *model)
{
    graph_free(model->graph);
    vocab_free(model->vocab);
    reader_free(model->reader);
    model_info_deinit(&model->info);
    *model = (struct text_model){0};
}

enum status text_model_words(struct text_model *model, const char *text, size_t len,
                             int32_t **words, int64_t *n, struct err *err)
{
    const int32_t *ids = NULL;
    size_t n_ids = 0;
    enum status status = reader_ids(model->reader, model->vocab, text, len, &ids, &n_ids, err);
    if (status != OK)
        return status;
    if (n_ids < 2)
        return err_set(err, E_INVALID, "The text is empty: there is no word in it.");
    *words = mem_alloc(n_ids * sizeof **words);
    *n = (int64_t)n_ids;
    for (size_t i = 0; i < n_ids; i++)
        (*words)[i] = ids[model->info.text.backwards ? n_ids - 1 - i : i];
    return OK;
}

/* --- The predictor ---------------------------------------------------------------------------- */

static enum status make_plans(struct text_predictor *p, struct err *err)
{
    enum status status;
    if (!model_info_has_classes(&p->model.info)) {
        status = text_generator_new(&p->model, &p->generator, err);
        if (status == OK)
            text_generator_hash(p->generator, p->plan_hash);
        return status;
    }
    size_t i = 0;
    p->n_classes = (int64_t)json_len(p->model.info.classes);
    p->classes = mem_alloc((size_t)p->n_classes * sizeof *p->classes);
    json_each(name, p->model.info.classes) p->classes[i++] = name;
    status = text_classifier_new(&p->model, &p->classifier, err);
    if (status == OK)
        text_classifier_hash(p->classifier, p->plan_hash);
    return status;
}

enum status text_predictor_open(const char *weights, struct text_predictor **predictor,
                                struct err *err)
{
    struct text_predictor *p = mem_alloc(sizeof *p);
    enum status status = text_model_open(weights, &p->model, err);
    if (status == OK)
        status = make_plans(p, err);
    if (status == OK)
        *predictor = p;
    else
        text_predictor_close(p);
    return status;
}

void text_predictor_close(struct text_predictor *p)
{
    if (!p)
        return;
    text_classifier_free(p->classifier);
    text_generator_free(p->generator);
    text_model_close(&p->model);
    mem_free(p->classes);
    mem_free(p);
}

bool text_predictor_is_classifier(const struct text_predictor *p)
{
    return p->classifier != NULL;
}

bool text_predictor_is_backwards(const struct text_predictor *p)
{
    return p->model.info.text.backwards;
}

int64_t text_predictor_n_classes(const struct text_predictor *p)
{
    return p->n_classes;
}

const char *text_predictor_class(const struct text_predictor *p, int64_t index)
{
    return json_as_string(p->classes[index], "");
}

const char *text_predictor_plan_hash(const struct text_predictor *p)
{
    return p->plan_hash;
}

void text_predictor_run(struct text_predictor *p, struct text_item *items, size_t n)
{
    if (p->classifier)
        text_classifier_run(p->classifier, items, n);
    for (size_t i = 0; p->generator && i < n; i++)
        text_generator_run(p->generator, &items[i]);
}
