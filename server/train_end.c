/* train_end.c -- an engine has ended: what that means for its job, and how it is settled. */
#include <stdio.h>
#include <string.h>

#include "api/spec/wire.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"
#include "server/train_work.h"

#define LOW_DISK_BYTES (64u << 20) /* less free than this: "no space" was the disk, not memory */
#define REST_PER_DEATH 0.1         /* seconds before the next start, for each death so far */

/* --- What it was ------------------------------------------------------------------------------ */

static bool disk_is_low(const struct train *train)
{
    struct err ignored;
    uint64_t bytes = UINT64_MAX;
    fs_free_bytes(train->folder, &bytes, &ignored);
    return bytes < LOW_DISK_BYTES;
}

static enum train_outcome judge_failure(const struct train *train)
{
    const struct err *failure = &train->work.failure;
    if (train->work.violated)
        return TRAIN_FAILED;
    if (failure->status == E_CANCELLED)
        return train->told_cancel || train->told_pause ? TRAIN_STOPPED : TRAIN_INTERRUPTED;
    /* The engine of an earlier thawd is still dying and holds the folder; or none could start. */
    if (!train->started && (failure->status == E_CONFLICT || failure->status == E_UNAVAILABLE))
        return TRAIN_INTERRUPTED;
    if (failure->status == E_NO_SPACE && disk_is_low(train))
        return TRAIN_DISK_FULL;
    return TRAIN_FAILED;
}

bool train_makes_model(const struct train *train)
{
    static const char *const others[] = {"lr_find", "evaluate", "predict"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (!strcmp(json_string(train->spec, "task", ""), others[i]))
            return false;
    return true;
}

static enum train_outcome judge(const struct train *train)
{
    const struct work *work = &train->work;
    if (work->failure.status)
        return judge_failure(train);
    bool whole = json_string(work->result, "weights_sha256", NULL) ||
                 (work->result && !train_makes_model(train));
    if (train->started && whole)
        return TRAIN_SUCCEEDED;
    if (train->paused_by_recipe && !train->told_cancel)
        return TRAIN_STAGE_END;
    return train->told_cancel || train->told_pause ? TRAIN_STOPPED : TRAIN_INTERRUPTED;
}

/* --- What it left
 * --------------------------------------------------------------------------------- */

static bool is_stored(const struct checkpoint_list *list, const char *slot)
{
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->rows[i].slot, slot))
            return true;
    return false;
}

static bool is_on_its_way(const struct train *train, const char *slot)
{
    for (const struct train_file *file = train->files; file; file = file->next)
        if (!strcmp(file->slot, slot))
            return true;
    return false;
}

static void collect(struct train *train, const struct checkpoint_list *stored, const char *slot)
{
    struct err absent;
    uint64_t bytes;
    char *path = mem_printf("%s/%s.safetensors", train->folder, slot);
    if (!is_stored(stored, slot) && !is_on_its_way(train, slot) &&
        fs_file_size(path, &bytes, &absent) == OK)
        train_add_file(train, slot, NULL, true);
    mem_free(path);
}

/* Artifacts whose message was lost with an engine that died. */
static void collect_artifacts(struct train *train)
{
    struct artifact_row row;
    struct err absent;
    uint64_t bytes;
    for (const char *const *name = wire_artifacts; *name; name++) {
        char *path = mem_printf("%s/%s", train->folder, *name);
        if (!is_on_its_way(train, *name) && fs_file_size(path, &bytes, &absent) == OK &&
            artifact_get(train->work.supervisor->store, train->work.id, *name, &train->arena, &row,
                         &absent) == E_NOT_FOUND)
            train_add_artifact(train, *name, NULL, true);
        mem_free(path);
    }
}

/* Every checkpoint that people can see and that is not in the store yet. */
static void collect_files(struct train *train)
{
    struct checkpoint_list stored = {0};
    struct err err;
    char slot[16];
    size_t n_stages = json_len(json_get(train->spec, "stages"));
    checkpoints_list(train->work.supervisor->store, train->work.id, &train->arena, &stored, &err);
    for (size_t k = 1; k <= n_stages && k <= TRAIN_MAX_STAGES; k++) {
        snprintf(slot, sizeof slot, "stage-%zu", k);
        collect(train, &stored, slot);
    }
    collect_artifacts(train);
    if (!train_makes_model(train))
        return;
    collect(train, &stored, "best");
    collect(train, &stored, "language-model");
    train_add_file(train, "final", NULL, true);
}

enum work_phase train_on_exit(struct work *work)
{
    struct train *train = (struct train *)work;
    train->outcome = judge(train);
    if (train->outcome == TRAIN_SUCCEEDED) {
        train_learn_pass(train);
        collect_files(train);
    }
    return WORK_FILES;
}

bool train_files_are_done(struct work *work)
{
    struct train *train = (struct train *)work;
    if (train->outcome == TRAIN_RESTING)
        return work->supervisor->stopping || clock_seconds() >= train->rest_until;
    for (struct train_file *file = train->files; file; file = file->next)
        if (!task_is_done(&file->task))
            return false;
    return true;
}

