/* ingest_work.c -- a dataset that is processing: its upload becomes a pack.
 *
 * The engine announces each member before it decodes it. When it dies, or spends ITEM_SECONDS on
 * one member, it is started again with that member on its skip list, MAX_RESTARTS times at most: a
 * hostile picture costs itself and nothing else. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/result.h"
#include "server/work.h"
#include "store/blobs.h"
#include "store/datasets.h"

#define ITEM_SECONDS     10.0
#define SILENCE_SECONDS  900.0 /* between two messages, outside members: a huge archive's table */
#define MAX_RESTARTS     20
#define MAX_BLIND        3 /* of those, deaths at no member */
#define PROGRESS_SECONDS 0.5

struct ingest {
    struct work work; /* first */
    struct arena arena;
    struct dataset_row row;
    char *folder;      /* owned; DATA/tmp/ID, where the engine writes */
    struct json *skip; /* owned; ordinals */
    int64_t item;      /* being decoded; -1: none */
    int restarts, blind;
    bool dropped; /* the dataset was deleted, or thawd is going down: no outcome is wanted */
    int64_t done, total;
    double progress_at; /* when done and total are next written; 0: nothing new */

    struct task task; /* the files of a success */
    bool collecting;
    enum status status;
    struct err err;
    struct blob pack, index;
};

static struct ingest *ingest_of_task(struct task *task)
{
    return (struct ingest *)(void *)((char *)task - offsetof(struct ingest, task));
}

static void ingest_free(struct work *work)
{
    struct ingest *ingest = (struct ingest *)work;
    struct err ignored;
    fs_remove_tree(ingest->folder, &ignored); /* else the next start sweeps it */
    json_free(ingest->skip);
    mem_free(ingest->folder);
    arena_deinit(&ingest->arena);
    mem_free(ingest);
}

/* --- The engine
 * ----------------------------------------------------------------------------------- */

static struct json *make_document(const struct ingest *ingest, struct err *err)
{
    struct json *document = json_new_object(), *options = NULL;
    if (json_parse(ingest->row.options, strlen(ingest->row.options), &options, err) != OK) {
        json_free(document);
        return NULL;
    }
    char *upload = mem_printf("%s/uploads/%s", store_folder(ingest->work.supervisor->store),
                              ingest->row.upload);
    json_set_string(document, "type", "job");
    json_set_string(document, "verb", "ingest");
    json_set_string(document, "upload", upload);
    json_set_string(document, "out", ingest->folder);
    json_set(document, "options", options);
    json_set(document, "skip", json_copy(ingest->skip));
    json_set_object(document, "limits");
    mem_free(upload);
    return document;
}

static enum status start_engine(struct ingest *ingest, struct err *err)
{
    enum status status = fs_remove_tree(ingest->folder, err);
    if (status == OK)
        status = fs_make_folder(ingest->folder, err);
    if (status)
        return status;
    struct json *document = make_document(ingest, err);
    if (!document)
        return E_INTERNAL;
    json_free(ingest->work.result);
    ingest->work.result = NULL;
    ingest->item = -1;
    status = work_launch(&ingest->work, NULL, document, err);
    if (status == OK)
        work_deadline(&ingest->work, clock_seconds() + SILENCE_SECONDS);
    json_free(document);
    return status;
}

static void ingest_on_frame(struct work *work, const struct json *header)
{
    struct ingest *ingest = (struct ingest *)work;
    const char *type = json_string(header, "type", "");
    double now = clock_seconds();
    if (!strcmp(type, "item")) {
        ingest->item = json_integer(header, "ordinal", 0);
        work->kill_at = now + ITEM_SECONDS;
    } else if (!strcmp(type, "progress")) {
        ingest->item = -1;
        work->kill_at = now + SILENCE_SECONDS;
        ingest->done = json_integer(header, "done", 0);
        ingest->total = json_integer(header, "total", 0);
        if (ingest->progress_at == 0)
            ingest->progress_at = now + PROGRESS_SECONDS;
    } else if (strcmp(type, "started") && strcmp(type, "warning") && strcmp(type, "log")) {
        work_violation(work, "a message of a type that ingest does not have.");
    }
}

