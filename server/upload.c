/* upload.c -- the spool: two buffers a file, two helper threads.
 *
 * Each file has one buffer that the network thread fills and one that a helper writes out; they are
 * swapped under spool.lock, and bytes move without it. spool.lock is a leaf; `ready` is called
 * after it was given back.
 *
 * A file is in the work list iff it has something to do (a filled buffer, or its end) and no helper
 * holds it. One that is freed while a helper holds it is freed by that helper. */
#include "server/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/size.h"

#define BUFFER_BYTES  (128 * 1024)
#define N_HELPERS     2
#define WRITEBACK     (8u << 20)  /* start the disk this often, so that the fsync is short */
#define SPACE_CHECKED (16u << 20) /* look at the free space this often */

struct upload_file {
    struct spool *spool; /* borrowed */
    struct upload_options options;
    char *path; /* owned */
    int fd;
    struct sha256 *digest; /* owned; the helper's */
    char sha256[SHA256_HEX];
    uint64_t received, written;
    /* Under spool.lock: */
    char *filling, *draining; /* owned, BUFFER_BYTES each */
    size_t n_filling, n_draining;
    bool listed, held;     /* in the work list; a helper works on it */
    bool ending, finished; /* asked to finish; done */
    bool waiting;          /* owes a call of `ready` */
    bool abandoned, keep;
    struct err failure; /* what a helper met; status OK: nothing */
    struct upload_file *next;
};

struct spool {
    char *folder; /* owned */
    uint64_t min_free;
    int max_open;
    pthread_t helpers[N_HELPERS];
    int n_helpers;
    pthread_mutex_t lock;
    pthread_cond_t work;
    /* Under lock: */
    struct upload_file *first, *last;
    int open;
    bool stopping;
};

static void list_push(struct spool *spool, struct upload_file *file)
{
    if (file->listed || file->held)
        return;
    file->listed = true;
    file->next = NULL;
    if (spool->last)
        spool->last->next = file;
    else
        spool->first = file;
    spool->last = file;
    pthread_cond_signal(&spool->work);
}

static void list_remove(struct spool *spool, struct upload_file *file)
{
    struct upload_file **at = &spool->first, *before = NULL;
    while (*at && *at != file) {
        before = *at;
        at = &(*at)->next;
    }
    if (!*at)
        return;
    *at = file->next;
    if (spool->last == file)
        spool->last = before;
    file->listed = false;
}

/* Without the lock: nobody else can reach it any more. */
static void destroy(struct upload_file *file)
{
    if (!file->keep)
        unlink(file->path);
    close(file->fd);
    sha256_free(file->digest);
    mem_free(file->filling);
    mem_free(file->draining);
    mem_free(file->path);
    mem_free(file);
}

enum status spool_check_space(struct spool *spool, uint64_t expected, struct err *err)
{
    uint64_t space;
    enum status status = fs_free_bytes(spool->folder, &space, err);
    if (status)
        return status;
    if (space >= spool->min_free && space - spool->min_free >= expected)
        return OK;
    char free_text[SIZE_TEXT], kept[SIZE_TEXT];
    return err_set(err, E_NO_SPACE,
                   "The disk has %s free, of which %s stay reserved (--min-free): too "
                   "little for this upload. Delete datasets or models, or free space otherwise.",
                   size_text(space, free_text), size_text(spool->min_free, kept));
}

/* The helper's part of one buffer, without the lock. */
static enum status write_out(struct upload_file *file, struct err *err)
{
    size_t n = file->n_draining;
    sha256_update(file->digest, file->draining, n);
    enum status status = OK;
    if (file->written / SPACE_CHECKED != (file->written + n) / SPACE_CHECKED)
        status = spool_check_space(file->spool, n, err);
    if (!status)
        status = fs_write_all(file->fd, file->draining, n, err);
    if (status == E_NO_SPACE || (status && (errno == EFBIG || errno == EDQUOT)))
        status = err_set(err, E_NO_SPACE,
                         "The disk is full: the upload was dropped after %llu bytes. Delete "
                         "datasets or models, or free space otherwise, and send it again.",
                         (unsigned long long)file->written);
    if (status)
        return status;
    if (file->options.durable && file->written / WRITEBACK != (file->written + n) / WRITEBACK)
        sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    file->written += n;
    return OK;
}

static enum status sync_folder(const char *folder, struct err *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    enum status status = synced ? OK : err_errno(err, "The uploads' folder cannot be synced");
    if (fd >= 0)
        close(fd);
    return status;
}

static enum status complete(struct upload_file *file, struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    sha256_finish(file->digest, digest);
    digest_hex(digest, sizeof(digest), file->sha256);
    if (!file->options.durable)
        return OK;
    if (fsync(file->fd) != 0)
        return err_errno(err, "The upload cannot be written to disk");
    return sync_folder(file->spool->folder, err);
}

/* Works on `file` once: one buffer, or its end. Called and returns with the lock held. */
static void serve(struct spool *spool, struct upload_file *file)
{
    struct err err = {0};
    enum status status = OK;
    bool end = file->ending && file->n_filling == 0;
    char *swap = file->draining;
    file->draining = file->filling;
    file->n_draining = file->n_filling;
    file->filling = swap;
    file->n_filling = 0;
    file->held = true;
    pthread_mutex_unlock(&spool->lock);
    if (!file->failure.status) /* only helpers write it, and this one holds the file */
        status = end ? complete(file, &err) : write_out(file, &err);
    pthread_mutex_lock(&spool->lock);
    file->held = false;
    if (status)
        file->failure = err;
    file->finished = end || file->failure.status;
}