/* --- Settling
 * ------------------------------------------------------------------------------------- */

static enum status move_to(struct train *train, enum job_status from, enum job_status to,
                           const struct job_change *change, struct err *err)
{
    return job_transition(train->work.supervisor->store, train->work.id, from, to, change, err);
}

static enum status settle_failed(struct train *train, enum job_status from, const struct err *why,
                                 struct err *err)
{
    char *text = work_error_json(why);
    struct job_change change = {.error = text};
    enum status status = move_to(train, from, JOB_FAILED, &change, err);
    mem_free(text);
    return status;
}

/* How many deaths are too many, and what they are called. */
static void name_deaths(const struct train *train, const struct job_row *row, struct err *why)
{
    char how[80];
    bool memory = train->work.ended.out_of_memory;
    if (train->work.failure.status) {
        *why = train->work.failure; /* it could not even be started */
    } else {
        err_set(why, E_INTERNAL,
                "The engine died %lld times since the last checkpoint, at last %s%s.",
                (long long)row->deaths + 1, work_exit_text(&train->work.ended, how),
                memory ? ": the machine had no memory left for it" : "");
    }
    err_name(why, memory ? "out_of_memory" : "engine_crashed",
             memory ? "Use a smaller batch_size, image size or model."
                    : "The job's log has the engine's last words.");
}

static enum status settle_interrupted(struct train *train, const struct job_row *row,
                                      struct err *err)
{
    const struct child_exit *ended = &train->work.ended;
    bool stopping = train->work.supervisor->stopping;
    struct job_change change = {.died = !stopping,
                                .crashed = !stopping && child_signal_is_crash(ended->signal)};
    if (row->status == JOB_PAUSING)
        return move_to(train, JOB_PAUSING, JOB_PAUSED, &change, err);
    if (row->deaths + change.died >= MAX_DEATHS || row->crashes + change.crashed >= MAX_CRASHES) {
        struct err why = {0};
        name_deaths(train, row, &why);
        return settle_failed(train, row->status, &why, err);
    }
    enum status status = move_to(train, row->status, JOB_INTERRUPTED, &change, err);
    if (status || stopping)
        return status;
    train->outcome = TRAIN_RESTING;
    train->rest_until = clock_seconds() + REST_PER_DEATH * (double)(row->deaths + 1);
    train->work.phase = WORK_FILES;
    return OK;
}

/* What a job paused by a full disk says. Owned by the caller, free with mem_free. */
static char *disk_full_error(const struct train *train)
{
    struct err why = {0}, ignored;
    char room[SIZE_TEXT];
    uint64_t bytes = 0;
    fs_free_bytes(train->folder, &bytes, &ignored);
    err_set(
        &why, E_NO_SPACE,
        "The disk was full when a checkpoint was to be written (%s are free now), so the job was "
        "paused. Nothing before its last checkpoint is lost.",
        size_text(bytes, room));
    err_name(&why, "disk_full",
             "Make room (delete datasets, models or jobs, or free space otherwise), then resume "
             "the job.");
    return work_error_json(&why);
}

/* A full disk loses nothing: the job waits, paused, until somebody made room and resumes it. */
static enum status settle_disk_full(struct train *train, enum job_status from, struct err *err)
{
    char *error = disk_full_error(train);
    struct event_new event = {.type = "warning", .job = train->work.id, .data = error};
    struct job_report report = {.events = &event, .n_events = 1};
    struct job_change change = {.error = error};
    enum status status = OK;
    if (from == JOB_RUNNING)
        status = move_to(train, JOB_RUNNING, JOB_PAUSING, NULL, err);
    if (from == JOB_VALIDATING)
        status = move_to(train, JOB_VALIDATING, JOB_INTERRUPTED, NULL, err);
    if (status == OK)
        status = job_report(train->work.supervisor->store, train->work.id, &report, true, err);
    if (status == OK)
        status = move_to(train, from == JOB_VALIDATING ? JOB_INTERRUPTED : JOB_PAUSING, JOB_PAUSED,
                         &change, err);
    if (status == OK)
        log_event(LOG_WARN, "supervisor", "job paused: the disk is full", "id=%s", train->work.id);
    mem_free(error);
    return status;
}

static const struct train_file *final_file(const struct train *train)
{
    const struct train_file *file = train->files;
    while (file && strcmp(file->slot, "final") != 0)
        file = file->next;
    return file;
}

static enum status settle_succeeded(struct train *train, const struct job_row *row, struct err *err)
{
    const struct train_file *final = final_file(train);
    if (final && final->status == E_NO_SPACE)
        return settle_disk_full(train, row->status, err);
    if (final && final->status) {
        struct err why = final->err;
        err_prefix(&why, "The engine's result cannot be used: ");
        err_name(&why, "engine_protocol", NULL);
        return settle_failed(train, row->status, &why, err);
    }
    progress_finish(&train->progress, clock_seconds() - train->work.started_at);
    enum status status = train_flush(train, err);
    if (status == OK)
        status = train_write_success(train, row, final, err);
    return status;
}

