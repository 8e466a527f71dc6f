#include "engine/train/evaluate_subject.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/pack.h"
#include "engine/train/evaluate_labels.h"
#include "engine/train/footprint.h"
#include "engine/zoo/text_network.h"
#include "engine/zoo/zoo.h"

#define DEFAULT_BATCH 32
#define MIB           (1024.0 * 1024)

bool evaluate_is_task(const struct json *spec)
{
    const char *task = json_string(spec, "task", "");
    return strcmp(task, "evaluate") == 0 || strcmp(task, "predict") == 0;
}

/* --- One model -------------------------------------------------------------------------------- */

static enum status check_shapes(const struct evaluate_model *model,
                                const struct tensor_source *source, struct err *err)
{
    struct model_match match = {0};
    model_file_match(source, model->graph, NULL, &match);
    if (match.n_missing + match.n_misshapen == 0)
        return OK;
    return err_at(err, E_INVALID, "/model", "The weights do not fit %s: %s.",
                  model->info.architecture, match.problems);
}

static enum status no_classifier(const struct evaluate_subject *e, struct err *err)
{
    return err_at(err, E_INVALID, "/model",
                  "The model has no classifier, so there is nothing to %s: train one on it first.",
                  e->task);
}

static enum status build_text(struct evaluate_model *model, const struct tensor_source *source)
{
    struct awd_lstm_options network = text_network_options(&model->info, source);
    model->graph = awd_lstm_build(&network);
    return OK;
}

static enum status build_pictures(const struct evaluate_subject *e, struct evaluate_model *model,
                                  struct err *err)
{
    enum zoo_head head;
    const struct zoo_net *net = zoo_find(model->info.architecture);
    if (!net)
        return err_at(err, E_INVALID, "/model", "The weights are of an unknown network \"%.60s\".",
                      model->info.architecture);
    if (!zoo_head_from_name(model->info.head, &head))
        return no_classifier(e, err);
    model->graph =
        zoo_build(net, &(struct zoo_options){.head = head,
                                             .classes = (int64_t)json_len(model->info.classes)});
    return OK;
}

static enum status build(const struct evaluate_subject *e, struct evaluate_model *model,
                         const struct tensor_source *source, bool values, struct err *err)
{
    if (!model->info.classes)
        return no_classifier(e, err);
    enum status status = model_info_is_text(&model->info) ? build_text(model, source)
                                                          : build_pictures(e, model, err);
    if (status != OK)
        return status;
    return values ? model_file_load(source, model->graph, NULL, err)
                  : check_shapes(model, source, err);
}

static enum status open_model(const struct evaluate_subject *e, struct evaluate_model *model,
                              const char *weights, bool values, struct err *err)
{
    struct tensor_source source;
    enum status status = model_file_open(weights, &source, &model->info, err);
    if (status != OK)
        return status;
    status = build(e, model, &source, values, err);
    tensor_source_close(&source);
    return status;
}

static void close_model(struct evaluate_model *model)
{
    text_evaluate_close(&model->text);
    graph_free(model->graph);
    model_info_deinit(&model->info);
    mem_free(model->places);
}

/* --- An ensemble ------------------------------------------------------------------------------ */

/* The first model's classes among those of another one. */
static enum status match_classes(const struct evaluate_model *first, struct evaluate_model *model,
                                 struct err *err)
{
    bool text = model_info_is_text(&model->info);
    bool several = model_info_is_multilabel(&model->info);
    if (text != model_info_is_text(&first->info))
        return err_set(err, E_INVALID, "It is for %s, and %.80s for %s.",
                       text ? "texts" : "pictures", first->name, text ? "pictures" : "texts");
    if (several != model_info_is_multilabel(&first->info))
        return err_set(err, E_INVALID, "It gives %s, and %.80s %s.",
                       several ? "any number of labels" : "one class", first->name,
                       several ? "one class" : "any number of labels");
    model->places = mem_alloc(json_len(first->info.classes) * sizeof *model->places);
    return evaluate_places(first->info.classes, model->info.classes, first->name, model->places,
                           err);
}

static enum status open_other(struct evaluate_subject *e, size_t k, const char *weights,
                              bool values, struct err *err)
{
    struct evaluate_model *model = &e->models[e->n_models++];
    enum status status = open_model(e, model, weights, values, err);
    if (status == OK)
        status = match_classes(&e->models[0], model, err);
    if (status == OK)
        return OK;
    err_prefix(err, "The model %.80s cannot be part of the ensemble: ", model->name);
    snprintf(err->pointer, sizeof err->pointer, "/ensemble/%zu", k);
    return status;
}

