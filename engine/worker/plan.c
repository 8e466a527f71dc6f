/* plan.c -- the verb `plan`: what a job would do, without doing it.
 *
 * Reads the spec, the index and the header of the weights, and leaves out/result.json: {stages (as
 * schedule.json: engine/train/outline.h), estimate: {peak_memory_bytes, flops_per_step: [one a
 * stage], steps: [one a stage], batch_size}}. An evaluation is one stage in which nothing trains.
 * Seconds are for thawd to add, which knows how fast its machine is. With memory_limit, batches
 * that are "auto" are lowered until the run fits. */
#include <omp.h>
#include <string.h>

#include "api/spec/jobspec.h"
#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/train/evaluate_subject.h"
#include "engine/train/footprint.h"
#include "engine/train/outline.h"
#include "engine/train/text_run.h"
#include "engine/worker/document.h"
#include "engine/worker/verb.h"

#define MOST_TEXT (16u << 20) /* bytes of texts that are read */

/* Everything that a plan is made from. */
struct planning {
    const struct json *document;
    struct json *spec;     /* owned */
    struct pack *pack;     /* owned */
    struct split split;    /* owned */
    struct recipe recipe;  /* owned */
    struct text_run *text; /* owned; of texts */
    struct recipe_texts texts;
    struct graph *graph; /* owned; without values */
    const struct zoo_net *net;
    int threads;
};

static enum status open_data(struct planning *p, struct err *err)
{
    enum status status = pack_open(json_string(p->document, "pack", NULL),
                                   json_string(p->document, "index", NULL), &p->pack, err);
    if (status == OK)
        status = pack_want_text(p->pack, jobspec_is_text(p->spec), err);
    if (status != OK || recipe_is_language_model(p->spec))
        return status;
    if (status == OK)
        status = split_make(p->pack, json_number(p->spec, "valid_fraction", .2),
                            (uint64_t)json_integer(p->spec, "split_seed", 0), &p->split, err);
    if (status == OK && pack_n_classes(p->pack) < 2)
        status = err_set(err, E_INVALID,
                         "The data set has %u class(es): a classifier needs two or more.",
                         pack_n_classes(p->pack));
    return status;
}

/* The network that a name means, and its graph. */
static enum status find_net(struct planning *p, const char *name, struct err *err)
{
    p->net = zoo_find(name);
    if (!p->net) {
        struct buf names;
        buf_init(&names, 400);
        zoo_print_names(&names);
        err_at(err, E_INVALID, "/model", "There is no network \"%.60s\"; there are %s.", name,
               names.data);
        buf_deinit(&names);
        return E_INVALID;
    }
    struct zoo_options options = {.head = ZOO_HEAD_V2, .classes = pack_n_classes(p->pack)};
    p->graph = zoo_build(p->net, &options);
    return OK;
}

/* The network is what the weights say they are, and they must have all of its body. */
static enum status match_weights(struct planning *p, const char *path, struct err *err)
{
    struct tensor_source source;
    struct model_info info;
    struct model_match match = {0};
    enum status status = model_file_open(path, &source, &info, err);
    if (status != OK)
        return status;
    status = find_net(p, info.architecture, err);
    if (status == OK)
        model_file_match(&source, p->graph, "head.", &match);
    if (match.n_missing + match.n_misshapen > 0)
        status = err_at(err, E_INVALID, "/model", "The weights do not fit %s: %s.", p->net->name,
                        match.problems);
    tensor_source_close(&source);
    model_info_deinit(&info);
    return status;
}

static enum status open_net(struct planning *p, struct err *err)
{
    const char *weights = json_string(p->document, "weights", NULL);
    return weights ? match_weights(p, weights, err)
                   : find_net(p, json_string(p->spec, "model", ""), err);
}

/* Some megabytes of the texts are read: how many words and steps there are is known exactly where
 * that is all of them, else nearly. */
static enum status read_texts(struct planning *p, const struct model_info *start, struct err *err)
{
    struct text_run_options options = {.spec = p->spec,
                                       .start = start,
                                       .pack = p->pack,
                                       .split =
                                           recipe_is_language_model(p->spec) ? NULL : &p->split,
                                       .folder = json_string(p->document, "out", "."),
                                       .most_bytes = MOST_TEXT};
    enum status status = text_run_open(&options, &p->text, err);
    if (status != OK)
        return status;
    p->texts = text_run_recipe(p->text);
    status = recipe_init_texts(&p->recipe, p->spec, &p->texts, p->pack, &p->split, err);
    if (status == OK)
        p->graph = recipe_graph(&p->recipe, PHASE_LANGUAGE_MODEL, 0);
    return status;
}

static enum status plan_texts(struct planning *p, struct err *err)
{
    const char *weights = json_string(p->document, "weights", NULL);
    struct tensor_source source;
    struct model_info info;
    if (!weights)
        return read_texts(p, NULL, err);
    enum status status = model_file_open(weights, &source, &info, err);
    if (status != OK)
        return status;
    if (!model_info_is_text(&info))
        status = err_at(err, E_INVALID, "/model",
                        "The model is of %s, which is for pictures: a job on texts starts from a "
                        "language model, or from nothing with \"model\": null.",
                        info.architecture);
    else
        status = read_texts(p, &info, err);
    tensor_source_close(&source);
    model_info_deinit(&info);
    return status;
}

