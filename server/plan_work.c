/* plan_work.c -- what a job would do, asked of the engine before it does it.
 *
 * A handler asks for a spec that was just submitted (POST /v1/jobs, dry or not); the supervisor
 * asks for itself, for jobs whose dataset was still processing then (plan_job). The engine's verb
 * says stages, memory and arithmetic; seconds and disk are added here. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json_file.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/admission.h"
#include "server/errand.h"
#include "server/estimate.h"
#include "server/result.h"
#include "store/blobs.h"
#include "store/datasets.h"

#define PLAN_SECONDS 60.0
#define MAX_AT_ONCE  2
#define MAX_STAGES   64

struct planning {
    struct errand errand; /* first */
    struct plan_ask ask;  /* what it points to is the asker's until `done` */
    char *job;            /* owned; the queued job that is planned, or NULL: a handler asked */
    struct json *spec;    /* owned; of that job */
    struct json *result;  /* owned; {stages, estimate}, as far as they are known here */
    struct blob schedule;
};

const struct work_kind plan_kind = ERRAND_KIND("plan", 2);

/* --- What the engine left --------------------------------------------------------------------- */

struct member {
    const char *name;
    enum json_type type;
};

/* The known members of the right type; others stay behind. */
static void add_known(struct json *part, const struct json *object, const struct member *members,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct json *value = json_get(object, members[i].name);
        if (value && json_type(value) == members[i].type)
            json_set(part, members[i].name, json_copy(value));
        else
            json_set_null(part, members[i].name);
    }
}

static struct json *known_part(const struct json *object, const struct member *members, size_t n)
{
    struct json *part = json_new_object();
    add_known(part, object, members, n);
    return part;
}

static enum status check_result(const struct json *given, struct json **result, struct err *err)
{
    static const struct member stage_members[] = {
        {"name", JSON_STRING},          {"epochs", JSON_NUMBER},
        {"steps", JSON_NUMBER},         {"steps_per_epoch", JSON_NUMBER},
        {"batch_size", JSON_NUMBER},    {"size", JSON_NUMBER},
        {"n_train", JSON_NUMBER},       {"n_valid", JSON_NUMBER},
        {"groups", JSON_ARRAY},         {"step", JSON_ARRAY},
        {"learning_rates", JSON_ARRAY}, {"momentum", JSON_ARRAY},
    };
    static const struct member text_members[] = {{"phase", JSON_STRING}};
    static const struct member estimate_members[] = {
        {"peak_memory_bytes", JSON_NUMBER},
        {"flops_per_step", JSON_ARRAY},
        {"steps", JSON_ARRAY},
        {"batch_size", JSON_NUMBER},
    };
    const struct json *stages = json_get(given, "stages");
    if (json_type(stages) != JSON_ARRAY || json_len(stages) > MAX_STAGES ||
        json_type(json_get(given, "estimate")) != JSON_OBJECT)
        return err_set(err, E_INVALID, "The engine's plan has no usable stages or estimate.");
    *result = json_new_object();
    struct json *known = json_set_array(*result, "stages");
    json_each(stage, stages)
    {
        struct json *part = known_part(stage, stage_members, ARRAY_LEN(stage_members));
        if (json_get(stage, "phase"))
            add_known(part, stage, text_members, ARRAY_LEN(text_members));
        json_add(known, part);
    }
    json_set(
        *result, "estimate",
        known_part(json_get(given, "estimate"), estimate_members, ARRAY_LEN(estimate_members)));
    return OK;
}

/* {stages} as a blob: the job's schedule.json until its run leaves one. */
static enum status store_schedule(struct planning *planning, struct err *err)
{
    struct json *schedule = json_new_object();
    json_set(schedule, "stages", json_copy(json_get(planning->result, "stages")));
    char *path = mem_printf("%s/schedule.json", planning->errand.folder);
    enum status status = json_write_file(schedule, planning->errand.folder, "schedule.json", err);
    if (status == OK)
        status = blob_move(planning->errand.work.supervisor->store, path, &planning->schedule, err);
    mem_free(path);
    json_free(schedule);
    return status;
}

