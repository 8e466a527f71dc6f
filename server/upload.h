/* upload.h -- bodies of any size on their way to disk, hashed as they go, never in memory.
 *
 * A network thread puts bytes into a file's bounded buffer (upload_write) and goes on with other
 * clients; helper threads hash and write, and at the end fsync. A full buffer makes upload_write
 * take less than it was given: the client then waits until `ready` was called. Files lie in
 * DATA/uploads under names of our own; one that nobody took is removed when it is freed, whatever
 * ended it. */
#ifndef THAW_SERVER_UPLOAD_H
#define THAW_SERVER_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/status.h"

struct spool; /* the folder and its helper threads */

/* `min_free` bytes of the file system stay free, else E_NO_SPACE. At most max_open uploads at once.
 */
enum status spool_start(const char *folder, uint64_t min_free, int max_open, struct spool **spool,
                        struct err *err);
void spool_stop(struct spool *spool); /* after the last upload was freed */

/* E_NO_SPACE when `expected` more bytes (0: unknown) would not fit. */
enum status spool_check_space(struct spool *spool, uint64_t expected, struct err *err);

struct upload_options {
    uint64_t max_bytes;           /* past it: E_TOO_LARGE */
    bool durable;                 /* fsync file and folder before it counts as finished */
    void (*ready)(void *context); /* after a wait: any thread, no lock held, perhaps at once */
    void *context;
};

struct upload_file;

/* E_TOO_MANY when too many uploads are open. */
enum status upload_open(struct spool *spool, const struct upload_options *options,
                        struct upload_file **file, struct err *err);

/* *taken <= len bytes were copied; fewer: `ready` will be called once. An error that a helper met
 * (disk full) is returned by the next call. */
enum status upload_write(struct upload_file *file, const void *bytes, size_t len, size_t *taken,
                         struct err *err);

/* No more bytes will come. *finished false: `ready` will be called; ask again then. */
enum status upload_finish(struct upload_file *file, bool *finished, struct err *err);

/* Of a finished one. */
const char *upload_path(const struct upload_file *file);
const char *upload_sha256(const struct upload_file *file);
uint64_t upload_bytes(const struct upload_file *file);

/* Ends it in whatever state it is; `ready` is not called any more. Removes the file, unless it was
 * renamed away or `keep` says that somebody owns it under its name. */
void upload_free(struct upload_file *file, bool keep);

#endif
