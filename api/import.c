/* import.c -- weights from elsewhere: the engine checks and converts them, the reply comes when it
 * is done. The server itself never looks into the file. */
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/imagenet1k.h"
#include "api/list.h"
#include "api/pull.h"
#include "api/render.h"
#include "base/fs.h"

#define MAX_CLASSES    65536
#define MAX_CLASS_NAME 200

/* What lives until the engine has answered; in the request's arena. */
struct import {
    struct app *app;
    const struct request *request;
    struct reply *reply;
    struct json *classes; /* owned, or NULL */
};

/* --- Class names ------------------------------------------------------------------------------ */

static struct json *imagenet_names(void)
{
    struct json *names = json_new_array();
    for (size_t i = 0; i < IMAGENET1K_CLASSES; i++)
        json_add_string(names, imagenet1k_classes[i]);
    return names;
}

static enum status add_name(struct json *names, struct arena *arena, const char *line, size_t len,
                            struct err *err)
{
    const char *name = arena_strndup(arena, line, len);
    if (json_len(names) == MAX_CLASSES)
        return err_set(err, E_INVALID, "There are more than %d class names.", MAX_CLASSES);
    if (len > MAX_CLASS_NAME)
        return err_set(err, E_INVALID, "The class name \"%.60s...\" has more than %d bytes.", name,
                       MAX_CLASS_NAME);
    enum status status = check_label(name, "class name", err);
    if (!status)
        json_add_string(names, name);
    return status;
}