static enum status collect(struct errand *errand, struct err *err)
{
    struct planning *planning = (struct planning *)errand;
    struct json *given = NULL;
    enum status status = result_read(errand->folder, &given, err);
    if (status == OK)
        status = check_result(given, &planning->result, err);
    if (status == OK && planning->ask.weights) {
        status = blob_verify(errand->work.supervisor->store, planning->ask.weights,
                             "the weights to start from", err);
        err_name(err, status ? "file_damaged" : NULL, NULL);
    }
    if (status == OK && !planning->ask.dry)
        status = store_schedule(planning, err);
    json_free(given);
    return status;
}

/* --- The answer ------------------------------------------------------------------------------- */

static struct json *make_estimate(const struct planning *planning)
{
    const struct supervisor *supervisor = planning->errand.work.supervisor;
    struct estimate_options options = {
        .store = supervisor->store,
        .machine = supervisor->machine,
        .isa = supervisor->isa,
        .architecture = planning->ask.architecture,
        .threads = json_integer(planning->ask.spec, "threads", supervisor->threads),
        .spec = planning->ask.spec,
    };
    return estimate_make(&options, planning->result);
}

/* Whether a failure is about the spec; else it is about the engine or the moment. */
static bool is_verdict(const struct err *failure)
{
    return (failure->status == E_INVALID || failure->status == E_NO_SPACE ||
            failure->status == E_SYNTAX || failure->status == E_CONFLICT) &&
           strncmp(failure->code, "engine_", strlen("engine_")) != 0;
}

static void answer_handler(struct planning *planning, enum status status, struct err *failure)
{
    const struct supervisor *supervisor = planning->errand.work.supervisor;
    struct json *estimate = status ? NULL : make_estimate(planning);
    struct plan plan = {
        .stages = json_get(planning->result, "stages"),
        .estimate = estimate,
        .sha256 = planning->schedule.sha256,
        .bytes = planning->schedule.bytes,
    };
    if (status == OK && !planning->ask.dry)
        status =
            admission_disk(supervisor, (int64_t)json_number(estimate, "disk_bytes", 0), failure);
    if (status == E_GONE) {
        status = failure->status = E_CONFLICT;
        err_name(failure, "file_missing", NULL);
    } else if (status && !is_verdict(failure)) {
        status = failure->status = E_UNAVAILABLE;
    }
    planning->ask.done(planning->ask.arg, status, status ? NULL : &plan, status ? failure : NULL);
    json_free(estimate);
}

/* What of a job that waits in the queue was wrong all along: it need not start. */
static enum status fail_job(struct planning *planning, const struct err *why, struct err *err)
{
    char *error = work_error_json(why);
    struct job_change change = {.error = error};
    enum status status = job_transition(planning->errand.work.supervisor->store, planning->job,
                                        JOB_QUEUED, JOB_FAILED, &change, err);
    mem_free(error);
    return status == E_CONFLICT ? OK : status;
}

static enum status note_plan(struct planning *planning, struct err *err)
{
    struct store *store = planning->errand.work.supervisor->store;
    struct json *estimate = make_estimate(planning);
    char *text = json_text(estimate);
    struct artifact_row schedule = {.job = planning->job,
                                    .name = "schedule.json",
                                    .sha256 = planning->schedule.sha256,
                                    .bytes = planning->schedule.bytes};
    enum status status = job_set_plan(store, planning->job, text, &schedule, err);
    mem_free(text);
    json_free(estimate);
    return status;
}

/* A job that cannot be planned starts without an estimate: its run will say what is wrong. */
static void answer_job(struct planning *planning, enum status status, const struct err *failure)
{
    struct err err = {0};
    char detail[800];
    struct store *store = planning->errand.work.supervisor->store;
    if (status == OK)
        status = note_plan(planning, &err);
    else if (is_verdict(failure))
        status = fail_job(planning, failure, &err);
    else
        status = job_set_plan(store, planning->job, "{}", NULL, &err);
    if (status == OK)
        return;
    planning->errand.work.supervisor->plan_at = clock_seconds() + RETRY_SECONDS;
    log_event(LOG_ERROR, "supervisor", "plan not written", "id=%s detail=%s", planning->job,
              log_quote(detail, sizeof detail, err.detail));
}

static void answer(struct errand *errand, enum status status, struct err *failure)
{
    struct planning *planning = (struct planning *)errand;
    /* What the engine blames on the spec is memory, not the disk it writes its plan to. */
    if (status == E_NO_SPACE && failure->pointer[0])
        err_name(failure, "no_memory", NULL);
    if (planning->job && !errand->work.supervisor->stopping)
        answer_job(planning, status, failure);
    else if (!planning->job)
        answer_handler(planning, status, failure);
    json_free(planning->result);
    json_free(planning->spec);
    mem_free(planning->job);
}

