/* import_work.c -- weights that somebody sent: checked and converted by the engine, then a model.
 *
 * An import has no row until it has succeeded: whoever asked waits for the answer. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "server/result.h"
#include "server/work.h"
#include "store/blobs.h"
#include "store/models.h"

#define IMPORT_SECONDS    600.0
#define MAX_AT_ONCE       1
#define MAX_CLASSES_BYTES (16 << 20)

struct import {
    struct work work; /* first */
    struct arena arena;
    struct import_ask ask; /* what it points to is the asker's until `done` */
    char *folder;          /* owned; DATA/tmp/ID, where the engine writes */
    struct model_row model;

    struct task task;
    bool collecting;
    enum status status;
    struct err err;
    struct blob weights;
};

static void import_free(struct work *work)
{
    struct import *import = (struct import *)work;
    struct err ignored;
    fs_remove_tree(import->folder, &ignored); /* else the next start sweeps it */
    mem_free(import->folder);
    arena_deinit(&import->arena);
    mem_free(import);
}

static void import_on_frame(struct work *work, const struct json *header)
{
    static const char *const known[] = {"started", "progress", "warning", "log"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(json_string(header, "type", ""), known[i]))
            return;
    work_violation(work, "a message of a type that import does not have.");
}

static void import_on_tick(struct work *work, double now)
{
    if (work->supervisor->stopping)
        work_deadline(work, now);
}

static void collect(struct task *task)
{
    struct import *import = (struct import *)(void *)((char *)task - offsetof(struct import, task));
    struct json *result = NULL;
    char *weights = mem_printf("%s/weights.safetensors", import->folder);
    import->status = result_read(import->folder, &result, &import->err);
    if (import->status == OK)
        import->status = result_model(result, &import->arena, &import->model, &import->err);
    if (import->status == OK)
        import->status =
            blob_move(import->work.supervisor->store, weights, &import->weights, &import->err);
    json_free(result);
    mem_free(weights);
}

static void name_death(struct import *import)
{
    struct work *work = &import->work;
    char how[80];
    if (work->supervisor->stopping)
        err_set(&work->failure, E_UNAVAILABLE, "The server is shutting down: try again.");
    else if (work->ended.killed)
        err_set(&work->failure, E_INVALID,
                "The weights took longer than %.0f seconds to check and were given up.",
                IMPORT_SECONDS);
    else
        err_set(&work->failure, E_INVALID,
                "The engine ended %s while it read the weights: the file is refused.",
                work_exit_text(&work->ended, how));
    err_name(&work->failure, work->supervisor->stopping ? NULL : "engine_crashed", NULL);
}

static enum work_phase import_on_exit(struct work *work)
{
    struct import *import = (struct import *)work;
    if (work->violated || work->failure.status)
        return WORK_SETTLE;
    if (!work->result) {
        name_death(import);
        return WORK_SETTLE;
    }
    import->collecting = true;
    import->task.run = collect;
    tasks_add(work->supervisor->tasks, &import->task);
    return WORK_FILES;
}

static bool import_files_are_done(struct work *work)
{
    return task_is_done(&((struct import *)work)->task);
}

/* The row. Without a name from the client it is called as published files are: architecture and
 * the first digits of the file's hash; and where that is taken, by its id. */
static enum status insert_model(struct import *import, struct err *err)
{
    struct store *store = import->work.supervisor->store;
    struct model_row *model = &import->model;
    model->name = import->ask.name;
    if (!model->name)
        model->name =
            arena_printf(&import->arena, "%s-%.8s", model->architecture, import->ask.sha256);
    model->kind = "image";
    model->origin = "import";
    model->available = true;
    model->weights = import->weights.sha256;
    model->bytes = import->weights.bytes;
    enum status status = model_insert(store, model, &import->arena, err);
    if (status != E_CONFLICT || import->ask.name)
        return status;
    char id[40];
    id_new("mdl_", id);
    model->id = model->name = arena_strdup(&import->arena, id);
    return model_insert(store, model, &import->arena, err);
}

/* Answers, whatever happened: an import is never tried again. */
static enum status import_settle(struct work *work, struct err *err)
{
    (void)err;
    struct import *import = (struct import *)work;
    struct err failure = work->failure;
    enum status status = failure.status;
    if (import->collecting) {
        failure = import->err;
        status = import->status;
        if (status && status != E_NO_SPACE)
            err_name(&failure, "engine_protocol", NULL);
    }
    if (status == OK)
        status = insert_model(import, &failure);
    failure.status = status;
    import->ask.done(import->ask.arg, status, status ? NULL : import->model.id,
                     status ? &failure : NULL);
    return OK;
}

