#include "engine/train/evaluate.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "engine/train/evaluate_subject.h"
#include "engine/train/events.h"
#include "engine/train/recipe.h"
#include "engine/train/report_pass.h"

#define INTERVAL .25 /* seconds between two step headers */

struct evaluate {
    const struct trainer_options *options;
    const struct trainer_hooks *hooks;
    int threads;
    struct evaluate_subject on;
    double began, told; /* when the pass began, when a step was last told of */
    bool paused;
};

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
static void tell_stage(const struct evaluate *e)
{
    struct json *header = header_new("stage");
    json_set_string(header, "stage", e->on.task);
    json_set_integer(header, "stage_index", 0);
    json_set_integer(header, "stages", 1);
    json_set_integer(header, "epochs", 1);
    json_set_integer(header, "steps", evaluate_steps(&e->on));
    json_set_integer(header, "batch_size", e->on.batch);
    json_set_integer(header, "groups", e->on.models[0].graph->n_groups);
    json_set_integer(header, "frozen_groups", e->on.models[0].graph->n_groups);
    json_set_integer(header, "trainable_parameters", 0);
    json_set_integer(header, "size", e->on.models[0].info.image_size);
    json_set_integer(header, "n_valid", e->on.n_items);
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
    json_set_number(header, "examples_per_second", pace * (double)e->on.batch);
    json_set_number(header, "eta_seconds", (double)(total - done) / pace);
    json_set_integer(header, "peak_memory_bytes", events_peak_memory());
    send(e, header);
}

static bool go_on(void *context, int64_t done, int64_t total)
{
    struct evaluate *e = context;
    enum trainer_request request = e->hooks->poll(e->hooks->context);
    tell_step(e, done, total);
    e->paused = request == TRAINER_PAUSE;
    return request != TRAINER_PAUSE && request != TRAINER_CANCEL;
}

static void tell_end(struct evaluate *e, const struct warnings *warnings,
                     const struct run_report_scores *scores)
{
    struct events events = {.hooks = e->hooks, .graph = e->on.models[0].graph};
    static const char *const files[] = {REPORT_CSV, REPORT_NDJSON, REPORT_JSON};
    for (int i = e->on.warnings.n; i < warnings->n; i++)
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

/* The plans' digest names how this run computes; each is made as its pass will make it. */
static enum status hash_plans(const struct evaluate *e, char hex[SHA256_HEX], struct err *err)
{
    for (int k = 0; k < e->on.n_models; k++) {
        const struct evaluate_model *model = &e->on.models[k];
        char own[SHA256_HEX], text[2 * SHA256_HEX];
        uint8_t digest[SHA256_BYTES];
        struct plan *plan;
        struct plan_options options = evaluate_plan_options(&e->on, model);
        enum status status = plan_new(model->graph, &options, &plan, err);
        if (status != OK)
            return status;
        plan_hash(plan, k == 0 ? hex : own);
        plan_free(plan);
        if (k == 0)
            continue;
        snprintf(text, sizeof text, "%s%s", hex, own);
        sha256_bytes(text, strlen(text), digest);
        digest_hex(digest, sizeof digest, hex);
    }
    return OK;
}

static enum status tell_start(struct evaluate *e, struct err *err)
{
    char hash[SHA256_HEX];
    enum status status = hash_plans(e, hash, err);
    if (status != OK)
        return status;
    e->hooks->started(e->hooks->context, e->threads, hash);
    struct events events = {.hooks = e->hooks, .graph = e->on.models[0].graph};
    for (int i = 0; i < e->on.warnings.n; i++)
        events_warning(&events, e->on.warnings.list[i].code, e->on.warnings.list[i].detail);
    return OK;
}

static struct report_model pass_of(struct evaluate *e, const struct evaluate_model *model)
{
    struct report_model made = {.places = model->places};
    made.pass = (struct model_pass){
        .graph = model->graph,
        .pack = e->on.pack,
        .items = e->on.items,
        .n_items = e->on.n_items,
        .text = model->text.corpus ? &model->text.pass : NULL,
        .size = model->info.image_size,
        .batch = (int)e->on.batch,
        .threads = e->threads,
        .seed = (uint64_t)json_integer(e->options->spec, "seed", 0),
        .go_on = go_on,
        .context = e,
    };
    recipe_augment(&made.pass.augment, json_get(e->options->spec, "augment"));
    return made;
}

/* Of an ensemble: its models' names, the first one's first. Owned by the caller; NULL: of one. */
static struct json *name_models(const struct evaluate_subject *on)
{
    struct json *names = on->n_models > 1 ? json_new_array() : NULL;
    for (int k = 0; names && k < on->n_models; k++)
        json_add_string(names, on->models[k].name);
    return names;
}

static enum status run_pass(struct evaluate *e, struct err *err)
{
    const struct json *spec = e->options->spec;
    const struct model_info *info = &e->on.models[0].info;
    struct json *names = name_models(&e->on);
    struct run_report_options report = {
        .folder = e->options->folder,
        .task = e->on.task,
        .split = json_string(spec, "split", "valid"),
        .pack = e->on.pack,
        .models = names,
        .classes = info->classes,
        .label_map = e->on.label_map,
        .multilabel = model_info_is_multilabel(info),
        .threshold = json_number(spec, "threshold", .5),
        .tta = e->on.views,
    };
    struct report_model *models = mem_alloc((size_t)e->on.n_models * sizeof *models);
    for (int k = 0; k < e->on.n_models; k++)
        models[k] = pass_of(e, &e->on.models[k]);
    struct warnings warnings;
    struct run_report_scores scores;
    e->began = clock_seconds();
    tell_stage(e);
    enum status status = report_pass_run(models, e->on.n_models, &report, NULL, &e->on.warnings,
                                         &warnings, &scores, err);
    if (status == OK)
        tell_end(e, &warnings, &scores);
    mem_free(models);
    json_free(names);
    return status;
}

enum status evaluate_run(const struct trainer_options *options, const struct trainer_hooks *hooks,
                         struct err *err)
{
    struct evaluate e = {.options = options,
                         .hooks = hooks,
                         .threads = options->threads > 0 ? options->threads : omp_get_num_procs()};
    omp_set_num_threads(e.threads);
    enum status status = evaluate_open(&e.on, options, true, err);
    if (status == OK)
        status = tell_start(&e, err);
    if (status == OK)
        status = run_pass(&e, err);
    if (status == E_CANCELLED && e.paused) {
        send(&e, header_new("paused"));
        status = OK;
    }
    evaluate_close(&e.on);
    return status;
}
