/* job_states.c -- the state machine of a job. Every change of a job's state is edge() below. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "store/artifacts_write.h"
#include "store/blobs.h"
#include "store/checkpoints_write.h"
#include "store/events_write.h"
#include "store/jobs_write.h"
#include "store/models_write.h"

const char *const job_status_names[N_JOB_STATUS] = {
    [JOB_QUEUED] = "queued",           [JOB_VALIDATING] = "validating",
    [JOB_RUNNING] = "running",         [JOB_PAUSING] = "pausing",
    [JOB_PAUSED] = "paused",           [JOB_CANCELLING] = "cancelling",
    [JOB_INTERRUPTED] = "interrupted", [JOB_SUCCEEDED] = "succeeded",
    [JOB_FAILED] = "failed",           [JOB_CANCELLED] = "cancelled",
};

/* Drawn in server/supervisor.h. */
static const struct {
    enum job_status from, to;
} edges[] = {
    {JOB_QUEUED, JOB_VALIDATING},      {JOB_QUEUED, JOB_PAUSED},
    {JOB_QUEUED, JOB_CANCELLED},       {JOB_QUEUED, JOB_FAILED},
    {JOB_VALIDATING, JOB_RUNNING},     {JOB_VALIDATING, JOB_CANCELLING},
    {JOB_VALIDATING, JOB_INTERRUPTED}, {JOB_VALIDATING, JOB_FAILED},
    {JOB_RUNNING, JOB_SUCCEEDED},      {JOB_RUNNING, JOB_FAILED},
    {JOB_RUNNING, JOB_PAUSING},        {JOB_RUNNING, JOB_CANCELLING},
    {JOB_RUNNING, JOB_INTERRUPTED},    {JOB_PAUSING, JOB_PAUSED},
    {JOB_PAUSING, JOB_CANCELLING},     {JOB_PAUSING, JOB_SUCCEEDED},
    {JOB_PAUSING, JOB_FAILED},         {JOB_PAUSED, JOB_QUEUED},
    {JOB_PAUSED, JOB_CANCELLED},       {JOB_CANCELLING, JOB_CANCELLED},
    {JOB_INTERRUPTED, JOB_QUEUED},     {JOB_INTERRUPTED, JOB_PAUSED},
    {JOB_INTERRUPTED, JOB_CANCELLED},
};

/* What each thing a client may ask means in each state: an edge, or (to == from) nothing to do,
 * `accepted` telling "it is under way" (202) from "it is so already" (200). What is not listed is a
 * conflict. */
static const struct ask {
    enum job_action action;
    enum job_status from, to;
    bool accepted;
} asks[] = {
    {JOB_ASK_CANCEL, JOB_QUEUED, JOB_CANCELLED, true},
    {JOB_ASK_CANCEL, JOB_VALIDATING, JOB_CANCELLING, true},
    {JOB_ASK_CANCEL, JOB_RUNNING, JOB_CANCELLING, true},
    {JOB_ASK_CANCEL, JOB_PAUSING, JOB_CANCELLING, true},
    {JOB_ASK_CANCEL, JOB_PAUSED, JOB_CANCELLED, true},
    {JOB_ASK_CANCEL, JOB_INTERRUPTED, JOB_CANCELLED, true},
    {JOB_ASK_CANCEL, JOB_CANCELLING, JOB_CANCELLING, true},
    {JOB_ASK_CANCEL, JOB_CANCELLED, JOB_CANCELLED, false},
    {JOB_ASK_PAUSE, JOB_QUEUED, JOB_PAUSED, true},
    {JOB_ASK_PAUSE, JOB_INTERRUPTED, JOB_PAUSED, true},
    {JOB_ASK_PAUSE, JOB_RUNNING, JOB_PAUSING, true},
    {JOB_ASK_PAUSE, JOB_PAUSING, JOB_PAUSING, true},
    {JOB_ASK_PAUSE, JOB_PAUSED, JOB_PAUSED, false},
    {JOB_ASK_RESUME, JOB_PAUSED, JOB_QUEUED, true},
    {JOB_ASK_RESUME, JOB_QUEUED, JOB_QUEUED, false},
    {JOB_ASK_RESUME, JOB_RUNNING, JOB_RUNNING, false},
};
static const char *const action_names[N_JOB_ACTION] = {
    [JOB_ASK_CANCEL] = "cancelled",
    [JOB_ASK_PAUSE] = "paused",
    [JOB_ASK_RESUME] = "resumed",
};

const char *job_status_name(enum job_status status)
{
    return job_status_names[status];
}

bool job_status_from_name(const char *name, enum job_status *status)
{
    for (int i = 0; i < N_JOB_STATUS; i++)
        if (!strcmp(job_status_names[i], name)) {
            *status = (enum job_status)i;
            return true;
        }
    return false;
}

bool job_status_is_terminal(enum job_status status)
{
    return status >= JOB_SUCCEEDED;
}

