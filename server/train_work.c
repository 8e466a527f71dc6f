/* train_work.c -- jobs are started here, in the queue's order. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/admission.h"
#include "server/estimate.h"
#include "server/train_work.h"
#include "store/datasets.h"

static void train_free(struct work *work)
{
    struct train *train = (struct train *)work;
    while (train->files) {
        struct train_file *file = train->files;
        train->files = file->next;
        train_free_file(file);
    }
    for (size_t i = 0; i < train->n_batch; i++)
        mem_free((void *)(uintptr_t)train->batch[i].data);
    progress_deinit(&train->progress);
    json_free(train->stage);
    json_free(train->spec);
    mem_free(train->folder);
    arena_deinit(&train->arena);
    mem_free(train);
}

const struct work_kind train_kind = {
    .verb = "train",
    .nice = 10,
    .on_frame = train_on_frame,
    .on_tick = train_on_tick,
    .on_exit = train_on_exit,
    .files_are_done = train_files_are_done,
    .settle = train_settle,
    .free = train_free,
};

static void log_failure(const char *message, const char *id, const struct err *err)
{
    char detail[800];
    log_event(LOG_ERROR, "supervisor", message, "id=%s detail=%s", id,
              log_quote(detail, sizeof detail, err->detail));
}

/* --- Starting ------------------------------------------------------------------------------- */

static enum status fail_queued(struct supervisor *supervisor, const char *id, const char *code,
                               const struct err *why, struct err *err)
{
    struct err named = *why;
    err_name(&named, code, NULL);
    char *text = work_error_json(&named);
    struct job_change change = {.error = text};
    enum status status =
        job_transition(supervisor->store, id, JOB_QUEUED, JOB_FAILED, &change, err);
    mem_free(text);
    return status;
}

static enum status fail_for_dataset(struct supervisor *supervisor, const char *id, struct err *err)
{
    struct err why = {0};
    err_set(&why, E_INVALID,
            "The dataset of this job could not be processed: look at its error, upload it again "
            "and submit the job again.");
    return fail_queued(supervisor, id, "dataset_failed", &why, err);
}

/* What somebody can put right loses nothing: the job waits, paused, until it is resumed. */
static enum status pause_queued(struct supervisor *supervisor, const char *id,
                                const struct err *why, struct err *err)
{
    char detail[800];
    struct err named = *why;
    if (why->status == E_NO_SPACE)
        err_name(&named, "disk_low",
                 "Make room (delete datasets, models or jobs, or free space otherwise), then "
                 "resume the job.");
    else
        err_name(&named, "file_missing", "Then resume the job.");
    char *text = work_error_json(&named);
    struct job_change change = {.error = text};
    enum status status =
        job_transition(supervisor->store, id, JOB_QUEUED, JOB_PAUSED, &change, err);
    if (status == OK)
        log_event(LOG_WARN, "supervisor", "job paused", "id=%s code=%s detail=%s", id, named.code,
                  log_quote(detail, sizeof detail, why->detail));
    mem_free(text);
    return status;
}

/* Where the engine went before, so that what it says again after a resume is told from news. */
static double position_of_last(struct train *train, const char *type, const char *field)
{
    struct event_row row;
    struct json *data = NULL;
    struct err ignored;
    double position = -1;
    if (events_last(train->work.supervisor->store, train->work.id, type, &train->arena, &row,
                    &ignored) == OK &&
        json_parse(row.data, strlen(row.data), &data, &ignored) == OK)
        position = progress_position(data, field);
    json_free(data);
    return position;
}

static struct train *train_new(struct supervisor *supervisor, const char *id)
{
    struct train *train = mem_alloc(sizeof *train);
    train->work.kind = &train_kind;
    train->work.supervisor = supervisor;
    snprintf(train->work.id, sizeof train->work.id, "%s", id);
    arena_init(&train->arena);
    train->folder = mem_printf("%s/jobs/%s/checkpoints", store_folder(supervisor->store), id);
    train->trainable_parameters = -1;
    train->last_stage = position_of_last(train, "stage", "none");
    train->last_epoch = position_of_last(train, "epoch", "epoch");
    train->last_checkpoint = position_of_last(train, "checkpoint", "step");
    return train;
}

