/* jobs.c -- job rows: inserted, read, listed, deleted. Their states are job_states.c's. */
#include "store/jobs.h"

#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "store/artifacts_write.h"
#include "store/blobs.h"
#include "store/jobs_write.h"

#define FIELD(member) offsetof(struct job_row, member)
static const struct column columns[] = {
    {"seq", COLUMN_SEQ, FIELD(order), NULL, 0},
    {"id", COLUMN_TEXT, FIELD(id), NULL, 0},
    {"status", COLUMN_NAME, FIELD(status), job_status_names, N_JOB_STATUS},
    {"name", COLUMN_TEXT, FIELD(name), NULL, 0},
    {"spec", COLUMN_TEXT, FIELD(spec), NULL, 0},
    {"metadata", COLUMN_TEXT, FIELD(metadata), NULL, 0},
    {"dataset", COLUMN_TEXT, FIELD(dataset), NULL, 0},
    {"model", COLUMN_TEXT, FIELD(model), NULL, 0},
    {"architecture", COLUMN_TEXT, FIELD(architecture), NULL, 0},
    {"weights", COLUMN_TEXT, FIELD(weights), NULL, 0},
    {"ensemble", COLUMN_TEXT, FIELD(ensemble), NULL, 0},
    {"priority", COLUMN_INTEGER, FIELD(priority), NULL, 0},
    {"created_ms", COLUMN_TIME, FIELD(created_ms), NULL, 0},
    {"started_ms", COLUMN_TIME, FIELD(started_ms), NULL, 0},
    {"finished_ms", COLUMN_TIME, FIELD(finished_ms), NULL, 0},
    {"estimated_finish_ms", COLUMN_TIME, FIELD(estimated_finish_ms), NULL, 0},
    {"progress", COLUMN_TEXT, FIELD(progress), NULL, 0},
    {"latest", COLUMN_TEXT, FIELD(latest), NULL, 0},
    {"best", COLUMN_TEXT, FIELD(best), NULL, 0},
    {"engine", COLUMN_TEXT, FIELD(engine), NULL, 0},
    {"error", COLUMN_TEXT, FIELD(error), NULL, 0},
    {"result_model", COLUMN_TEXT, FIELD(result_model), NULL, 0},
    {"weights_sha256", COLUMN_TEXT, FIELD(weights_sha256), NULL, 0},
    {"deaths", COLUMN_INTEGER, FIELD(deaths), NULL, 0},
    {"crashes", COLUMN_INTEGER, FIELD(crashes), NULL, 0},
    {"parent", COLUMN_TEXT, FIELD(parent), NULL, 0},
    {"rerun_of", COLUMN_TEXT, FIELD(rerun_of), NULL, 0},
    {"rerun", COLUMN_TEXT, FIELD(rerun), NULL, 0},
    {"estimate", COLUMN_TEXT, FIELD(estimate), NULL, 0},
    {"reason", COLUMN_TEXT, FIELD(reason), NULL, 0},
};
const struct table jobs_table = {
    "jobs", "job", columns, ARRAY_LEN(columns), sizeof(struct job_row),
};

#define TERMINAL "('succeeded', 'failed', 'cancelled')"

/* What the handler read before it inserted may be gone by now. */
static enum status check_dataset(struct sql *sql, const char *dataset, struct err *err)
{
    int64_t there = 0;
    enum status status = sql_fetch_integer(sql, "SELECT count(*) FROM datasets WHERE id = ?1",
                                           SQL_VALUES(sql_text(dataset)), 0, &there, err);
    if (status == OK && !there)
        return err_at(err, E_INVALID, "/dataset",
                      "There is no dataset \"%.80s\": GET /v1/datasets lists those there are.",
                      dataset);
    return status;
}

/* The network behind a model's id or name, or behind a checkpoint's job; of a job from nothing, its
 * own. */
static const char architecture_sql[] =
    "UPDATE jobs SET architecture = coalesce("
    "(SELECT m.architecture FROM models m WHERE m.id = jobs.model),"
    "(SELECT m.architecture FROM models m WHERE m.name = jobs.model),"
    "(SELECT j.architecture FROM checkpoints c JOIN jobs j ON j.id = c.job"
    " WHERE c.id = jobs.model),"
    "CASE jobs.model WHEN '' THEN jobs.architecture END) WHERE id = ?1";

