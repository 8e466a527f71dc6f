/* sql.h -- SQLite for the rest of store/: a connection, its statements, values in and out.
 *
 * Inside store/ only. Statement texts may be built at run time, values never: they are bound. Each
 * connection keeps its prepared statements, found again by their text. */
#ifndef THAW_STORE_SQL_H
#define THAW_STORE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"

#define SQL_MAX_STATEMENTS 96

struct sqlite3;
struct sqlite3_stmt;

struct sql {
    struct sqlite3 *db; /* owned */
    struct sql_cached {
        char *text;                /* owned */
        struct sqlite3_stmt *stmt; /* owned */
    } cached[SQL_MAX_STATEMENTS];
    size_t n_cached;
};

enum status sql_open(struct sql *sql, const char *path, bool writes, struct err *err);
void sql_close(struct sql *sql);

/* One value to bind. */
struct sql_value {
    enum { SQL_NULL, SQL_TEXT, SQL_INTEGER } kind;
    const char *text; /* borrowed for the call */
    int64_t integer;
};
struct sql_value sql_text(const char *text); /* NULL is SQL's NULL */
struct sql_value sql_integer(int64_t integer);
#define SQL_VALUES(...)                                                                            \
    (const struct sql_value[]){__VA_ARGS__},                                                       \
        sizeof((const struct sql_value[]){__VA_ARGS__}) / sizeof(struct sql_value)

/* Runs a statement that yields no rows; *changed (may be NULL) is how many rows it touched. A
 * broken unique constraint is E_CONFLICT, a broken foreign key E_NOT_FOUND, a full disk
 * E_NO_SPACE. */
enum status sql_run(struct sql *sql, const char *text, const struct sql_value *values,
                    size_t n_values, int64_t *changed, struct err *err);

/* The first column of the first row as an integer; `fallback` where there is no row, or NULL. */
enum status sql_fetch_integer(struct sql *sql, const char *text, const struct sql_value *values,
                              size_t n_values, int64_t fallback, int64_t *value, struct err *err);

/* Rows, one at a time:  sql_query; while (sql_next(..., &there) == OK && there) ...; sql_end. */
enum status sql_query(struct sql *sql, const char *text, const struct sql_value *values,
                      size_t n_values, struct sqlite3_stmt **stmt, struct err *err);
enum status sql_next(struct sqlite3_stmt *stmt, bool *there, struct err *err);
void sql_end(struct sqlite3_stmt *stmt);
const char *sql_column_text(struct sqlite3_stmt *stmt, int column, struct arena *arena);
int64_t sql_column_integer(struct sqlite3_stmt *stmt, int column, int64_t fallback);

#endif
