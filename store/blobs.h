/* blobs.h -- files named by the sha256 of what they hold: DATA/blobs/ab/abcdef...
 *
 * Written beside their place, fsynced, renamed, parent fsynced: a blob is whole or absent, and the
 * same bytes are stored once. Rows refer to them (the columns are a table in sweep.c). What no row
 * refers to is collected at start and hourly, but never when it is younger than an hour or held
 * open through blob_open. What a DELETE released goes at once: whoever stores a blob is known until
 * its row stands (blob_settle), so that no age is needed to protect it. */
#ifndef THAW_STORE_BLOBS_H
#define THAW_STORE_BLOBS_H

#include "base/digest.h"
#include "store/db.h"

struct blob {
    char sha256[SHA256_HEX];
    int64_t bytes;
};

/* Hashes the file at `path`, which nobody may write any more, and moves it into the store. */
enum status blob_move(struct store *store, const char *path, struct blob *blob, struct err *err);

/* Copies what `fd` reads from its start, at most max_bytes, hashing what is written: for a file
 * whose writer may still be alive. */
enum status blob_copy(struct store *store, int fd, uint64_t max_bytes, struct blob *blob,
                      struct err *err);

/* Opens a blob for reading and keeps it from collection until *fd is closed. E_NOT_FOUND. */
enum status blob_open(struct store *store, const char *sha256, int *fd, struct err *err);

/* Whether it is there, and (blob_verify, which reads all of it) still what it was. E_GONE and
 * E_INVALID with a sentence that calls it `what`, "the weights of resnet18". */
enum status blob_check(struct store *store, const char *sha256, const char *what, struct err *err);
enum status blob_verify(struct store *store, const char *sha256, const char *what, struct err *err);

/* Its absolute path, whether it exists or not; E_INTERNAL when `sha256` is not 64 hex digits. */
enum status blob_path(struct store *store, const char *sha256, char *path, size_t size,
                      struct err *err);

/* A row that refers to a blob that was just stored stands: files of this folder call it. */
void blob_settle(struct store *store, const char *sha256);

/* A row that referred to the blob is gone. Removes it, unless another row refers to it, somebody
 * holds it open, or it was stored anew for a row that is still to come; then it is the collector's.
 * NULL is fine. */
void blob_release(struct store *store, const char *sha256);

struct blob_sweep {
    int64_t kept, removed, bytes_removed;
};
enum status blobs_collect(struct store *store, struct blob_sweep *sweep, struct err *err);

/* At start: removes files in DATA/uploads that no dataset waits for, folders in DATA/jobs without a
 * job, and all of DATA/tmp. */
enum status store_sweep_folders(struct store *store, struct err *err);

#endif