static void ingest_on_tick(struct work *work, double now)
{
    struct ingest *ingest = (struct ingest *)work;
    struct err ignored; /* the next one may be written */
    if (ingest->progress_at == 0 || now < ingest->progress_at)
        return;
    ingest->progress_at = 0;
    dataset_progress(work->supervisor->store, work->id, ingest->done, ingest->total, &ignored);
}

/* --- Its end
 * -------------------------------------------------------------------------------------- */

static void fail(struct ingest *ingest, enum status status, const char *code, const char *sentence)
{
    char how[80];
    err_set(&ingest->work.failure, status, "%s The engine ended %s.", sentence,
            work_exit_text(&ingest->work.ended, how));
    err_name(&ingest->work.failure, code, NULL);
}

/* It died. Starts it again without the member it was at, if that may help. */
static bool try_again(struct ingest *ingest)
{
    struct err *err = &ingest->work.failure;
    char detail[800], how[80];
    log_event(LOG_WARN, "supervisor", "ingest interrupted", "id=%s item=%lld how=%s",
              ingest->work.id, (long long)ingest->item,
              log_quote(detail, sizeof detail, work_exit_text(&ingest->work.ended, how)));
    ingest->restarts++;
    ingest->blind += ingest->item < 0;
    if (ingest->restarts > MAX_RESTARTS || ingest->blind > MAX_BLIND) {
        if (ingest->work.ended.out_of_memory)
            fail(ingest, E_INTERNAL, "out_of_memory", "There was no memory to read the upload.");
        else
            fail(ingest, E_INVALID, "engine_crashed", "The upload cannot be read.");
        return false;
    }
    if (ingest->item >= 0)
        json_add_number(ingest->skip, (double)ingest->item);
    return start_engine(ingest, err) == OK;
}

static void collect(struct task *task)
{
    struct ingest *ingest = ingest_of_task(task);
    struct store *store = ingest->work.supervisor->store;
    struct json *result = NULL;
    char *pack = mem_printf("%s/pack", ingest->folder);
    char *index = mem_printf("%s/index", ingest->folder);
    ingest->status = result_read(ingest->folder, &result, &ingest->err);
    if (ingest->status == OK)
        ingest->status = result_dataset(result, &ingest->arena, &ingest->row, &ingest->err);
    if (ingest->status == OK)
        ingest->status = blob_move(store, pack, &ingest->pack, &ingest->err);
    if (ingest->status == OK)
        ingest->status = blob_move(store, index, &ingest->index, &ingest->err);
    json_free(result);
    mem_free(pack);
    mem_free(index);
}

static enum work_phase ingest_on_exit(struct work *work)
{
    struct ingest *ingest = (struct ingest *)work;
    if (ingest->dropped || work->supervisor->stopping || work->violated || work->failure.status)
        return WORK_SETTLE;
    if (!work->result)
        return try_again(ingest) ? WORK_ENGINE : WORK_SETTLE;
    ingest->collecting = true;
    ingest->task.run = collect;
    tasks_add(work->supervisor->tasks, &ingest->task);
    return WORK_FILES;
}

static bool ingest_files_are_done(struct work *work)
{
    return task_is_done(&((struct ingest *)work)->task);
}

/* What was stored for a row that is gone. */
static void drop_files(const struct ingest *ingest)
{
    struct store *store = ingest->work.supervisor->store;
    const char *const files[] = {ingest->pack.sha256, ingest->index.sha256};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (!*files[i])
            continue;
        blob_settle(store, files[i]);
        blob_release(store, files[i]);
    }
}

