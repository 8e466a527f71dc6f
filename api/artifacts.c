/* artifacts.c -- what a job's run left behind: its report and parts of it, its predictions, the
 * finder's curve, the schedule, the engine's log. Kept as long as the job. */
#include <string.h>
#include <unistd.h>

#include "api/handlers.h"
#include "api/list.h"
#include "api/render.h"
#include "api/schedule.h"
#include "base/fs.h"
#include "store/blobs.h"

#define MAX_JSON     (64u << 20)
#define MAX_LOG      (16u << 20)
#define MAX_POINTS   2000
#define MAX_LOSSES   100
#define SHOWN_LOSSES 9

/* When each artifact comes, for those who ask too early. */
static const struct kind {
    const char *name, *what, *when;
} kinds[] = {
    {"report.json", "report", "it is made when the last stage has ended"},
    {"predictions.csv", "predictions", "they are written when the last stage has ended"},
    {"predictions.ndjson", "predictions", "they are written when the last stage has ended"},
    {"lr_find.json", "learning-rate curve",
     "it comes from the task lr_find, or from a stage whose lr is \"auto\""},
    {"schedule.json", "schedule", "it is there once the dataset is ready and the job was planned"},
};

static const struct kind *find_kind(const char *name)
{
    size_t i = 0;
    while (strcmp(kinds[i].name, name) != 0)
        i++;
    return &kinds[i];
}

static enum status not_there(const struct job_row *job, const char *name, struct err *err)
{
    const struct kind *kind = find_kind(name);
    if (job_status_is_terminal(job->status))
        return err_set(err, E_NOT_FOUND, "The job %s (%s) left no %s: %s.", job->id,
                       job_status_name(job->status), kind->what, kind->when);
    return err_set(err, E_NOT_FOUND, "The job %s has no %s yet: %s.", job->id, kind->what,
                   kind->when);
}

static enum status find(struct app *app, const struct request *request, const char *name,
                        struct job_row *job, struct artifact_row *row, struct err *err)
{
    enum status status =
        job_get(app->store, request_param(request, "id"), request->arena, job, err);
    if (status)
        return status;
    status = artifact_get(app->store, job->id, name, request->arena, row, err);
    return status == E_NOT_FOUND ? not_there(job, name, err) : status;
}

/* --- As files --------------------------------------------------------------------------------- */

static enum status reply_artifact(struct app *app, const struct request *request, const char *name,
                                  const char *type, const char *download, struct reply *reply,
                                  struct err *err)
{
    struct job_row job;
    struct artifact_row row;
    int fd;
    enum status status = find(app, request, name, &job, &row, err);
    if (!status)
        status = blob_open(app->store, row.sha256, &fd, err);
    if (status)
        return status;
    reply_file(reply, request, fd, (uint64_t)row.bytes, type, download);
    reply->etag = arena_printf(request->arena, "\"%s\"", row.sha256);
    return OK;
}

enum status jobs_report(struct app *app, const struct request *request, struct reply *reply,
                        struct err *err)
{
    return reply_artifact(app, request, "report.json", "application/json", NULL, reply, err);
}

enum status jobs_lr_find(struct app *app, const struct request *request, struct reply *reply,
                         struct err *err)
{
    return reply_artifact(app, request, "lr_find.json", "application/json", NULL, reply, err);
}

/* ?format= counts more than Accept; without both it is CSV. */
enum status jobs_predictions(struct app *app, const struct request *request, struct reply *reply,
                             struct err *err)
{
    const char *format = request_value(request, "format");
    const char *id = request_param(request, "id");
    if (!format)
        format = request_accepts(request, "application/x-ndjson") ? "ndjson" : "csv";
    if (!strcmp(format, "ndjson"))
        return reply_artifact(app, request, "predictions.ndjson", "application/x-ndjson",
                              arena_printf(request->arena, "%s-predictions.ndjson", id), reply,
                              err);
    if (!strcmp(format, "csv"))
        return reply_artifact(app, request, "predictions.csv", "text/csv; charset=utf-8",
                              arena_printf(request->arena, "%s-predictions.csv", id), reply, err);
    return err_set(err, E_INVALID, "format is \"%.40s\"; it takes csv or ndjson.", format);
}

enum status jobs_log(struct app *app, const struct request *request, struct reply *reply,
                     struct err *err)
{
    struct job_row job;
    int fd;
    enum status status =
        job_get(app->store, request_param(request, "id"), request->arena, &job, err);
    if (status)
        return status;
    const char *folder = arena_printf(request->arena, "%s/jobs/%s", app->data, job.id);
    struct err absent = {0};
    if (fs_open_beneath(folder, "log", MAX_LOG, &fd, &absent) != OK)
        return err_set(err, E_NOT_FOUND,
                       "The job %s has no log: its engine has not started yet, or had nothing to "
                       "say.",
                       job.id);
    off_t bytes = lseek(fd, 0, SEEK_END);
    reply_file(reply, request, fd, bytes < 0 ? 0 : (uint64_t)bytes, "text/plain; charset=utf-8",
               NULL);
    return OK;
}

/* --- As JSON ---------------------------------------------------------------------------------- */

static enum status read_blob(struct app *app, const struct artifact_row *row, struct json **value,
                             struct err *err)
{
    int fd;
    void *text = NULL;
    if (row->bytes > MAX_JSON)
        return err_set(err, E_TOO_LARGE, "%s of the job %s is too large to be taken apart.",
                       row->name, row->job);
    enum status status = blob_open(app->store, row->sha256, &fd, err);
    if (status)
        return status;
    status = mem_try_alloc((size_t)row->bytes + 1, 1, "a report", &text, err);
    if (!status)
        status = fs_read_at(fd, text, (size_t)row->bytes, 0, err);
    if (!status)
        status = json_parse(text, (size_t)row->bytes, value, err);
    close(fd);
    mem_free(text);
    return status;
}

