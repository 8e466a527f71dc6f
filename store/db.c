#include "store/db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/base_models.h"
#include "store/folder.h"
#include "store/internal.h"
#include "store/keys.h"
#include "store/migrate.h"

#define WAL_MAX_BYTES (64u << 20)

static enum status open_connections(struct store *store, const char *path, struct err *err)
{
    enum status status = sql_open(&store->writer, path, true, err);
    if (status == OK)
        status = migrate_run(store->writer.db, err);
    for (size_t i = 0; status == OK && i < STORE_READERS; i++) {
        status = sql_open(&store->readers[i], path, false, err);
        if (status == OK)
            store->idle[store->n_idle++] = &store->readers[i];
    }
    return status;
}

enum status store_open(const char *data, struct store **out, struct err *err)
{
    struct store *store = mem_alloc(sizeof *store);
    store->folder_lock = -1;
    pthread_mutex_init(&store->write_lock, NULL);
    pthread_mutex_init(&store->read_lock, NULL);
    pthread_mutex_init(&store->blob_lock, NULL);
    pthread_cond_init(&store->read_free, NULL);

    char *path = NULL;
    enum status status = folder_open(data, &store->folder, &store->folder_lock, err);
    if (status)
        goto done;
    path = mem_printf("%s/thaw.db", store->folder);
    status = open_connections(store, path, err);
    if (status)
        goto done;
    status = base_models_seed(store, err);
    if (status)
        goto done;
    status = keys_drop_open(store, err);
done:
    mem_free(path);
    if (status)
        store_close(store);
    else
        *out = store;
    return status;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < STORE_READERS; i++)
        sql_close(&store->readers[i]);
    sql_close(&store->writer); /* last: it truncates and removes the WAL */
    if (store->folder_lock >= 0)
        close(store->folder_lock);
    pthread_mutex_destroy(&store->write_lock);
    pthread_mutex_destroy(&store->read_lock);
    pthread_mutex_destroy(&store->blob_lock);
    pthread_cond_destroy(&store->read_free);
    mem_free(store->puts);
    mem_free(store->folder);
    mem_free(store);
}

const char *store_folder(const struct store *store)
{
    return store->folder;
}

void store_on_events(struct store *store, void (*notify)(void *context, int64_t seq), void *context)
{
    store->notify = notify;
    store->notify_context = context;
}

/* PRAGMA synchronous holds for what is committed after it; it cannot change inside a transaction.
 */
static enum status set_durability(struct store *store, enum store_durability durability,
                                  struct err *err)
{
    bool lazy = durability == LAZY;
    if (lazy == store->writer_is_lazy)
        return OK;
    const char *pragma = lazy ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL";
    enum status status = sql_run(&store->writer, pragma, NULL, 0, NULL, err);
    if (status == OK)
        store->writer_is_lazy = lazy;
    return status;
}

enum status store_begin(struct store *store, enum store_durability durability, struct sql **sql,
                        struct err *err)
{
    pthread_mutex_lock(&store->write_lock);
    enum status status = set_durability(store, durability, err);
    if (status == OK)
        status = sql_run(&store->writer, "BEGIN IMMEDIATE", NULL, 0, NULL, err);
    if (status) {
        pthread_mutex_unlock(&store->write_lock);
        return status;
    }
    store->new_events = 0;
    *sql = &store->writer;
    return OK;
}

enum status store_end(struct store *store, enum status status, struct err *err)
{
    if (status == OK)
        status = sql_run(&store->writer, "COMMIT", NULL, 0, NULL, err);
    struct err ignored;
    if (status && !sqlite3_get_autocommit(store->writer.db))
        (void)sql_run(&store->writer, "ROLLBACK", NULL, 0, NULL, &ignored);
    int64_t seq = status == OK ? store->new_events : 0;
    store->new_events = 0;
    pthread_mutex_unlock(&store->write_lock);
    if (seq && store->notify)
        store->notify(store->notify_context, seq);
    return status;
}

struct sql *store_read(struct store *store)
{
    pthread_mutex_lock(&store->read_lock);
    while (!store->n_idle)
        pthread_cond_wait(&store->read_free, &store->read_lock);
    struct sql *sql = store->idle[--store->n_idle];
    pthread_mutex_unlock(&store->read_lock);
    return sql;
}

void store_read_done(struct store *store, struct sql *sql)
{
    pthread_mutex_lock(&store->read_lock);
    store->idle[store->n_idle++] = sql;
    pthread_cond_signal(&store->read_free);
    pthread_mutex_unlock(&store->read_lock);
}

enum status store_get(struct store *store, const struct table *table, const char *id,
                      struct arena *arena, void *row, struct err *err)
{
    struct sql *sql = store_read(store);
    enum status status = row_get(sql, table, id, arena, row, err);
    store_read_done(store, sql);
    return status;
}

enum status store_page(struct store *store, const struct table *table, const char *where,
                       const char *value, const struct page *page, struct arena *arena, void **rows,
                       size_t *n, bool *has_more, struct err *err)
{
    struct sql *sql = store_read(store);
    enum status status = row_page(sql, table, where, value, page, arena, rows, n, has_more, err);
    store_read_done(store, sql);
    return status;
}

enum status store_checkpoint(struct store *store, struct err *err)
{
    char *path = mem_printf("%s/thaw.db-wal", store->folder);
    uint64_t bytes = 0;
    struct err absent;
    enum status status = OK;
    if (fs_file_size(path, &bytes, &absent) == OK && bytes > WAL_MAX_BYTES) {
        pthread_mutex_lock(&store->write_lock);
        status = sql_run(&store->writer, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, 0, NULL, err);
        pthread_mutex_unlock(&store->write_lock);
    }
    mem_free(path);
    return status;
}
