/* keys.h -- Idempotency-Key: one creation per key, its reply replayed for 24 hours.
 *
 * key_begin claims a key before the work; key_finish stores the reply, key_abandon gives the key
 * back when there is none worth keeping (5xx). Keys that a crash left open are dropped at start. */
#ifndef THAW_STORE_KEYS_H
#define THAW_STORE_KEYS_H

#include "store/db.h"

#define KEY_MAX_TEXT 255
#define KEY_MAX_BODY (1u << 20)

struct key_reply {
    int64_t http_status;
    const char *location, *content_type, *body; /* location may be NULL */
};

/* OK and *replay false: the key is ours, go on. OK and *replay true: *reply is what was answered.
 * E_INVALID: the key was used with another request (fingerprint: sha256 over method, path, query
 * and body). E_CONFLICT: the first request still runs. */
enum status key_begin(struct store *store, const char *key, const char *fingerprint,
                      struct arena *arena, bool *replay, struct key_reply *reply, struct err *err);
enum status key_finish(struct store *store, const char *key, const struct key_reply *reply,
                       struct err *err);
enum status key_abandon(struct store *store, const char *key, struct err *err);
enum status keys_expire(struct store *store, struct err *err);    /* hourly */
enum status keys_drop_open(struct store *store, struct err *err); /* store_open does */

#endif
