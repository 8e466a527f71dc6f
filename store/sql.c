#include "store/sql.h"

#include <sqlite3.h>
#include <string.h>

/* What SQLite's result codes mean to us; the rest is E_IO. */
static const struct {
    int code;
    enum status status;
    const char *advice;
} meanings[] = {
    {SQLITE_FULL, E_NO_SPACE, "free some disk space and try again"},
    {SQLITE_CONSTRAINT_UNIQUE, E_CONFLICT, "a row with this key exists already"},
    {SQLITE_CONSTRAINT_PRIMARYKEY, E_CONFLICT, "a row with this key exists already"},
    {SQLITE_CONSTRAINT_FOREIGNKEY, E_NOT_FOUND, "what the row refers to does not exist"},
    {SQLITE_BUSY, E_UNAVAILABLE, "another program has locked the database"},
    {SQLITE_CORRUPT, E_IO, "the file is damaged: restore the data directory from a backup"},
    {SQLITE_NOTADB, E_IO, "the file is not a database: is this a data directory of Thaw?"},
};

static enum status fail(struct sqlite3 *db, const char *doing, struct err *err)
{
    int code = sqlite3_extended_errcode(db);
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (meanings[i].code == code || meanings[i].code == (code & 0xff))
            return err_set(err, meanings[i].status, "The database could not %s: %s (%s).", doing,
                           sqlite3_errmsg(db), meanings[i].advice);
    return err_set(err, E_IO, "The database could not %s: %s (SQLite code %d).", doing,
                   sqlite3_errmsg(db), code);
}

/* Per connection. Readers may not write, not even by mistake. */
static const char writer_pragmas[] = "PRAGMA journal_mode=WAL;"
                                     "PRAGMA synchronous=FULL;"
                                     "PRAGMA foreign_keys=ON;"
                                     "PRAGMA journal_size_limit=67108864;"
                                     "PRAGMA cache_size=-1024;"
                                     "PRAGMA temp_store=MEMORY;";
static const char reader_pragmas[] = "PRAGMA query_only=ON;"
                                     "PRAGMA cache_size=-512;"
                                     "PRAGMA temp_store=MEMORY;";

enum status sql_open(struct sql *sql, const char *path, bool writes, struct err *err)
{
    *sql = (struct sql){0};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (writes ? SQLITE_OPEN_CREATE : 0);
    if (sqlite3_open_v2(path, &sql->db, flags, NULL) != SQLITE_OK) {
        enum status status = fail(sql->db, "be opened", err);
        err_prefix(err, "%s: ", path);
        sql_close(sql);
        return status;
    }
    sqlite3_busy_timeout(sql->db, 5000);
    const char *pragmas = writes ? writer_pragmas : reader_pragmas;
    if (sqlite3_exec(sql->db, pragmas, NULL, NULL, NULL) != SQLITE_OK) {
        enum status status = fail(sql->db, "be set up", err);
        err_prefix(err, "%s: ", path);
        sql_close(sql);
        return status;
    }
    return OK;
}

void sql_close(struct sql *sql)
{
    for (size_t i = 0; i < sql->n_cached; i++) {
        sqlite3_finalize(sql->cached[i].stmt);
        mem_free(sql->cached[i].text);
    }
    sqlite3_close(sql->db);
    *sql = (struct sql){0};
}

struct sql_value sql_text(const char *text)
{
    return (struct sql_value){.kind = text ? SQL_TEXT : SQL_NULL, .text = text};
}

struct sql_value sql_integer(int64_t integer)
{
    return (struct sql_value){.kind = SQL_INTEGER, .integer = integer};
}

/* The statement of this text, prepared once. When the cache is full the oldest that is idle goes;
 * SQL_MAX_STATEMENTS is more than there are texts, so that is rare. */
static enum status prepare(struct sql *sql, const char *text, struct sqlite3_stmt **stmt,
                           struct err *err)
{
    for (size_t i = 0; i < sql->n_cached; i++)
        if (!strcmp(sql->cached[i].text, text) && !sqlite3_stmt_busy(sql->cached[i].stmt)) {
            *stmt = sql->cached[i].stmt;
            return OK;
        }
    if (sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) != SQLITE_OK)
        return fail(sql->db, "prepare a statement", err);
    size_t slot = 0;
    if (sql->n_cached < SQL_MAX_STATEMENTS) {
        slot = sql->n_cached++;
    } else {
        while (slot + 1 < SQL_MAX_STATEMENTS && sqlite3_stmt_busy(sql->cached[slot].stmt))
            slot++;
        sqlite3_finalize(sql->cached[slot].stmt);
        mem_free(sql->cached[slot].text);
    }
    sql->cached[slot] = (struct sql_cached){.text = mem_strdup(text), .stmt = *stmt};
    return OK;
}

static int bind(struct sqlite3_stmt *stmt, int place, const struct sql_value *value)
{
    if (value->kind == SQL_TEXT)
        return sqlite3_bind_text(stmt, place, value->text, -1, SQLITE_TRANSIENT);
    if (value->kind == SQL_INTEGER)
        return sqlite3_bind_int64(stmt, place, value->integer);
    return sqlite3_bind_null(stmt, place);
}

enum status sql_query(struct sql *sql, const char *text, const struct sql_value *values,
                      size_t n_values, struct sqlite3_stmt **stmt, struct err *err)
{
    enum status status = prepare(sql, text, stmt, err);
    if (status)
        return status;
    for (size_t i = 0; i < n_values; i++)
        if (bind(*stmt, (int)i + 1, &values[i]) != SQLITE_OK) {
            status = fail(sql->db, "take a value", err);
            sql_end(*stmt);
            return status;
        }
    return OK;
}

enum status sql_next(struct sqlite3_stmt *stmt, bool *there, struct err *err)
{
    int code = sqlite3_step(stmt);
    *there = code == SQLITE_ROW;
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return OK;
    return fail(sqlite3_db_handle(stmt), "run a statement", err);
}

void sql_end(struct sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

enum status sql_run(struct sql *sql, const char *text, const struct sql_value *values,
                    size_t n_values, int64_t *changed, struct err *err)
{
    struct sqlite3_stmt *stmt = NULL;
    enum status status = sql_query(sql, text, values, n_values, &stmt, err);
    if (status)
        return status;
    bool there = true;
    while (there && status == OK)
        status = sql_next(stmt, &there, err);
    sql_end(stmt);
    if (status == OK && changed)
        *changed = sqlite3_changes64(sql->db);
    return status;
}

enum status sql_fetch_integer(struct sql *sql, const char *text, const struct sql_value *values,
                              size_t n_values, int64_t fallback, int64_t *value, struct err *err)
{
    struct sqlite3_stmt *stmt = NULL;
    enum status status = sql_query(sql, text, values, n_values, &stmt, err);
    if (status)
        return status;
    bool there = false;
    status = sql_next(stmt, &there, err);
    if (status == OK)
        *value = there ? sql_column_integer(stmt, 0, fallback) : fallback;
    sql_end(stmt);
    return status;
}

const char *sql_column_text(struct sqlite3_stmt *stmt, int column, struct arena *arena)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);
    if (!text)
        return NULL;
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    return arena_strndup(arena, (const char *)text, len);
}

int64_t sql_column_integer(struct sqlite3_stmt *stmt, int column, int64_t fallback)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return fallback;
    return sqlite3_column_int64(stmt, column);
}
