#include "store/blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "store/internal.h"

#define CHUNK (1u << 20)

static bool is_digest(const char *text)
{
    return strlen(text) == SHA256_HEX - 1 && strspn(text, "0123456789abcdef") == SHA256_HEX - 1;
}

enum status blob_path(struct store *store, const char *sha256, char *path, size_t size,
                      struct err *err)
{
    if (!is_digest(sha256))
        return err_set(err, E_INTERNAL, "A blob is asked for by \"%.80s\", which is no SHA-256.",
                       sha256);
    int len = snprintf(path, size, "%s/blobs/%.2s/%s", store->folder, sha256, sha256);
    if (len < 0 || (size_t)len >= size)
        return err_set(err, E_INTERNAL, "The path of blob %s is too long.", sha256);
    return OK;
}

static enum status sync_folder(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "The folder %s cannot be opened", path);
    enum status status = fsync(fd) ? err_errno(err, "The folder %s cannot be synced", path) : OK;
    close(fd);
    return status;
}

static enum status make_place(struct store *store, const char *sha256, struct err *err)
{
    char *parent = mem_printf("%s/blobs", store->folder);
    char *folder = mem_printf("%s/%.2s", parent, sha256);
    enum status status = OK;
    if (mkdir(folder, 0700) == 0)
        status = sync_folder(parent, err);
    else if (errno != EEXIST)
        status = err_errno(err, "The folder %s cannot be made", folder);
    mem_free(folder);
    mem_free(parent);
    return status;
}

/* --- Blobs that wait for their row ------------------------------------------------------------ */

static void drop_put(struct store *store, size_t i)
{
    store->puts[i] = store->puts[--store->n_puts];
}

/* Those whose row never came are forgotten after an hour: from then on their age tells. */
static void await_row(struct store *store, const char *sha256)
{
    int64_t now = (int64_t)clock_seconds();
    for (size_t i = store->n_puts; i-- > 0;)
        if (now - store->puts[i].at > BLOB_YOUNG_SECONDS)
            drop_put(store, i);
    if (store->n_puts == store->max_puts) {
        store->max_puts = store->max_puts ? 2 * store->max_puts : 16;
        store->puts = mem_realloc(store->puts, store->max_puts * sizeof *store->puts);
    }
    struct blob_put *put = &store->puts[store->n_puts++];
    snprintf(put->sha256, sizeof put->sha256, "%s", sha256);
    put->at = now;
}

static size_t find_put(const struct store *store, const char *sha256)
{
    size_t i = 0;
    while (i < store->n_puts && strcmp(store->puts[i].sha256, sha256) != 0)
        i++;
    return i;
}

bool blob_is_awaited(const struct store *store, const char *sha256)
{
    return find_put(store, sha256) < store->n_puts;
}

void blob_settle(struct store *store, const char *sha256)
{
    if (!sha256)
        return;
    pthread_mutex_lock(&store->blob_lock);
    size_t i = find_put(store, sha256);
    if (i < store->n_puts)
        drop_put(store, i);
    pthread_mutex_unlock(&store->blob_lock);
}

/* --- Storing ---------------------------------------------------------------------------------- */

/* Puts the finished file at `from` under its name. A blob that is there already becomes young
 * again instead, so that the collector leaves it alone until a row refers to it. */
static enum status put(struct store *store, const char *from, const char *sha256, struct err *err)
{
    char path[PATH_MAX];
    enum status status = blob_path(store, sha256, path, sizeof path, err);
    if (status)
        return status;
    pthread_mutex_lock(&store->blob_lock);
    if (utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW) == 0) {
        unlink(from);
    } else {
        status = make_place(store, sha256, err);
        if (status == OK && utimensat(AT_FDCWD, from, NULL, AT_SYMLINK_NOFOLLOW))
            status = err_errno(err, "The file %s cannot be dated", from);
        if (status == OK)
            status = fs_commit(from, path, err);
    }
    if (status == OK)
        await_row(store, sha256);
    pthread_mutex_unlock(&store->blob_lock);
    return status;
}

