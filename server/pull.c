#include "server/pull.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "api/imagenet1k.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/mem.h"
#include "server/pull_fetch.h"

#define HASH_DIGITS   8
#define HEAD_BYTES    (1u << 20)
#define MAX_TRIES     5 /* in a row without a new byte */
#define FIRST_SECONDS 1.0
#define SLACK_BYTES   (1 << 20) /* the published sizes are rounded */

int64_t pull_expected_bytes(const struct base_model *base)
{
    return (int64_t)(base->mebibytes * (1 << 20));
}

static uint64_t bytes_there(const char *path)
{
    uint64_t bytes = 0;
    struct err ignored;
    return fs_file_size(path, &bytes, &ignored) == OK ? bytes : 0;
}

/* Twice the file: the download, and what the engine makes of it. */
static enum status check_room(const struct pull *pull, const struct base_model *base,
                              uint64_t there, struct err *err)
{
    uint64_t expected = (uint64_t)pull_expected_bytes(base), free_bytes = 0;
    uint64_t wanted = 2 * expected + pull->min_free;
    enum status status = fs_free_bytes(store_folder(pull->store), &free_bytes, err);
    if (status != OK || free_bytes + there >= wanted)
        return status;
    err_set(err, E_NO_SPACE,
            "%s needs %llu MB of disk until it is imported, and %llu MB have to stay free "
            "(--min-free); there are %llu MB.",
            base->name, (unsigned long long)(2 * expected >> 20),
            (unsigned long long)(pull->min_free >> 20), (unsigned long long)(free_bytes >> 20));
    return E_NO_SPACE;
}

/* --- Download ----------------------------------------------------------------------------------
 */

/* What to do when the file cannot be had from there. */
static void add_hint(struct err *err, const char *url, const struct base_model *base)
{
    char hint[sizeof err->hint];
    if (err->hint[0] || err->status == E_CANCELLED || err->status == E_NO_SPACE)
        return;
    snprintf(hint, sizeof hint,
             "Where this machine has no way there, fetch %.120s elsewhere and POST the file to "
             "/v1/models?name=my-%s%s.",
             url, base->name,
             !base_model_is_text(base) ? "&classes=imagenet1k"
             : base->backwards         ? "&backwards=true"
                                       : "");
    err_name(err, NULL, hint);
}

/* Tries again, after longer and longer pauses, as long as something comes. */
static enum status download(const struct pull *pull, const struct base_model *base,
                            const char *path, const char *url, struct err *err)
{
    struct fetch fetch = {.url = url,
                          .path = path,
                          .max_bytes =
                              (uint64_t)(pull_expected_bytes(base) * 11 / 10) + SLACK_BYTES,
                          .told = pull->told,
                          .context = pull->context};
    double seconds = FIRST_SECONDS;
    for (int tries = 1;; tries++, seconds *= 2) {
        uint64_t before = bytes_there(path);
        bool again = false;
        enum status status = fetch_file(&fetch, &again, err);
        if (status == E_TOO_LARGE)
            unlink(path);
        if (bytes_there(path) != before) {
            tries = 0;
            seconds = FIRST_SECONDS;
        }
        if (status == OK || !again || tries >= MAX_TRIES)
            return status;
        if (!pull->pause(pull->context, seconds, err))
            return err_set(err, E_CANCELLED, "The download was told to stop.");
        *err = (struct err){0};
    }
}

/* A file of another content goes. */
static enum status refuse(const char *path, struct err *err)
{
    unlink(path);
    err_name(err, "pull_wrong_hash",
             "Try again; if it stays so, the server or a proxy on the way "
             "sends something else.");
    return E_INVALID;
}

enum status pull_check_head(const struct base_model *base, const char *path, struct err *err)
{
    char hex[MD5_HEX];
    void *head = NULL;
    uint64_t bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "%s cannot be opened", path);
    enum status status = fs_file_size(path, &bytes, err);
    size_t len = bytes < HEAD_BYTES ? (size_t)bytes : HEAD_BYTES;
    if (status == OK)
        status = mem_try_alloc(len + 1, 1, "the head of a file", &head, err);
    if (status == OK)
        status = fs_read_at(fd, head, len, 0, err);
    close(fd);
    if (status == OK)
        md5_hex(head, len, hex);
    mem_free(head);
    if (status != OK)
        return status;
    if (bytes != (uint64_t)base->bytes)
        return err_set(err, E_INVALID,
                       "What came of %s is not the published file: it has %llu bytes, where %lld "
                       "are expected. It was removed.",
                       base->file, (unsigned long long)bytes, (long long)base->bytes);
    if (strcmp(hex, base->head_md5) != 0)
        return err_set(err, E_INVALID,
                       "What came of %s is not the published file: the MD5 of its first MiB is "
                       "%s, where %s is expected. It was removed.",
                       base->file, hex, base->head_md5);
    return OK;
}

