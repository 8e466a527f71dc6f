#include "store/artifacts_write.h"

#include "base/clock.h"

#define FIELD(member) offsetof(struct artifact_row, member)
static const struct column columns[] = {
    {"id", COLUMN_TEXT, FIELD(id), NULL, 0},
    {"job", COLUMN_TEXT, FIELD(job), NULL, 0},
    {"name", COLUMN_TEXT, FIELD(name), NULL, 0},
    {"sha256", COLUMN_TEXT, FIELD(sha256), NULL, 0},
    {"bytes", COLUMN_INTEGER, FIELD(bytes), NULL, 0},
    {"created_ms", COLUMN_TIME, FIELD(created_ms), NULL, 0},
};
static const struct table table = {
    "artifacts", "artifact", columns, ARRAY_LEN(columns), sizeof(struct artifact_row),
};

static const char replace_sql[] = "UPDATE artifacts SET sha256 = ?3, bytes = ?4, created_ms = ?5"
                                  " WHERE job = ?1 AND name = ?2";

enum status artifact_write(struct sql *sql, const struct artifact_row *given, struct err *err)
{
    char id[40];
    struct artifact_row row = *given;
    int64_t changed = 0;
    row.created_ms = clock_wall_ms();
    enum status status =
        sql_run(sql, replace_sql,
                SQL_VALUES(sql_text(row.job), sql_text(row.name), sql_text(row.sha256),
                           sql_integer(row.bytes), sql_integer(row.created_ms)),
                &changed, err);
    if (status || changed)
        return status;
    id_new("art_", id);
    row.id = id;
    return row_insert(sql, &table, &row, NULL, err);
}

enum status artifacts_list(struct store *store, const char *job, struct arena *arena,
                           struct artifact_list *list, struct err *err)
{
    void *rows = NULL;
    struct sql *sql = store_read(store);
    enum status status = row_list(sql, &table, "WHERE job = ?1 ORDER BY seq",
                                  SQL_VALUES(sql_text(job)), arena, &rows, &list->n, err);
    store_read_done(store, sql);
    list->rows = rows;
    return status;
}

enum status artifact_get(struct store *store, const char *job, const char *name,
                         struct arena *arena, struct artifact_row *row, struct err *err)
{
    bool found = false;
    struct sql *sql = store_read(store);
    enum status status =
        row_find(sql, &table, "WHERE job = ?1 AND name = ?2",
                 SQL_VALUES(sql_text(job), sql_text(name)), arena, row, &found, err);
    store_read_done(store, sql);
    if (status == OK && !found)
        return err_set(err, E_NOT_FOUND, "The job %s has no %s.", job, name);
    return status;
}