static enum status finish(struct ingest *ingest, const struct err *failure, struct err *err)
{
    struct dataset_row row = ingest->row;
    char *error = failure ? work_error_json(failure) : NULL;
    if (failure) {
        row = (struct dataset_row){
            .id = row.id, .status = DATASET_FAILED, .items = -1, .error = error};
    } else {
        row.status = DATASET_READY;
        row.pack = ingest->pack.sha256;
        row.index = ingest->index.sha256;
        row.error = NULL;
    }
    enum status status = dataset_finish(ingest->work.supervisor->store, &row, err);
    mem_free(error);
    if (status != E_NOT_FOUND && status != E_CONFLICT)
        return status;
    drop_files(ingest); /* deleted meanwhile: nobody waits for it */
    return OK;
}

static enum status ingest_settle(struct work *work, struct err *err)
{
    struct ingest *ingest = (struct ingest *)work;
    const struct err *failure = NULL;
    if (ingest->collecting && ingest->status) {
        failure = &ingest->err;
        if (ingest->status != E_NO_SPACE)
            err_name(&ingest->err, "engine_protocol", NULL);
    } else if (work->failure.status) {
        failure = &work->failure;
    }
    /* Stopped in the middle: the row stays `processing`, and the next start does it again. */
    if (ingest->dropped)
        drop_files(ingest);
    if (ingest->dropped || (!ingest->collecting && (!failure || work->supervisor->stopping)))
        return OK;
    enum status status = finish(ingest, failure, err);
    if (status == OK)
        supervisor_wake(work->supervisor); /* a job may have waited for it */
    return status;
}

const struct work_kind ingest_kind = {
    .verb = "ingest",
    .nice = 5,
    .on_frame = ingest_on_frame,
    .on_tick = ingest_on_tick,
    .on_exit = ingest_on_exit,
    .files_are_done = ingest_files_are_done,
    .settle = ingest_settle,
    .free = ingest_free,
};

/* --- The rows
 * ------------------------------------------------------------------------------------- */

static void launch(struct supervisor *supervisor, const char *id)
{
    struct ingest *ingest = mem_alloc(sizeof *ingest);
    struct work *work = &ingest->work;
    work->kind = &ingest_kind;
    work->supervisor = supervisor;
    snprintf(work->id, sizeof work->id, "%s", id);
    arena_init(&ingest->arena);
    ingest->folder = mem_printf("%s/tmp/%s", store_folder(supervisor->store), id);
    ingest->skip = json_new_array();
    enum status status =
        dataset_get(supervisor->store, id, &ingest->arena, &ingest->row, &work->failure);
    if (status == OK && !ingest->row.upload)
        status = err_set(&work->failure, E_INTERNAL, "The upload of %s is gone.", id);
    if (status == OK)
        status = start_engine(ingest, &work->failure);
    if (status)
        work->phase = WORK_SETTLE;
    work_add(supervisor, work);
}

static bool is_listed(const struct dataset_list *list, const char *id)
{
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->rows[i].id, id))
            return true;
    return false;
}

/* Engines whose dataset was deleted. */
static void drop_deleted(struct supervisor *supervisor, const struct dataset_list *list)
{
    for (size_t i = 0; i < supervisor->n_works; i++) {
        struct ingest *ingest = (struct ingest *)supervisor->works[i];
        if (supervisor->works[i]->kind != &ingest_kind || is_listed(list, ingest->work.id))
            continue;
        ingest->dropped = true;
        if (ingest->work.child)
            child_kill(ingest->work.child);
    }
}

void ingest_look(struct supervisor *supervisor)
{
    struct err err = {0};
    struct arena arena;
    struct dataset_list list;
    char detail[800];
    arena_init(&arena);
    if (datasets_processing(supervisor->store, &arena, &list, &err) != OK) {
        log_event(LOG_ERROR, "supervisor", "datasets not read", "detail=%s",
                  log_quote(detail, sizeof detail, err.detail));
        list.n = 0;
    } else {
        drop_deleted(supervisor, &list);
    }
    for (size_t i = 0; i < list.n; i++)
        if (work_count(supervisor, &ingest_kind) < MAX_INGESTS &&
            !work_find(supervisor, &ingest_kind, list.rows[i].id))
            launch(supervisor, list.rows[i].id);
    arena_deinit(&arena);
}
