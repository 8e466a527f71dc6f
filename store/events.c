#include "store/events_write.h"

#include <string.h>

#include "base/clock.h"

/* How thinning works: a job's step events are numbered 1, 2, 3, ... by `ordinal`. After every
 * THIN_EVERY of them, where more than EVENTS_MAX_STEPS could have gathered, those that are not on
 * the grid 2^k are deleted, k being such that the grid holds at most KEEP_COARSE of all there were;
 * the newest KEEP_FINE stay as they are. Grids nest, so it is the same whether it ran often or
 * seldom. */
#define THIN_EVERY  500
#define KEEP_COARSE 4000
#define KEEP_FINE   1000

static int64_t grid_of(int64_t n_steps)
{
    int64_t grid = 1;
    while (n_steps / grid > KEEP_COARSE)
        grid *= 2;
    return grid;
}

static enum status thin(struct sql *sql, const char *job, int64_t newest, struct err *err)
{
    if (newest % THIN_EVERY)
        return OK;
    int64_t kept = 0;
    enum status status =
        sql_fetch_integer(sql, "SELECT count(*) FROM events WHERE job = ?1 AND ordinal NOT NULL",
                          SQL_VALUES(sql_text(job)), 0, &kept, err);
    if (status || kept <= EVENTS_MAX_STEPS - THIN_EVERY)
        return status;
    return sql_run(
        sql,
        "DELETE FROM events WHERE job = ?1 AND ordinal NOT NULL"
        " AND ordinal % ?2 != 0 AND ordinal <= ?3",
        SQL_VALUES(sql_text(job), sql_integer(grid_of(newest)), sql_integer(newest - KEEP_FINE)),
        NULL, err);
}

static enum status next_ordinal(struct sql *sql, const char *job, int64_t *ordinal, struct err *err)
{
    return sql_fetch_integer(
        sql, "SELECT max(ordinal) + 1 FROM events WHERE job = ?1 AND ordinal NOT NULL",
        SQL_VALUES(sql_text(job)), 1, ordinal, err);
}

/* The SELECT's WHERE is what keeps a terminal job closed. */
static const char insert_sql[] =
    "INSERT INTO events (time_ms, type, job, dataset, model, ordinal, data)"
    " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = ?3 AND"
    " status IN ('succeeded', 'failed', 'cancelled'))";

enum status event_write(struct store *store, struct sql *sql, const struct event_new *event,
                        struct err *err)
{
    bool lossy = event->job && !strcmp(event->type, "step");
    int64_t ordinal = 0, changed = 0, seq = 0;
    enum status status = OK;
    if (lossy)
        status = next_ordinal(sql, event->job, &ordinal, err);
    if (status)
        return status;
    int64_t time_ms = event->time_ms ? event->time_ms : clock_wall_ms();
    status =
        sql_run(sql, insert_sql,
                SQL_VALUES(sql_integer(time_ms), sql_text(event->type), sql_text(event->job),
                           sql_text(event->dataset), sql_text(event->model),
                           lossy ? sql_integer(ordinal) : sql_text(NULL), sql_text(event->data)),
                &changed, err);
    if (status || !changed)
        return status;
    status = sql_fetch_integer(sql, "SELECT last_insert_rowid()", NULL, 0, 0, &seq, err);
    store->new_events = seq;
    if (status == OK && lossy)
        status = thin(sql, event->job, ordinal, err);
    return status;
}

enum status events_append(struct store *store, const struct event_new *events, size_t n,
                          bool durable, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, durable ? DURABLE : LAZY, &sql, err);
    if (status)
        return status;
    for (size_t i = 0; status == OK && i < n; i++)
        status = event_write(store, sql, &events[i], err);
    return store_end(store, status, err);
}

static void read_event(struct sqlite3_stmt *stmt, struct arena *arena, struct event_row *row)
{
    row->seq = sql_column_integer(stmt, 0, 0);
    row->time_ms = sql_column_integer(stmt, 1, 0);
    row->type = sql_column_text(stmt, 2, arena);
    row->job = sql_column_text(stmt, 3, arena);
    row->dataset = sql_column_text(stmt, 4, arena);
    row->model = sql_column_text(stmt, 5, arena);
    row->data = sql_column_text(stmt, 6, arena);
}

#define SELECT_EVENTS "SELECT seq, time_ms, type, job, dataset, model, data FROM events"
static const char list_all[] = SELECT_EVENTS " WHERE seq > ?1 AND (?4 IS NULL OR type = ?4)"
                                             " AND ?3 IS NULL ORDER BY seq LIMIT ?2";
static const char list_job[] = SELECT_EVENTS " WHERE job = ?3 AND seq > ?1"
                                             " AND (?4 IS NULL OR type = ?4)"
                                             " ORDER BY seq LIMIT ?2";

enum status events_list(struct store *store, const struct event_filter *filter, struct arena *arena,
                        struct event_list *list, struct err *err)
{
    int limit = filter->limit < 1 ? 1 : filter->limit > 1000 ? 1000 : filter->limit;
    *list = (struct event_list){.rows = arena_alloc(arena, (size_t)limit * sizeof *list->rows)};
    struct sql *sql = store_read(store);
    struct sqlite3_stmt *stmt = NULL;
    enum status status = sql_query(sql, filter->job ? list_job : list_all,
                                   SQL_VALUES(sql_integer(filter->after), sql_integer(limit + 1),
                                              sql_text(filter->job), sql_text(filter->type)),
                                   &stmt, err);
    for (bool there = true; status == OK && !list->has_more;) {
        status = sql_next(stmt, &there, err);
        if (status || !there)
            break;
        if (list->n == (size_t)limit)
            list->has_more = true;
        else
            read_event(stmt, arena, &list->rows[list->n++]);
    }
    if (stmt)
        sql_end(stmt);
    store_read_done(store, sql);
    return status;
}

static const char last_sql[] =
    SELECT_EVENTS " WHERE job = ?1 AND type = ?2 ORDER BY seq DESC LIMIT 1";

enum status events_last(struct store *store, const char *job, const char *type, struct arena *arena,
                        struct event_row *row, struct err *err)
{
    bool there = false;
    struct sqlite3_stmt *stmt = NULL;
    struct sql *sql = store_read(store);
    enum status status =
        sql_query(sql, last_sql, SQL_VALUES(sql_text(job), sql_text(type)), &stmt, err);
    if (status == OK) {
        status = sql_next(stmt, &there, err);
        if (there)
            read_event(stmt, arena, row);
        sql_end(stmt);
    }
    store_read_done(store, sql);
    if (status == OK && !there)
        return err_set(err, E_NOT_FOUND, "The job %s has no event of the type %s.", job, type);
    return status;
}

enum status events_last_seq(struct store *store, int64_t *seq, struct err *err)
{
    struct sql *sql = store_read(store);
    enum status status =
        sql_fetch_integer(sql, "SELECT max(seq) FROM events", NULL, 0, 0, seq, err);
    store_read_done(store, sql);
    return status;
}
