/* job_new.c -- jobs on their way into the queue: submitted, repeated, promoted; and dry runs.
 *
 * Where the dataset is ready the engine plans the job first: what cannot run is refused before it
 * is queued, what does not fit says so, and the reply has the estimate. The reply comes on the
 * thread that has the plan. Where it is still processing the job waits in the queue unplanned. */
#include <string.h>

#include "api/handlers.h"
#include "api/job_reply.h"
#include "api/schedule.h"
#include "api/submit.h"
#include "base/nearest.h"
#include "store/artifacts.h"

/* Lives until the reply is complete; in the request's arena. */
struct entry {
    struct app *app;
    const struct request *request;
    struct reply *reply;
    struct submission submission;
    bool dry;
    int64_t points; /* of a dry run's schedule */
};

/* --- With the plan ---------------------------------------------------------------------------- */

static enum status enter(struct entry *entry, const struct plan *plan, struct err *err)
{
    struct app *app = entry->app;
    const struct request *request = entry->request;
    struct job_row *row = &entry->submission.row;
    enum status status = job_insert(app->store, row, err);
    if (!status && plan) {
        char *estimate = json_text(plan->estimate);
        struct artifact_row schedule = {
            .job = row->id, .name = "schedule.json", .sha256 = plan->sha256, .bytes = plan->bytes};
        struct err ignored; /* it is planned once more before it starts */
        row->estimate = arena_strdup(request->arena, estimate);
        job_set_plan(app->store, row->id, row->estimate, &schedule, &ignored);
        mem_free(estimate);
    }
    if (status)
        return status;
    app->ports.wake(app->ports.supervisor);
    reply_header(entry->reply, request, "Location",
                 arena_printf(request->arena, "/v1/jobs/%s", row->id));
    return reply_job(app, request, entry->reply, 202, row, err);
}

static void show_plan(struct entry *entry, const struct plan *plan)
{
    struct json *body =
        schedule_body(entry->submission.spec, plan->stages, plan->estimate, entry->points);
    reply_json(entry->reply, entry->request, 200, body);
}

/* On the supervisor's thread. The request waits; nobody else touches it. */
static void planned(void *argument, enum status status, const struct plan *plan,
                    const struct err *why)
{
    struct entry *entry = argument;
    const struct request *request = entry->request;
    struct err err = {0};
    if (status == OK && entry->dry)
        show_plan(entry, plan);
    else if (!entry->dry && (status == OK || status == E_UNAVAILABLE || status == E_TOO_MANY))
        status = enter(entry, status ? NULL : plan, &err); /* unplanned now: before it starts */
    else
        err = *why;
    if (status)
        reply_problem(entry->reply, request->arena, &err, request->id, request->path);
    json_free(entry->submission.spec);
    request->resume(request->resume_arg);
}

/* Plans the submission, which is taken, and replies; now or later. */
static enum status submit(struct entry *entry, struct err *err)
{
    struct app *app = entry->app;
    const struct request *request = entry->request;
    struct submission *submission = &entry->submission;
    if (submission->dataset_ready && app->ports.plan) {
        struct plan_ask *ask = arena_alloc(request->arena, sizeof *ask);
        *ask = (struct plan_ask){
            .spec = submission->spec,
            .dataset = submission->row.dataset,
            .weights = submission->row.weights,
            .ensemble = submission->row.ensemble,
            .architecture = submission->row.architecture,
            .dry = entry->dry,
            .done = planned,
            .arg = entry,
        };
        app->ports.plan(app->ports.supervisor, ask);
        return OK;
    }
    json_free(submission->spec);
    if (entry->dry)
        return err_set(err, E_CONFLICT,
                       "The dataset %s is still processing: a dry run needs to know what is in it, "
                       "try again when it is ready.",
                       submission->row.dataset);
    enum status status = enter(entry, NULL, err);
    if (status == OK && request->resume)
        request->resume(request->resume_arg);
    return status;
}

static struct entry *entry_new(struct app *app, const struct request *request, struct reply *reply)
{
    struct entry *entry = arena_alloc(request->arena, sizeof *entry);
    *entry = (struct entry){.app = app, .request = request, .reply = reply};
    return entry;
}

/* --- Submitted, or repeated ------------------------------------------------------------------- */

static enum status read_dry_run(const struct request *request, bool *dry, struct err *err)
{
    const char *text = request_value(request, "dry_run");
    *dry = text && !strcmp(text, "true");
    if (!text || *dry || !strcmp(text, "false"))
        return OK;
    return err_set(err, E_INVALID, "dry_run is \"%.40s\"; it takes true or false.", text);
}

/* A job inside a body that is unknown is 422, not 404. */
static enum status get_job(struct app *app, const char *id, struct arena *arena,
                           struct job_row *row, struct err *err)
{
    enum status status = job_get(app->store, id, arena, row, err);
    if (status != E_NOT_FOUND)
        return status;
    return err_at(err, E_INVALID, "/rerun_of",
                  "There is no job \"%.80s\": GET /v1/jobs lists those there are.", id);
}

