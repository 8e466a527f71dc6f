/* import_work.c -- weights that somebody sent: checked and converted by the engine, then a model,
 * or what a base model lacked.
 *
 * An import has no row until it has succeeded: whoever asked waits for the answer. */
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "server/errand.h"
#include "server/result.h"
#include "store/blobs.h"
#include "store/models.h"
#include "store/pulls.h"

#define IMPORT_SECONDS    600.0
#define MAX_AT_ONCE       1
#define MAX_CLASSES_BYTES (16 << 20)

struct import {
    struct errand errand;  /* first */
    struct import_ask ask; /* what it points to is the asker's until `done` */
    struct model_row model;
    struct blob weights;
};

const struct work_kind import_kind = ERRAND_KIND("import", 5);

static enum status collect(struct errand *errand, struct err *err)
{
    struct import *import = (struct import *)errand;
    struct json *result = NULL;
    char *weights = mem_printf("%s/weights.safetensors", errand->folder);
    enum status status = result_read(errand->folder, &result, err);
    if (status == OK)
        status = result_model(result, &errand->arena, &import->model, err);
    if (status == OK)
        status = blob_move(errand->work.supervisor->store, weights, &import->weights, err);
    json_free(result);
    mem_free(weights);
    return status;
}

/* The row. Without a name from the client it is called as published files are: architecture and
 * the first digits of the file's hash; and where that is taken, by its id. */
static enum status insert_model(struct import *import, struct err *err)
{
    struct store *store = import->errand.work.supervisor->store;
    struct model_row *model = &import->model;
    model->name = import->ask.name;
    if (!model->name)
        model->name =
            arena_printf(&import->errand.arena, "%s-%.8s", model->architecture, import->ask.sha256);
    model->origin = "import";
    model->available = true;
    enum status status = model_insert(store, model, &import->errand.arena, err);
    if (status != E_CONFLICT || import->ask.name)
        return status;
    char id[40];
    id_new("mdl_", id);
    model->id = model->name = arena_strdup(&import->errand.arena, id);
    return model_insert(store, model, &import->errand.arena, err);
}

/* A base model that was pulled has a row already. */
static enum status finish(struct import *import, struct err *err)
{
    struct model_row *model = &import->model;
    model->weights = import->weights.sha256;
    model->bytes = import->weights.bytes;
    model->id = import->ask.base;
    if (model->id)
        return pull_finish(import->errand.work.supervisor->store, model, err);
    return insert_model(import, err);
}

static void answer(struct errand *errand, enum status status, struct err *failure)
{
    struct import *import = (struct import *)errand;
    if (status == OK)
        status = finish(import, failure);
    import->ask.done(import->ask.arg, status, status ? NULL : import->model.id,
                     status ? failure : NULL);
}

/* --- Starting --------------------------------------------------------------------------------- */

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
    char *path = mem_printf("%s/classes.txt", import->errand.folder);
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
    json_set_string(document, "out", import->errand.folder);
    json_set_string(document, "architecture", import->ask.architecture);
    if (import->ask.vocabulary)
        json_set_string(document, "vocabulary", import->ask.vocabulary);
    json_set_bool(document, "backwards", import->ask.backwards);
    return document;
}

static void launch(struct supervisor *supervisor, const struct import_ask *ask)
{
    struct import *import = mem_alloc(sizeof *import);
    struct errand *errand = &import->errand;
    errand_init(errand, supervisor, &import_kind, "imp_");
    errand->what = "the weights";
    errand->collect = collect;
    errand->answer = answer;
    import->ask = *ask;
    struct json *document = make_document(import);
    enum status status = fs_make_folder(errand->folder, &errand->work.failure);
    if (status == OK)
        status = write_classes(import, document, &errand->work.failure);
    errand_start(errand, status, document, IMPORT_SECONDS);
    json_free(document);
}

void import_look(struct supervisor *supervisor)
{
    struct import_ask ask;
    while (work_count(supervisor, &import_kind) < MAX_AT_ONCE &&
           inbox_take(supervisor->imports, &ask))
        launch(supervisor, &ask);
}

static void refuse(const struct import_ask *ask, struct err *err)
{
    ask->done(ask->arg, err->status, NULL, err);
}

void import_refuse_all(struct supervisor *supervisor)
{
    struct import_ask ask;
    inbox_close(supervisor->imports);
    while (inbox_take(supervisor->imports, &ask)) {
        struct err err = {0};
        err_set(&err, E_UNAVAILABLE, "The server is shutting down: try again.");
        refuse(&ask, &err);
    }
}

void supervisor_import(void *context, const struct import_ask *ask)
{
    struct supervisor *supervisor = context;
    struct err err = {0};
    if (inbox_put(supervisor->imports, ask, &err) == OK)
        supervisor_wake(supervisor);
    else
        refuse(ask, &err);
}
