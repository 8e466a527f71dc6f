/* weights.c -- the weights of models and checkpoints as downloads, in the formats of one table.
 *
 * Safetensors is what is kept. The other formats are made by the engine when they are first asked
 * for, and kept then: that reply comes later, every other one at once. */
#include <string.h>
#include <unistd.h>

#include "api/handlers.h"
#include "base/fs.h"
#include "base/version.h"
#include "store/blobs.h"
#include "store/checkpoints.h"
#include "store/exports.h"
#include "store/models.h"

static const struct format {
    const char *name, *ending, *content_type;
    bool kept; /* it is the blob itself */
} formats[] = {
    {"safetensors", "safetensors", "application/octet-stream", true},
    {"onnx", "onnx", "application/octet-stream", false},
    {"bundle", "zip", "application/zip", false},
    {"pth", "pth", "application/octet-stream", false},
    {"encoder", "encoder.pth", "application/octet-stream", false}, /* of text, as is the next */
    {"itos", "pkl", "application/octet-stream", false},
};

/* What lives until the engine has answered; in the request's arena. */
struct download {
    struct app *app;
    const struct request *request;
    struct reply *reply;
    const struct format *format;
    const char *name; /* of the file, without its ending */
};

static enum status find_format(const struct request *request, const struct format **format,
                               struct err *err)
{
    const char *name = request_value(request, "format");
    *format = &formats[0];
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (!name || strcmp(formats[i].name, name) == 0) {
            *format = &formats[i];
            return OK;
        }
    }
    return err_set(err, E_INVALID,
                   "format is \"%.40s\"; it takes safetensors, onnx, bundle or pth, and of a model "
                   "of text encoder or itos.",
                   name);
}

/* The blob as a download. Its content never changes: its hash is its tag. */
static enum status fill_reply(const struct download *download, const char *sha256, struct err *err)
{
    int fd;
    struct arena *arena = download->request->arena;
    enum status status = blob_open(download->app->store, sha256, &fd, err);
    if (status)
        return status;
    off_t bytes = lseek(fd, 0, SEEK_END);
    reply_file(download->reply, download->request, fd, bytes < 0 ? 0 : (uint64_t)bytes,
               download->format->content_type,
               arena_printf(arena, "%s.%s", download->name, download->format->ending));
    download->reply->etag = arena_printf(arena, "\"%s\"", sha256);
    return OK;
}

/* On the supervisor's thread, or (where nothing had to be made) on the request's own. */
static void answer(void *argument, enum status status, const char *sha256, const struct err *err)
{
    struct download *download = argument;
    const struct request *request = download->request;
    struct err failure = {0};
    if (status)
        failure = *err;
    else
        fill_reply(download, sha256, &failure);
    if (failure.status)
        reply_problem(download->reply, request->arena, &failure, request->id, request->path);
    request->resume(request->resume_arg);
}

/* Asks the engine, unless it has been asked before and the file is still there. */
static enum status answer_export(const struct download *made, const char *weights, struct err *err)
{
    struct export_row row;
    struct arena *arena = made->request->arena;
    bool found = false;
    enum status status = export_find(made->app->store, weights, made->format->name, THAW_VERSION,
                                     arena, &row, &found, err);
    if (status)
        return status;
    struct err gone = {0}; /* which a new export mends */
    if (found && fill_reply(made, row.sha256, &gone) == OK) {
        made->request->resume(made->request->resume_arg);
        return OK;
    }
    struct download *download = arena_alloc(arena, sizeof(*download));
    struct export_ask *ask = arena_alloc(arena, sizeof(*ask));
    *download = *made;
    *ask = (struct export_ask){weights, made->format->name, answer, download};
    made->app->ports.export(made->app->ports.supervisor, ask);
    return OK;
}

static enum status answer_weights(struct app *app, const struct request *request,
                                  struct reply *reply, const char *weights, const char *name,
                                  struct err *err)
{
    struct download download = {app, request, reply, NULL, name};
    enum status status = find_format(request, &download.format, err);
    if (status)
        return status;
    if (!download.format->kept)
        return answer_export(&download, weights, err);
    status = fill_reply(&download, weights, err);
    if (!status)
        request->resume(request->resume_arg);
    return status;
}

enum status models_weights(struct app *app, const struct request *request, struct reply *reply,
                           struct err *err)
{
    struct model_row row;
    enum status status =
        model_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (status)
        return status;
    if (row.weights)
        return answer_weights(app, request, reply, row.weights, row.name, err);
    err_set(err, E_NOT_FOUND, "The weights of %s are not here yet.", row.name);
    if (!row.random)
        err_name(err, "weights_missing",
                 arena_printf(request->arena,
                              "POST /v1/models {\"pull\": \"%s\"} downloads them; or import a file "
                              "of them by POST /v1/models.",
                              row.name));
    return E_NOT_FOUND;
}

enum status checkpoint_weights(struct app *app, const struct request *request, struct reply *reply,
                               struct err *err)
{
    struct checkpoint_row row;
    enum status status =
        checkpoint_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (status)
        return status;
    return answer_weights(app, request, reply, row.sha256,
                          arena_printf(request->arena, "%s-%s", row.job, row.name), err);
}
