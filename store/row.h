/* row.h -- a table's columns, listed once: from the list come SELECT, INSERT and the row's struct.
 *
 * Inside store/ only. Every table has `seq INTEGER PRIMARY KEY AUTOINCREMENT` (its order) and a
 * unique `id`; both are ordinary columns of its list. */
#ifndef THAW_STORE_ROW_H
#define THAW_STORE_ROW_H

#include "store/db.h"
#include "store/sql.h"

enum column_kind {
    COLUMN_TEXT,    /* const char *; NULL is NULL */
    COLUMN_INTEGER, /* int64_t */
    COLUMN_TIME,    /* int64_t; 0 is NULL */
    COLUMN_COUNT,   /* int64_t; -1 is NULL */
    COLUMN_BOOL,    /* bool */
    COLUMN_NAME,    /* an enum (int) stored as the text names[value] */
    COLUMN_SEQ      /* int64_t given by the database */
};

struct column {
    const char *name; /* in SQL */
    enum column_kind kind;
    size_t offset; /* in the row's struct */
    const char *const *names;
    size_t n_names;
};

struct table {
    const char *name;
    const char *thing; /* "job", for sentences */
    const struct column *columns;
    size_t n_columns, row_size;
};

/* Row structs start with the id: these read and write it through that pointer. */
enum status row_insert(struct sql *sql, const struct table *table, const void *row, int64_t *seq,
                       struct err *err);

/* `tail` follows "SELECT columns FROM table ": "WHERE ... ORDER BY ... LIMIT ?". */
enum status row_find(struct sql *sql, const struct table *table, const char *tail,
                     const struct sql_value *values, size_t n_values, struct arena *arena,
                     void *row, bool *found, struct err *err);
enum status row_list(struct sql *sql, const struct table *table, const char *tail,
                     const struct sql_value *values, size_t n_values, struct arena *arena,
                     void **rows, size_t *n, struct err *err);

/* By id; E_NOT_FOUND with a sentence. */
enum status row_get(struct sql *sql, const struct table *table, const char *id, struct arena *arena,
                    void *row, struct err *err);

/* One page, newest first. `where` holds for all rows ("status = ?1") or is NULL; it may use ?1
 * only, which is bound to `value`. */
enum status row_page(struct sql *sql, const struct table *table, const char *where,
                     const char *value, const struct page *page, struct arena *arena, void **rows,
                     size_t *n, bool *has_more, struct err *err);

#endif