/* A stage is done and its "then" says pause. */
static enum status settle_stage_end(struct train *train, enum job_status from, struct err *err)
{
    struct err why = {0};
    const char *stage = json_string(train->progress.now, "stage", "");
    err_set(&why, E_CONFLICT, "The stage \"%.80s\" is done, and \"then\" says pause.", stage);
    err_name(&why, "stage_done",
             "Resume the job to go on; PATCH it before to change the stages that follow.");
    char *reason = work_error_json(&why);
    struct job_change change = {.reason = reason};
    enum status status =
        from == JOB_RUNNING ? move_to(train, JOB_RUNNING, JOB_PAUSING, NULL, err) : OK;
    if (status == OK)
        status = move_to(train, JOB_PAUSING, JOB_PAUSED, &change, err);
    mem_free(reason);
    return status;
}

static enum status settle_stopped(struct train *train, enum job_status from, struct err *err)
{
    if (from == JOB_PAUSING)
        return move_to(train, from, JOB_PAUSED, NULL, err);
    enum status status = move_to(train, from, JOB_INTERRUPTED, NULL, err);
    if (status || train->work.supervisor->stopping)
        return status;
    return move_to(train, JOB_INTERRUPTED, JOB_QUEUED, NULL, err);
}

static enum status settle_outcome(struct train *train, const struct job_row *row, struct err *err)
{
    /* Its `started` could not be written: it never ran. */
    if (row->status == JOB_VALIDATING && train->outcome == TRAIN_SUCCEEDED)
        train->outcome = TRAIN_INTERRUPTED;
    if (row->status == JOB_CANCELLING)
        return move_to(train, JOB_CANCELLING, JOB_CANCELLED, NULL, err);
    switch (train->outcome) {
    case TRAIN_SUCCEEDED:
        return settle_succeeded(train, row, err);
    case TRAIN_FAILED:
        return settle_failed(train, row->status, &train->work.failure, err);
    case TRAIN_DISK_FULL:
        return settle_disk_full(train, row->status, err);
    case TRAIN_STOPPED:
        return settle_stopped(train, row->status, err);
    case TRAIN_STAGE_END:
        return settle_stage_end(train, row->status, err);
    case TRAIN_INTERRUPTED:
    case TRAIN_RESTING:
        break;
    }
    return settle_interrupted(train, row, err);
}

/* Back to the queue after a rest; unless a client cancelled or paused it meanwhile. */
static enum status requeue(struct train *train, struct err *err)
{
    if (train->work.supervisor->stopping)
        return OK;
    enum status status = move_to(train, JOB_INTERRUPTED, JOB_QUEUED, NULL, err);
    return status == E_CONFLICT ? OK : status;
}

static void remove_checkpoints(const struct train *train)
{
    struct err err;
    char detail[800];
    if (fs_remove_tree(train->folder, &err) != OK)
        log_event(LOG_WARN, "supervisor", "checkpoints not removed", "id=%s detail=%s",
                  train->work.id, log_quote(detail, sizeof detail, err.detail));
}

static bool is_active(enum job_status status)
{
    return status == JOB_VALIDATING || status == JOB_RUNNING || status == JOB_PAUSING ||
           status == JOB_CANCELLING;
}

enum status train_settle(struct work *work, struct err *err)
{
    struct train *train = (struct train *)work;
    struct job_row row;
    if (train->outcome == TRAIN_RESTING)
        return requeue(train, err);
    train_on_tick(work, clock_seconds()); /* stage ends that were on their way */
    if (train->files && train->files->header)
        return err_set(err, E_UNAVAILABLE, "A checkpoint of %s has no row yet.", work->id);
    enum status status = train->n_batch ? train_flush(train, err) : OK;
    if (status == OK)
        status = job_get(work->supervisor->store, work->id, &train->arena, &row, err);
    if (status == OK && is_active(row.status))
        status = settle_outcome(train, &row, err);
    if (status == OK &&
        job_get(work->supervisor->store, work->id, &train->arena, &row, err) == OK &&
        job_status_is_terminal(row.status))
        remove_checkpoints(train);
    return status;
}

/* --- After a restart ---------------------------------------------------------------------------
 */

static const struct {
    enum job_status from, to;
} recoveries[] = {
    {JOB_VALIDATING, JOB_INTERRUPTED}, {JOB_RUNNING, JOB_INTERRUPTED},
    {JOB_INTERRUPTED, JOB_QUEUED},     {JOB_PAUSING, JOB_PAUSED},
    {JOB_CANCELLING, JOB_CANCELLED},
};

enum status train_recover(struct supervisor *supervisor, const struct job_brief *brief,
                          struct err *err)
{
    enum status status = OK;
    enum job_status at = brief->status;
    for (size_t i = 0; status == OK && i < ARRAY_LEN(recoveries); i++) {
        if (recoveries[i].from != at)
            continue;
        at = recoveries[i].to;
        status = job_transition(supervisor->store, brief->id, recoveries[i].from, at, NULL, err);
    }
    return status;
}