static enum status set_architecture(struct sql *sql, const struct job_row *row, struct err *err)
{
    int64_t unknown = 0;
    enum status status = sql_run(sql, architecture_sql, SQL_VALUES(sql_text(row->id)), NULL, err);
    if (status == OK)
        status = sql_fetch_integer(sql, "SELECT architecture IS NULL FROM jobs WHERE id = ?1",
                                   SQL_VALUES(sql_text(row->id)), 1, &unknown, err);
    if (status == OK && unknown)
        return err_at(err, E_INVALID, "/model",
                      "There is no model \"%.80s\": GET /v1/models lists those there are.",
                      row->model);
    return status;
}

enum status job_insert(struct store *store, struct job_row *row, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    row->status = JOB_QUEUED;
    row->created_ms = clock_wall_ms();
    status = check_dataset(sql, row->dataset, err);
    if (status == OK)
        status = row_insert(sql, &jobs_table, row, &row->order, err);
    if (status == OK)
        status = set_architecture(sql, row, err);
    if (status == OK)
        status = job_write_state(store, sql, row->id, JOB_QUEUED, NULL, NULL, err);
    return store_end(store, status, err);
}

enum status job_get(struct store *store, const char *id, struct arena *arena, struct job_row *row,
                    struct err *err)
{
    return store_get(store, &jobs_table, id, arena, row, err);
}

enum status jobs_list(struct store *store, const enum job_status *filter, const struct page *page,
                      struct arena *arena, struct job_list *list, struct err *err)
{
    void *rows = NULL;
    const char *name = filter ? job_status_names[*filter] : NULL;
    enum status status = store_page(store, &jobs_table, filter ? "status = ?1" : NULL, name, page,
                                    arena, &rows, &list->n, &list->has_more, err);
    list->rows = rows;
    return status;
}

/* Every blob that may go when the job's row goes: one text a blob. */
static enum status list_blobs(struct sql *sql, const char *id, struct arena *arena,
                              const char ***blobs, size_t *n, struct err *err)
{
    static const struct column column = {"sha256", COLUMN_TEXT, 0, NULL, 0};
    static const struct table table = {
        "(SELECT job, sha256 FROM checkpoints UNION SELECT job, sha256 FROM artifacts)", "blob",
        &column, 1, sizeof(const char *)};
    void *rows = NULL;
    enum status status =
        row_list(sql, &table, "WHERE job = ?1", SQL_VALUES(sql_text(id)), arena, &rows, n, err);
    *blobs = rows;
    return status;
}

enum status job_delete(struct store *store, const char *id, struct err *err)
{
    struct arena arena;
    arena_init(&arena);
    struct job_row row;
    const char **blobs = NULL;
    size_t n_blobs = 0;
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        goto done;
    status = row_get(sql, &jobs_table, id, &arena, &row, err);
    if (status == OK && !job_status_is_terminal(row.status))
        status = err_set(err, E_CONFLICT,
                         "The job %s is %s: only a job that has ended can be deleted, cancel it "
                         "first.",
                         id, job_status_names[row.status]);
    if (status == OK)
        status = list_blobs(sql, id, &arena, &blobs, &n_blobs, err);
    if (status == OK)
        status =
            sql_run(sql, "DELETE FROM jobs WHERE id = ?1", SQL_VALUES(sql_text(id)), NULL, err);
    status = store_end(store, status, err);
    if (status == OK) {
        for (size_t i = 0; i < n_blobs; i++)
            blob_release(store, blobs[i]);
        blob_release(store, row.weights);
        char *folder = mem_printf("%s/jobs/%s", store->folder, id);
        status = fs_remove_tree(folder, err);
        mem_free(folder);
    }
done:
    arena_deinit(&arena);
    return status;
}

static const char revise_sql[] =
    "UPDATE jobs SET spec = ?4, name = ?5, metadata = ?6, priority = ?7,"
    " estimate = CASE WHEN spec IS ?4 THEN estimate END"
    " WHERE id = ?1 AND status = ?2 AND spec IS ?3";

