/* events.c -- what happened, as a list or as a stream of server-sent events. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "api/handlers.h"
#include "api/list.h"
#include "api/render.h"

/* Where the client wants to go on: Last-Event-ID (what EventSource sends by itself) before ?after=.
 * A Last-Event-ID beyond the last event is of another server's life: then everything is news. */
static enum status read_after(struct app *app, const struct request *request, int64_t *after,
                              struct err *err)
{
    int64_t last;
    enum status status = request_integer(request, "after", 0, JSON_MAX_INTEGER, 0, after, err);
    const char *id = request->last_event_id;
    if (status || !id)
        return status;
    char *end;
    errno = 0;
    *after = isdigit((unsigned char)*id) ? strtoll(id, &end, 10) : -1;
    if (*after < 0 || *end || errno)
        return err_set(err, E_SYNTAX,
                       "Last-Event-ID is \"%.40s\"; it takes the id of the last event that was "
                       "read, a number, or is left out to read all.",
                       id);
    status = events_last_seq(app->store, &last, err);
    if (!status && *after > last)
        *after = 0;
    return status;
}

static enum status list_events(struct app *app, const struct request *request, const char *job,
                               struct reply *reply, struct err *err)
{
    int64_t after, limit, last;
    struct event_list list;
    enum status status = request_integer(request, "after", 0, JSON_MAX_INTEGER, 0, &after, err);
    if (!status)
        status =
            request_integer(request, "limit", 1, LIST_LIMIT_MAX, LIST_LIMIT_DEFAULT, &limit, err);
    if (status)
        return status;
    struct event_filter filter = {.job = job, .after = after, .limit = (int)limit};
    status = events_list(app->store, &filter, request->arena, &list, err);
    if (!status)
        status = events_last_seq(app->store, &last, err);
    if (status)
        return status;
    struct json *data = json_new_array();
    for (size_t i = 0; i < list.n; i++)
        json_add(data, render_event(&list.rows[i]));
    struct json *body = render_list(data, list.has_more, "seq");
    json_set_integer(body, "last_seq", last); /* of everything: where a stream of news begins */
    reply_json(reply, request, 200, body);
    return OK;
}

/* Whether the client has seen the job's last event: `done`. */
static enum status has_seen_all(struct app *app, const struct request *request, const char *job,
                                int64_t after, bool *seen, struct err *err)
{
    struct event_filter filter = {.job = job, .type = "done", .limit = 1};
    struct event_list list;
    enum status status = events_list(app->store, &filter, request->arena, &list, err);
    *seen = !status && list.n > 0 && list.rows[0].seq <= after;
    return status;
}

static enum status stream_events(struct app *app, const struct request *request, const char *job,
                                 struct reply *reply, struct err *err)
{
    int64_t after;
    bool seen = false;
    enum status status = read_after(app, request, &after, err);
    if (!status && job)
        status = has_seen_all(app, request, job, after, &seen, err);
    if (status)
        return status;
    if (seen)
        reply_empty(reply, 204); /* tells EventSource not to come back */
    else
        reply_stream(reply, job, after);
    reply_header(reply, request, "Cache-Control", "no-store");
    reply_header(reply, request, "X-Accel-Buffering", "no");
    return OK;
}

static enum status events_of(struct app *app, const struct request *request, const char *job,
                             struct reply *reply, struct err *err)
{
    if (request_accepts(request, "text/event-stream"))
        return stream_events(app, request, job, reply, err);
    return list_events(app, request, job, reply, err);
}

enum status jobs_events(struct app *app, const struct request *request, struct reply *reply,
                        struct err *err)
{
    struct job_row row;
    enum status status =
        job_get(app->store, request_param(request, "id"), request->arena, &row, err);
    return status ? status : events_of(app, request, row.id, reply, err);
}

enum status all_events(struct app *app, const struct request *request, struct reply *reply,
                       struct err *err)
{
    return events_of(app, request, NULL, reply, err);
}
