/* fs.c -- whole files, whole folders, and locks. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define MAX_TREE_DEPTH 64
#define LOCK_TRIES     20
#define LOCK_PAUSE     50000000L /* nanoseconds */

enum status fs_make_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0)
        return OK;
    struct stat st;
    if ((errno == EEXIST || errno == ENOTDIR) && stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return OK;
        return err_set(err, E_INVALID, "%s is a file, where a folder is needed: name another one.",
                       path);
    }
    return err_errno(err, "The folder %s could not be made", path);
}

enum status fs_make_folders(const char *path, struct err *err)
{
    char *part = mem_strdup(path);
    enum status status = OK;
    for (char *slash = strchr(part + 1, '/'); slash && status == OK;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = fs_make_folder(part, err);
        *slash = '/';
    }
    if (status == OK)
        status = fs_make_folder(path, err);
    mem_free(part);
    return status;
}

static enum status remove_entry(int folder, const char *name, int depth, struct err *err);

/* Takes `fd`. */
static enum status remove_entries(int fd, const char *name, int depth, struct err *err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        enum status status = err_errno(err, "The folder %s could not be listed", name);
        close(fd);
        return status;
    }
    enum status status = OK;
    struct dirent *entry;
    while (status == OK && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = remove_entry(dirfd(dir), entry->d_name, depth, err);
    closedir(dir);
    return status;
}

static enum status remove_entry(int folder, const char *name, int depth, struct err *err)
{
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return OK;
    if (errno != EISDIR && errno != EPERM)
        return err_errno(err, "The file %s could not be removed", name);
    if (depth == MAX_TREE_DEPTH)
        return err_set(err, E_IO, "The folder %s lies too deep to be removed.", name);
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "The folder %s could not be opened to remove it", name);
    enum status status = remove_entries(fd, name, depth + 1, err);
    if (status == OK && unlinkat(folder, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        status = err_errno(err, "The folder %s could not be removed", name);
    return status;
}

enum status fs_remove_tree(const char *path, struct err *err)
{
    return remove_entry(AT_FDCWD, path, 0, err);
}

/* Opens for reading what must be a regular file; O_NONBLOCK so that a pipe does not hang us. */
static enum status open_regular(int folder, const char *name, int flags, int *fd, struct stat *st,
                                struct err *err)
{
    int opened = openat(folder, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags);
    if (opened < 0)
        return err_errno(err, "The file %s could not be opened", name);
    enum status status = OK;
    if (fstat(opened, st) != 0)
        status = err_errno(err, "The file %s could not be examined", name);
    else if (!S_ISREG(st->st_mode))
        status = err_set(err, E_INVALID, "%s is not a regular file.", name);
    if (status == OK)
        *fd = opened;
    else
        close(opened);
    return status;
}

enum status fs_read_file(const char *path, struct buf *out, struct err *err)
{
    int fd;
    struct stat st;
    enum status status = open_regular(AT_FDCWD, path, 0, &fd, &st, err);
    if (status != OK)
        return status;
    char chunk[16 * 1024];
    ssize_t n = 1;
    while (status == OK && n != 0) {
        n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno != EINTR)
            status = err_errno(err, "The file %s could not be read", path);
        if (n > 0 && !buf_append(out, chunk, (size_t)n))
            status =
                err_set(err, E_TOO_LARGE, "The file %s is larger than %zu bytes.", path, out->max);
    }
    close(fd);
    return status;
}

enum status fs_open_beneath(const char *folder, const char *name, uint64_t max_bytes, int *fd,
                            struct err *err)
{
    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(err, E_INVALID, "\"%s\" is not the name of a file in %s.", name, folder);
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_errno(err, "The folder %s could not be opened", folder);
    int opened = -1;
    struct stat st;
    enum status status = open_regular(dir, name, O_NOFOLLOW, &opened, &st, err);
    close(dir);
    if (status != OK)
        return status == E_IO && errno == ELOOP
                   ? err_set(err, E_INVALID,
                             "%s/%s is a symbolic link: a regular file is expected.", folder, name)
                   : status;
    if (st.st_nlink != 1)
        status = err_set(err, E_INVALID, "%s/%s has %lu links: one is expected.", folder, name,
                         (unsigned long)st.st_nlink);
    else if ((uint64_t)st.st_size > max_bytes)
        status = err_set(err, E_INVALID, "%s/%s has %lld bytes: at most %llu are expected.", folder,
                         name, (long long)st.st_size, (unsigned long long)max_bytes);
    if (status == OK)
        *fd = opened;
    else
        close(opened);
    return status;
}

