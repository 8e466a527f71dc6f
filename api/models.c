/* models.c -- listing, showing, deleting and downloading models and checkpoints. */
#include <unistd.h>
#include <string.h>

#include "api/handlers.h"
#include "api/list.h"
#include "api/render.h"
#include "base/fs.h"
#include "store/blobs.h"

static enum status check_origin(const char *origin, struct err *err)
{
    static const char *const origins[] = {"base", "import", "job"};
    for (size_t i = 0; i < ARRAY_LEN(origins); i++)
        if (!origin || strcmp(origin, origins[i]) == 0)
            return OK;
    return err_set(err, E_INVALID, "origin is \"%.40s\"; it takes base, import or job.", origin);
}

enum status models_index(struct app *app, const struct request *request, struct reply *reply,
                         struct err *err)
{
    struct page page;
    struct model_list list;
    const char *origin = request_value(request, "origin");
    enum status status = list_page(request, &page, err);
    if (!status)
        status = check_origin(origin, err);
    if (!status)
        status = models_list(app->store, origin, &page, request->arena, &list, err);
    if (status)
        return status;
    struct json *data = json_new_array();
    for (size_t i = 0; i < list.n; i++)
        json_add(data, render_model(&list.rows[i]));
    reply_json(reply, request, 200, render_list(data, list.has_more, "id"));
    return OK;
}

enum status models_show(struct app *app, const struct request *request, struct reply *reply,
                        struct err *err)
{
    struct model_row row;
    enum status status =
        model_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (!status)
        reply_document(reply, request, render_model(&row));
    return status;
}

enum status models_remove(struct app *app, const struct request *request, struct reply *reply,
                          struct err *err)
{
    struct model_row row;
    enum status status =
        model_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (!status)
        status = model_delete(app->store, row.id, err);
    if (!status)
        reply_empty(reply, 204);
    return status;
}

static enum status check_format(const struct request *request, struct err *err)
{
    const char *format = request_value(request, "format");
    if (!format || strcmp(format, "safetensors") == 0)
        return OK;
    return err_set(err, E_INVALID, "format is \"%.40s\"; it takes safetensors.", format);
}

/* The blob as a download called NAME.safetensors. The content never changes, its hash is its tag.
 */
static enum status reply_weights(struct app *app, const struct request *request, const char *sha256,
                                 const char *name, struct reply *reply, struct err *err)
{
    int fd;
    enum status status = check_format(request, err);
    if (!status)
        status = blob_open(app->store, sha256, &fd, err);
    if (status)
        return status;
    off_t bytes = lseek(fd, 0, SEEK_END);
    reply_file(reply, request, fd, bytes < 0 ? 0 : (uint64_t)bytes, "application/octet-stream",
               arena_printf(request->arena, "%s.safetensors", name));
    reply->etag = arena_printf(request->arena, "\"%s\"", sha256);
    return OK;
}

enum status models_weights(struct app *app, const struct request *request, struct reply *reply,
                           struct err *err)
{
    struct model_row row;
    enum status status =
        model_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (status)
        return status;
    if (!row.weights)
        return err_set(err, E_NOT_FOUND,
                       "The model %s has no weights here: import a file of them first.", row.name);
    return reply_weights(app, request, row.weights, row.name, reply, err);
}

enum status checkpoint_weights(struct app *app, const struct request *request, struct reply *reply,
                               struct err *err)
{
    struct checkpoint_row row;
    enum status status =
        checkpoint_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (status)
        return status;
    return reply_weights(app, request, row.sha256,
                         arena_printf(request->arena, "%s-%s", row.job, row.name), reply, err);
}
