/* sweep.c -- what nothing refers to any more is removed: blobs, uploads, job folders. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/blobs.h"
#include "store/internal.h"

/* Every column that names a blob. Whoever adds one adds it here, and an index on it. */
static const struct {
    const char *table, *column, *where;
} references[] = {
    {"datasets", "pack", ""},
    {"datasets", "pack_index", ""},
    {"models", "weights", ""},
    {"checkpoints", "sha256", ""},
    {"artifacts", "sha256", ""},
    {"exports", "sha256",
     " AND (EXISTS (SELECT 1 FROM models WHERE models.weights = exports.weights)"
     " OR EXISTS (SELECT 1 FROM checkpoints WHERE checkpoints.sha256 = exports.weights))"},
    {"jobs", "weights", " AND status NOT IN ('succeeded', 'failed', 'cancelled')"},
    {"jobs, json_each(jobs.ensemble)", "json_each.value",
     " AND jobs.ensemble IS NOT NULL AND status NOT IN ('succeeded', 'failed', 'cancelled')"},
};

static enum status is_referenced(struct sql *sql, const char *sha256, bool *yes, struct err *err)
{
    enum status status = OK;
    *yes = false;
    for (size_t i = 0; status == OK && !*yes && i < ARRAY_LEN(references); i++) {
        int64_t found = 0;
        char *text = mem_printf("SELECT 1 FROM %s WHERE %s = ?1%s LIMIT 1", references[i].table,
                                references[i].column, references[i].where);
        status = sql_fetch_integer(sql, text, SQL_VALUES(sql_text(sha256)), 0, &found, err);
        *yes = found != 0;
        mem_free(text);
    }
    return status;
}

static bool is_old(const struct stat *info)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec - info->st_mtim.tv_sec > BLOB_YOUNG_SECONDS;
}

/* Removes one blob unless it is young (where age counts), held open or referred to. blob_lock is
 * held: nobody makes it young again between the look and the removal. */
static enum status consider(struct sql *sql, int folder, const char *path, const char *name,
                            bool at_any_age, struct blob_sweep *sweep, struct err *err)
{
    struct stat info;
    bool referenced = true;
    enum status status = OK;
    int fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? OK : err_errno(err, "The blob %s cannot be opened", name);
    bool removable = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
                     (at_any_age || is_old(&info)) && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (removable)
        status = is_referenced(sql, name, &referenced, err);
    if (status == OK && removable && !referenced && unlinkat(folder, path, 0) == 0) {
        sweep->removed++;
        sweep->bytes_removed += info.st_size;
    } else {
        sweep->kept++;
    }
    close(fd);
    return status;
}

/* Calls `visit` for each entry of DATA/`name`, hidden ones excepted. */
static enum status each_entry(const char *path,
                              enum status (*visit)(void *context, int folder, const char *name,
                                                   struct err *err),
                              void *context, struct err *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return err_errno(err, "The folder %s cannot be read", path);
    enum status status = OK;
    for (struct dirent *entry; status == OK && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            status = visit(context, dirfd(dir), entry->d_name, err);
    closedir(dir);
    return status;
}

struct collection {
    struct store *store;
    struct sql *sql;
    struct blob_sweep *sweep;
};

static enum status visit_blob(void *context, int folder, const char *name, struct err *err)
{
    struct collection *collection = context;
    return consider(collection->sql, folder, name, name, false, collection->sweep, err);
}

static enum status visit_blob_folder(void *context, int folder, const char *name, struct err *err)
{
    (void)folder;
    struct collection *collection = context;
    struct store *store = collection->store;
    char *path = mem_printf("%s/blobs/%s", store->folder, name);
    pthread_mutex_lock(&store->blob_lock);
    collection->sql = store_read(store);
    enum status status = each_entry(path, visit_blob, collection, err);
    store_read_done(store, collection->sql);
    pthread_mutex_unlock(&store->blob_lock);
    mem_free(path);
    return status;
}

enum status blobs_collect(struct store *store, struct blob_sweep *sweep, struct err *err)
{
    *sweep = (struct blob_sweep){0};
    struct collection collection = {.store = store, .sweep = sweep};
    char *path = mem_printf("%s/blobs", store->folder);
    enum status status = each_entry(path, visit_blob_folder, &collection, err);
    mem_free(path);
    return status;
}

void blob_release(struct store *store, const char *sha256)
{
    char path[PATH_MAX];
    struct err ignored; /* what cannot be removed now is the collector's */
    struct blob_sweep sweep = {0};
    if (!sha256 || blob_path(store, sha256, path, sizeof path, &ignored) != OK)
        return;
    pthread_mutex_lock(&store->blob_lock);
    if (!blob_is_awaited(store, sha256)) {
        struct sql *sql = store_read(store);
        consider(sql, AT_FDCWD, path, sha256, true, &sweep, &ignored);
        store_read_done(store, sql);
    }
    pthread_mutex_unlock(&store->blob_lock);
}

static enum status visit_tmp(void *context, int folder, const char *name, struct err *err)
{
    (void)folder;
    struct collection *collection = context;
    char *path = mem_printf("%s/tmp/%s", collection->store->folder, name);
    enum status status = fs_remove_tree(path, err);
    mem_free(path);
    return status;
}

static enum status visit_upload(void *context, int folder, const char *name, struct err *err)
{
    struct collection *collection = context;
    int64_t wanted = 0;
    enum status status =
        sql_fetch_integer(collection->sql, "SELECT 1 FROM datasets WHERE upload = ?1",
                          SQL_VALUES(sql_text(name)), 0, &wanted, err);
    if (status == OK && !wanted && unlinkat(folder, name, 0))
        return err_errno(err, "The upload %s cannot be removed", name);
    return status;
}

/* A folder without a job goes; of a job that has ended only the log stays. */
static enum status visit_job(void *context, int folder, const char *name, struct err *err)
{
    (void)folder;
    struct collection *collection = context;
    int64_t open = 0;
    enum status status = sql_fetch_integer(
        collection->sql,
        "SELECT status NOT IN ('succeeded', 'failed', 'cancelled') FROM jobs WHERE id = ?1",
        SQL_VALUES(sql_text(name)), -1, &open, err);
    if (status || open == 1)
        return status;
    char *path = mem_printf("%s/jobs/%s%s", collection->store->folder, name,
                            open == 0 ? "/checkpoints" : "");
    status = fs_remove_tree(path, err);
    mem_free(path);
    return status;
}

enum status store_sweep_folders(struct store *store, struct err *err)
{
    static const struct {
        const char *folder;
        enum status (*visit)(void *context, int folder, const char *name, struct err *err);
    } sweeps[] = {{"tmp", visit_tmp}, {"uploads", visit_upload}, {"jobs", visit_job}};

    struct collection collection = {.store = store, .sql = store_read(store)};
    enum status status = OK;
    for (size_t i = 0; status == OK && i < ARRAY_LEN(sweeps); i++) {
        char *path = mem_printf("%s/%s", store->folder, sweeps[i].folder);
        status = each_entry(path, sweeps[i].visit, &collection, err);
        mem_free(path);
    }
    store_read_done(store, collection.sql);
    return status;
}
