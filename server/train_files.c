/* train_files.c -- files that a training engine leaves, on their way into the store: checkpoints
 * that people can see, and artifacts (reports, predictions, curves).
 *
 * The helper thread copies or moves each into a blob; then its row and its event are written
 * here. What was announced keeps its header until both stand; what was only found at the end has
 * none, and its row comes with the outcome. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/train_work.h"

/* --- On the helper thread --------------------------------------------------------------------- */

static bool is_json(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && !strcmp(name + len - 5, ".json");
}

/* Handlers read it as JSON: what is none is not kept. */
static enum status check_json(const char *path, struct err *err)
{
    struct buf text;
    struct json *value = NULL;
    buf_init(&text, TRAIN_MAX_JSON);
    enum status status = fs_read_file(path, &text, err);
    if (status == OK)
        status = json_parse(text.data, text.len, &value, err);
    if (status == OK && json_type(value) != JSON_OBJECT)
        status =
            err_set(err, E_INVALID, "It is %s, not an object.", json_type_name(json_type(value)));
    json_free(value);
    buf_deinit(&text);
    return status;
}

static enum status store_file(struct train_file *file, struct err *err)
{
    int fd = -1;
    uint64_t max = file->artifact ? TRAIN_MAX_ARTIFACT : TRAIN_MAX_WEIGHTS;
    char *name = file->artifact ? mem_strdup(file->slot) : mem_printf("%s.safetensors", file->slot);
    char *path = mem_printf("%s/%s", file->folder, name);
    enum status status = fs_open_beneath(file->folder, name, max, &fd, err);
    if (status == OK && file->artifact && is_json(name))
        status = check_json(path, err);
    if (status == OK && file->move)
        status = blob_move(file->store, path, &file->blob, err);
    else if (status == OK)
        status = blob_copy(file->store, fd, max, &file->blob, err);
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

/* --- On their way ----------------------------------------------------------------------------- */

static struct train_file *add(struct train *train, const char *slot, const struct json *header)
{
    struct train_file *file = mem_alloc(sizeof *file);
    file->task.run = run_file;
    file->store = train->work.supervisor->store;
    file->folder = mem_strdup(train->folder);
    file->slot = mem_strdup(slot);
    file->header = header ? json_copy(header) : NULL;
    struct train_file **last = &train->files;
    while (*last)
        last = &(*last)->next;
    *last = file;
    return file;
}

void train_add_file(struct train *train, const char *slot, const struct json *header, bool move)
{
    struct train_file *file = add(train, slot, header);
    file->move = move;
    tasks_add(train->work.supervisor->tasks, &file->task);
}

void train_add_artifact(struct train *train, const char *name, const struct json *header, bool move)
{
    struct train_file *file = add(train, name, header);
    file->artifact = true;
    file->move = move;
    tasks_add(train->work.supervisor->tasks, &file->task);
}

void train_free_file(struct train_file *file)
{
    mem_free(file->folder);
    mem_free(file->slot);
    json_free(file->header);
    mem_free(file);
}

/* --- Rows ------------------------------------------------------------------------------------- */

int train_stage_of_slot(const char *slot)
{
    long stage = strncmp(slot, "stage-", 6) ? 0 : strtol(slot + 6, NULL, 10);
    return stage >= 1 && stage <= TRAIN_MAX_STAGES ? (int)stage - 1 : -1;
}

const char *train_name_of_slot(const struct train *train, const char *slot)
{
    int stage = train_stage_of_slot(slot);
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
    int stage = train_stage_of_slot(file->slot);
    struct json *scores = progress_scores(file->header);
    char *metrics = json_text(scores);
    *row = (struct checkpoint_row){
        .job = train->work.id,
        .slot = file->slot,
        .name = train_name_of_slot(train, file->slot),
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

struct artifact_row train_artifact_row(const struct train *train, const struct train_file *file)
{
    return (struct artifact_row){.job = train->work.id,
                                 .name = file->slot,
                                 .sha256 = file->blob.sha256,
                                 .bytes = file->blob.bytes};
}

/* Row and event of a file that arrived, in one transaction. */
static enum status report_file(struct train *train, const struct train_file *file, struct err *err)
{
    struct arena arena;
    struct checkpoint_row checkpoint;
    struct artifact_row artifact;
    struct job_report report = {.n_events = 1};
    arena_init(&arena);
    struct json *fields = json_copy(file->header);
    json_remove(fields, "type");
    if (file->artifact) {
        artifact = train_artifact_row(train, file);
        report.artifact = &artifact;
        json_set_integer(fields, "bytes", artifact.bytes);
    } else {
        train_checkpoint_row(train, file, &arena, &checkpoint);
        report.checkpoint = &checkpoint;
        json_set_string(fields, "name", checkpoint.name);
    }
    char *data = json_text(fields);
    struct event_new event = {
        .type = file->artifact ? "artifact" : "checkpoint", .job = train->work.id, .data = data};
    report.events = &event;
    enum status status =
        job_report(train->work.supervisor->store, train->work.id, &report, true, err);
    mem_free(data);
    json_free(fields);
    arena_deinit(&arena);
    return status;
}

/* False: not written yet. A file that could not be stored is told and done with. */
static bool take_file(struct train *train, struct train_file *file)
{
    struct err err = file->err;
    char detail[800];
    enum status status = file->status ? file->status : report_file(train, file, &err);
    if (status)
        log_event(LOG_ERROR, "supervisor", "file not stored", "id=%s file=%s detail=%s",
                  train->work.id, file->slot, log_quote(detail, sizeof detail, err.detail));
    return status == OK || file->status;
}

void train_take_files(struct train *train, double now)
{
    while (train->files && train->files->header && task_is_done(&train->files->task) &&
           now >= train->retry_at) {
        struct train_file *file = train->files;
        if (!take_file(train, file)) {
            train->retry_at = now + RETRY_SECONDS;
            return;
        }
        train->files = file->next;
        train_free_file(file);
    }
}
