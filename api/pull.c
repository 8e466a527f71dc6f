/* pull.c -- {"pull": "resnet34"}: a base model is downloaded by the puller; its row tells how far
 * it is. */
#include <string.h>

#include "api/handlers.h"
#include "api/pull.h"
#include "api/render.h"
#include "base/nearest.h"
#include "store/base_models.h"
#include "store/pulls.h"

static enum status check_body(const struct json *body, const char **name, struct err *err)
{
    if (json_type(body) != JSON_OBJECT)
        return err_set(err, E_SYNTAX, "The body is %s; it has to be an object, {\"pull\": NAME}.",
                       json_type_name(json_type(body)));
    json_each(member, body)
    {
        if (strcmp(json_key(member), "pull") != 0)
            return err_set(err, E_SYNTAX,
                           "There is no \"%.60s\" here: the body is {\"pull\": NAME}.",
                           json_key(member));
    }
    *name = json_string(body, "pull", NULL);
    if (*name)
        return OK;
    return err_at(err, E_SYNTAX, "/pull", "\"pull\" is no text: it names a base model.");
}

static enum status unknown(const char *name, struct err *err)
{
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < n_base_models; i++)
        if (base_models[i].file)
            nearest_offer(&nearest, base_models[i].name);
    if (nearest.best)
        return err_at(err, E_INVALID, "/pull",
                      "There is no base model \"%.60s\"; did you mean \"%s\"?", name, nearest.best);
    return err_at(err, E_INVALID, "/pull",
                  "There is no base model \"%.60s\": GET /v1/models?origin=base lists those there "
                  "are.",
                  name);
}

static enum status find_base(const char *name, const struct base_model **base, struct err *err)
{
    *base = base_model_find(strncmp(name, "mdl_", 4) == 0 ? name + 4 : name);
    if (!*base)
        return unknown(name, err);
    if (!(*base)->file)
        return err_at(err, E_INVALID, "/pull",
                      "There is no published file of %s: it comes with Thaw.", name);
    return OK;
}

/* 200: the weights are there. 202: on their way, since now or before. */
enum status pull_post(struct app *app, const struct request *request, struct reply *reply,
                      struct err *err)
{
    const struct base_model *base = NULL;
    const char *name = NULL;
    struct model_row row;
    bool begun = false;
    enum status status = check_body(request->json, &name, err);
    if (!status && request->n_query)
        status =
            err_set(err, E_SYNTAX, "A pull takes no parameter \"%.60s\".", request->query[0].name);
    if (!status)
        status = find_base(name, &base, err);
    if (status)
        return status;
    const char *id = arena_printf(request->arena, "mdl_%s", base->name);
    int64_t bytes = (int64_t)(base->mebibytes * (1 << 20));
    status = pull_begin(app->store, id, bytes, &begun, err);
    if (!status)
        status = model_get(app->store, id, request->arena, &row, err);
    if (status)
        return status;
    if (begun)
        app->ports.pull(app->ports.puller);
    reply_json(reply, request, row.available ? 200 : 202, render_model(&row));
    reply_header(reply, request, "Location", arena_printf(request->arena, "/v1/models/%s", id));
    request->resume(request->resume_arg);
    return OK;
}
