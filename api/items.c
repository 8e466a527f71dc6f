/* items.c -- looking into a dataset: its items as a list, and the bytes of one. */
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/list.h"
#include "api/render.h"
#include "store/items.h"

#define EXCERPT 280 /* bytes of a text that a list shows */

static const struct {
    enum pack_format format;
    const char *type;
} types[] = {
    {PACK_JPEG, "image/jpeg"},
    {PACK_PNG, "image/png"},
    {PACK_WEBP, "image/webp"},
    {PACK_TEXT, "text/plain; charset=utf-8"},
};

static const char *type_of(enum pack_format format)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].format == format)
            return types[i].type;
    return "application/octet-stream";
}

static enum status open_items(struct app *app, const struct request *request, struct items **items,
                              struct err *err)
{
    struct dataset_row row;
    enum status status =
        dataset_get(app->store, request_param(request, "id"), request->arena, &row, err);
    return status ? status : items_open(app->store, &row, items, err);
}

static struct json *render_item(const struct items *items, const struct item *item,
                                struct arena *arena)
{
    const char *text = NULL;
    struct err ignored; /* the list is worth showing without */
    struct json *object = json_new_object();
    if (item->format == PACK_TEXT)
        items_excerpt(items, item, EXCERPT, arena, &text, &ignored);
    json_set_integer(object, "item", item->number);
    json_set_string(object, "object", "item");
    json_set_string(object, "path", item->path);
    json_set_string(object, "class", item->label);
    json_set_string(object, "split", item->split);
    json_set_string(object, "type", type_of(item->format));
    json_set_integer(object, "bytes", (int64_t)item->bytes);
    json_set_string(object, "sha256", item->sha256);
    json_set_string(object, "text", text);
    return object;
}

enum status items_index(struct app *app, const struct request *request, struct reply *reply,
                        struct err *err)
{
    struct items *items = NULL;
    struct item_list list = {0};
    struct item_filter filter = {.label = request_value(request, "class"),
                                 .split = request_value(request, "split")};
    int64_t limit = 0;
    enum status status =
        request_integer(request, "limit", 1, LIST_LIMIT_MAX, LIST_LIMIT_DEFAULT, &limit, err);
    if (!status)
        status = request_integer(request, "after", -1, PACK_MAX_ITEMS, -1, &filter.after, err);
    if (!status)
        status = open_items(app, request, &items, err);
    filter.limit = (size_t)limit;
    if (!status)
        status = items_list(items, &filter, request->arena, &list, err);
    if (!status) {
        struct json *data = json_new_array();
        for (size_t i = 0; i < list.n; i++)
            json_add(data, render_item(items, &list.rows[i], request->arena));
        reply_document(reply, request, render_list(data, list.has_more, "item"));
    }
    items_close(items);
    return status;
}

static enum status find_item(struct app *app, const struct request *request, struct items **items,
                             struct item *item, struct err *err)
{
    const char *text = request_param(request, "n");
    size_t len = strlen(text);
    *items = NULL;
    if (len > 9 || strspn(text, "0123456789") != len)
        return err_set(err, E_NOT_FOUND, "\"%.40s\" is no item: they are numbered from 0.", text);
    enum status status = open_items(app, request, items, err);
    return status ? status : items_get(*items, strtoll(text, NULL, 10), request->arena, item, err);
}

enum status items_content(struct app *app, const struct request *request, struct reply *reply,
                          struct err *err)
{
    struct items *items;
    struct item item;
    enum status status = find_item(app, request, &items, &item, err);
    if (!status) {
        reply_file(reply, request, items_take_pack(items), item.bytes, type_of(item.format), NULL);
        reply->offset = item.offset;
        reply->etag = arena_printf(request->arena, "\"%s\"", item.sha256);
    }
    items_close(items);
    return status;
}

enum status items_thumbnail(struct app *app, const struct request *request, struct reply *reply,
                            struct err *err)
{
    struct items *items;
    struct item item;
    (void)reply;
    enum status status = find_item(app, request, &items, &item, err);
    items_close(items);
    if (status)
        return status;
    err_set(err, E_NOT_FOUND,
            item.format == PACK_TEXT ? "Item %lld is a text, which has no thumbnail: its content "
                                       "is at /v1/datasets/%s/items/%lld/content."
                                     : "Item %lld has no thumbnail: the picture itself is at "
                                       "/v1/datasets/%s/items/%lld/content.",
            (long long)item.number, request_param(request, "id"), (long long)item.number);
    return E_NOT_FOUND;
}
