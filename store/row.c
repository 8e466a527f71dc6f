#include "store/row.h"

#include <string.h>

#include "base/buf.h"

#define MAX_SQL     4096
#define MAX_COLUMNS 32

static int64_t get_integer(const void *row, const struct column *column)
{
    int64_t value;
    memcpy(&value, (const char *)row + column->offset, sizeof value);
    return value;
}

static const char *get_text(const void *row, const struct column *column)
{
    const char *text;
    memcpy(&text, (const char *)row + column->offset, sizeof text);
    return text;
}

static struct sql_value value_of(const void *row, const struct column *column)
{
    const char *field = (const char *)row + column->offset;
    bool yes;
    int name;
    switch (column->kind) {
    case COLUMN_TEXT:
        return sql_text(get_text(row, column));
    case COLUMN_BOOL:
        memcpy(&yes, field, sizeof yes);
        return sql_integer(yes);
    case COLUMN_NAME:
        memcpy(&name, field, sizeof name);
        return sql_text(column->names[name]);
    case COLUMN_TIME:
        return get_integer(row, column) ? sql_integer(get_integer(row, column)) : sql_text(NULL);
    case COLUMN_COUNT:
        return get_integer(row, column) >= 0 ? sql_integer(get_integer(row, column))
                                             : sql_text(NULL);
    case COLUMN_INTEGER:
        return sql_integer(get_integer(row, column));
    case COLUMN_SEQ:
        break;
    }
    return sql_text(NULL); /* AUTOINCREMENT fills it in */
}

static enum status read_name(const struct table *table, const struct column *column,
                             const char *text, int *value, struct err *err)
{
    for (size_t i = 0; text && i < column->n_names; i++)
        if (!strcmp(column->names[i], text)) {
            *value = (int)i;
            return OK;
        }
    return err_set(err, E_IO, "The database holds a %s whose %s is \"%s\", which is no such value.",
                   table->thing, column->name, text ? text : "");
}

static enum status read_row(struct sqlite3_stmt *stmt, const struct table *table,
                            struct arena *arena, void *row, struct err *err)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        const struct column *column = &table->columns[i];
        char *field = (char *)row + column->offset;
        if (column->kind == COLUMN_TEXT) {
            const char *text = sql_column_text(stmt, (int)i, arena);
            memcpy(field, &text, sizeof text);
        } else if (column->kind == COLUMN_NAME) {
            int value = 0;
            const char *text = sql_column_text(stmt, (int)i, arena);
            enum status status = read_name(table, column, text, &value, err);
            if (status)
                return status;
            memcpy(field, &value, sizeof value);
        } else if (column->kind == COLUMN_BOOL) {
            bool yes = sql_column_integer(stmt, (int)i, 0) != 0;
            memcpy(field, &yes, sizeof yes);
        } else {
            int64_t none = column->kind == COLUMN_COUNT ? -1 : 0;
            int64_t value = sql_column_integer(stmt, (int)i, none);
            memcpy(field, &value, sizeof value);
        }
    }
    return OK;
}

static void put_columns(struct buf *sql, const struct table *table)
{
    for (size_t i = 0; i < table->n_columns; i++)
        buf_printf(sql, "%s%s", i ? ", " : "", table->columns[i].name);
}

enum status row_insert(struct sql *sql, const struct table *table, const void *row, int64_t *seq,
                       struct err *err)
{
    struct sql_value values[MAX_COLUMNS];
    struct buf text;
    buf_init(&text, MAX_SQL);
    buf_printf(&text, "INSERT INTO %s (", table->name);
    put_columns(&text, table);
    buf_puts(&text, ") VALUES (");
    for (size_t i = 0; i < table->n_columns; i++) {
        buf_puts(&text, i ? ", ?" : "?");
        values[i] = value_of(row, &table->columns[i]);
    }
    buf_puts(&text, ")");
    enum status status = sql_run(sql, text.data, values, table->n_columns, NULL, err);
    if (status == OK && seq)
        status = sql_fetch_integer(sql, "SELECT last_insert_rowid()", NULL, 0, 0, seq, err);
    buf_deinit(&text);
    return status;
}