bool job_edge_is_legal(enum job_status from, enum job_status to)
{
    for (size_t i = 0; i < ARRAY_LEN(edges); i++)
        if (edges[i].from == from && edges[i].to == to)
            return true;
    return false;
}

static void set_document(struct json *object, const char *key, const char *text)
{
    struct json *value = NULL;
    struct err ignored;
    if (text && json_parse(text, strlen(text), &value, &ignored) == OK)
        json_set(object, key, value);
    else
        json_set_null(object, key);
}

static enum status write_event(struct store *store, struct sql *sql, const char *type,
                               const char *job, struct json *data, struct err *err)
{
    char *text = json_text(data);
    struct event_new event = {.type = type, .job = job, .data = text};
    enum status status = event_write(store, sql, &event, err);
    mem_free(text);
    json_free(data);
    return status;
}

enum status job_write_state(struct store *store, struct sql *sql, const char *id,
                            enum job_status status, const char *previous,
                            const struct job_change *change, struct err *err)
{
    struct json *data = json_new_object();
    json_set_string(data, "status", job_status_names[status]);
    json_set_string(data, "previous", previous);
    set_document(data, "error", change ? change->error : NULL);
    set_document(data, "reason", change ? change->reason : NULL);
    return write_event(store, sql, "state", id, data, err);
}

enum status job_write_log(struct store *store, struct sql *sql, const char *id, const char *detail,
                          struct err *err)
{
    struct json *data = json_new_object();
    json_set_string(data, "detail", detail);
    return write_event(store, sql, "log", id, data, err);
}

static enum status write_done(struct store *store, struct sql *sql, const char *id,
                              enum job_status status, const struct job_change *change,
                              struct err *err)
{
    struct json *data = json_new_object();
    json_set_string(data, "status", job_status_names[status]);
    set_document(data, "error", change->error);
    json_set_string(data, "result_model", change->result_model);
    json_set_string(data, "weights_sha256", change->weights_sha256);
    return write_event(store, sql, "done", id, data, err);
}

static const char edge_sql[] =
    "UPDATE jobs SET status = ?3,"
    " started_ms = CASE WHEN ?3 = 'validating' THEN coalesce(started_ms, ?4) ELSE started_ms END,"
    " finished_ms = CASE WHEN ?5 THEN ?4 ELSE NULL END,"
    " estimated_finish_ms = CASE WHEN ?3 = 'running' THEN estimated_finish_ms ELSE NULL END,"
    " error = CASE WHEN ?3 = 'queued' THEN NULL ELSE coalesce(?6, error) END,"
    " reason = CASE WHEN ?3 = 'paused' THEN ?14 END,"
    " engine = coalesce(?7, engine),"
    " result_model = coalesce(?8, result_model),"
    " weights_sha256 = coalesce(?9, weights_sha256),"
    " latest = coalesce(?10, latest), best = coalesce(?11, best),"
    " deaths = deaths + ?12, crashes = crashes + ?13, rerun = coalesce(?15, rerun)"
    " WHERE id = ?1 AND status = ?2";

static enum status update_row(struct sql *sql, const char *id, enum job_status from,
                              enum job_status to, const struct job_change *change, struct err *err)
{
    int64_t changed = 0;
    enum status status = sql_run(
        sql, edge_sql,
        SQL_VALUES(sql_text(id), sql_text(job_status_names[from]), sql_text(job_status_names[to]),
                   sql_integer(clock_wall_ms()), sql_integer(job_status_is_terminal(to)),
                   sql_text(change->error), sql_text(change->engine),
                   sql_text(change->result_model), sql_text(change->weights_sha256),
                   sql_text(change->latest), sql_text(change->best), sql_integer(change->died),
                   sql_integer(change->crashed), sql_text(change->reason), sql_text(change->rerun)),
        &changed, err);
    if (status == OK && !changed)
        return err_set(err, E_CONFLICT, "The job %s is no longer %s.", id, job_status_names[from]);
    return status;
}

/* The language model first: the lineage of what stands on it ends with the name that it got. */
static enum status write_models(struct store *store, struct sql *sql,
                                const struct job_change *change, struct err *err)
{
    enum status status = OK;
    struct arena arena;
    arena_init(&arena);
    struct model_row language_model, model = *change->model;
    if (change->language_model) {
        language_model = *change->language_model;
        status = model_pick_name(sql, &language_model, &arena, err);
        if (status == OK)
            status = model_write(store, sql, &language_model, &arena, err);
        model.lineage = model_lineage_after(&language_model, &arena);
    }
    if (status == OK)
        status = model_pick_name(sql, &model, &arena, err);
    if (status == OK)
        status = model_write(store, sql, &model, &arena, err);
    arena_deinit(&arena);
    return status;
}