/* Sorted, so that twins stand side by side. */
static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum status check_unique(const struct json *names, struct arena *arena, struct err *err)
{
    size_t n = json_len(names), i = 0;
    const char **sorted = arena_alloc(arena, (n + 1) * sizeof(*sorted));
    json_each(name, names) sorted[i++] = json_as_string(name, "");
    qsort(sorted, n, sizeof(*sorted), compare_names);
    for (i = 1; i < n; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return err_set(err, E_INVALID, "The class name \"%.80s\" is there twice.", sorted[i]);
    return OK;
}

/* One name a line; empty lines at the end are nothing. */
static enum status parse_names(const char *text, size_t len, struct arena *arena,
                               struct json **classes, struct err *err)
{
    struct json *names = json_new_array();
    const char *end = text + len;
    enum status status = OK;
    while (end > text && strchr("\r\n \t", end[-1]))
        end--;
    while (!status && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        size_t line = (size_t)(stop - text);
        line -= line > 0 && text[line - 1] == '\r';
        status = add_name(names, arena, text, line, err);
        text = stop + 1;
    }
    if (!status && json_len(names) == 0)
        status = err_set(err, E_INVALID, "The list of classes is empty: one name a line.");
    if (!status)
        status = check_unique(names, arena, err);
    if (status)
        json_free(names);
    else
        *classes = names;
    return status;
}

static enum status read_names_file(const struct upload *file, struct arena *arena,
                                   struct json **classes, struct err *err)
{
    struct buf text;
    buf_init(&text, REQUEST_MAX_JSON);
    enum status status = fs_read_file(file->path, &text, err);
    if (status == E_TOO_LARGE)
        status = err_set(err, E_TOO_LARGE, "The list of classes has more than %u bytes.",
                         REQUEST_MAX_JSON);
    if (!status && memchr(text.data, 0, text.len))
        status = err_set(err, E_INVALID, "The list of classes is no text.");
    if (!status)
        status = parse_names(text.data, text.len, arena, classes, err);
    buf_deinit(&text);
    return status;
}

/* ?classes=imagenet1k, or the form's part `classes` as text or as a file. None: *classes NULL. */
static enum status read_classes(const struct request *request, const struct upload *file,
                                struct json **classes, struct err *err)
{
    const char *text = request_value(request, "classes");
    if (text && file)
        return err_set(err, E_INVALID, "The classes are given twice, as a text and as a file.");
    if (text && strcmp(text, "imagenet1k") == 0)
        *classes = imagenet_names();
    else if (request_field(request, "classes"))
        return parse_names(text, strlen(text), request->arena, classes, err);
    else if (text)
        return err_set(err, E_INVALID,
                       "classes is \"%.40s\"; it takes imagenet1k. Other names are a part of a "
                       "form, one name a line (curl -F classes=@names.txt).",
                       text);
    else if (file)
        return read_names_file(file, request->arena, classes, err);
    return OK;
}

/* --- Import ----------------------------------------------------------------------------------- */

/* The weights (raw, or the part `file`), and what the form has beside them. */
struct files {
    const struct upload *weights, *classes, *vocabulary; /* the last two NULL: not there */
};

static enum status find_files(const struct request *request, struct files *files, struct err *err)
{
    *files = (struct files){0};
    const struct {
        const char *part;
        const struct upload **place;
    } parts[] = {{"", &files->weights},
                 {"file", &files->weights},
                 {"classes", &files->classes},
                 {"vocabulary", &files->vocabulary}};
    for (size_t i = 0; i < request->n_uploads; i++) {
        const struct upload *upload = &request->uploads[i];
        const struct upload **place = NULL;
        for (size_t k = 0; k < ARRAY_LEN(parts); k++)
            if (strcmp(upload->part, parts[k].part) == 0)
                place = parts[k].place;
        if (!place || *place)
            return err_set(err, E_INVALID,
                           "The form has a file part \"%.80s\" too many: it takes one \"file\" and "
                           "perhaps one \"classes\" and one \"vocabulary\".",
                           upload->part);
        *place = upload;
    }
    if (files->weights && files->weights->bytes > 0)
        return OK;
    return err_set(err, E_INVALID,
                   "The upload is empty: send a safetensors or torch .pth file as the body (curl "
                   "--data-binary @weights.pth) or as a form (curl -F file=@weights.pth).");
}

/* Names and ids share one space where models are looked up, so a name must not look like an id. */
static enum status check_name(const char *name, struct err *err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (!name)
        return OK;
    size_t len = strlen(name);
    bool good = len >= 1 && len <= 100 && strspn(name, allowed) == len;
    if (good && strncmp(name, "mdl_", 4) != 0 && strncmp(name, "ckpt_", 5) != 0)
        return OK;
    return err_set(err, E_INVALID,
                   "name is \"%.60s\"; a model's name has 1 to 100 letters, digits, dots, dashes "
                   "and underscores, and does not begin like an id (mdl_, ckpt_).",
                   name);
}

/* On the supervisor's thread. The request waits; nobody else touches it. */
static void imported(void *argument, enum status status, const char *model, const struct err *err)
{
    struct import *import = argument;
    const struct request *request = import->request;
    struct model_row row;
    struct err failure = {0};
    if (status)
        failure = *err;
    else if (!model_get(import->app->store, model, request->arena, &row, &failure))
        reply_json(import->reply, request, 201, render_model(&row));
    if (failure.status)
        reply_problem(import->reply, request->arena, &failure, request->id, request->path);
    else
        reply_header(import->reply, request, "Location",
                     arena_printf(request->arena, "/v1/models/%s", row.id));
    json_free(import->classes);
    request->resume(request->resume_arg);
}

enum status models_post(struct app *app, const struct request *request, struct reply *reply,
                        struct err *err)
{
    struct files files;
    struct json *classes = NULL;
    bool backwards = false;
    const char *name = request_value(request, "name");
    if (request->body == BODY_JSON)
        return pull_post(app, request, reply, err);
    enum status status = find_files(request, &files, err);
    if (!status)
        status = check_name(name, err);
    if (!status)
        status = request_bool(request, "backwards", false, &backwards, err);
    if (!status)
        status = read_classes(request, files.classes, &classes, err);
    if (status)
        return status;
    struct import *import = arena_alloc(request->arena, sizeof(*import));
    *import = (struct import){app, request, reply, classes};
    struct import_ask *ask = arena_alloc(request->arena, sizeof(*ask));
    *ask = (struct import_ask){
        .source = files.weights->path,
        .sha256 = files.weights->sha256,
        .vocabulary = files.vocabulary ? files.vocabulary->path : NULL,
        .backwards = backwards,
        .name = name,
        .architecture = request_value(request, "architecture"),
        .classes = classes,
        .done = imported,
        .arg = import,
    };
    app->ports.import(app->ports.supervisor, ask);
    return OK;
}
