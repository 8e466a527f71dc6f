#include "store/models_write.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/nearest.h"
#include "store/blobs.h"
#include "store/events_write.h"
#include "store/exports.h"

#define FIELD(member) offsetof(struct model_row, member)
static const struct column columns[] = {
    {"seq", COLUMN_SEQ, FIELD(order), NULL, 0},
    {"id", COLUMN_TEXT, FIELD(id), NULL, 0},
    {"name", COLUMN_TEXT, FIELD(name), NULL, 0},
    {"kind", COLUMN_TEXT, FIELD(kind), NULL, 0},
    {"architecture", COLUMN_TEXT, FIELD(architecture), NULL, 0},
    {"origin", COLUMN_TEXT, FIELD(origin), NULL, 0},
    {"available", COLUMN_BOOL, FIELD(available), NULL, 0},
    {"random", COLUMN_BOOL, FIELD(random), NULL, 0},
    {"job", COLUMN_TEXT, FIELD(job), NULL, 0},
    {"dataset", COLUMN_TEXT, FIELD(dataset), NULL, 0},
    {"classes", COLUMN_TEXT, FIELD(classes), NULL, 0},
    {"groups", COLUMN_TEXT, FIELD(groups), NULL, 0},
    {"parameters", COLUMN_COUNT, FIELD(parameters), NULL, 0},
    {"metrics", COLUMN_TEXT, FIELD(metrics), NULL, 0},
    {"text", COLUMN_TEXT, FIELD(text), NULL, 0},
    {"lineage", COLUMN_TEXT, FIELD(lineage), NULL, 0},
    {"weights", COLUMN_TEXT, FIELD(weights), NULL, 0},
    {"bytes", COLUMN_COUNT, FIELD(bytes), NULL, 0},
    {"weights_sha256", COLUMN_TEXT, FIELD(weights_sha256), NULL, 0},
    {"progress", COLUMN_TEXT, FIELD(progress), NULL, 0},
    {"error", COLUMN_TEXT, FIELD(error), NULL, 0},
    {"created_ms", COLUMN_TIME, FIELD(created_ms), NULL, 0},
};
static const struct table table = {
    "models", "model", columns, ARRAY_LEN(columns), sizeof(struct model_row),
};

static enum status name_is_taken(struct sql *sql, const char *name, bool *taken, struct err *err)
{
    int64_t n = 0;
    enum status status = sql_fetch_integer(sql, "SELECT count(*) FROM models WHERE name = ?1",
                                           SQL_VALUES(sql_text(name)), 0, &n, err);
    *taken = n > 0;
    return status;
}

enum status model_pick_name(struct sql *sql, struct model_row *row, struct arena *arena,
                            struct err *err)
{
    bool taken = false;
    enum status status = name_is_taken(sql, row->name, &taken, err);
    if (status == OK && taken) {
        size_t len = strlen(row->id);
        row->name = arena_printf(arena, "%s-%s", row->name, row->id + (len > 6 ? len - 6 : 0));
        status = name_is_taken(sql, row->name, &taken, err);
    }
    if (status == OK && taken)
        row->name = row->id;
    return status;
}

enum status model_write(struct store *store, struct sql *sql, struct model_row *row,
                        struct arena *arena, struct err *err)
{
    char id[40];
    if (!row->id) {
        id_new("mdl_", id);
        row->id = arena_strdup(arena, id);
    }
    if (!row->created_ms)
        row->created_ms = clock_wall_ms();
    bool taken = false;
    enum status status = name_is_taken(sql, row->name, &taken, err);
    if (status)
        return status;
    if (taken)
        return err_set(err, E_CONFLICT,
                       "There is a model named \"%.80s\" already: choose another name, or delete "
                       "that one.",
                       row->name);
    status = row_insert(sql, &table, row, &row->order, err);
    if (status)
        return status;

    struct json *data = json_new_object();
    json_set_string(data, "status", "created");
    json_set_string(data, "name", row->name);
    char *text = json_text(data);
    struct event_new event = {.type = "state", .model = row->id, .data = text};
    status = event_write(store, sql, &event, err);
    mem_free(text);
    json_free(data);
    return status;
}

enum status model_insert(struct store *store, struct model_row *row, struct arena *arena,
                         struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    status = model_write(store, sql, row, arena, err);
    status = store_end(store, status, err);
    if (status == OK)
        blob_settle(store, row->weights);
    return status;
}

/* What a misspelt name may have meant; NULL when nothing is near. */
static const char *nearest_name(struct sql *sql, const char *wanted, struct arena *arena)
{
    static const struct column column = {"name", COLUMN_TEXT, 0, NULL, 0};
    static const struct table names = {"models", "model", &column, 1, sizeof(const char *)};
    struct nearest nearest = {.word = wanted};
    struct err ignored;
    void *rows = NULL;
    size_t n = 0;
    if (row_list(sql, &names, "ORDER BY seq DESC LIMIT 1000", NULL, 0, arena, &rows, &n,
                 &ignored) != OK)
        return NULL;
    for (size_t i = 0; i < n; i++)
        nearest_offer(&nearest, ((const char **)rows)[i]);
    return nearest.best;
}

enum status model_get(struct store *store, const char *id_or_name, struct arena *arena,
                      struct model_row *row, struct err *err)
{
    struct sql *sql = store_read(store);
    bool found = false;
    enum status status =
        row_find(sql, &table, "WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1",
                 SQL_VALUES(sql_text(id_or_name)), arena, row, &found, err);
    const char *near = status || found ? NULL : nearest_name(sql, id_or_name, arena);
    store_read_done(store, sql);
    if (near)
        return err_set(err, E_NOT_FOUND, "There is no model \"%.80s\"; did you mean \"%s\"?",
                       id_or_name, near);
    if (status == OK && !found)
        return err_set(err, E_NOT_FOUND,
                       "There is no model \"%.80s\": GET /v1/models lists those there are.",
                       id_or_name);
    return status;
}

enum status models_list(struct store *store, const char *origin, const struct page *page,
                        struct arena *arena, struct model_list *list, struct err *err)
{
    void *rows = NULL;
    enum status status = store_page(store, &table, origin ? "origin = ?1" : NULL, origin, page,
                                    arena, &rows, &list->n, &list->has_more, err);
    list->rows = rows;
    return status;
}

const char *model_lineage_after(const struct model_row *parent, struct arena *arena)
{
    struct json *names = NULL;
    struct err ignored;
    if (!parent->lineage ||
        json_parse(parent->lineage, strlen(parent->lineage), &names, &ignored) != OK)
        names = json_new_array();
    json_add_string(names, parent->name);
    char *text = json_text(names);
    const char *lineage = arena_strdup(arena, text);
    mem_free(text);
    json_free(names);
    return lineage;
}

enum status model_delete(struct store *store, const char *id, struct err *err)
{
    struct arena arena;
    arena_init(&arena);
    struct model_row row;
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        goto done;
    status = row_get(sql, &table, id, &arena, &row, err);
    if (status == OK && !strcmp(row.origin, "base"))
        status = err_set(err, E_CONFLICT, "%s is a base model, which cannot be deleted.", row.name);
    if (status == OK)
        status =
            sql_run(sql, "DELETE FROM models WHERE id = ?1", SQL_VALUES(sql_text(id)), NULL, err);
    status = store_end(store, status, err);
    if (status == OK) {
        blob_release(store, row.weights);
        exports_release(store, row.weights);
    }
done:
    arena_deinit(&arena);
    return status;
}