static enum status sync_parent(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *parent = !slash          ? mem_strdup(".")
                   : slash == path ? mem_strdup("/")
                                   : mem_printf("%.*s", (int)(slash - path), path);
    enum status status = OK;
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        status = err_errno(err, "The folder %s could not be written to disk", parent);
    if (fd >= 0)
        close(fd);
    mem_free(parent);
    return status;
}

static enum status rename_and_sync(const char *from, const char *to, struct err *err)
{
    if (rename(from, to) != 0)
        return err_errno(err, "%s could not be renamed to %s", from, to);
    return sync_parent(to, err);
}

enum status fs_commit(const char *from, const char *to, struct err *err)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "The file %s could not be opened", from);
    enum status status = OK;
    if (fsync(fd) != 0)
        status = err_errno(err, "The file %s could not be written to disk", from);
    close(fd);
    return status == OK ? rename_and_sync(from, to, err) : status;
}

enum status fs_write_file(const char *path, const void *bytes, size_t len, struct err *err)
{
    char *temporary = mem_printf("%s.XXXXXX", path);
    enum status status = OK;
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        status = err_errno(err, "A file beside %s could not be made", path);
        goto done;
    }
    status = fs_write_all(fd, bytes, len, err);
    if (status == OK && fsync(fd) != 0)
        status = err_errno(err, "The file %s could not be written to disk", path);
    if (close(fd) != 0 && status == OK)
        status = err_errno(err, "The file %s could not be closed", path);
    if (status == OK)
        status = rename_and_sync(temporary, path, err);
    if (status != OK)
        unlink(temporary);
done:
    mem_free(temporary);
    return status;
}

enum status fs_write_all(int fd, const void *bytes, size_t len, struct err *err)
{
    const char *at = bytes;
    while (len) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "%zu bytes could not be written", len);
        at += n;
        len -= (size_t)n;
    }
    return OK;
}

enum status fs_write_at(int fd, const void *bytes, size_t len, uint64_t offset, struct err *err)
{
    const char *at = bytes;
    while (len) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "%zu bytes could not be written", len);
        at += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return OK;
}

enum status fs_read_at(int fd, void *bytes, size_t len, uint64_t offset, struct err *err)
{
    char *at = bytes;
    if (offset > INT64_MAX - len)
        return err_set(err, E_INVALID, "No file has an offset of %llu.",
                       (unsigned long long)offset);
    while (len) {
        ssize_t n = pread(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "%zu bytes at %llu could not be read", len,
                             (unsigned long long)offset);
        if (n == 0)
            return err_set(err, E_INVALID, "The file ends at %llu, %zu bytes too early.",
                           (unsigned long long)offset, len);
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return OK;
}

enum status fs_free_bytes(const char *path, uint64_t *bytes, struct err *err)
{
    struct statvfs st;
    if (statvfs(path, &st) != 0)
        return err_errno(err, "The free space of %s is not known", path);
    *bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return OK;
}

enum status fs_file_size(const char *path, uint64_t *bytes, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_errno(err, "The size of %s is not known", path);
    *bytes = (uint64_t)st.st_size;
    return OK;
}

/* A killed process's lock lives on for a moment in a child that it had just forked, until that
 * child runs its own program: hence some tries, over LOCK_TRIES * LOCK_PAUSE. */
static bool try_lock(int fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        nanosleep(&pause, NULL);
    }
    errno = EWOULDBLOCK;
    return false;
}

enum status fs_lock(const char *path, int *fd, struct err *err)
{
    int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (opened < 0)
        return err_errno(err, "The lock %s could not be opened", path);
    if (try_lock(opened)) {
        *fd = opened;
        return OK;
    }
    enum status status = errno == EWOULDBLOCK
                             ? err_set(err, E_CONFLICT, "%s is locked by another process.", path)
                             : err_errno(err, "%s could not be locked", path);
    close(opened);
    return status;
}
