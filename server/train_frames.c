/* train_frames.c -- what a training engine says becomes progress, events and checkpoints. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/train_work.h"

static double elapsed(const struct train *train)
{
    return clock_seconds() - train->work.started_at;
}

/* --- The batch
 * ------------------------------------------------------------------------------------ */

static void add_event(struct train *train, const char *type, const struct json *fields)
{
    if (train->n_batch == TRAIN_MAX_BATCH) {
        struct err err;
        if (train_flush(train, &err) != OK && train->n_batch == TRAIN_MAX_BATCH)
            return; /* the rows cannot be written for long already: this one is lost */
    }
    train->batch[train->n_batch++] = (struct event_new){
        .time_ms = clock_wall_ms(),
        .type = type,
        .job = train->work.id,
        .data = json_text(fields),
    };
    train->urgent |= strcmp(type, "step") != 0;
}

/* The header's own fields, as an event has them. */
static void add_header(struct train *train, const char *type, const struct json *header)
{
    struct json *fields = json_copy(header);
    json_remove(fields, "type");
    add_event(train, type, fields);
    json_free(fields);
}

enum status train_flush(struct train *train, struct err *err)
{
    double eta = json_number(train->progress.now, "eta_seconds", -1);
    char *now = json_text(train->progress.now);
    char *latest = train->progress.latest ? json_text(train->progress.latest) : NULL;
    char *best = train->progress.best ? json_text(train->progress.best) : NULL;
    struct job_report report = {
        .progress = now,
        .latest = latest,
        .best = best,
        .estimated_finish_ms = eta < 0 ? 0 : clock_wall_ms() + (int64_t)(eta * 1000),
        .events = train->batch,
        .n_events = train->n_batch,
        .checkpointed = train->checkpointed,
    };
    enum status status =
        job_report(train->work.supervisor->store, train->work.id, &report, train->urgent, err);
    mem_free(now);
    mem_free(latest);
    mem_free(best);
    if (status)
        return status;
    for (size_t i = 0; i < train->n_batch; i++)
        mem_free((void *)(uintptr_t)train->batch[i].data);
    train->n_batch = 0;
    train->urgent = train->checkpointed = false;
    train->flush_at = 0;
    return OK;
}

/* --- Checkpoint files ------------------------------------------------------------------------- */

static enum status store_file(struct train_file *file, struct err *err)
{
    int fd = -1;
    char *name = mem_printf("%s.safetensors", file->slot);
    char *path = mem_printf("%s/%s", file->folder, name);
    enum status status = fs_open_beneath(file->folder, name, TRAIN_MAX_WEIGHTS, &fd, err);
    if (status == OK && file->move)
        status = blob_move(file->store, path, &file->blob, err);
    else if (status == OK)
        status = blob_copy(file->store, fd, TRAIN_MAX_WEIGHTS, &file->blob, err);
    if (fd >= 0)
        close(fd);
    mem_free(name);
    mem_free(path);
    return status;
}

static void run_file(struct task *task)
{
    struct train_file *file = (struct train_file *)task;
    file->status = store_file(file, &file->err);
}

void train_add_file(struct train *train, const char *slot, const struct json *header, bool move)
{
    struct train_file *file = mem_alloc(sizeof *file);
    file->task.run = run_file;
    file->store = train->work.supervisor->store;
    file->folder = mem_strdup(train->folder);
    file->slot = mem_strdup(slot);
    file->header = header ? json_copy(header) : NULL;
    file->move = move;
    struct train_file **last = &train->files;
    while (*last)
        last = &(*last)->next;
    *last = file;
    tasks_add(train->work.supervisor->tasks, &file->task);
}

void train_free_file(struct train_file *file)
{
    mem_free(file->folder);
    mem_free(file->slot);
    json_free(file->header);
    mem_free(file);
}

