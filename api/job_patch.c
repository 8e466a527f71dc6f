/* job_patch.c -- what of a job can still be changed: its name, metadata and priority, and the
 * stages that have not begun, as one does after looking at a curve or at a stage's result. */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "api/job_reply.h"
#include "api/spec/jobspec.h"
#include "base/nearest.h"

static const char *const changeable[] = {"stages", "name", "metadata", "priority"};

static enum status check_fields(const struct json *body, struct err *err)
{
    if (json_len(body) == 0)
        return err_set(err, E_INVALID,
                       "There is nothing to change: give stages, name, metadata or priority.");
    json_each(member, body)
    {
        const char *key = json_key(member);
        struct nearest nearest = {.word = key};
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(changeable); i++) {
            known |= !strcmp(key, changeable[i]);
            nearest_offer(&nearest, changeable[i]);
        }
        if (!known)
            return err_set(err, E_SYNTAX,
                           "\"%.60s\" cannot be changed%s%s%s: stages that have not begun, name, "
                           "metadata and priority can.",
                           key, nearest.best ? ", did you mean \"" : "",
                           nearest.best ? nearest.best : "", nearest.best ? "\"?" : "");
    }
    return OK;
}

static enum status check_state(const struct job_row *job, struct err *err)
{
    if (job->status == JOB_QUEUED || job->status == JOB_PAUSED)
        return OK;
    if (job_status_is_terminal(job->status))
        return err_set(err, E_CONFLICT, "The job %s has ended (%s) and cannot be changed.", job->id,
                       job_status_name(job->status));
    return err_set(err, E_CONFLICT, "The job %s is %s: pause it first, change it, then resume it.",
                   job->id, job_status_name(job->status));
}

/* How many stages have begun; those have to stay as they are. */
static size_t count_begun(const struct job_row *job)
{
    struct json *progress = NULL;
    struct err ignored;
    if (job->progress)
        json_parse(job->progress, strlen(job->progress), &progress, &ignored);
    int64_t stage = json_integer(progress, "stage_index", -1);
    json_free(progress);
    return stage < 0 ? 0 : (size_t)stage + 1;
}

static enum status check_begun(const struct json *before, const struct json *after, size_t n_begun,
                               struct err *err)
{
    const struct json *old = json_get(before, "stages"), *new = json_get(after, "stages");
    for (size_t i = 0; i < n_begun; i++) {
        char pointer[40];
        snprintf(pointer, sizeof pointer, "/stages/%zu", i);
        if (!json_equal(json_at(old, i), json_at(new, i)))
            return err_at(err, E_CONFLICT, pointer,
                          "The stage \"%.80s\" has begun and cannot be changed any more: leave it "
                          "as GET shows it, in its place.",
                          json_string(json_at(old, i), "name", ""));
    }
    return OK;
}

static bool has_texts_of(const struct json *stages, const struct json *stage)
{
    json_each(other, stages)
    {
        if (json_equal(json_get(other, "phase"), json_get(stage, "phase")) &&
            json_equal(json_get(other, "sample"), json_get(stage, "sample")))
            return true;
    }
    return false;
}

/* Every phase and sample of `stages` is one of `others`. */
static bool has_no_other_texts(const struct json *stages, const struct json *others)
{
    json_each(stage, stages)
    {
        if (!has_texts_of(others, stage))
            return false;
    }
    return true;
}

/* The vocabulary comes from the texts of all stages: once the first has begun, it has to stay. */
static enum status check_texts(const struct json *before, const struct json *after, size_t n_begun,
                               struct err *err)
{
    const struct json *old = json_get(before, "stages"), *new = json_get(after, "stages");
    if (n_begun == 0 || !jobspec_is_text(after) ||
        (has_no_other_texts(new, old) && has_no_other_texts(old, new)))
        return OK;
    return err_at(err, E_CONFLICT, "/stages",
                  "The job's vocabulary comes from the texts that its stages train on, and the "
                  "first has begun: leave every stage's phase and sample as they are, or submit a "
                  "new job.");
}

/* The spec with the changes in it, resolved once more. Both are owned by the caller. */
static enum status change_spec(const struct job_row *job, const struct json *body,
                               struct json **before, struct json **after, struct err *err)
{
    enum status status = json_parse(job->spec, strlen(job->spec), before, err);
    if (status)
        return status;
    struct json *changed = json_copy(*before);
    json_each(member, body) json_set(changed, json_key(member), json_copy(member));
    status = jobspec_resolve(changed, after, err);
    json_free(changed);
    if (!status)
        status = check_begun(*before, *after, count_begun(job), err);
    return status ? status : check_texts(*before, *after, count_begun(job), err);
}

static const char *keep_text(struct arena *arena, const struct json *value)
{
    char *text = json_text(value);
    const char *kept = arena_strdup(arena, text);
    mem_free(text);
    return kept;
}

/* "A client changed stages, name." */
static const char *describe(struct arena *arena, const struct json *body)
{
    const char *text = "A client changed";
    const char *comma = " ";
    json_each(member, body)
    {
        text = arena_printf(arena, "%s%s%s", text, comma, json_key(member));
        comma = ", ";
    }
    return arena_printf(arena, "%s.", text);
}

enum status jobs_patch(struct app *app, const struct request *request, struct reply *reply,
                       struct err *err)
{
    struct job_row job = {0};
    struct json *before = NULL, *after = NULL;
    struct arena *arena = request->arena;
    enum status status = check_fields(request->json, err);
    if (!status)
        status = job_get(app->store, request_param(request, "id"), arena, &job, err);
    if (!status)
        status = check_state(&job, err);
    if (!status)
        status = change_spec(&job, request->json, &before, &after, err);
    if (!status) {
        struct job_row changed = job;
        const struct json *metadata = json_get(after, "metadata");
        changed.spec = keep_text(arena, after);
        changed.name = arena_strdup(arena, json_string(after, "name", NULL));
        changed.metadata = metadata ? keep_text(arena, metadata) : "{}";
        changed.priority = json_integer(after, "priority", 0);
        status = job_revise(app->store, &job, &changed, describe(arena, request->json), err);
    }
    json_free(before);
    json_free(after);
    if (!status)
        status = job_get(app->store, job.id, arena, &job, err);
    if (status)
        return status;
    app->ports.wake(app->ports.supervisor);
    return reply_job(app, request, reply, 200, &job, err);
}
