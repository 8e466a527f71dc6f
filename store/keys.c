#include "store/keys.h"

#include <string.h>

#include "base/clock.h"
#include "store/internal.h"

#define KEEP_MS (24LL * 3600 * 1000)

static enum status read_key(struct sql *sql, const char *key, struct arena *arena,
                            const char **fingerprint, struct key_reply *reply, struct err *err)
{
    struct sqlite3_stmt *stmt = NULL;
    enum status status =
        sql_query(sql,
                  "SELECT fingerprint, http_status, location, content_type, body FROM keys"
                  " WHERE key = ?1",
                  SQL_VALUES(sql_text(key)), &stmt, err);
    if (status)
        return status;
    bool there = false;
    status = sql_next(stmt, &there, err);
    *fingerprint = NULL;
    if (status == OK && there) {
        *fingerprint = sql_column_text(stmt, 0, arena);
        reply->http_status = sql_column_integer(stmt, 1, 0);
        reply->location = sql_column_text(stmt, 2, arena);
        reply->content_type = sql_column_text(stmt, 3, arena);
        reply->body = sql_column_text(stmt, 4, arena);
    }
    sql_end(stmt);
    return status;
}

static enum status claim(struct sql *sql, const char *key, const char *fingerprint,
                         struct arena *arena, bool *replay, struct key_reply *reply,
                         struct err *err)
{
    const char *known = NULL;
    enum status status =
        sql_run(sql, "DELETE FROM keys WHERE key = ?1 AND created_ms < ?2",
                SQL_VALUES(sql_text(key), sql_integer(clock_wall_ms() - KEEP_MS)), NULL, err);
    if (status == OK)
        status = read_key(sql, key, arena, &known, reply, err);
    if (status)
        return status;
    *replay = known != NULL;
    if (known && strcmp(known, fingerprint) != 0)
        return err_set(err, E_INVALID,
                       "The Idempotency-Key \"%.80s\" was used with another request in the last 24 "
                       "hours: a new request needs a new key.",
                       key);
    if (known && !reply->http_status)
        return err_set(err, E_CONFLICT,
                       "The first request with the Idempotency-Key \"%.80s\" still runs: ask again "
                       "in a moment.",
                       key);
    if (known)
        return OK;
    return sql_run(sql, "INSERT INTO keys (key, fingerprint, created_ms) VALUES (?1, ?2, ?3)",
                   SQL_VALUES(sql_text(key), sql_text(fingerprint), sql_integer(clock_wall_ms())),
                   NULL, err);
}

enum status key_begin(struct store *store, const char *key, const char *fingerprint,
                      struct arena *arena, bool *replay, struct key_reply *reply, struct err *err)
{
    *reply = (struct key_reply){0};
    *replay = false;
    if (!*key || strlen(key) > KEY_MAX_TEXT)
        return err_set(err, E_SYNTAX, "An Idempotency-Key has 1 to %d characters.", KEY_MAX_TEXT);
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    status = claim(sql, key, fingerprint, arena, replay, reply, err);
    return store_end(store, status, err);
}

/* One statement, one transaction. */
static enum status run_alone(struct store *store, const char *text, const struct sql_value *values,
                             size_t n_values, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    status = sql_run(sql, text, values, n_values, NULL, err);
    return store_end(store, status, err);
}

enum status key_finish(struct store *store, const char *key, const struct key_reply *reply,
                       struct err *err)
{
    if (reply->body && strlen(reply->body) > KEY_MAX_BODY)
        return err_set(err, E_INTERNAL, "The reply to keep for an Idempotency-Key is too long.");
    return run_alone(store,
                     "UPDATE keys SET http_status = ?2, location = ?3, content_type = ?4,"
                     " body = ?5 WHERE key = ?1",
                     SQL_VALUES(sql_text(key), sql_integer(reply->http_status),
                                sql_text(reply->location), sql_text(reply->content_type),
                                sql_text(reply->body)),
                     err);
}

enum status key_abandon(struct store *store, const char *key, struct err *err)
{
    return run_alone(store, "DELETE FROM keys WHERE key = ?1 AND http_status IS NULL",
                     SQL_VALUES(sql_text(key)), err);
}

enum status keys_expire(struct store *store, struct err *err)
{
    return run_alone(store, "DELETE FROM keys WHERE created_ms < ?1",
                     SQL_VALUES(sql_integer(clock_wall_ms() - KEEP_MS)), err);
}

enum status keys_drop_open(struct store *store, struct err *err)
{
    return run_alone(store, "DELETE FROM keys WHERE http_status IS NULL", NULL, 0, err);
}