/* "stage-2" -> 1; -1 for the other slots. */
static int stage_of_slot(const char *slot)
{
    return strncmp(slot, "stage-", 6) ? -1 : (int)strtol(slot + 6, NULL, 10) - 1;
}

static const char *name_of_slot(const struct train *train, const char *slot)
{
    int stage = stage_of_slot(slot);
    if (!strcmp(slot, "final"))
        return "last";
    if (stage < 0)
        return slot;
    const struct json *spec = json_at(json_get(train->spec, "stages"), (size_t)stage);
    return json_string(spec, "name", slot);
}

void train_checkpoint_row(const struct train *train, const struct train_file *file,
                          struct arena *arena, struct checkpoint_row *row)
{
    int stage = stage_of_slot(file->slot);
    struct json *scores = progress_scores(file->header);
    char *metrics = json_text(scores);
    *row = (struct checkpoint_row){
        .job = train->work.id,
        .slot = file->slot,
        .name = name_of_slot(train, file->slot),
        .stage_index =
            json_integer(file->header, "stage_index",
                         stage >= 0 ? stage : json_integer(train->progress.now, "stage_index", 0)),
        .epoch = json_integer(file->header, "epoch", json_integer(train->progress.now, "epoch", 0)),
        .step = json_integer(file->header, "step", json_integer(train->progress.now, "step", 0)),
        .sha256 = file->blob.sha256,
        .bytes = file->blob.bytes,
        .metrics = arena_strdup(arena, metrics),
    };
    mem_free(metrics);
    json_free(scores);
}

/* A stage's end that arrived in the store: its row and event. False: not written yet. */
static bool take_stage_file(struct train *train, struct train_file *file)
{
    struct err err = {0};
    struct arena arena;
    struct checkpoint_row row;
    arena_init(&arena);
    enum status status = file->status;
    if (status) {
        err = file->err;
    } else {
        train_checkpoint_row(train, file, &arena, &row);
        struct json *fields = json_copy(file->header);
        json_remove(fields, "type");
        json_set_string(fields, "name", row.name);
        char *data = json_text(fields);
        struct event_new event = {.type = "checkpoint", .job = train->work.id, .data = data};
        struct job_report report = {.checkpoint = &row, .events = &event, .n_events = 1};
        status = job_report(train->work.supervisor->store, train->work.id, &report, true, &err);
        mem_free(data);
        json_free(fields);
    }
    if (status) {
        char detail[800];
        log_event(LOG_ERROR, "supervisor", "checkpoint not stored", "id=%s slot=%s detail=%s",
                  train->work.id, file->slot, log_quote(detail, sizeof detail, err.detail));
    }
    arena_deinit(&arena);
    return status == OK || file->status;
}

/* Files without a header were collected at the end; their rows come with the outcome. */
static void take_stage_files(struct train *train, double now)
{
    while (train->files && train->files->header && task_is_done(&train->files->task) &&
           now >= train->retry_at) {
        struct train_file *file = train->files;
        if (!take_stage_file(train, file)) {
            train->retry_at = now + RETRY_SECONDS;
            return;
        }
        train->files = file->next;
        train_free_file(file);
    }
}

/* --- Messages --------------------------------------------------------------------------------- */

static void on_started(struct train *train, const struct json *header)
{
    struct err err = {0};
    struct json *engine = json_copy(header);
    json_remove(engine, "type");
    char *text = json_text(engine);
    struct job_change change = {.engine = text};
    enum status status = job_transition(train->work.supervisor->store, train->work.id,
                                        JOB_VALIDATING, JOB_RUNNING, &change, &err);
    mem_free(text);
    json_free(engine);
    train->started = true;
    if (status == OK || status == E_CONFLICT)
        return; /* a conflict: it was cancelled meanwhile, which the rows say */
    /* Its rows cannot be written, and what is not `running` must not run. */
    child_kill(train->work.child);
}