static enum status open_models(struct evaluate_subject *e, const struct trainer_options *options,
                               bool values, struct err *err)
{
    const struct json *names = json_get(options->spec, "ensemble");
    size_t k = 0, n = json_len(options->ensemble);
    if (!options->weights)
        return err_at(err, E_INVALID, "/model", "There is no model to %s: give its weights.",
                      e->task);
    e->models = mem_alloc((1 + n) * sizeof *e->models);
    e->models[0].name = json_string(options->spec, "model", "the first one");
    e->n_models = 1;
    enum status status = open_model(e, &e->models[0], options->weights, values, err);
    json_each(path, options->ensemble)
    {
        if (status != OK)
            break;
        const char *file = json_as_string(path, "");
        e->models[1 + k].name = json_as_string(json_at(names, k), file);
        status = open_other(e, k, file, values, err);
        k++;
    }
    return status;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static enum status open_data(struct evaluate_subject *e, const struct trainer_options *options,
                             struct err *err)
{
    const struct model_info *info = &e->models[0].info;
    bool predicts = strcmp(e->task, "predict") == 0;
    enum status status = pack_open(options->pack, options->index, &e->pack, err);
    if (status == OK)
        status = pack_want_text(e->pack, model_info_is_text(info), err);
    if (status != OK)
        return status;
    e->label_map = mem_alloc((size_t)pack_n_classes(e->pack) * sizeof *e->label_map);
    status = evaluate_match(e->pack, info->classes, !predicts, e->label_map, &e->warnings, err);
    if (status == OK)
        status = evaluate_items(e->pack, options->spec, predicts, &e->items, &e->n_items, err);
    return status;
}

static enum status read_texts(struct evaluate_subject *e, const struct trainer_options *options,
                              struct err *err)
{
    struct text_corpus_work work = {options->go_on, options->context};
    enum status status = OK;
    for (int k = 0; status == OK && k < e->n_models; k++) {
        struct evaluate_model *model = &e->models[k];
        char *words = mem_printf("%s/words-%d.tokens", options->folder, k + 1);
        status = text_evaluate_open(&model->text, &model->info, e->pack, e->items, e->n_items,
                                    e->batch, words, &work, err);
        mem_free(words);
    }
    return status;
}

enum status evaluate_open(struct evaluate_subject *subject, const struct trainer_options *options,
                          bool values, struct err *err)
{
    *subject = (struct evaluate_subject){.task = json_string(options->spec, "task", "evaluate"),
                                         .views = (int)json_integer(options->spec, "tta", 0)};
    enum status status = open_models(subject, options, values, err);
    if (status == OK)
        status = open_data(subject, options, err);
    if (status == OK) {
        int64_t batch = json_integer(options->spec, "batch_size", DEFAULT_BATCH);
        subject->batch = batch < subject->n_items ? batch : subject->n_items;
    }
    if (status == OK && values && model_info_is_text(&subject->models[0].info))
        status = read_texts(subject, options, err);
    if (status != OK)
        evaluate_close(subject);
    return status;
}

void evaluate_close(struct evaluate_subject *subject)
{
    for (int k = 0; k < subject->n_models; k++)
        close_model(&subject->models[k]);
    mem_free(subject->models);
    pack_close(subject->pack);
    mem_free(subject->items);
    mem_free(subject->label_map);
    *subject = (struct evaluate_subject){0};
}

/* Of the longest text there is, or that may be. */
static struct text_chunks_options chunks_of(const struct evaluate_subject *subject,
                                            const struct evaluate_model *model)
{
    return model->text.corpus
               ? model->text.pass.chunks
               : text_evaluate_chunks(&model->info, subject->batch, model->info.text.max_len);
}

struct plan_options evaluate_plan_options(const struct evaluate_subject *subject,
                                          const struct evaluate_model *model)
{
    if (model_info_is_text(&model->info)) {
        struct text_chunks_options chunks = chunks_of(subject, model);
        return text_chunks_encoder(&chunks, model->graph);
    }
    return (struct plan_options){.mode = PLAN_INFER,
                                 .batch = subject->batch,
                                 .height = model->info.image_size,
                                 .width = model->info.image_size};
}

int64_t evaluate_steps(const struct evaluate_subject *subject)
{
    int64_t rows = (int64_t)subject->n_items * (1 + subject->views);
    return (rows + subject->batch - 1) / subject->batch;
}

/* --- What is said before ---------------------------------------------------------------------- */

static void set_group_name(struct json *group, const struct evaluate_model *e, int g)
{
    char name[24];
    struct awd_lstm_options network = awd_lstm_defaults(AWD_LSTM_CLASSIFIER, 0);
    network.layers = (int)e->info.text.layers;
    if (model_info_is_text(&e->info))
        awd_lstm_group_name(&network, g, name, sizeof name);
    else
        snprintf(name, sizeof name, "%s", zoo_find(e->info.architecture)->groups[g]);
    json_set_string(group, "name", name);
}

static void add_groups(struct json *stage, const struct evaluate_model *e)
{
    struct json *groups = json_set_array(stage, "groups");
    for (int g = 0; g < e->graph->n_groups; g++) {
        double parameters = 0;
        for (int i = 0; i < e->graph->n_params; i++) {
            const struct param *param = e->graph->params[i];
            if (param->group == g && !param_is_statistic(param))
                parameters += (double)param->n_elements;
        }
        struct json *group = json_add_object(groups);
        set_group_name(group, e, g);
        json_set_bool(group, "frozen", true);
        json_set_number(group, "parameters", parameters);
        json_set_integer(group, "trainable_parameters", 0);
    }
}

/* As outline.h has them; no rates, so no rows. Of an ensemble the first model's. */
static void add_stage(struct json *stages, const struct evaluate_subject *e)
{
    struct json *stage = json_add_object(stages);
    json_set_string(stage, "name", e->task);
    json_set_integer(stage, "epochs", 1);
    json_set_integer(stage, "steps", evaluate_steps(e));
    json_set_integer(stage, "steps_per_epoch", evaluate_steps(e));
    json_set_integer(stage, "batch_size", e->batch);
    json_set_integer(stage, "size", e->models[0].info.image_size);
    json_set_integer(stage, "n_train", 0);
    json_set_integer(stage, "n_valid", e->n_items);
    add_groups(stage, &e->models[0]);
    json_set_array(stage, "step");
    json_set_array(stage, "learning_rates");
    json_set_array(stage, "momentum");
}

static struct json *result_of(const struct evaluate_subject *e, const struct footprint_pass *pass)
{
    struct json *result = json_new_object();
    add_stage(json_set_array(result, "stages"), e);
    struct json *estimate = json_set_object(result, "estimate");
    json_set_integer(estimate, "peak_memory_bytes", pass->peak_memory_bytes);
    json_add_number(json_set_array(estimate, "flops_per_step"), pass->flops_per_step);
    json_add_number(json_set_array(estimate, "steps"), (double)evaluate_steps(e));
    json_set_integer(estimate, "batch_size", e->batch);
    return result;
}

static enum status check_limit(const struct evaluate_subject *e, const struct footprint_pass *pass,
                               int64_t limit, struct err *err)
{
    if (limit <= 0 || pass->peak_memory_bytes <= limit)
        return OK;
    return err_at(err, E_NO_SPACE, "/batch_size",
                  "To %s would take %.0f MiB of memory with a batch_size of %lld, and %.0f MiB are "
                  "there: use a smaller one.",
                  e->task, (double)pass->peak_memory_bytes / MIB, (long long)e->batch,
                  (double)limit / MIB);
}

static enum status measure_model(const struct evaluate_subject *e,
                                 const struct evaluate_model *model, int threads,
                                 struct footprint_pass *pass, struct err *err)
{
    struct plan_options plan = evaluate_plan_options(e, model), head;
    bool text = model_info_is_text(&model->info);
    if (text) {
        struct text_chunks_options chunks = chunks_of(e, model);
        head = text_chunks_head(&chunks, model->graph);
    }
    return footprint_of_pass(model->graph, &plan, text ? &head : NULL, threads, pass, err);
}

/* All models are there at once. */
static enum status measure(const struct evaluate_subject *e, int threads,
                           struct footprint_pass *pass, struct err *err)
{
    enum status status = OK;
    *pass = (struct footprint_pass){.peak_memory_bytes = FOOTPRINT_BASE};
    for (int k = 0; status == OK && k < e->n_models; k++) {
        struct footprint_pass own;
        status = measure_model(e, &e->models[k], threads, &own, err);
        if (status != OK)
            break;
        pass->peak_memory_bytes += own.peak_memory_bytes - FOOTPRINT_BASE;
        pass->flops_per_step += own.flops_per_step;
    }
    return status;
}

enum status evaluate_plan(const struct trainer_options *options, int64_t memory_limit,
                          struct json **result, struct err *err)
{
    struct evaluate_subject e;
    struct footprint_pass pass;
    enum status status = evaluate_open(&e, options, false, err);
    if (status != OK)
        return status;
    status = measure(&e, options->threads, &pass, err);
    if (status == OK)
        status = check_limit(&e, &pass, memory_limit, err);
    if (status == OK)
        *result = result_of(&e, &pass);
    evaluate_close(&e);
    return status;
}
