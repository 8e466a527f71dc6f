#include "store/datasets.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "store/blobs.h"
#include "store/events_write.h"

static const char *const status_names[N_DATASET_STATUS] = {
    [DATASET_PROCESSING] = "processing",
    [DATASET_READY] = "ready",
    [DATASET_FAILED] = "failed",
};

#define FIELD(member) offsetof(struct dataset_row, member)
static const struct column columns[] = {
    {"seq", COLUMN_SEQ, FIELD(order), NULL, 0},
    {"id", COLUMN_TEXT, FIELD(id), NULL, 0},
    {"status", COLUMN_NAME, FIELD(status), status_names, N_DATASET_STATUS},
    {"name", COLUMN_TEXT, FIELD(name), NULL, 0},
    {"kind", COLUMN_TEXT, FIELD(kind), NULL, 0},
    {"options", COLUMN_TEXT, FIELD(options), NULL, 0},
    {"upload", COLUMN_TEXT, FIELD(upload), NULL, 0},
    {"bytes", COLUMN_INTEGER, FIELD(bytes), NULL, 0},
    {"sha256", COLUMN_TEXT, FIELD(sha256), NULL, 0},
    {"done", COLUMN_INTEGER, FIELD(done), NULL, 0},
    {"total", COLUMN_INTEGER, FIELD(total), NULL, 0},
    {"items", COLUMN_COUNT, FIELD(items), NULL, 0},
    {"classes", COLUMN_TEXT, FIELD(classes), NULL, 0},
    {"splits", COLUMN_TEXT, FIELD(splits), NULL, 0},
    {"rejected", COLUMN_TEXT, FIELD(rejected), NULL, 0},
    {"warnings", COLUMN_TEXT, FIELD(warnings), NULL, 0},
    {"pack", COLUMN_TEXT, FIELD(pack), NULL, 0},
    {"pack_index", COLUMN_TEXT, FIELD(index), NULL, 0},
    {"parent", COLUMN_TEXT, FIELD(parent), NULL, 0},
    {"error", COLUMN_TEXT, FIELD(error), NULL, 0},
    {"created_ms", COLUMN_TIME, FIELD(created_ms), NULL, 0},
};
static const struct table table = {
    "datasets", "dataset", columns, ARRAY_LEN(columns), sizeof(struct dataset_row),
};

const char *dataset_status_name(enum dataset_status status)
{
    return status_names[status];
}

static enum status write_state(struct store *store, struct sql *sql, const char *id,
                               enum dataset_status state, const char *previous, const char *error,
                               struct err *err)
{
    struct json *data = json_new_object(), *problem = NULL;
    struct err ignored;
    json_set_string(data, "status", status_names[state]);
    json_set_string(data, "previous", previous);
    if (error && json_parse(error, strlen(error), &problem, &ignored) == OK)
        json_set(data, "error", problem);
    else
        json_set_null(data, "error");
    char *text = json_text(data);
    struct event_new event = {.type = "state", .dataset = id, .data = text};
    enum status status = event_write(store, sql, &event, err);
    mem_free(text);
    json_free(data);
    return status;
}

static void remove_upload(struct store *store, const char *upload)
{
    if (!upload)
        return;
    char *path = mem_printf("%s/uploads/%s", store->folder, upload);
    unlink(path); /* if it stays, the next start sweeps it */
    mem_free(path);
}

static enum status insert_new(struct store *store, struct sql *sql, struct dataset_row *row,
                              struct arena *arena, struct err *err)
{
    char id[40];
    id_new("ds_", id);
    row->id = arena_strdup(arena, id);
    row->status = DATASET_PROCESSING;
    row->items = -1;
    row->created_ms = clock_wall_ms();
    enum status status = row_insert(sql, &table, row, &row->order, err);
    if (status == OK)
        status = write_state(store, sql, row->id, DATASET_PROCESSING, NULL, NULL, err);
    return status;
}

static const char again_sql[] =
    "UPDATE datasets SET status = 'processing', upload = ?2, error = NULL, done = 0, total = 0"
    " WHERE id = ?1";

/* A failed dataset whose bytes came again. */
static enum status process_again(struct store *store, struct sql *sql, struct dataset_row *row,
                                 const char *upload, struct err *err)
{
    enum status status =
        sql_run(sql, again_sql, SQL_VALUES(sql_text(row->id), sql_text(upload)), NULL, err);
    if (status == OK)
        status = write_state(store, sql, row->id, DATASET_PROCESSING, status_names[DATASET_FAILED],
                             NULL, err);
    row->status = DATASET_PROCESSING;
    row->upload = upload;
    row->error = NULL;
    row->done = row->total = 0;
    return status;
}

