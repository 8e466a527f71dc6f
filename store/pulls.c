#include "store/pulls.h"

#include "base/json.h"
#include "store/blobs.h"
#include "store/events_write.h"

static char *progress_text(int64_t done, int64_t total)
{
    struct json *progress = json_new_object();
    json_set_integer(progress, "done", done);
    json_set_integer(progress, "total", total);
    char *text = json_text(progress);
    json_free(progress);
    return text;
}

/* {status, progress, error}; the last two are JSON texts or NULL. */
static enum status tell(struct store *store, struct sql *sql, const char *model, const char *status,
                        const char *progress, const char *error, struct err *err)
{
    char *data = mem_printf("{\"status\":\"%s\",\"progress\":%s,\"error\":%s}", status,
                            progress ? progress : "null", error ? error : "null");
    struct event_new event = {.type = "state", .model = model, .data = data};
    enum status written = event_write(store, sql, &event, err);
    mem_free(data);
    return written;
}

/* One UPDATE with its event. *changed false: the row was not as the statement wants it. */
static enum status change(struct store *store, enum store_durability durability, const char *text,
                          const struct sql_value *values, size_t n_values, const char *model,
                          const char *status, const char *progress, const char *error,
                          bool *changed, struct err *err)
{
    int64_t rows = 0;
    struct sql *sql = NULL;
    enum status code = store_begin(store, durability, &sql, err);
    if (code)
        return code;
    code = sql_run(sql, text, values, n_values, &rows, err);
    if (code == OK && rows && status)
        code = tell(store, sql, model, status, progress, error, err);
    *changed = code == OK && rows > 0;
    return store_end(store, code, err);
}

static const char begin_sql[] = "UPDATE models SET progress = ?2, error = NULL WHERE id = ?1"
                                " AND origin = 'base' AND weights IS NULL AND progress IS NULL";

enum status pull_begin(struct store *store, const char *model, int64_t total, bool *begun,
                       struct err *err)
{
    char *progress = progress_text(0, total);
    enum status status =
        change(store, DURABLE, begin_sql, SQL_VALUES(sql_text(model), sql_text(progress)), model,
               "pulling", progress, NULL, begun, err);
    mem_free(progress);
    return status;
}

enum status pull_progress(struct store *store, const char *model, int64_t done, int64_t total,
                          bool tell_it, bool *wanted, struct err *err)
{
    static const char sql[] =
        "UPDATE models SET progress = ?2 WHERE id = ?1 AND progress IS NOT NULL";
    char *progress = progress_text(done, total);
    enum status status = change(store, LAZY, sql, SQL_VALUES(sql_text(model), sql_text(progress)),
                                model, tell_it ? "pulling" : NULL, progress, NULL, wanted, err);
    *wanted |= status != OK; /* a write that failed says nothing about it */
    mem_free(progress);
    return status;
}

enum status pull_cancel(struct store *store, const char *model, bool *cancelled, struct err *err)
{
    static const char sql[] =
        "UPDATE models SET progress = NULL, error = NULL WHERE id = ?1 AND progress IS NOT NULL";
    return change(store, DURABLE, sql, SQL_VALUES(sql_text(model)), model, "cancelled", NULL, NULL,
                  cancelled, err);
}

enum status pull_fail(struct store *store, const char *model, const char *error, struct err *err)
{
    static const char sql[] =
        "UPDATE models SET progress = NULL, error = ?2 WHERE id = ?1 AND progress IS NOT NULL";
    bool changed;
    return change(store, DURABLE, sql, SQL_VALUES(sql_text(model), sql_text(error)), model,
                  "failed", NULL, error, &changed, err);
}

static const char finish_sql[] =
    "UPDATE models SET available = 1, progress = NULL, error = NULL, classes = ?2, groups = ?3,"
    " parameters = ?4, weights = ?5, bytes = ?6, weights_sha256 = ?7, text = ?8"
    " WHERE id = ?1 AND origin = 'base' AND weights IS NULL";

enum status pull_finish(struct store *store, const struct model_row *row, struct err *err)
{
    bool changed = false;
    enum status status = change(store, DURABLE, finish_sql,
                                SQL_VALUES(sql_text(row->id), sql_text(row->classes),
                                           sql_text(row->groups), sql_integer(row->parameters),
                                           sql_text(row->weights), sql_integer(row->bytes),
                                           sql_text(row->weights_sha256), sql_text(row->text)),
                                row->id, "available", NULL, NULL, &changed, err);
    if (status == OK && !changed)
        return err_set(err, E_CONFLICT, "%s has its weights already.", row->id);
    if (status == OK)
        blob_settle(store, row->weights);
    return status;
}

enum status pulls_list(struct store *store, struct arena *arena, const char ***ids, size_t *n,
                       struct err *err)
{
    static const char text[] = "SELECT id FROM models WHERE progress IS NOT NULL ORDER BY seq";
    struct sqlite3_stmt *stmt = NULL;
    struct sql *sql = store_read(store);
    bool there = true;
    *n = 0;
    *ids = arena_alloc(arena, PULLS_MAX * sizeof **ids);
    enum status status = sql_query(sql, text, NULL, 0, &stmt, err);
    while (status == OK && *n < PULLS_MAX && (status = sql_next(stmt, &there, err)) == OK && there)
        (*ids)[(*n)++] = sql_column_text(stmt, 0, arena);
    sql_end(stmt);
    store_read_done(store, sql);
    return status;
}