/* Only these may stand beside rerun_of: the rest is the other job's. */
static enum status check_rerun(const struct json *body, struct err *err)
{
    static const char *const allowed[] = {"rerun_of", "name", "metadata", "priority"};
    json_each(member, body)
    {
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
            known |= !strcmp(allowed[i], json_key(member));
        if (!known)
            return err_at(err, E_INVALID, "/rerun_of",
                          "\"%.60s\" cannot stand beside \"rerun_of\", which repeats a job as it "
                          "was: only name, metadata and priority can.",
                          json_key(member));
    }
    if (json_type(json_get(body, "rerun_of")) != JSON_STRING)
        return err_at(err, E_SYNTAX, "/rerun_of", "\"rerun_of\" is the id of a job.");
    return OK;
}

/* The spec of the job that is to be repeated, with what stands beside. Owned by the caller. */
static enum status rerun_spec(struct app *app, const struct request *request, struct json **spec,
                              struct err *err)
{
    struct job_row job;
    enum status status = check_rerun(request->json, err);
    if (!status)
        status =
            get_job(app, json_string(request->json, "rerun_of", ""), request->arena, &job, err);
    if (!status)
        status = json_parse(job.spec, strlen(job.spec), spec, err);
    if (status)
        return status;
    json_each(member, request->json) if (strcmp(json_key(member), "rerun_of") != 0)
        json_set(*spec, json_key(member), json_copy(member));
    return OK;
}

enum status jobs_post(struct app *app, const struct request *request, struct reply *reply,
                      struct err *err)
{
    struct entry *entry = entry_new(app, request, reply);
    struct json *repeated = NULL;
    bool again = json_get(request->json, "rerun_of");
    enum status status = read_dry_run(request, &entry->dry, err);
    if (!status)
        status = schedule_points(request, &entry->points, err);
    if (!status && again)
        status = rerun_spec(app, request, &repeated, err);
    if (!status)
        status = submit_prepare(app->store, repeated ? repeated : request->json, request->arena,
                                &entry->submission, err);
    json_free(repeated);
    if (status)
        return status;
    if (again)
        entry->submission.row.rerun_of = json_string(request->json, "rerun_of", NULL);
    return submit(entry, err);
}

/* --- Promoted --------------------------------------------------------------------------------- */

struct promotion {
    double fraction;
    bool fresh;
};

static enum status read_promotion(const struct json *body, struct promotion *promotion,
                                  struct err *err)
{
    *promotion = (struct promotion){.fraction = 1, .fresh = true};
    json_each(member, body)
    {
        const char *key = json_key(member);
        struct nearest nearest = {.word = key};
        bool number = !strcmp(key, "fraction"), flag = !strcmp(key, "fresh");
        nearest_offer(&nearest, "fraction");
        nearest_offer(&nearest, "fresh");
        if (!number && !flag)
            return err_set(err, E_SYNTAX,
                           "There is no field \"%.60s\" in a promotion%s%s%s; it takes fraction "
                           "and fresh.",
                           key, nearest.best ? ", did you mean \"" : "",
                           nearest.best ? nearest.best : "", nearest.best ? "\"" : "");
        if (json_type(member) != (number ? JSON_NUMBER : JSON_BOOL))
            return err_at(err, E_SYNTAX, number ? "/fraction" : "/fresh", "\"%s\" is %s.", key,
                          number ? "a number above 0, at most 1" : "true or false");
    }
    promotion->fraction = json_number(body, "fraction", 1);
    promotion->fresh = json_bool(body, "fresh", true);
    if (promotion->fraction > 0 && promotion->fraction <= 1)
        return OK;
    return err_at(err, E_INVALID, "/fraction", "\"fraction\" is %g: it is above 0 and at most 1.",
                  promotion->fraction);
}

static enum status check_promotable(const struct job_row *job, struct err *err)
{
    if (job->status == JOB_SUCCEEDED)
        return OK;
    return err_set(
        err, E_CONFLICT, "The job %s is %s: only a job that has succeeded can be promoted%s.",
        job->id, job_status_name(job->status),
        job_status_is_terminal(job->status) ? ", submit a new one instead" : ", wait for its end");
}

enum status jobs_promote(struct app *app, const struct request *request, struct reply *reply,
                         struct err *err)
{
    struct entry *entry = entry_new(app, request, reply);
    struct promotion promotion;
    struct job_row job;
    struct json *spec = NULL, *grown = NULL;
    const char *model = NULL; /* NULL: the job's own start */
    enum status status = read_promotion(request->json, &promotion, err);
    if (!status)
        status = job_get(app->store, request_param(request, "id"), request->arena, &job, err);
    if (!status)
        status = check_promotable(&job, err);
    if (!status)
        status = json_parse(job.spec, strlen(job.spec), &spec, err);
    if (!status && !promotion.fresh)
        status = submit_goes_on_from(app->store, &job, spec, request->arena, &model, err);
    if (!status) {
        grown = submit_promoted(spec, promotion.fraction, model);
        status = submit_prepare(app->store, grown, request->arena, &entry->submission, err);
    }
    json_free(spec);
    json_free(grown);
    if (status)
        return status;
    entry->submission.row.parent = job.id;
    return submit(entry, err);
}