static bool is_mirror(const struct pull *pull)
{
    return strcmp(pull->base_url, BASE_MODELS_URL) != 0;
}

/* The digits behind the last dash of the file's name; of fastai's files, what it publishes. */
static enum status check_hash(const struct pull *pull, const struct base_model *base,
                              const char *path, char hex[SHA256_HEX], const char *url,
                              struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "%s cannot be opened", path);
    enum status status = sha256_file(fd, hex, err);
    close(fd);
    if (status == OK && base->head_md5) {
        status = is_mirror(pull) ? OK : pull_check_head(base, path, err);
        return status == E_INVALID ? refuse(path, err) : status;
    }
    const char *expected = strrchr(base->file, '-') + 1;
    if (status != OK || memcmp(hex, expected, HASH_DIGITS) == 0)
        return status;
    err_set(err, E_INVALID,
            "What came from %s is not the published file: its SHA-256 begins with %.8s, where %.8s "
            "is expected. It was removed.",
            url, hex, expected);
    return refuse(path, err);
}

/* --- Import ------------------------------------------------------------------------------------
 */

struct wait {
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;      /* under lock */
    struct err result; /* under lock; status OK: none */
};

static void imported(void *argument, enum status status, const char *model, const struct err *err)
{
    struct wait *wait = argument;
    (void)model;
    pthread_mutex_lock(&wait->lock);
    wait->is_over = true;
    if (status)
        wait->result = *err;
    pthread_cond_signal(&wait->over);
    pthread_mutex_unlock(&wait->lock);
}

static struct json *imagenet_names(void)
{
    struct json *names = json_new_array();
    for (size_t i = 0; i < IMAGENET1K_CLASSES; i++)
        json_add_string(names, imagenet1k_classes[i]);
    return names;
}

static enum status import_file(const struct pull *pull, const struct base_model *base,
                               const char *path, const char *sha256, struct err *err)
{
    struct wait wait = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};
    struct json *names = base_model_is_text(base) ? NULL : imagenet_names();
    char *id = mem_printf("mdl_%s", base->name);
    struct import_ask ask = {.source = path,
                             .sha256 = sha256,
                             .architecture = base_model_architecture(base),
                             .backwards = base->backwards,
                             .classes = names,
                             .base = id,
                             .done = imported,
                             .arg = &wait};
    if (pull->enter && !pull->enter(pull->context)) {
        err_set(&wait.result, E_CANCELLED, "The import was told to stop.");
    } else {
        pull->import(pull->supervisor, &ask);
        if (pull->leave)
            pull->leave(pull->context);
        pthread_mutex_lock(&wait.lock);
        while (!wait.is_over)
            pthread_cond_wait(&wait.over, &wait.lock);
        pthread_mutex_unlock(&wait.lock);
    }
    json_free(names);
    mem_free(id);
    if (wait.result.status)
        *err = wait.result;
    return wait.result.status;
}

/* --- All of it ---------------------------------------------------------------------------------
 */

enum status pull_model(const struct pull *pull, const struct base_model *base, struct err *err)
{
    char hex[SHA256_HEX] = "";
    char *folder = mem_printf("%s/pulls", store_folder(pull->store));
    char *path = mem_printf("%s/%s", folder, base->file);
    const char *from = base->url && !is_mirror(pull) ? base->url : pull->base_url;
    char *url = mem_printf("%s%s", from, base->file);
    enum status status = fs_make_folder(folder, err);
    if (status == OK)
        status = check_room(pull, base, bytes_there(path), err);
    if (status == OK) {
        status = download(pull, base, path, url, err);
        if (status != OK)
            add_hint(err, url, base);
    }
    if (status == OK)
        status = check_hash(pull, base, path, hex, url, err);
    if (status == OK && pull->fetched)
        pull->fetched(pull->context, base->file, hex);
    if (status == OK) {
        status = import_file(pull, base, path, hex, err);
        if (status != E_UNAVAILABLE && status != E_CANCELLED && status != E_NO_SPACE)
            unlink(path); /* imported, or of no use */
    }
    mem_free(folder);
    mem_free(path);
    mem_free(url);
    return status;
}