static enum status write_products(struct store *store, struct sql *sql,
                                  const struct job_change *change, struct err *err)
{
    enum status status = OK;
    for (size_t i = 0; status == OK && i < change->n_checkpoints; i++)
        status = checkpoint_write(sql, &change->checkpoints[i], err);
    for (size_t i = 0; status == OK && i < change->n_artifacts; i++)
        status = artifact_write(sql, &change->artifacts[i], err);
    return status == OK && change->model ? write_models(store, sql, change, err) : status;
}

/* One edge, inside a transaction. The events come first: once the row is terminal, event_write
 * writes nothing more for this job. */
static enum status edge(struct store *store, struct sql *sql, const char *id, enum job_status from,
                        enum job_status to, const struct job_change *change, struct err *err)
{
    static const struct job_change nothing = {0};
    change = change ? change : &nothing;
    if (!job_edge_is_legal(from, to))
        return err_set(err, E_INTERNAL, "A job cannot go from %s to %s.", job_status_names[from],
                       job_status_names[to]);
    enum status status = write_products(store, sql, change, err);
    if (status == OK)
        status = job_write_state(store, sql, id, to, job_status_names[from], change, err);
    if (status == OK && job_status_is_terminal(to))
        status = write_done(store, sql, id, to, change, err);
    if (status == OK)
        status = update_row(sql, id, from, to, change, err);
    return status;
}

enum status job_transition(struct store *store, const char *id, enum job_status from,
                           enum job_status to, const struct job_change *change, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    status = edge(store, sql, id, from, to, change, err);
    status = store_end(store, status, err);
    for (size_t i = 0; status == OK && change && i < change->n_checkpoints; i++)
        blob_settle(store, change->checkpoints[i].sha256); /* the model has the last one's blob */
    for (size_t i = 0; status == OK && change && i < change->n_artifacts; i++)
        blob_settle(store, change->artifacts[i].sha256);
    return status;
}

static const struct ask *find_ask(enum job_action action, enum job_status from)
{
    for (size_t i = 0; i < ARRAY_LEN(asks); i++)
        if (asks[i].action == action && asks[i].from == from)
            return &asks[i];
    return NULL;
}

static enum status ask_row(struct store *store, struct sql *sql, const char *id,
                           enum job_action action, struct arena *arena, struct job_row *row,
                           bool *accepted, struct err *err)
{
    enum status status = row_get(sql, &jobs_table, id, arena, row, err);
    if (status)
        return status;
    const struct ask *ask = find_ask(action, row->status);
    if (!ask)
        return err_set(err, E_CONFLICT, "The job %s is %s and cannot be %s.", id,
                       job_status_names[row->status], action_names[action]);
    *accepted = ask->accepted;
    if (ask->to == ask->from)
        return OK;
    status = edge(store, sql, id, ask->from, ask->to, NULL, err);
    if (status == OK)
        status = row_get(sql, &jobs_table, id, arena, row, err);
    return status;
}

enum status job_ask(struct store *store, const char *id, enum job_action action,
                    struct arena *arena, struct job_row *row, bool *accepted, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    status = ask_row(store, sql, id, action, arena, row, accepted, err);
    return store_end(store, status, err);
}

static const char report_sql[] =
    "UPDATE jobs SET progress = coalesce(?2, progress), latest = coalesce(?3, latest),"
    " best = coalesce(?4, best), estimated_finish_ms = coalesce(?5, estimated_finish_ms),"
    " deaths = CASE WHEN ?6 THEN 0 ELSE deaths END,"
    " crashes = CASE WHEN ?6 THEN 0 ELSE crashes END"
    " WHERE id = ?1 AND status NOT IN ('succeeded', 'failed', 'cancelled')";

static enum status write_report(struct store *store, struct sql *sql, const char *id,
                                const struct job_report *report, struct err *err)
{
    int64_t changed = 0;
    struct sql_value finish =
        report->estimated_finish_ms ? sql_integer(report->estimated_finish_ms) : sql_text(NULL);
    enum status status =
        sql_run(sql, report_sql,
                SQL_VALUES(sql_text(id), sql_text(report->progress), sql_text(report->latest),
                           sql_text(report->best), finish, sql_integer(report->checkpointed)),
                &changed, err);
    if (status || !changed)
        return status;
    if (report->checkpoint)
        status = checkpoint_write(sql, report->checkpoint, err);
    if (status == OK && report->artifact)
        status = artifact_write(sql, report->artifact, err);
    for (size_t i = 0; status == OK && i < report->n_events; i++)
        status = event_write(store, sql, &report->events[i], err);
    return status;
}

enum status job_report(struct store *store, const char *id, const struct job_report *report,
                       bool durable, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, durable ? DURABLE : LAZY, &sql, err);
    if (status)
        return status;
    status = write_report(store, sql, id, report, err);
    status = store_end(store, status, err);
    if (status == OK && report->checkpoint)
        blob_settle(store, report->checkpoint->sha256);
    if (status == OK && report->artifact)
        blob_settle(store, report->artifact->sha256);
    return status;
}