/* Called and returns with the lock held; may give it back in between. */
static void after_serving(struct spool *spool, struct upload_file *file)
{
    if (file->abandoned) {
        spool->open--;
        pthread_mutex_unlock(&spool->lock);
        destroy(file);
        pthread_mutex_lock(&spool->lock);
        return;
    }
    if (!file->failure.status && (file->n_filling > 0 || (file->ending && !file->finished)))
        list_push(spool, file);
    if (!file->waiting || (file->ending && !file->finished))
        return;
    file->waiting = false;
    struct upload_options options = file->options;
    pthread_mutex_unlock(&spool->lock);
    options.ready(options.context);
    pthread_mutex_lock(&spool->lock);
}

static void *helper_main(void *argument)
{
    struct spool *spool = argument;
    pthread_mutex_lock(&spool->lock);
    for (;;) {
        while (!spool->first && !spool->stopping)
            pthread_cond_wait(&spool->work, &spool->lock);
        struct upload_file *file = spool->first;
        if (!file)
            break;
        list_remove(spool, file);
        serve(spool, file);
        after_serving(spool, file);
    }
    pthread_mutex_unlock(&spool->lock);
    return NULL;
}

enum status spool_start(const char *folder, uint64_t min_free, int max_open, struct spool **out,
                        struct err *err)
{
    struct spool *spool = mem_alloc(sizeof(*spool));
    spool->folder = mem_strdup(folder);
    spool->min_free = min_free;
    spool->max_open = max_open;
    pthread_mutex_init(&spool->lock, NULL);
    pthread_cond_init(&spool->work, NULL);
    for (; spool->n_helpers < N_HELPERS; spool->n_helpers++) {
        int code = pthread_create(&spool->helpers[spool->n_helpers], NULL, helper_main, spool);
        if (code) {
            spool_stop(spool);
            errno = code;
            return err_errno(err, "A thread for uploads cannot be started");
        }
    }
    *out = spool;
    return OK;
}

void spool_stop(struct spool *spool)
{
    if (!spool)
        return;
    pthread_mutex_lock(&spool->lock);
    spool->stopping = true;
    pthread_cond_broadcast(&spool->work);
    pthread_mutex_unlock(&spool->lock);
    for (int i = 0; i < spool->n_helpers; i++)
        pthread_join(spool->helpers[i], NULL);
    pthread_mutex_destroy(&spool->lock);
    pthread_cond_destroy(&spool->work);
    mem_free(spool->folder);
    mem_free(spool);
}

static enum status claim_place(struct spool *spool, struct err *err)
{
    pthread_mutex_lock(&spool->lock);
    bool room = spool->open < spool->max_open;
    spool->open += room;
    pthread_mutex_unlock(&spool->lock);
    return room ? OK
                : err_set(err, E_TOO_MANY,
                          "%d uploads are under way already: try again when one has ended.",
                          spool->max_open);
}

static void give_place_back(struct spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    spool->open--;
    pthread_mutex_unlock(&spool->lock);
}

enum status upload_open(struct spool *spool, const struct upload_options *options,
                        struct upload_file **out, struct err *err)
{
    char name[40];
    enum status status = claim_place(spool, err);
    if (status)
        return status;
    id_new("up_", name);
    char *path = mem_printf("%s/%s", spool->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        status = err_errno(err, "A file for the upload cannot be made");
        mem_free(path);
        give_place_back(spool);
        return status;
    }
    struct upload_file *file = mem_alloc(sizeof(*file));
    file->spool = spool;
    file->options = *options;
    file->path = path;
    file->fd = fd;
    file->digest = sha256_new();
    file->filling = mem_alloc(BUFFER_BYTES);
    file->draining = mem_alloc(BUFFER_BYTES);
    *out = file;
    return OK;
}

static enum status failure_of(const struct upload_file *file, struct err *err)
{
    if (file->failure.status)
        *err = file->failure;
    return file->failure.status;
}

enum status upload_write(struct upload_file *file, const void *bytes, size_t len, size_t *taken,
                         struct err *err)
{
    *taken = 0;
    if (len > file->options.max_bytes - file->received)
        return err_set(err, E_TOO_LARGE,
                       "The upload is larger than the %llu bytes that are allowed here.",
                       (unsigned long long)file->options.max_bytes);
    pthread_mutex_lock(&file->spool->lock);
    enum status status = failure_of(file, err);
    size_t room = BUFFER_BYTES - file->n_filling;
    size_t n = status ? 0 : (len < room ? len : room);
    memcpy(file->filling + file->n_filling, bytes, n);
    file->n_filling += n;
    file->received += n;
    if (file->n_filling == BUFFER_BYTES)
        list_push(file->spool, file);
    file->waiting = !status && n < len;
    pthread_mutex_unlock(&file->spool->lock);
    *taken = n;
    return status;
}

enum status upload_finish(struct upload_file *file, bool *finished, struct err *err)
{
    pthread_mutex_lock(&file->spool->lock);
    enum status status = failure_of(file, err);
    *finished = file->finished;
    if (!status && !file->finished) {
        file->ending = true;
        file->waiting = true;
        list_push(file->spool, file);
    }
    pthread_mutex_unlock(&file->spool->lock);
    return status;
}

const char *upload_path(const struct upload_file *file)
{
    return file->path;
}

const char *upload_sha256(const struct upload_file *file)
{
    return file->sha256;
}

uint64_t upload_bytes(const struct upload_file *file)
{
    return file->received;
}

void upload_free(struct upload_file *file, bool keep)
{
    if (!file)
        return;
    struct spool *spool = file->spool;
    pthread_mutex_lock(&spool->lock);
    list_remove(spool, file);
    file->keep = keep;
    file->abandoned = true;
    bool held = file->held;
    if (!held)
        spool->open--;
    pthread_mutex_unlock(&spool->lock);
    if (!held)
        destroy(file);
}