static enum status read_rows(struct train *train, struct dataset_row *dataset, struct err *err)
{
    struct store *store = train->work.supervisor->store;
    enum status status = job_get(store, train->work.id, &train->arena, &train->row, err);
    if (status == OK)
        status = dataset_get(store, train->row.dataset, &train->arena, dataset, err);
    if (status == OK)
        status = json_parse(train->row.spec, strlen(train->row.spec), &train->spec, err);
    if (status == OK && (!dataset->pack || !dataset->index))
        status = err_set(err, E_INVALID, "The dataset %s has no pack.", dataset->id);
    return status;
}

/* "auto" batches as they were planned: what fits memory is known there. */
static struct json *pin_batches(const struct train *train)
{
    struct json *spec = json_copy(train->spec), *estimate = NULL;
    struct err ignored;
    if (train->row.estimate)
        json_parse(train->row.estimate, strlen(train->row.estimate), &estimate, &ignored);
    const struct json *batch = json_first(json_get(estimate, "batch_sizes"));
    struct json *stages = json_new_array();
    bool automatic = !strcmp(json_string(spec, "batch_size", ""), "auto");
    json_each(stage, json_get(spec, "stages"))
    {
        struct json *copy = json_copy(stage);
        bool own = json_type(json_get(stage, "batch_size")) == JSON_NUMBER;
        if (automatic && !own && json_as_number(batch, 0) >= 1)
            json_set(copy, "batch_size", json_copy(batch));
        json_add(stages, copy);
        batch = batch ? json_next(batch) : NULL;
    }
    if (json_len(stages) > 0) /* evaluate and predict have none */
        json_set(spec, "stages", stages);
    else
        json_free(stages);
    json_free(estimate);
    return spec;
}

/* The document of wire.h. */
static enum status make_document(struct train *train, const struct dataset_row *dataset,
                                 struct json *document, struct err *err)
{
    json_set_string(document, "type", "job");
    json_set_string(document, "verb", "train");
    json_set(document, "spec", pin_batches(train));
    json_set_string(document, "out", train->folder);
    json_set_integer(document, "threads",
                     json_integer(train->spec, "threads", train->work.supervisor->threads));
    struct store *store = train->work.supervisor->store;
    enum status status = work_set_blob(store, document, "pack", dataset->pack, err);
    if (status == OK)
        status = work_set_blob(store, document, "index", dataset->index, err);
    if (status == OK)
        status = work_set_blob(store, document, "weights", train->row.weights, err);
    if (status == OK)
        status = work_set_blobs(store, document, "ensemble", train->row.ensemble, err);
    if (status == OK)
        status = fs_make_folders(train->folder, err);
    return status;
}

/* Starts the engine. An engine that cannot be started counts as one that died. */
static void start_engine(struct train *train, const struct json *document)
{
    struct err err = {0};
    char *log =
        mem_printf("%s/jobs/%s/log", store_folder(train->work.supervisor->store), train->work.id);
    progress_init(&train->progress, train->spec, train->row.progress, train->row.latest,
                  train->row.best);
    if (work_launch(&train->work, log, document, &err) != OK) {
        log_failure("engine not started", train->work.id, &err);
        train->work.failure = err;
        train->work.ended = (struct child_exit){.code = -1};
        train->work.phase = train_on_exit(&train->work);
    }
    mem_free(log);
}

/* queued -> validating, with an engine; or queued -> failed where that cannot be, or queued ->
 * paused where the disk has no room or misses a file. */