static void on_stage(struct train *train, const struct json *header)
{
    double position = progress_position(header, "none");
    progress_take(&train->progress, header, elapsed(train));
    train->trainable_parameters = json_integer(header, "frozen_groups", 1) == 0
                                      ? json_integer(header, "trainable_parameters", -1)
                                      : -1;
    if (position > train->last_stage)
        add_header(train, "stage", header);
    if (position > train->last_stage)
        train->last_stage = position;
}

static void on_step(struct train *train, const struct json *header)
{
    progress_take(&train->progress, header, elapsed(train));
    add_header(train, "step", header);
}

static void on_epoch(struct train *train, const struct json *header)
{
    double position = progress_position(header, "epoch");
    if (position <= train->last_epoch)
        return; /* it resumed before this epoch's end and came to it again */
    train->last_epoch = position;
    progress_take(&train->progress, header, elapsed(train));
    add_header(train, "epoch", header);
}

/* A checkpoint that is further than every earlier one is new: deaths are counted from there. */
static void on_checkpoint(struct train *train, const struct json *header)
{
    const char *slot = json_string(header, "slot", "");
    double position = progress_position(header, "step");
    train->checkpointed |= position > train->last_checkpoint;
    if (position > train->last_checkpoint)
        train->last_checkpoint = position;
    int stage = stage_of_slot(slot);
    if (stage >= 0 && stage < TRAIN_MAX_STAGES) {
        train_add_file(train, slot, header, false);
        return;
    }
    struct json *named = json_copy(header);
    json_remove(named, "type");
    json_set_string(named, "name", name_of_slot(train, slot));
    add_event(train, "checkpoint", named);
    json_free(named);
}

static void on_log(struct train *train, const struct json *header)
{
    if (train->n_lines++ < TRAIN_MAX_LINES)
        add_header(train, "log", header);
}

static void on_warning(struct train *train, const struct json *header)
{
    if (train->n_lines++ < TRAIN_MAX_LINES)
        add_header(train, "warning", header);
}

static void on_paused(struct train *train, const struct json *header)
{
    (void)header;
    if (!train->told_pause)
        work_violation(&train->work, "it paused without having been asked.");
}

enum when { BEFORE_START = 1, AFTER_START = 2, ANY_TIME = 3 };

static const struct {
    const char *type;
    void (*take)(struct train *train, const struct json *header);
    enum when when; /* relative to `started` */
} messages[] = {
    {"started", on_started, BEFORE_START},
    {"stage", on_stage, AFTER_START},
    {"step", on_step, AFTER_START},
    {"epoch", on_epoch, AFTER_START},
    {"paused", on_paused, AFTER_START},
    {"checkpoint", on_checkpoint, AFTER_START},
    {"log", on_log, ANY_TIME},
    {"warning", on_warning, ANY_TIME},
};

void train_on_frame(struct work *work, const struct json *header)
{
    struct train *train = (struct train *)work;
    const char *type = json_string(header, "type", "");
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        if (strcmp(messages[i].type, type) != 0)
            continue;
        if (messages[i].when & (train->started ? AFTER_START : BEFORE_START))
            messages[i].take(train, header);
        else
            work_violation(work, "a message came out of its order.");
        return;
    }
    work_violation(work, "a message of a type that training does not have.");
}

void train_on_tick(struct work *work, double now)
{
    struct train *train = (struct train *)work;
    struct err err = {0};
    char detail[800];
    take_stage_files(train, now);
    if (train->n_batch && train->flush_at == 0)
        train->flush_at = now + TRAIN_FLUSH_SECONDS;
    bool due = train->urgent || train->checkpointed || (train->n_batch && now >= train->flush_at);
    if (!due || now < train->retry_at || train_flush(train, &err) == OK)
        return;
    train->retry_at = now + RETRY_SECONDS;
    log_event(LOG_ERROR, "supervisor", "events cannot be written yet", "id=%s detail=%s", work->id,
              log_quote(detail, sizeof detail, err.detail));
}