static enum status plan_pictures(struct planning *p, struct err *err)
{
    enum status status = open_net(p, err);
    return status == OK ? recipe_init(&p->recipe, p->spec, p->net, p->pack, &p->split, err)
                        : status;
}

/* What the loss refuses, it refuses before anything runs. */
static enum status check_loss(const struct planning *p, struct err *err)
{
    struct loss loss;
    if (recipe_is_language_model(p->spec))
        return OK;
    enum status status =
        loss_init(&loss, &p->recipe.loss, p->pack, p->split.train, p->split.n_train, err);
    if (status == OK)
        loss_deinit(&loss);
    return status;
}

static enum status prepare(struct planning *p, struct err *err)
{
    enum status status = document_spec(p->document, &p->spec, err);
    if (status == OK)
        status = document_threads(p->document, p->spec, &p->threads, err);
    if (status == OK)
        status = open_data(p, err);
    p->threads = p->threads > 0 ? p->threads : omp_get_num_procs();
    omp_set_num_threads(p->threads);
    if (status == OK)
        status = jobspec_is_text(p->spec) ? plan_texts(p, err) : plan_pictures(p, err);
    return status == OK ? check_loss(p, err) : status;
}

static void close_all(struct planning *p)
{
    recipe_deinit(&p->recipe);
    text_run_close(p->text);
    graph_free(p->graph);
    split_deinit(&p->split);
    pack_close(p->pack);
    json_free(p->spec);
}

static struct json *result_of(const struct planning *p, const struct footprint *footprint)
{
    const struct recipe *recipe = &p->recipe;
    int64_t batch = 0;
    struct json *result = json_new_object();
    json_set(result, "stages", outline_stages(recipe, p->graph));
    struct json *estimate = json_set_object(result, "estimate");
    json_set_integer(estimate, "peak_memory_bytes", footprint->peak_memory_bytes);
    struct json *flops = json_set_array(estimate, "flops_per_step");
    struct json *steps = json_set_array(estimate, "steps");
    for (int i = 0; i < recipe->n_stages; i++) {
        json_add_number(flops, footprint->flops_per_step[i]);
        json_add_number(steps, (double)recipe->stages[i].schedule.steps);
        batch = recipe->stages[i].batch > batch ? recipe->stages[i].batch : batch;
    }
    json_set_integer(estimate, "batch_size", batch);
    return result;
}

static enum status plan_training(const struct json *document, int64_t limit, struct json **result,
                                 struct err *err)
{
    struct planning p = {.document = document};
    struct footprint footprint;
    enum status status = prepare(&p, err);
    if (status == OK)
        status =
            footprint_fit(&p.recipe, pack_n_classes(p.pack), p.threads, limit, &footprint, err);
    if (status == OK)
        *result = result_of(&p, &footprint);
    close_all(&p);
    return status;
}

static enum status plan_evaluation(const struct json *document, const struct json *spec,
                                   int64_t limit, struct json **result, struct err *err)
{
    struct trainer_options options = {.spec = spec,
                                      .pack = json_string(document, "pack", NULL),
                                      .index = json_string(document, "index", NULL),
                                      .weights = json_string(document, "weights", NULL),
                                      .ensemble = json_get(document, "ensemble")};
    enum status status = document_threads(document, spec, &options.threads, err);
    options.threads = options.threads > 0 ? options.threads : omp_get_num_procs();
    omp_set_num_threads(options.threads);
    return status == OK ? evaluate_plan(&options, limit, result, err) : status;
}

static enum status run(struct report *report, const struct json *document, struct err *err)
{
    struct json *spec = NULL, *result = NULL;
    int64_t limit = json_integer(document, "memory_limit", 0);
    enum status status = document_spec(document, &spec, err);
    if (status == OK)
        status = evaluate_is_task(spec) ? plan_evaluation(document, spec, limit, &result, err)
                                        : plan_training(document, limit, &result, err);
    if (status == OK)
        status = report_result(report, result, json_string(document, "out", "."), NULL, err);
    json_free(result);
    json_free(spec);
    return status;
}

static const struct verb_flag flags[] = {
    {"--spec", "spec", FLAG_JSON, "FILE", "job spec", true},
    {"--pack", "pack", FLAG_INPUT, "FILE", "the data set's pack", true},
    {"--index", "index", FLAG_INPUT, "FILE", "and its index", true},
    {"--weights", "weights", FLAG_INPUT, "FILE", "weights to start from", false},
    {"--ensemble", "ensemble", FLAG_INPUTS, "FILE",
     "of an evaluation: a model that is averaged with --weights", false},
    {"--out", "out", FLAG_OUTPUT, "FOLDER", "for result.json", true},
    {"--threads", "threads", FLAG_INTEGER, "N", "that the run would have (all cores)", false},
    {"--memory-limit", "memory_limit", FLAG_INTEGER, "BYTES", "that the run must fit", false},
};

const struct verb verb_plan = {
    .name = "plan",
    .summary = "says what a job would do: stages, schedule, memory, arithmetic",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .run = run,
    .runs_kernels = true,
};
