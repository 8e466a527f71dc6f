#include "store/costs.h"

#include "base/clock.h"
#include "store/internal.h"

#define KEY_VALUES(key)                                                                            \
    sql_text((key)->machine), sql_text((key)->isa), sql_integer((key)->threads),                   \
        sql_text((key)->architecture), sql_integer((key)->image_size),                             \
        sql_integer((key)->frozen_groups), sql_text((key)->mode)

#define KEY_WHERE                                                                                  \
    " WHERE machine = ?1 AND isa = ?2 AND threads = ?3 AND architecture = ?4 AND image_size = ?5"  \
    " AND frozen_groups = ?6 AND mode = ?7"

/* The newest counts for a third, so that a new version of the engine is learned in a few stages;
 * low and high creep towards the mean, so that one odd stage is forgotten in time. */
static const char learn_sql[] =
    "INSERT INTO costs (machine, isa, threads, architecture, image_size, frozen_groups, mode,"
    " image_ns, low_ns, high_ns, image_flops, stages, updated_ms)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?8, ?9, 1, ?10)"
    " ON CONFLICT DO UPDATE SET image_ns = (2 * image_ns + ?8) / 3,"
    " low_ns = min(low_ns + (image_ns - low_ns) / 8, ?8),"
    " high_ns = max(high_ns - (high_ns - image_ns) / 8, ?8),"
    " image_flops = ?9, stages = stages + 1, updated_ms = ?10";

enum status cost_learn(struct store *store, const struct cost_key *key, const struct cost *stage,
                       struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, LAZY, &sql, err);
    if (status)
        return status;
    status = sql_run(sql, learn_sql,
                     SQL_VALUES(KEY_VALUES(key), sql_integer(stage->image_ns),
                                sql_integer(stage->image_flops), sql_integer(clock_wall_ms())),
                     NULL, err);
    return store_end(store, status, err);
}

/* The one row of `text`: image_ns, low_ns, high_ns, image_flops, stages. */
static enum status fetch(struct store *store, const char *text, const struct sql_value *values,
                         size_t n_values, struct cost *cost, struct err *err)
{
    bool there = false;
    struct sqlite3_stmt *stmt = NULL;
    struct sql *sql = store_read(store);
    enum status status = sql_query(sql, text, values, n_values, &stmt, err);
    if (status == OK)
        status = sql_next(stmt, &there, err);
    if (status == OK && there)
        *cost = (struct cost){
            .image_ns = sql_column_integer(stmt, 0, 0),
            .low_ns = sql_column_integer(stmt, 1, 0),
            .high_ns = sql_column_integer(stmt, 2, 0),
            .image_flops = sql_column_integer(stmt, 3, 0),
            .stages = sql_column_integer(stmt, 4, 0),
        };
    if (stmt)
        sql_end(stmt);
    store_read_done(store, sql);
    if (status == OK && (!there || !cost->stages))
        return err_set(err, E_NOT_FOUND, "No stage of this kind has run here yet.");
    return status;
}

enum status cost_get(struct store *store, const struct cost_key *key, struct cost *cost,
                     struct err *err)
{
    return fetch(store,
                 "SELECT image_ns, low_ns, high_ns, image_flops, stages FROM costs" KEY_WHERE,
                 SQL_VALUES(KEY_VALUES(key)), cost, err);
}

/* Nanoseconds for 1e9 operations; CAST, since these are no integers. */
static const char similar_sql[] =
    "SELECT CAST(avg(image_ns * 1e9 / image_flops) AS INTEGER),"
    " CAST(min(low_ns * 1e9 / image_flops) AS INTEGER),"
    " CAST(max(high_ns * 1e9 / image_flops) AS INTEGER), 1000000000, count(*) FROM costs"
    " WHERE machine = ?1 AND isa = ?2 AND threads = ?3 AND (?4 IS NULL OR architecture = ?4)"
    " AND image_flops > 0";

enum status cost_similar(struct store *store, const struct cost_key *key, bool architecture,
                         struct cost *cost, struct err *err)
{
    return fetch(store, similar_sql,
                 SQL_VALUES(sql_text(key->machine), sql_text(key->isa), sql_integer(key->threads),
                            sql_text(architecture ? key->architecture : NULL)),
                 cost, err);
}
