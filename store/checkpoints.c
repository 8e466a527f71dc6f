#include "store/checkpoints_write.h"

#include "base/clock.h"

#define FIELD(member) offsetof(struct checkpoint_row, member)
static const struct column columns[] = {
    {"id", COLUMN_TEXT, FIELD(id), NULL, 0},
    {"job", COLUMN_TEXT, FIELD(job), NULL, 0},
    {"slot", COLUMN_TEXT, FIELD(slot), NULL, 0},
    {"name", COLUMN_TEXT, FIELD(name), NULL, 0},
    {"stage_index", COLUMN_INTEGER, FIELD(stage_index), NULL, 0},
    {"epoch", COLUMN_INTEGER, FIELD(epoch), NULL, 0},
    {"step", COLUMN_INTEGER, FIELD(step), NULL, 0},
    {"sha256", COLUMN_TEXT, FIELD(sha256), NULL, 0},
    {"bytes", COLUMN_INTEGER, FIELD(bytes), NULL, 0},
    {"metrics", COLUMN_TEXT, FIELD(metrics), NULL, 0},
    {"created_ms", COLUMN_TIME, FIELD(created_ms), NULL, 0},
};
static const struct table table = {
    "checkpoints", "checkpoint", columns, ARRAY_LEN(columns), sizeof(struct checkpoint_row),
};

static const char replace_sql[] =
    "UPDATE checkpoints SET name = ?3, stage_index = ?4, epoch = ?5, step = ?6, sha256 = ?7,"
    " bytes = ?8, metrics = ?9, created_ms = ?10 WHERE job = ?1 AND slot = ?2";

enum status checkpoint_write(struct sql *sql, const struct checkpoint_row *given, struct err *err)
{
    char id[40];
    struct checkpoint_row row = *given;
    if (!row.created_ms)
        row.created_ms = clock_wall_ms();
    int64_t changed = 0;
    enum status status =
        sql_run(sql, replace_sql,
                SQL_VALUES(sql_text(row.job), sql_text(row.slot), sql_text(row.name),
                           sql_integer(row.stage_index), sql_integer(row.epoch),
                           sql_integer(row.step), sql_text(row.sha256), sql_integer(row.bytes),
                           sql_text(row.metrics), sql_integer(row.created_ms)),
                &changed, err);
    if (status || changed)
        return status;
    if (!row.id) {
        id_new("ckpt_", id);
        row.id = id;
    }
    return row_insert(sql, &table, &row, NULL, err);
}

enum status checkpoints_list(struct store *store, const char *job, struct arena *arena,
                             struct checkpoint_list *list, struct err *err)
{
    void *rows = NULL;
    struct sql *sql = store_read(store);
    enum status status = row_list(sql, &table, "WHERE job = ?1 ORDER BY created_ms, seq",
                                  SQL_VALUES(sql_text(job)), arena, &rows, &list->n, err);
    store_read_done(store, sql);
    list->rows = rows;
    return status;
}

enum status checkpoint_get(struct store *store, const char *id, struct arena *arena,
                           struct checkpoint_row *row, struct err *err)
{
    return store_get(store, &table, id, arena, row, err);
}