static enum status launch(struct supervisor *supervisor, const char *id, struct err *err)
{
    struct dataset_row dataset = {0};
    struct err why = {0};
    struct json *document = json_new_object();
    struct train *train = train_new(supervisor, id);
    enum status status = read_rows(train, &dataset, &why);
    if (status == OK)
        status =
            admission_disk(supervisor, estimate_bytes(train->row.estimate, "disk_bytes"), &why);
    if (status == OK)
        status = make_document(train, &dataset, document, &why);
    if (status) {
        work_free(&train->work);
        json_free(document);
        return status == E_NO_SPACE || status == E_GONE
                   ? pause_queued(supervisor, id, &why, err)
                   : fail_queued(supervisor, id, NULL, &why, err);
    }
    status = job_transition(supervisor->store, id, JOB_QUEUED, JOB_VALIDATING, NULL, err);
    if (status) {
        work_free(&train->work);
    } else {
        start_engine(train, document);
        work_add(supervisor, &train->work);
    }
    json_free(document);
    return status;
}

/* --- What clients asked ----------------------------------------------------------------------- */

static void ask_cancel(struct train *train)
{
    if (train->told_cancel || train->work.phase != WORK_ENGINE)
        return;
    train->told_cancel = true;
    work_send(&train->work, "cancel");
    work_deadline(&train->work, clock_seconds() + CANCEL_SECONDS);
}

static void ask_pause(struct train *train, double seconds)
{
    if (train->work.phase != WORK_ENGINE)
        return;
    if (!train->told_pause)
        work_send(&train->work, "pause");
    train->told_pause = true;
    work_deadline(&train->work, clock_seconds() + seconds);
}

void train_ask_stop(struct work *work)
{
    ask_pause((struct train *)work, work->supervisor->stop_seconds);
}

/* --- The rows
 * ------------------------------------------------------------------------------------- */

static bool dataset_is_lost(const struct job_brief *brief)
{
    return !brief->dataset_status ||
           !strcmp(brief->dataset_status, dataset_status_name(DATASET_FAILED));
}

static enum status look_at(struct supervisor *supervisor, const struct job_brief *brief,
                           struct err *err)
{
    struct train *train = (struct train *)work_find(supervisor, &train_kind, brief->id);
    if (brief->status == JOB_QUEUED && dataset_is_lost(brief))
        return fail_for_dataset(supervisor, brief->id, err);
    if (brief->status == JOB_QUEUED || brief->status == JOB_PAUSED)
        return OK;
    if (!train)
        return train_recover(supervisor, brief, err);
    if (brief->status == JOB_CANCELLING)
        ask_cancel(train);
    if (brief->status == JOB_PAUSING)
        ask_pause(train, PAUSE_SECONDS);
    return OK;
}

/* The first of the queue: planned where it is not yet, else started where there is room for it.
 * True: there may be another one to start. */
static bool start_next(struct supervisor *supervisor)
{
    struct err err = {0};
    struct arena arena;
    struct job_row row = {0};
    arena_init(&arena);
    enum status status = jobs_next(supervisor->store, &arena, &row, &err);
    bool planned = status == OK && row.estimate;
    bool fits = planned && work_count(supervisor, &train_kind) < (size_t)supervisor->max_jobs &&
                admission_memory(supervisor, estimate_bytes(row.estimate, "peak_memory_bytes"));
    if (status == OK && !planned)
        plan_job(supervisor, &row);
    else if (fits)
        status = launch(supervisor, row.id, &err);
    /* A conflict is a client that was faster: cancelled or paused meanwhile. */
    bool again = fits && (status == OK || status == E_CONFLICT);
    if (status && status != E_CONFLICT && status != E_NOT_FOUND)
        log_failure("job not started", "queue", &err);
    arena_deinit(&arena);
    return again;
}

void train_look(struct supervisor *supervisor)
{
    struct err err = {0};
    struct arena arena;
    struct job_brief *briefs = NULL;
    size_t n = 0;
    arena_init(&arena);
    if (jobs_open(supervisor->store, &arena, &briefs, &n, &err) != OK)
        log_failure("jobs not read", "queue", &err);
    for (size_t i = 0; i < n; i++)
        if (look_at(supervisor, &briefs[i], &err) != OK)
            log_failure("job not changed", briefs[i].id, &err);
    arena_deinit(&arena);
    while (start_next(supervisor))
        continue;
}
