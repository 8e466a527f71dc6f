/* models.c -- listing, showing and deleting models. */
#include <string.h>

#include "api/handlers.h"
#include "api/list.h"
#include "api/render.h"
#include "store/pulls.h"

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

/* Of a base model that is on its way, the download. */
static enum status cancel_pull(struct app *app, const char *id, struct err *err)
{
    bool cancelled = false;
    enum status status = pull_cancel(app->store, id, &cancelled, err);
    if (status == OK && !cancelled)
        return model_delete(app->store, id, err); /* it came meanwhile */
    if (status == OK)
        app->ports.pull(app->ports.puller);
    return status;
}

enum status models_remove(struct app *app, const struct request *request, struct reply *reply,
                          struct err *err)
{
    struct model_row row;
    enum status status =
        model_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (!status)
        status =
            row.progress ? cancel_pull(app, row.id, err) : model_delete(app->store, row.id, err);
    if (!status)
        reply_empty(reply, 204);
    return status;
}
