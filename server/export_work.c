/* export_work.c -- a model in another format: made by the engine once, then kept as a blob. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/version.h"
#include "server/errand.h"
#include "server/result.h"
#include "store/blobs.h"
#include "store/exports.h"

#define EXPORT_SECONDS 600.0
#define MAX_AT_ONCE    1

/* What the engine leaves for a format. */
static const struct {
    const char *format, *file;
} files[] = {{"onnx", "model.onnx"},
             {"bundle", "bundle.zip"},
             {"pth", "model.pth"},
             {"encoder", "encoder.pth"},
             {"itos", "itos.pkl"}};

struct export
{
    struct errand errand;  /* first */
    struct export_ask ask; /* what it points to is the asker's until `done` */
    struct blob blob;
};

const struct work_kind export_kind = ERRAND_KIND("export", 5);

/* The result says nothing that is needed but that the file is whole. */
static enum status collect(struct errand *errand, struct err *err)
{
    struct export *export = (struct export *)errand;
    struct json *result = NULL;
    const char *file = "";
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (strcmp(files[i].format, export->ask.format) == 0)
            file = files[i].file;
    char *path = mem_printf("%s/%s", errand->folder, file);
    enum status status = result_read(errand->folder, &result, err);
    if (status == OK)
        status = blob_move(errand->work.supervisor->store, path, &export->blob, err);
    json_free(result);
    mem_free(path);
    return status;
}

static void answer(struct errand *errand, enum status status, struct err *failure)
{
    struct export *export = (struct export *)errand;
    const struct export_row row = {
        .weights = export->ask.weights,
        .format = export->ask.format,
        .version = THAW_VERSION,
        .sha256 = export->blob.sha256,
        .bytes = export->blob.bytes,
    };
    if (status == OK)
        status = export_put(errand->work.supervisor->store, &row, failure);
    export->ask.done(export->ask.arg, status, status ? NULL : row.sha256, status ? failure : NULL);
}

/* --- Starting --------------------------------------------------------------------------------- */

static void launch(struct supervisor *supervisor, const struct export_ask *ask)
{
    char path[PATH_MAX] = "";
    struct export *export = mem_alloc(sizeof *export);
    struct errand *errand = &export->errand;
    errand_init(errand, supervisor, &export_kind, "exp_");
    errand->what = "the model";
    errand->collect = collect;
    errand->answer = answer;
    export->ask = *ask;
    struct err *failure = &errand->work.failure;
    enum status status = fs_make_folder(errand->folder, failure);
    if (status == OK)
        status = blob_path(supervisor->store, ask->weights, path, sizeof path, failure);
    struct json *document = json_new_object();
    json_set_string(document, "type", "job");
    json_set_string(document, "verb", "export");
    json_set_string(document, "weights", path);
    json_set_string(document, "format", ask->format);
    json_set_string(document, "out", errand->folder);
    errand_start(errand, status, document, EXPORT_SECONDS);
    json_free(document);
}

/* Somebody else may have asked for the same a moment before: then it is answered at once. */
static bool is_made(struct supervisor *supervisor, const struct export_ask *ask)
{
    struct arena arena;
    struct export_row row;
    struct err ignored;
    bool found = false;
    int fd;
    arena_init(&arena);
    enum status status = export_find(supervisor->store, ask->weights, ask->format, THAW_VERSION,
                                     &arena, &row, &found, &ignored);
    found = status == OK && found && blob_open(supervisor->store, row.sha256, &fd, &ignored) == OK;
    if (found) {
        ask->done(ask->arg, OK, row.sha256, NULL);
        close(fd); /* only now: it was kept from collection until the reply had it open */
    }
    arena_deinit(&arena);
    return found;
}

void export_look(struct supervisor *supervisor)
{
    struct export_ask ask;
    while (work_count(supervisor, &export_kind) < MAX_AT_ONCE &&
           inbox_take(supervisor->exports, &ask))
        if (!is_made(supervisor, &ask))
            launch(supervisor, &ask);
}

static void refuse(const struct export_ask *ask, struct err *err)
{
    ask->done(ask->arg, err->status, NULL, err);
}

void export_refuse_all(struct supervisor *supervisor)
{
    struct export_ask ask;
    inbox_close(supervisor->exports);
    while (inbox_take(supervisor->exports, &ask)) {
        struct err err = {0};
        err_set(&err, E_UNAVAILABLE, "The server is shutting down: try again.");
        refuse(&ask, &err);
    }
}

void supervisor_export(void *context, const struct export_ask *ask)
{
    struct supervisor *supervisor = context;
    struct err err = {0};
    if (inbox_put(supervisor->exports, ask, &err) == OK)
        supervisor_wake(supervisor);
    else
        refuse(ask, &err);
}
