/* internal.h -- what struct store is, and how the files of store/ borrow its connections.
 *
 *     struct sql *sql = store_read(store);              enum status status =
 *     status = row_get(sql, ...);                           store_begin(store, DURABLE, &sql, err);
 *     store_read_done(store, sql);                      ... status = sql_run(sql, ...); ...
 *                                                       return store_end(store, status, err);
 *
 * Locks: write_lock is held from store_begin to store_end; read_lock guards the list of idle
 * readers and is a leaf; blob_lock (blobs.c) keeps the collector and those who add blobs apart and
 * comes before read_lock (the collector looks at rows under it) and never meets write_lock. */
#ifndef THAW_STORE_INTERNAL_H
#define THAW_STORE_INTERNAL_H

#include <pthread.h>

#include "base/digest.h"
#include "store/db.h"
#include "store/row.h"
#include "store/sql.h"

#define STORE_READERS      3
#define BLOB_YOUNG_SECONDS 3600

/* A blob that was stored, and which no row refers to yet. */
struct blob_put {
    char sha256[SHA256_HEX];
    int64_t at; /* monotonic seconds */
};

struct store {
    char *folder;    /* owned; absolute */
    int folder_lock; /* the flock on DATA/lock */

    pthread_mutex_t write_lock;
    struct sql writer;   /* under write_lock */
    bool writer_is_lazy; /* its synchronous is NORMAL now; under write_lock */
    int64_t new_events;  /* newest seq written in this transaction; under write_lock */

    pthread_mutex_t read_lock;
    pthread_cond_t read_free;
    struct sql readers[STORE_READERS];
    struct sql *idle[STORE_READERS]; /* under read_lock */
    size_t n_idle;                   /* under read_lock */

    pthread_mutex_t blob_lock;
    struct blob_put *puts; /* owned; under blob_lock: blobs that wait for their row */
    size_t n_puts, max_puts;

    void (*notify)(void *context, int64_t seq); /* set once, before threads */
    void *notify_context;
};

/* LAZY transactions skip the fsync: the last ones may be lost when the machine (not the process)
 * dies, and nothing else is harmed. For progress and other lossy news. */
enum store_durability { LAZY, DURABLE };

enum status store_begin(struct store *store, enum store_durability durability, struct sql **sql,
                        struct err *err);
/* Commits when `status` is OK, else rolls back; notifies; returns the transaction's status. */
enum status store_end(struct store *store, enum status status, struct err *err);

struct sql *store_read(struct store *store); /* waits for an idle reader */
void store_read_done(struct store *store, struct sql *sql);

/* Whether a put of this blob waits for its row. blob_lock is held. */
bool blob_is_awaited(const struct store *store, const char *sha256);

/* One page, or one row by id, through a reader. */
enum status store_get(struct store *store, const struct table *table, const char *id,
                      struct arena *arena, void *row, struct err *err);
enum status store_page(struct store *store, const struct table *table, const char *where,
                       const char *value, const struct page *page, struct arena *arena, void **rows,
                       size_t *n, bool *has_more, struct err *err);

#endif
