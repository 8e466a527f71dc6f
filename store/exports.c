#include "store/exports.h"

#include "base/clock.h"
#include "store/blobs.h"
#include "store/internal.h"

#define FIELD(member) offsetof(struct export_row, member)
static const struct column columns[] = {
    {"id", COLUMN_TEXT, FIELD(id), NULL, 0},
    {"weights", COLUMN_TEXT, FIELD(weights), NULL, 0},
    {"format", COLUMN_TEXT, FIELD(format), NULL, 0},
    {"version", COLUMN_TEXT, FIELD(version), NULL, 0},
    {"sha256", COLUMN_TEXT, FIELD(sha256), NULL, 0},
    {"bytes", COLUMN_INTEGER, FIELD(bytes), NULL, 0},
    {"created_ms", COLUMN_TIME, FIELD(created_ms), NULL, 0},
};
static const struct table table = {
    "exports", "export", columns, ARRAY_LEN(columns), sizeof(struct export_row),
};

#define IS_IDLE                                                                                    \
    "NOT EXISTS (SELECT 1 FROM models WHERE models.weights = exports.weights)"                     \
    " AND NOT EXISTS (SELECT 1 FROM checkpoints WHERE checkpoints.sha256 = exports.weights)"

enum status export_find(struct store *store, const char *weights, const char *format,
                        const char *version, struct arena *arena, struct export_row *row,
                        bool *found, struct err *err)
{
    struct sql *sql = store_read(store);
    enum status status = row_find(
        sql, &table, "WHERE weights = ?1 AND format = ?2 AND version = ?3",
        SQL_VALUES(sql_text(weights), sql_text(format), sql_text(version)), arena, row, found, err);
    store_read_done(store, sql);
    return status;
}

static enum status replace(struct sql *sql, const struct export_row *given, struct err *err)
{
    char id[40];
    struct export_row row = *given;
    enum status status =
        sql_run(sql, "DELETE FROM exports WHERE weights = ?1 AND format = ?2",
                SQL_VALUES(sql_text(row.weights), sql_text(row.format)), NULL, err);
    if (status)
        return status;
    id_new("exp_", id);
    row.id = id;
    row.created_ms = clock_wall_ms();
    return row_insert(sql, &table, &row, NULL, err);
}

enum status export_put(struct store *store, const struct export_row *row, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, LAZY, &sql, err);
    if (status)
        return status;
    status = store_end(store, replace(sql, row, err), err);
    if (status == OK)
        blob_settle(store, row->sha256);
    return status;
}

enum status exports_expire(struct store *store, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, LAZY, &sql, err);
    if (status)
        return status;
    status = sql_run(sql, "DELETE FROM exports WHERE " IS_IDLE, NULL, 0, NULL, err);
    return store_end(store, status, err);
}

void exports_release(struct store *store, const char *weights)
{
    struct arena arena;
    struct err ignored; /* what stays is the next hour's */
    void *rows = NULL;
    size_t n = 0;
    if (!weights)
        return;
    arena_init(&arena);
    struct sql *sql = store_read(store);
    enum status status = row_list(sql, &table, "WHERE weights = ?1 AND " IS_IDLE,
                                  SQL_VALUES(sql_text(weights)), &arena, &rows, &n, &ignored);
    store_read_done(store, sql);
    if (status == OK && n > 0)
        status = exports_expire(store, &ignored);
    for (size_t i = 0; status == OK && i < n; i++)
        blob_release(store, ((const struct export_row *)rows)[i].sha256);
    arena_deinit(&arena);
}
