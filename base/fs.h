/* fs.h -- files that survive a crash, and nothing that follows a stranger's link.
 *
 * Everything is opened O_CLOEXEC. A file is either wholly there under its final name or not at
 * all: written beside it, fsynced, renamed, parent fsynced. */
#ifndef THAW_BASE_FS_H
#define THAW_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/status.h"

/* Makes one folder, mode 0700; one that exists is fine. fs_make_folders makes parents too. */
enum status fs_make_folder(const char *path, struct err *err);
enum status fs_make_folders(const char *path, struct err *err);
enum status fs_remove_tree(const char *path,
                           struct err *err); /* never follows a link; absent is fine */

/* The whole of a regular file into `out` (whose maximum bounds it: E_TOO_LARGE). */
enum status fs_read_file(const char *path, struct buf *out, struct err *err);

/* Opens `name` (one component) in `folder` for reading: a regular file with one link, reached over
 * no symlink, at most max_bytes long; else E_INVALID. *fd is owned by the caller. */
enum status fs_open_beneath(const char *folder, const char *name, uint64_t max_bytes, int *fd,
                            struct err *err);

/* Atomic write of a whole file. */
enum status fs_write_file(const char *path, const void *bytes, size_t len, struct err *err);
/* The last two steps of an atomic write for files made elsewhere: fsync the file at `from`, rename
 * it to `to`, fsync the parent. */
enum status fs_commit(const char *from, const char *to, struct err *err);

enum status fs_write_all(int fd, const void *bytes, size_t len, struct err *err);
enum status fs_write_at(int fd, const void *bytes, size_t len, uint64_t offset, struct err *err);
/* Reads exactly len bytes at `offset`; a shorter file is E_INVALID. */
enum status fs_read_at(int fd, void *bytes, size_t len, uint64_t offset, struct err *err);

enum status fs_free_bytes(const char *path, uint64_t *bytes, struct err *err);
enum status fs_file_size(const char *path, uint64_t *bytes, struct err *err);

/* An exclusive flock on `path` (made if absent); E_CONFLICT when another process still holds it
 * after a second. It lasts until *fd is closed. */
enum status fs_lock(const char *path, int *fd, struct err *err);

#endif
