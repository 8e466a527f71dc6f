#include "engine/train/evaluate.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/format/model_file.h"
#include "engine/train/evaluate_labels.h"
#include "engine/train/events.h"
#include "engine/train/recipe.h"
#include "engine/train/report_pass.h"
#include "engine/zoo/zoo.h"

#define DEFAULT_BATCH 32
#define INTERVAL      .25 /* seconds between two step headers */

struct evaluate {
    const struct trainer_options *options;
    const struct trainer_hooks *hooks;
    int threads;
    const char *task;
    struct pack *pack; /* owned */
    uint32_t *items;   /* owned */
    uint32_t n_items;
    struct model_info info; /* owned */
    struct graph *graph;    /* owned */
    int32_t *label_map;     /* owned; (the pack's classes) */
    struct warnings warnings;
    double began, told; /* when the pass began, when a step was last told of */
    int64_t batch;
    bool paused;
};

bool evaluate_is_task(const struct json *spec)
{
    const char *task = json_string(spec, "task", "");
    return strcmp(task, "evaluate") == 0 || strcmp(task, "predict") == 0;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static enum status build(struct evaluate *e, const struct tensor_source *source, struct err *err)
{
    enum zoo_head head;
    const struct zoo_net *net = zoo_find(e->info.architecture);
    if (!net)
        return err_at(err, E_INVALID, "/model", "The weights are of an unknown network \"%.60s\".",
                      e->info.architecture);
    if (!e->info.classes || !zoo_head_from_name(e->info.head, &head))
        return err_at(err, E_INVALID, "/model",
                      "The model has no classifier, so there is nothing to %s: train one on it "
                      "first.",
                      e->task);
    e->graph = zoo_build(
        net, &(struct zoo_options){.head = head, .classes = (int64_t)json_len(e->info.classes)});
    return model_file_load(source, e->graph, NULL, err);
}

static enum status open_model(struct evaluate *e, struct err *err)
{
    struct tensor_source source;
    if (!e->options->weights)
        return err_at(err, E_INVALID, "/model", "There is no model to %s: give its weights.",
                      e->task);
    enum status status = model_file_open(e->options->weights, &source, &e->info, err);
    if (status != OK)
        return status;
    status = build(e, &source, err);
    tensor_source_close(&source);
    return status;
}

static enum status open_data(struct evaluate *e, struct err *err)
{
    bool predicts = strcmp(e->task, "predict") == 0;
    enum status status = pack_open(e->options->pack, e->options->index, &e->pack, err);
    if (status == OK)
        status = pack_want_text(e->pack, false, err);
    if (status != OK)
        return status;
    e->label_map = mem_alloc((size_t)pack_n_classes(e->pack) * sizeof *e->label_map);
    status = evaluate_match(e->pack, e->info.classes, !predicts, e->label_map, &e->warnings, err);
    if (status == OK)
        status = evaluate_items(e->pack, e->options->spec, predicts, &e->items, &e->n_items, err);
    return status;
}

static void close_all(struct evaluate *e)
{
    graph_free(e->graph);
    model_info_deinit(&e->info);
    pack_close(e->pack);
    mem_free(e->items);
    mem_free(e->label_map);
}

/* --- What is told ----------------------------------------------------------------------------- */

static void send(const struct evaluate *e, struct json *header)
{
    e->hooks->send(e->hooks->context, header);
    json_free(header);
}

static struct json *header_new(const char *type)
{
    struct json *header = json_new_object();
    json_set_string(header, "type", type);
    return header;
}

/* To whoever watches, an evaluation is one stage of one epoch in which nothing trains. */
static void tell_stage(const struct evaluate *e, int64_t steps)
{
    struct json *header = header_new("stage");
    json_set_string(header, "stage", e->task);
    json_set_integer(header, "stage_index", 0);
    json_set_integer(header, "stages", 1);
    json_set_integer(header, "epochs", 1);
    json_set_integer(header, "steps", steps);
    json_set_integer(header, "batch_size", e->batch);
    json_set_integer(header, "groups", e->graph->n_groups);
    json_set_integer(header, "frozen_groups", e->graph->n_groups);
    json_set_integer(header, "trainable_parameters", 0);
    json_set_integer(header, "size", e->info.image_size);
    json_set_integer(header, "n_valid", e->n_items);
    send(e, header);
}

static void tell_step(struct evaluate *e, int64_t done, int64_t total)
{
    double now = clock_seconds(), elapsed = now - e->began;
    if (now - e->told < INTERVAL && done < total)
        return;
    e->told = now;
    double pace = elapsed > 0 ? (double)done / elapsed : NAN;
    struct json *header = header_new("step");
    json_set_integer(header, "stage_index", 0);
    json_set_integer(header, "epoch", 0);
    json_set_integer(header, "step", done);
    json_set_integer(header, "steps", total);
    json_set_null(header, "train_loss");
    json_set_array(header, "learning_rates");
    json_set_null(header, "momentum");
    json_set_number(header, "examples_per_second", pace * (double)e->batch);
    json_set_number(header, "eta_seconds", (double)(total - done) / pace);
    json_set_null(header, "peak_memory_bytes");
    send(e, header);
}

static bool go_on(void *context, int64_t done, int64_t total)
{
    struct evaluate *e = context;
    enum trainer_request request = e->hooks->poll(e->hooks->context);
    if (done == 1)
        tell_stage(e, total);
    tell_step(e, done, total);
    e->paused = request == TRAINER_PAUSE;
    return request != TRAINER_PAUSE && request != TRAINER_CANCEL;
}

static void tell_end(struct evaluate *e, const struct warnings *warnings,
                     const struct run_report_scores *scores)
{
    struct events events = {.hooks = e->hooks, .graph = e->graph};
    static const char *const files[] = {REPORT_CSV, REPORT_NDJSON, REPORT_JSON};
    for (int i = e->warnings.n; i < warnings->n; i++)
        events_warning(&events, warnings->list[i].code, warnings->list[i].detail);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        events_artifact(&events, files[i]);
    struct json *header = header_new("result");
    json_set_number(header, "valid_loss", scores->loss);
    json_set_number(header, "accuracy", scores->accuracy);
    json_set_number(header, "error_rate", scores->error_rate);
    send(e, header);
}

/* --- The pass --------------------------------------------------------------------------------- */

/* The plan's digest names how this run computes; it is made as the pass will make it. */
static enum status tell_start(struct evaluate *e, struct err *err)
{
    char hash[65];
    struct plan *plan;
    struct plan_options options = {.mode = PLAN_INFER,
                                   .batch = e->batch,
                                   .height = e->info.image_size,
                                   .width = e->info.image_size};
    enum status status = plan_new(e->graph, &options, &plan, err);
    if (status != OK)
        return status;
    plan_hash(plan, hash);
    plan_free(plan);
    e->hooks->started(e->hooks->context, e->threads, hash);
    struct events events = {.hooks = e->hooks, .graph = e->graph};
    for (int i = 0; i < e->warnings.n; i++)
        events_warning(&events, e->warnings.list[i].code, e->warnings.list[i].detail);
    return OK;
}

static enum status run_pass(struct evaluate *e, struct err *err)
{
    const struct json *spec = e->options->spec;
    struct run_report_options report = {
        .folder = e->options->folder,
        .task = e->task,
        .split = json_string(spec, "split", "valid"),
        .pack = e->pack,
        .classes = e->info.classes,
        .label_map = e->label_map,
        .multilabel = model_info_is_multilabel(&e->info),
        .threshold = json_number(spec, "threshold", .5),
        .tta = json_integer(spec, "tta", 0),
    };
    struct model_pass pass = {
        .graph = e->graph,
        .pack = e->pack,
        .items = e->items,
        .n_items = e->n_items,
        .size = e->info.image_size,
        .batch = (int)e->batch,
        .threads = e->threads,
        .seed = (uint64_t)json_integer(spec, "seed", 0),
        .go_on = go_on,
        .context = e,
    };
    recipe_augment(&pass.augment, json_get(spec, "augment"));
    struct warnings warnings;
    struct run_report_scores scores;
    e->began = clock_seconds();
    enum status status =
        report_pass_run(&pass, &report, NULL, &e->warnings, &warnings, &scores, err);
    if (status == OK)
        tell_end(e, &warnings, &scores);
    return status;
}

enum status evaluate_run(const struct trainer_options *options, const struct trainer_hooks *hooks,
                         struct err *err)
{
    struct evaluate e = {.options = options,
                         .hooks = hooks,
                         .threads = options->threads > 0 ? options->threads : omp_get_num_procs(),
                         .task = json_string(options->spec, "task", "evaluate")};
    omp_set_num_threads(e.threads);
    enum status status = open_model(&e, err);
    if (status == OK)
        status = open_data(&e, err);
    if (status == OK) {
        int64_t batch = json_integer(options->spec, "batch_size", DEFAULT_BATCH);
        e.batch = batch < e.n_items ? batch : e.n_items;
        status = tell_start(&e, err);
    }
    if (status == OK)
        status = run_pass(&e, err);
    if (status == E_CANCELLED && e.paused) {
        send(&e, header_new("paused"));
        status = OK;
    }
    close_all(&e);
    return status;
}