enum status dataset_insert(struct store *store, struct dataset_row *row, struct arena *arena,
                           bool *created, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    struct dataset_row same;
    bool found = false;
    status = row_find(sql, &table, "WHERE sha256 = ?1 AND options = ?2",
                      SQL_VALUES(sql_text(row->sha256), sql_text(row->options)), arena, &same,
                      &found, err);
    *created = !found;
    if (status == OK && !found)
        status = insert_new(store, sql, row, arena, err);
    if (status == OK && found && same.status == DATASET_FAILED)
        status = process_again(store, sql, &same, row->upload, err);
    status = store_end(store, status, err);
    if (status == OK && found)
        *row = same;
    return status;
}

enum status dataset_get(struct store *store, const char *id, struct arena *arena,
                        struct dataset_row *row, struct err *err)
{
    return store_get(store, &table, id, arena, row, err);
}

enum status datasets_list(struct store *store, const struct page *page, struct arena *arena,
                          struct dataset_list *list, struct err *err)
{
    void *rows = NULL;
    enum status status =
        store_page(store, &table, NULL, NULL, page, arena, &rows, &list->n, &list->has_more, err);
    list->rows = rows;
    return status;
}

static const char users_sql[] = "SELECT count(*) FROM jobs WHERE dataset = ?1 AND status NOT IN"
                                " ('succeeded', 'failed', 'cancelled')";

static enum status delete_row(struct sql *sql, const char *id, struct arena *arena,
                              struct dataset_row *row, struct err *err)
{
    int64_t users = 0;
    enum status status = row_get(sql, &table, id, arena, row, err);
    if (status == OK)
        status = sql_fetch_integer(sql, users_sql, SQL_VALUES(sql_text(id)), 0, &users, err);
    if (status == OK && users)
        return err_set(err, E_CONFLICT,
                       "The dataset %s is used by %lld job(s) that have not ended: cancel them or "
                       "wait.",
                       id, (long long)users);
    if (status == OK)
        status =
            sql_run(sql, "DELETE FROM datasets WHERE id = ?1", SQL_VALUES(sql_text(id)), NULL, err);
    return status;
}

enum status dataset_delete(struct store *store, const char *id, struct err *err)
{
    struct arena arena;
    arena_init(&arena);
    struct dataset_row row = {0};
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        goto done;
    status = delete_row(sql, id, &arena, &row, err);
    status = store_end(store, status, err);
    if (status == OK) {
        remove_upload(store, row.upload);
        blob_release(store, row.pack);
        blob_release(store, row.index);
    }
done:
    arena_deinit(&arena);
    return status;
}

enum status dataset_progress(struct store *store, const char *id, int64_t done, int64_t total,
                             struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, LAZY, &sql, err);
    if (status)
        return status;
    status = sql_run(sql, "UPDATE datasets SET done = ?2, total = ?3 WHERE id = ?1",
                     SQL_VALUES(sql_text(id), sql_integer(done), sql_integer(total)), NULL, err);
    return store_end(store, status, err);
}

static const char finish_sql[] =
    "UPDATE datasets SET status = ?2, upload = NULL, kind = coalesce(?3, kind), items = ?4,"
    " classes = ?5, splits = ?6, rejected = ?7, pack = ?8, pack_index = ?9, error = ?10,"
    " warnings = ?11"
    " WHERE id = ?1";

static enum status finish_row(struct store *store, struct sql *sql, const struct dataset_row *row,
                              struct arena *arena, struct dataset_row *before, struct err *err)
{
    enum status status = row_get(sql, &table, row->id, arena, before, err);
    if (status == OK && before->status != DATASET_PROCESSING)
        return err_set(err, E_CONFLICT, "The dataset %s is no longer processing.", row->id);
    if (status == OK)
        status = sql_run(
            sql, finish_sql,
            SQL_VALUES(sql_text(row->id), sql_text(status_names[row->status]), sql_text(row->kind),
                       row->items < 0 ? sql_text(NULL) : sql_integer(row->items),
                       sql_text(row->classes), sql_text(row->splits), sql_text(row->rejected),
                       sql_text(row->pack), sql_text(row->index), sql_text(row->error),
                       sql_text(row->warnings)),
            NULL, err);
    if (status == OK)
        status = write_state(store, sql, row->id, row->status, status_names[DATASET_PROCESSING],
                             row->error, err);
    return status;
}

enum status dataset_finish(struct store *store, const struct dataset_row *row, struct err *err)
{
    struct arena arena;
    arena_init(&arena);
    struct dataset_row before = {0};
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        goto done;
    status = finish_row(store, sql, row, &arena, &before, err);
    status = store_end(store, status, err);
    if (status == OK) {
        remove_upload(store, before.upload);
        blob_settle(store, row->pack);
        blob_settle(store, row->index);
    }
done:
    arena_deinit(&arena);
    return status;
}

enum status datasets_processing(struct store *store, struct arena *arena, struct dataset_list *list,
                                struct err *err)
{
    void *rows = NULL;
    struct sql *sql = store_read(store);
    enum status status = row_list(sql, &table, "WHERE status = 'processing' ORDER BY seq", NULL, 0,
                                  arena, &rows, &list->n, err);
    store_read_done(store, sql);
    list->rows = rows;
    list->has_more = false;
    return status;
}