/* --- Starting --------------------------------------------------------------------------------- */

static enum status make_document(struct planning *planning, struct json *document, struct err *err)
{
    struct errand *errand = &planning->errand;
    struct supervisor *supervisor = errand->work.supervisor;
    struct dataset_row dataset;
    json_set_string(document, "type", "job");
    json_set_string(document, "verb", "plan");
    json_set(document, "spec", json_copy(planning->ask.spec));
    json_set_string(document, "out", errand->folder);
    json_set_integer(document, "threads",
                     json_integer(planning->ask.spec, "threads", supervisor->threads));
    if (supervisor->memory_limit <= JSON_MAX_INTEGER)
        json_set_integer(document, "memory_limit", (int64_t)supervisor->memory_limit);
    enum status status =
        dataset_get(supervisor->store, planning->ask.dataset, &errand->arena, &dataset, err);
    if (status == OK && (!dataset.pack || !dataset.index))
        status =
            err_set(err, E_CONFLICT,
                    "The dataset %s is not ready: a plan needs to know what is in it.", dataset.id);
    if (status == OK)
        status = work_set_blob(supervisor->store, document, "pack", dataset.pack, err);
    if (status == OK)
        status = work_set_blob(supervisor->store, document, "index", dataset.index, err);
    if (status == OK)
        status = work_set_blob(supervisor->store, document, "weights", planning->ask.weights, err);
    if (status == OK)
        status =
            work_set_blobs(supervisor->store, document, "ensemble", planning->ask.ensemble, err);
    return status == OK ? fs_make_folder(errand->folder, err) : status;
}

static struct planning *planning_new(struct supervisor *supervisor)
{
    struct planning *planning = mem_alloc(sizeof *planning);
    errand_init(&planning->errand, supervisor, &plan_kind, "plan_");
    planning->errand.what = "the plan";
    planning->errand.collect = collect;
    planning->errand.answer = answer;
    return planning;
}

static void launch(struct planning *planning)
{
    struct json *document = json_new_object();
    struct err *failure = &planning->errand.work.failure;
    enum status status = make_document(planning, document, failure);
    errand_start(&planning->errand, status, document, PLAN_SECONDS);
    json_free(document);
}

void plan_job(struct supervisor *supervisor, const struct job_row *row)
{
    if (clock_seconds() < supervisor->plan_at)
        return;
    for (size_t i = 0; i < supervisor->n_works; i++) {
        const struct work *work = supervisor->works[i];
        const char *job = work->kind == &plan_kind ? ((const struct planning *)work)->job : NULL;
        if (job && !strcmp(job, row->id))
            return;
    }
    struct planning *planning = planning_new(supervisor);
    struct arena *arena = &planning->errand.arena;
    struct err ignored;
    planning->job = mem_strdup(row->id);
    json_parse(row->spec, strlen(row->spec), &planning->spec, &ignored);
    planning->ask = (struct plan_ask){
        .spec = planning->spec,
        .dataset = arena_strdup(arena, row->dataset),
        .weights = arena_strdup(arena, row->weights),
        .ensemble = arena_strdup(arena, row->ensemble),
        .architecture = arena_strdup(arena, row->architecture),
    };
    launch(planning);
}

void plan_look(struct supervisor *supervisor)
{
    struct plan_ask ask;
    while (work_count(supervisor, &plan_kind) < MAX_AT_ONCE &&
           inbox_take(supervisor->plans, &ask)) {
        struct planning *planning = planning_new(supervisor);
        planning->ask = ask;
        launch(planning);
    }
}

static void refuse(const struct plan_ask *ask, struct err *err)
{
    ask->done(ask->arg, err->status, NULL, err);
}

void plan_refuse_all(struct supervisor *supervisor)
{
    struct plan_ask ask;
    inbox_close(supervisor->plans);
    while (inbox_take(supervisor->plans, &ask)) {
        struct err err = {0};
        err_set(&err, E_UNAVAILABLE, "The server is shutting down: try again.");
        refuse(&ask, &err);
    }
}

void supervisor_plan(void *context, const struct plan_ask *ask)
{
    struct supervisor *supervisor = context;
    struct err err = {0};
    if (inbox_put(supervisor->plans, ask, &err) == OK)
        supervisor_wake(supervisor);
    else
        refuse(ask, &err);
}
