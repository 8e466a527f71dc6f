/* db.h -- the store: one SQLite database in WAL mode, and the data directory around it.
 *
 *     DATA/thaw.db  DATA/lock  DATA/blobs/ab/abcd...  DATA/uploads/ DATA/jobs/JOB/{checkpoints,log}
 *     DATA/tmp/     (working folders; emptied at every start)
 *
 * Threads: every function of store/ may be called from any thread. One connection writes, behind
 * one mutex; a few others read, each for the length of one call (WAL: readers never wait for the
 * writer). No call leaves a transaction open, so nothing slow ever happens inside one. Never call
 * the store with another lock held.
 *
 * Rows are plain structs; their strings are copied into the caller's arena. A NULL string and a
 * time of 0 are SQL's NULL. Columns that hold JSON hold its compact text. */
#ifndef THAW_STORE_DB_H
#define THAW_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"

struct store;

/* Makes the folder where it is absent, locks it (E_CONFLICT when a running server has it), refuses
 * one that is not ours, is open to other users or lies on a network file system, migrates the
 * schema, and seeds the base models. */
enum status store_open(const char *data, struct store **store, struct err *err);
void store_close(struct store *store);

const char *store_folder(const struct store *store); /* DATA, absolute */

/* `notify` is called after every commit that wrote events, up to `seq`, with no lock held, on the
 * thread that wrote them. One listener; set before other threads call the store. */
void store_on_events(struct store *store, void (*notify)(void *context, int64_t seq),
                     void *context);

/* Hourly: truncates the log (WAL) where it is past 64 MiB. */
enum status store_checkpoint(struct store *store, struct err *err);

/* What every list takes: newest first, the rows after (older than) `after`. */
struct page {
    const char *after; /* an id, or NULL from the newest; an unknown one is E_INVALID */
    int limit;         /* 1..100 */
};

#endif