enum status blob_move(struct store *store, const char *path, struct blob *blob, struct err *err)
{
    struct stat info;
    enum status status = OK;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, "The file %s cannot be opened", path);
    if (fstat(fd, &info))
        status = err_errno(err, "The file %s cannot be examined", path);
    else if (!S_ISREG(info.st_mode) || info.st_nlink != 1)
        status = err_set(err, E_INVALID, "%s is not a regular file with one name.", path);
    if (status == OK)
        status = sha256_file(fd, blob->sha256, err);
    close(fd);
    blob->bytes = status == OK ? info.st_size : 0;
    if (status == OK)
        status = put(store, path, blob->sha256, err);
    return status;
}

static enum status copy_bytes(int from, int to, uint64_t max_bytes, struct blob *blob,
                              struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    struct sha256 *sha256 = sha256_new();
    char *chunk = mem_alloc(CHUNK);
    enum status status = OK;
    uint64_t total = 0;
    while (status == OK) {
        ssize_t n = pread(from, chunk, CHUNK, (off_t)total);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = err_errno(err, "A file to store cannot be read");
        if (n <= 0)
            break;
        total += (uint64_t)n;
        if (total > max_bytes) {
            status = err_set(err, E_TOO_LARGE, "A file to store is larger than %llu bytes.",
                             (unsigned long long)max_bytes);
            break;
        }
        sha256_update(sha256, chunk, (size_t)n);
        status = fs_write_all(to, chunk, (size_t)n, err);
    }
    sha256_finish(sha256, digest);
    digest_hex(digest, sizeof digest, blob->sha256);
    blob->bytes = (int64_t)total;
    sha256_free(sha256);
    mem_free(chunk);
    return status;
}

enum status blob_copy(struct store *store, int fd, uint64_t max_bytes, struct blob *blob,
                      struct err *err)
{
    char name[40];
    id_new("blob_", name);
    char *path = mem_printf("%s/tmp/%s", store->folder, name);
    enum status status = OK;
    int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0) {
        status = err_errno(err, "The file %s cannot be made", path);
        goto done;
    }
    status = copy_bytes(fd, out, max_bytes, blob, err);
    if (close(out) && status == OK)
        status = err_errno(err, "The file %s cannot be written", path);
    if (status == OK)
        status = put(store, path, blob->sha256, err);
    if (status)
        unlink(path);
done:
    mem_free(path);
    return status;
}

enum status blob_open(struct store *store, const char *sha256, int *out, struct err *err)
{
    char path[PATH_MAX];
    struct stat info;
    enum status status = blob_path(store, sha256, path, sizeof path, err);
    if (status)
        return status;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, E_NOT_FOUND,
                       "The file blobs/%.2s/%s is missing in the data directory: restore it from a "
                       "backup.",
                       sha256, sha256);
    if (fd < 0)
        return err_errno(err, "The blob %s cannot be opened", sha256);
    /* The collector may have been about to remove it. */
    if (flock(fd, LOCK_SH) || fstat(fd, &info))
        status = err_errno(err, "The blob %s cannot be held", sha256);
    else if (info.st_nlink == 0)
        status = err_set(err, E_NOT_FOUND, "There is no blob %s.", sha256);
    if (status)
        close(fd);
    else
        *out = fd;
    return status;
}

enum status blob_check(struct store *store, const char *sha256, const char *what, struct err *err)
{
    char path[PATH_MAX];
    enum status status = blob_path(store, sha256, path, sizeof path, err);
    if (status || access(path, R_OK) == 0)
        return status;
    return err_set(err, E_GONE,
                   "The file of %s, blobs/%.2s/%s, is missing in the data directory: restore it "
                   "from a backup.",
                   what, sha256, sha256);
}

enum status blob_verify(struct store *store, const char *sha256, const char *what, struct err *err)
{
    char found[SHA256_HEX];
    int fd = -1;
    enum status status = blob_check(store, sha256, what, err);
    if (status == OK)
        status = blob_open(store, sha256, &fd, err);
    if (status)
        return status;
    status = sha256_file(fd, found, err);
    close(fd);
    if (status == OK && strcmp(found, sha256) != 0)
        return err_set(err, E_INVALID,
                       "The file of %s, blobs/%.2s/%s, is damaged: its SHA-256 is no longer its "
                       "name. Restore it from a backup.",
                       what, sha256, sha256);
    return status;
}
