/* datasets.c -- uploading, listing, showing and deleting datasets. */
#include <string.h>

#include "api/handlers.h"
#include "api/list.h"
#include "api/render.h"
#include "api/spec/dataset_options.h"

/* The one file of the request: the raw body, or the form's part `file`. */
static enum status find_file(const struct request *request, struct upload **file, struct err *err)
{
    const char *part = request->body == BODY_FORM ? "file" : "";
    *file = NULL;
    for (size_t i = 0; i < request->n_uploads; i++) {
        if (strcmp(request->uploads[i].part, part) != 0 || *file)
            return err_set(err, E_INVALID,
                           "The form has a file part \"%.80s\" too many: send one, called \"file\" "
                           "(curl -F file=@data.zip -F name=N).",
                           request->uploads[i].part);
        *file = &request->uploads[i];
    }
    if (*file && (*file)->bytes > 0)
        return OK;
    return err_set(
        err, E_INVALID,
        "The upload is empty: send a zip, tar, tar.gz or tar.zst, or a csv, tsv, JSON-lines or "
        "text "
        "file, as the body (curl --data-binary @data.zip) or as a form (curl -F file=@data.zip).");
}

static const char *choose_name(const struct request *request, const struct upload *file)
{
    const char *name = request_value(request, "name");
    if (name)
        return name;
    return file->file_name && *file->file_name ? file->file_name : "dataset";
}

static const char *last_segment(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

#define MAX_OPTION 1000 /* bytes */

/* The parse options as one text: with the bytes they are the dataset's identity. What they say is
 * the engine's to judge. */
static enum status read_options(const struct request *request, const char **options,
                                struct err *err)
{
#define NAME(name, flag, value, kinds, meaning) #name,
    static const char *const names[] = {DATASET_OPTIONS(NAME)};
#undef NAME
    struct json *object = json_new_object();
    enum status status = OK;
    for (size_t i = 0; !status && i < ARRAY_LEN(names); i++) {
        const char *value = request_value(request, names[i]);
        if (value && (!*value || strlen(value) > MAX_OPTION))
            status = err_set(err, E_INVALID, "%s has %zu bytes: 1 to %d are allowed.", names[i],
                             strlen(value), MAX_OPTION);
        else if (value)
            json_set_string(object, names[i], value);
    }
    char *text = json_text(object);
    *options = arena_strdup(request->arena, text);
    mem_free(text);
    json_free(object);
    return status;
}

enum status datasets_post(struct app *app, const struct request *request, struct reply *reply,
                          struct err *err)
{
    struct upload *file;
    bool created;
    enum status status = find_file(request, &file, err);
    if (status)
        return status;
    const char *stored = last_segment(file->path);
    struct dataset_row row = {
        .name = choose_name(request, file),
        .kind = "image",
        .upload = stored,
        .bytes = (int64_t)file->bytes,
        .sha256 = file->sha256,
    };
    status = check_label(row.name, "dataset's name", err);
    if (!status)
        status = read_options(request, &row.options, err);
    if (!status)
        status = dataset_insert(app->store, &row, request->arena, &created, err);
    if (status)
        return status;
    file->taken = row.upload && strcmp(row.upload, stored) == 0;
    app->ports.wake(app->ports.supervisor);
    reply_json(reply, request, created ? 201 : 200, render_dataset(&row));
    reply_header(reply, request, "Location",
                 arena_printf(request->arena, "/v1/datasets/%s", row.id));
    return OK;
}

enum status datasets_index(struct app *app, const struct request *request, struct reply *reply,
                           struct err *err)
{
    struct page page;
    struct dataset_list list;
    enum status status = list_page(request, &page, err);
    if (!status)
        status = datasets_list(app->store, &page, request->arena, &list, err);
    if (status)
        return status;
    struct json *data = json_new_array();
    for (size_t i = 0; i < list.n; i++)
        json_add(data, render_dataset(&list.rows[i]));
    reply_json(reply, request, 200, render_list(data, list.has_more, "id"));
    return OK;
}

enum status datasets_show(struct app *app, const struct request *request, struct reply *reply,
                          struct err *err)
{
    struct dataset_row row;
    enum status status =
        dataset_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (!status)
        reply_document(reply, request, render_dataset(&row));
    return status;
}

enum status datasets_remove(struct app *app, const struct request *request, struct reply *reply,
                            struct err *err)
{
    enum status status = dataset_delete(app->store, request_param(request, "id"), err);
    if (status)
        return status;
    app->ports.wake(app->ports.supervisor); /* it may be at work on it */
    reply_empty(reply, 204);
    return OK;
}
