#include "api/job_reply.h"

#include "api/render.h"

enum status job_document(struct app *app, const struct job_row *row, struct arena *arena,
                         struct json **job, struct err *err)
{
    int64_t position = -1;
    const char **children = NULL;
    size_t n = 0;
    enum status status =
        row->status == JOB_QUEUED ? job_queue_position(app->store, row->id, &position, err) : OK;
    if (!status)
        status = job_children(app->store, row->id, arena, &children, &n, err);
    if (status)
        return status;
    *job = render_job(row, position);
    struct json *list = json_set_array(*job, "children");
    for (size_t i = 0; i < n; i++)
        json_add_string(list, children[i]);
    return OK;
}

enum status reply_job(struct app *app, const struct request *request, struct reply *reply, int http,
                      const struct job_row *row, struct err *err)
{
    struct json *job;
    enum status status = job_document(app, row, request->arena, &job, err);
    if (!status)
        reply_json(reply, request, http, job);
    return status;
}