enum status row_list(struct sql *sql, const struct table *table, const char *tail,
                     const struct sql_value *values, size_t n_values, struct arena *arena,
                     void **rows, size_t *n, struct err *err)
{
    struct sqlite3_stmt *stmt = NULL;
    struct buf text;
    buf_init(&text, MAX_SQL);
    buf_puts(&text, "SELECT ");
    put_columns(&text, table);
    buf_printf(&text, " FROM %s %s", table->name, tail);
    enum status status = sql_query(sql, text.data, values, n_values, &stmt, err);
    buf_deinit(&text);
    if (status)
        return status;

    size_t capacity = 0;
    *rows = NULL;
    *n = 0;
    for (bool there = true; status == OK;) {
        status = sql_next(stmt, &there, err);
        if (status || !there)
            break;
        if (*n == capacity) {
            capacity = capacity ? 2 * capacity : 4;
            void *more = arena_alloc(arena, capacity * table->row_size);
            if (*n)
                memcpy(more, *rows, *n * table->row_size);
            *rows = more;
        }
        status = read_row(stmt, table, arena, (char *)*rows + *n * table->row_size, err);
        ++*n;
    }
    sql_end(stmt);
    return status;
}

enum status row_find(struct sql *sql, const struct table *table, const char *tail,
                     const struct sql_value *values, size_t n_values, struct arena *arena,
                     void *row, bool *found, struct err *err)
{
    void *rows = NULL;
    size_t n = 0;
    enum status status = row_list(sql, table, tail, values, n_values, arena, &rows, &n, err);
    *found = status == OK && n > 0;
    if (*found)
        memcpy(row, rows, table->row_size);
    return status;
}

enum status row_get(struct sql *sql, const struct table *table, const char *id, struct arena *arena,
                    void *row, struct err *err)
{
    bool found = false;
    enum status status =
        row_find(sql, table, "WHERE id = ?1", SQL_VALUES(sql_text(id)), arena, row, &found, err);
    if (status == OK && !found)
        return err_set(err, E_NOT_FOUND, "There is no %s \"%.80s\".", table->thing, id);
    return status;
}

/* The order of the row a page starts after. */
static enum status page_start(struct sql *sql, const struct table *table, const char *after,
                              int64_t *seq, struct err *err)
{
    *seq = INT64_MAX;
    if (!after)
        return OK;
    char text[96];
    struct buf query;
    buf_init(&query, sizeof text);
    buf_printf(&query, "SELECT seq FROM %s WHERE id = ?1", table->name);
    enum status status =
        sql_fetch_integer(sql, query.data, SQL_VALUES(sql_text(after)), -1, seq, err);
    buf_deinit(&query);
    if (status == OK && *seq < 0)
        return err_set(err, E_INVALID,
                       "The list cannot go on after \"%.80s\": there is no such %s.", after,
                       table->thing);
    return status;
}

enum status row_page(struct sql *sql, const struct table *table, const char *where,
                     const char *value, const struct page *page, struct arena *arena, void **rows,
                     size_t *n, bool *has_more, struct err *err)
{
    int64_t before = 0;
    enum status status = page_start(sql, table, page->after, &before, err);
    if (status)
        return status;
    int limit = page->limit < 1 ? 1 : page->limit > 100 ? 100 : page->limit;
    struct buf tail;
    buf_init(&tail, MAX_SQL);
    buf_printf(&tail, "WHERE %s AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
               where ? where : "?1 IS ?1");
    status = row_list(sql, table, tail.data,
                      SQL_VALUES(sql_text(value), sql_integer(before), sql_integer(limit + 1)),
                      arena, rows, n, err);
    buf_deinit(&tail);
    *has_more = status == OK && *n > (size_t)limit;
    if (*has_more)
        *n = (size_t)limit;
    return status;
}