static enum status revise(struct store *store, struct sql *sql, const struct job_row *before,
                          const struct job_row *after, const char *detail, struct err *err)
{
    int64_t changed = 0;
    enum status status =
        sql_run(sql, revise_sql,
                SQL_VALUES(sql_text(before->id), sql_text(job_status_names[before->status]),
                           sql_text(before->spec), sql_text(after->spec), sql_text(after->name),
                           sql_text(after->metadata), sql_integer(after->priority)),
                &changed, err);
    if (status == OK && !changed)
        return err_set(err, E_CONFLICT,
                       "The job %s changed while this request looked at it: look again.",
                       before->id);
    return status ? status : job_write_log(store, sql, before->id, detail, err);
}

enum status job_revise(struct store *store, const struct job_row *before,
                       const struct job_row *after, const char *detail, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    status = revise(store, sql, before, after, detail, err);
    return store_end(store, status, err);
}

enum status job_set_plan(struct store *store, const char *id, const char *estimate,
                         const struct artifact_row *schedule, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    status = sql_run(sql, "UPDATE jobs SET estimate = ?2 WHERE id = ?1",
                     SQL_VALUES(sql_text(id), sql_text(estimate)), NULL, err);
    if (status == OK && schedule)
        status = artifact_write(sql, schedule, err);
    status = store_end(store, status, err);
    if (status == OK && schedule)
        blob_settle(store, schedule->sha256);
    return status;
}

enum status job_children(struct store *store, const char *id, struct arena *arena,
                         const char ***ids, size_t *n, struct err *err)
{
    static const struct column column = {"id", COLUMN_TEXT, 0, NULL, 0};
    static const struct table table = {"jobs", "job", &column, 1, sizeof(const char *)};
    void *rows = NULL;
    struct sql *sql = store_read(store);
    enum status status = row_list(sql, &table, "WHERE parent = ?1 ORDER BY seq LIMIT 100",
                                  SQL_VALUES(sql_text(id)), arena, &rows, n, err);
    store_read_done(store, sql);
    *ids = rows;
    return status;
}

static const char position_sql[] =
    "SELECT (SELECT count(*) FROM jobs b WHERE b.status = 'queued' AND (b.priority > a.priority OR"
    " (b.priority = a.priority AND b.seq < a.seq)))"
    " FROM jobs a WHERE a.id = ?1 AND a.status = 'queued'";

enum status job_queue_position(struct store *store, const char *id, int64_t *position,
                               struct err *err)
{
    struct sql *sql = store_read(store);
    enum status status =
        sql_fetch_integer(sql, position_sql, SQL_VALUES(sql_text(id)), -1, position, err);
    store_read_done(store, sql);
    return status;
}

static const char next_sql[] =
    "WHERE status = 'queued' AND NOT EXISTS (SELECT 1 FROM datasets WHERE datasets.id ="
    " jobs.dataset AND datasets.status = 'processing') ORDER BY priority DESC, jobs.seq LIMIT 1";

enum status jobs_next(struct store *store, struct arena *arena, struct job_row *row,
                      struct err *err)
{
    bool found = false;
    struct sql *sql = store_read(store);
    enum status status = row_find(sql, &jobs_table, next_sql, NULL, 0, arena, row, &found, err);
    store_read_done(store, sql);
    if (status == OK && !found)
        return err_set(err, E_NOT_FOUND, "No job waits that could start.");
    return status;
}

static const struct column brief_columns[] = {
    {"id", COLUMN_TEXT, offsetof(struct job_brief, id), NULL, 0},
    {"status", COLUMN_NAME, offsetof(struct job_brief, status), job_status_names, N_JOB_STATUS},
    {"deaths", COLUMN_INTEGER, offsetof(struct job_brief, deaths), NULL, 0},
    {"(SELECT d.status FROM datasets d WHERE d.id = jobs.dataset)", COLUMN_TEXT,
     offsetof(struct job_brief, dataset_status), NULL, 0},
};
static const struct table briefs_table = {
    "jobs", "job", brief_columns, ARRAY_LEN(brief_columns), sizeof(struct job_brief),
};

enum status jobs_open(struct store *store, struct arena *arena, struct job_brief **briefs,
                      size_t *n, struct err *err)
{
    void *rows = NULL;
    struct sql *sql = store_read(store);
    enum status status =
        row_list(sql, &briefs_table, "WHERE status NOT IN " TERMINAL " ORDER BY seq", NULL, 0,
                 arena, &rows, n, err);
    store_read_done(store, sql);
    *briefs = rows;
    return status;
}