const struct work_kind import_kind = {
    .verb = "import",
    .nice = 5,
    .on_frame = import_on_frame,
    .on_tick = import_on_tick,
    .on_exit = import_on_exit,
    .files_are_done = import_files_are_done,
    .settle = import_settle,
    .free = import_free,
};

/* --- Starting
 * ------------------------------------------------------------------------------------- */

/* Class names go by file, one a line: a message is too small for many. */
static enum status write_classes(const struct import *import, struct json *document,
                                 struct err *err)
{
    struct buf names;
    json_set_null(document, "classes");
    if (!import->ask.classes)
        return OK;
    buf_init(&names, MAX_CLASSES_BYTES);
    json_each(name, import->ask.classes) buf_printf(&names, "%s\n", json_as_string(name, ""));
    char *path = mem_printf("%s/classes.txt", import->folder);
    enum status status = OK;
    if (names.overflow)
        status = err_set(err, E_TOO_LARGE, "The class names have more than %d MB.",
                         MAX_CLASSES_BYTES >> 20);
    else
        status = fs_write_file(path, names.data, names.len, err);
    json_set_string(document, "classes_file", path);
    mem_free(path);
    buf_deinit(&names);
    return status;
}

static struct json *make_document(const struct import *import)
{
    struct json *document = json_new_object();
    json_set_string(document, "type", "job");
    json_set_string(document, "verb", "import");
    json_set_string(document, "source", import->ask.source);
    json_set_string(document, "out", import->folder);
    json_set_string(document, "architecture", import->ask.architecture);
    return document;
}

static void launch(struct supervisor *supervisor, const struct import_ask *ask)
{
    struct import *import = mem_alloc(sizeof *import);
    struct work *work = &import->work;
    work->kind = &import_kind;
    work->supervisor = supervisor;
    id_new("imp_", work->id);
    arena_init(&import->arena);
    import->ask = *ask;
    import->folder = mem_printf("%s/tmp/%s", store_folder(supervisor->store), work->id);
    struct json *document = make_document(import);
    enum status status = fs_make_folder(import->folder, &work->failure);
    if (status == OK)
        status = write_classes(import, document, &work->failure);
    if (status == OK)
        status = work_launch(work, NULL, document, &work->failure);
    if (status)
        work->phase = WORK_SETTLE;
    else
        work_deadline(work, clock_seconds() + IMPORT_SECONDS);
    json_free(document);
    work_add(supervisor, work);
}

static bool take_ask(struct supervisor *supervisor, struct import_ask *ask)
{
    pthread_mutex_lock(&supervisor->import_lock);
    bool there = supervisor->n_imports > 0;
    if (there) {
        *ask = supervisor->imports[0];
        supervisor->n_imports--;
        memmove(supervisor->imports, supervisor->imports + 1,
                supervisor->n_imports * sizeof *supervisor->imports);
    }
    pthread_mutex_unlock(&supervisor->import_lock);
    return there;
}

void import_look(struct supervisor *supervisor)
{
    struct import_ask ask;
    while (work_count(supervisor, &import_kind) < MAX_AT_ONCE && take_ask(supervisor, &ask))
        launch(supervisor, &ask);
}

static void refuse(const struct import_ask *ask, enum status status, const char *sentence)
{
    struct err err = {0};
    err_set(&err, status, "%s", sentence);
    ask->done(ask->arg, status, NULL, &err);
}

void import_refuse_all(struct supervisor *supervisor)
{
    struct import_ask ask;
    pthread_mutex_lock(&supervisor->import_lock);
    supervisor->closed = true;
    pthread_mutex_unlock(&supervisor->import_lock);
    while (take_ask(supervisor, &ask))
        refuse(&ask, E_UNAVAILABLE, "The server is shutting down: try again.");
}

void supervisor_import(void *context, const struct import_ask *ask)
{
    struct supervisor *supervisor = context;
    pthread_mutex_lock(&supervisor->import_lock);
    bool closed = supervisor->closed;
    bool full = supervisor->n_imports == MAX_IMPORTS;
    if (!closed && !full)
        supervisor->imports[supervisor->n_imports++] = *ask;
    pthread_mutex_unlock(&supervisor->import_lock);
    if (closed)
        refuse(ask, E_UNAVAILABLE, "The server is shutting down: try again.");
    else if (full)
        refuse(ask, E_TOO_MANY, "Too many imports wait already: try again in a minute.");
    else
        supervisor_wake(supervisor);
}