static enum status read_json(struct app *app, const struct request *request, const char *name,
                             struct job_row *job, struct json **value, struct err *err)
{
    struct artifact_row row;
    enum status status = find(app, request, name, job, &row, err);
    return status ? status : read_blob(app, &row, value, err);
}

static void copy_member(struct json *to, const struct json *from, const char *key)
{
    const struct json *value = json_get(from, key);
    if (value)
        json_set(to, key, json_copy(value));
    else
        json_set_null(to, key);
}

/* The report of a classifier: a language model's has no classes, and so none of these parts. */
static enum status read_report(struct app *app, const struct request *request, struct json **report,
                               struct err *err)
{
    struct job_row job;
    enum status status = read_json(app, request, "report.json", &job, report, err);
    if (status || json_get(*report, "classes"))
        return status;
    json_free(*report);
    return err_set(err, E_NOT_FOUND,
                   "The job %s trained a language model, which has no classes: GET "
                   "/v1/jobs/%s/report has what there is.",
                   job.id, job.id);
}

enum status jobs_confusion_matrix(struct app *app, const struct request *request,
                                  struct reply *reply, struct err *err)
{
    struct json *report = NULL;
    enum status status = read_report(app, request, &report, err);
    if (status)
        return status;
    struct json *body = json_new_object();
    copy_member(body, report, "n");
    copy_member(body, report, "classes");
    copy_member(body, report, "confusion_matrix");
    json_free(report);
    reply_document(reply, request, body);
    return OK;
}

/* The first `n` entries of one of the report's lists. */
static enum status reply_part(struct app *app, const struct request *request, const char *key,
                              int64_t n, struct reply *reply, struct err *err)
{
    struct json *report = NULL;
    enum status status = read_report(app, request, &report, err);
    if (status)
        return status;
    struct json *data = json_new_array();
    const struct json *entries = json_get(report, key);
    json_each(entry, entries)
    {
        if ((int64_t)json_len(data) == n)
            break;
        json_add(data, json_copy(entry));
    }
    bool more = json_len(entries) > json_len(data);
    json_free(report);
    reply_document(reply, request, render_list(data, more, "item"));
    return OK;
}

enum status jobs_most_confused(struct app *app, const struct request *request, struct reply *reply,
                               struct err *err)
{
    return reply_part(app, request, "most_confused", INT64_MAX, reply, err);
}

enum status jobs_top_losses(struct app *app, const struct request *request, struct reply *reply,
                            struct err *err)
{
    int64_t k;
    enum status status = request_integer(request, "k", 1, MAX_LOSSES, SHOWN_LOSSES, &k, err);
    return status ? status : reply_part(app, request, "top_losses", k, reply, err);
}

/* --- The schedule ----------------------------------------------------------------------------- */

/* `points` of the array's elements, first and last among them. */
static struct json *thin(const struct json *array, int64_t points)
{
    struct json *kept = json_new_array();
    int64_t n = (int64_t)json_len(array), i = 0, taken = 0;
    json_each(element, array)
    {
        /* Element number `taken` of the thinned array stands at taken * (n - 1) / (points - 1). */
        if (n <= points || i * (points - 1) >= taken * (n - 1)) {
            json_add(kept, json_copy(element));
            taken++;
        }
        i++;
    }
    return kept;
}

/* Arrays with a row a step; the rest of a stage has few elements. */
static bool is_by_step(const char *key)
{
    static const char *const rows[] = {"step", "learning_rates", "momentum"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!strcmp(rows[i], key))
            return true;
    return false;
}

static struct json *thin_stages(const struct json *stages, int64_t points)
{
    struct json *thinned = json_new_array();
    json_each(stage, stages)
    {
        struct json *copy = json_add_object(thinned);
        json_each(member, stage)
        {
            bool rows = is_by_step(json_key(member)) && json_type(member) == JSON_ARRAY;
            json_set(copy, json_key(member), rows ? thin(member, points) : json_copy(member));
        }
    }
    return thinned;
}

struct json *schedule_body(const struct json *spec, const struct json *stages,
                           const struct json *estimate, int64_t points)
{
    struct json *body = json_new_object();
    json_set(body, "spec", json_copy(spec));
    json_set(body, "stages", thin_stages(stages, points));
    if (estimate)
        json_set(body, "estimate", json_copy(estimate));
    else
        json_set_null(body, "estimate");
    return body;
}

enum status schedule_points(const struct request *request, int64_t *points, struct err *err)
{
    return request_integer(request, "points", 2, MAX_POINTS, MAX_POINTS, points, err);
}

enum status jobs_schedule(struct app *app, const struct request *request, struct reply *reply,
                          struct err *err)
{
    struct job_row job;
    struct json *schedule = NULL;
    int64_t points;
    enum status status = schedule_points(request, &points, err);
    if (!status)
        status = read_json(app, request, "schedule.json", &job, &schedule, err);
    if (status)
        return status;
    struct json *shown = render_job(&job, -1);
    struct json *body = schedule_body(json_get(shown, "spec"), json_get(schedule, "stages"),
                                      json_get(shown, "estimate"), points);
    json_free(shown);
    json_free(schedule);
    reply_document(reply, request, body);
    return OK;
}
