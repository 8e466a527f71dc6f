/* health.c -- is it there, what is it, and the page that a person sees. */
#include <string.h>

#include "api/handlers.h"

enum status health_show(struct app *app, const struct request *request, struct reply *reply,
                        struct err *err)
{
    static const char text[] = "{\"status\":\"ok\"}\n";
    (void)app;
    (void)request;
    (void)err;
    reply_text(reply, 200, "application/json", text, sizeof(text) - 1);
    return OK;
}

enum status version_show(struct app *app, const struct request *request, struct reply *reply,
                         struct err *err)
{
    struct json *version = json_new_object(), *part = NULL;
    (void)err;
    json_set_string(version, "name", "thaw");
    json_set_string(version, "version", app->version);
    if (app->libraries_json &&
        !json_parse(app->libraries_json, strlen(app->libraries_json), &part, NULL))
        json_set(version, "libraries", part);
    else
        json_set_null(version, "libraries");
    part = NULL;
    if (app->engine_json && !json_parse(app->engine_json, strlen(app->engine_json), &part, NULL))
        json_set(version, "engine", part);
    else
        json_set_null(version, "engine");
    reply_json(reply, request, 200, version);
    return OK;
}

enum status page_show(struct app *app, const struct request *request, struct reply *reply,
                      struct err *err)
{
    static const char policy[] =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "
        "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    const struct asset *asset = app->asset(request->path);
    if (!asset)
        return err_set(err, E_NOT_FOUND, "The page has no file %.200s.", request->path);
    reply_text(reply, 200, asset->content_type, asset->bytes, asset->len);
    reply->etag = asset->etag;
    reply_header(reply, request, "Content-Security-Policy", policy);
    reply_header(reply, request, "Cache-Control", "no-cache");
    return OK;
}
