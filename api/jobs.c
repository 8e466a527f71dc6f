/* jobs.c -- looking at jobs, and telling them what to do. New ones: job_new.c. */
#include <string.h>

#include "api/handlers.h"
#include "api/list.h"
#include "api/render.h"
#include "api/job_reply.h"
#include "base/nearest.h"
#include "store/blobs.h"
#include "store/datasets.h"

static enum status read_status(const char *name, enum job_status *status, struct err *err)
{
    struct nearest nearest = {.word = name};
    if (job_status_from_name(name, status))
        return OK;
    for (int i = 0; i < N_JOB_STATUS; i++)
        nearest_offer(&nearest, job_status_name((enum job_status)i));
    return err_set(err, E_INVALID, "\"%.40s\" is no status of a job%s%s%s.", name,
                   nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
                   nearest.best ? "\"?" : "");
}

enum status jobs_index(struct app *app, const struct request *request, struct reply *reply,
                       struct err *err)
{
    struct page page;
    struct job_list list;
    enum job_status filter;
    const char *name = request_value(request, "status");
    enum status status = list_page(request, &page, err);
    if (!status && name)
        status = read_status(name, &filter, err);
    if (!status)
        status = jobs_list(app->store, name ? &filter : NULL, &page, request->arena, &list, err);
    if (status)
        return status;
    struct json *data = json_new_array(), *job;
    for (size_t i = 0; !status && i < list.n; i++) {
        status = job_document(app, &list.rows[i], request->arena, &job, err);
        if (!status)
            json_add(data, job);
    }
    if (status)
        json_free(data);
    else
        reply_json(reply, request, 200, render_list(data, list.has_more, "id"));
    return status;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Changes with status, stage, epoch, checkpoint, and what clients change; not with every step. */
static enum status tag_job(struct app *app, const struct request *request, struct reply *reply,
                           const struct job_row *row, struct err *err)
{
    struct checkpoint_list list;
    struct json *progress = NULL;
    const char **children;
    size_t n_children;
    int64_t newest = 0;
    enum status status = checkpoints_list(app->store, row->id, request->arena, &list, err);
    if (!status)
        status = job_children(app->store, row->id, request->arena, &children, &n_children, err);
    if (status)
        return status;
    for (size_t i = 0; i < list.n; i++)
        newest = list.rows[i].created_ms > newest ? list.rows[i].created_ms : newest;
    if (row->progress)
        json_parse(row->progress, strlen(row->progress), &progress, NULL);
    const char *text = arena_printf(
        request->arena, "%s %s %lld %lld %zu %lld %s %s %zu %s %s %s %s", row->id,
        job_status_name(row->status), (long long)json_integer(progress, "stage_index", -1),
        (long long)json_integer(progress, "epoch", -1), list.n, (long long)newest,
        or_empty(row->best), or_empty(row->result_model), n_children, row->spec,
        or_empty(row->name), or_empty(row->estimate), or_empty(row->error));
    json_free(progress);
    reply->etag = etag_of(request->arena, text, strlen(text));
    return OK;
}

enum status jobs_show(struct app *app, const struct request *request, struct reply *reply,
                      struct err *err)
{
    struct job_row row;
    enum status status =
        job_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (!status)
        status = tag_job(app, request, reply, &row, err);
    if (!status)
        status = reply_job(app, request, reply, 200, &row, err);
    return status;
}

enum status jobs_remove(struct app *app, const struct request *request, struct reply *reply,
                        struct err *err)
{
    enum status status = job_delete(app->store, request_param(request, "id"), err);
    if (!status)
        reply_empty(reply, 204);
    return status;
}

static enum status ask(struct app *app, const struct request *request, enum job_action action,
                       struct reply *reply, struct err *err)
{
    struct job_row row;
    bool accepted;
    enum status status = job_ask(app->store, request_param(request, "id"), action, request->arena,
                                 &row, &accepted, err);
    if (status)
        return status;
    app->ports.wake(app->ports.supervisor);
    return reply_job(app, request, reply, accepted ? 202 : 200, &row, err);
}

enum status jobs_cancel(struct app *app, const struct request *request, struct reply *reply,
                        struct err *err)
{
    return ask(app, request, JOB_ASK_CANCEL, reply, err);
}

enum status jobs_pause(struct app *app, const struct request *request, struct reply *reply,
                       struct err *err)
{
    return ask(app, request, JOB_ASK_PAUSE, reply, err);
}

/* A job whose files are gone stays paused, with all it has, until they are back. */
static enum status check_files(struct app *app, const struct job_row *job, struct arena *arena,
                               struct err *err)
{
    struct dataset_row dataset;
    if (dataset_get(app->store, job->dataset, arena, &dataset, err) != OK)
        return OK; /* the queue says so */
    const struct {
        const char *sha256, *what;
    } files[] = {{dataset.pack, "its dataset's pictures"},
                 {dataset.index, "its dataset's index"},
                 {job->weights, "the weights it started from"}};
    enum status status = OK;
    for (size_t i = 0; i < ARRAY_LEN(files) && !status; i++)
        if (files[i].sha256)
            status = blob_check(app->store, files[i].sha256, files[i].what, err);
    if (!status)
        return OK;
    err->status = E_CONFLICT;
    err_prefix(err, "The job %s cannot go on and stays paused: ", job->id);
    err_name(err, "file_missing", NULL);
    return E_CONFLICT;
}

enum status jobs_resume(struct app *app, const struct request *request, struct reply *reply,
                        struct err *err)
{
    struct job_row job;
    enum status status =
        job_get(app->store, request_param(request, "id"), request->arena, &job, err);
    if (!status && job.status == JOB_PAUSED)
        status = check_files(app, &job, request->arena, err);
    if (status)
        return status;
    return ask(app, request, JOB_ASK_RESUME, reply, err);
}

enum status jobs_checkpoints(struct app *app, const struct request *request, struct reply *reply,
                             struct err *err)
{
    struct job_row row;
    struct checkpoint_list list;
    enum status status =
        job_get(app->store, request_param(request, "id"), request->arena, &row, err);
    if (!status)
        status = checkpoints_list(app->store, row.id, request->arena, &list, err);
    if (status)
        return status;
    struct json *data = json_new_array();
    for (size_t i = 0; i < list.n; i++)
        json_add(data, render_checkpoint(&list.rows[i]));
    reply_json(reply, request, 200, render_list(data, false, "id"));
    return OK;
}
