#include "server/work.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/blobs.h"

enum status work_launch(struct work *work, const char *log, const struct json *document,
                        struct err *err)
{
    struct supervisor *supervisor = work->supervisor;
    struct child_options options = {
        .engine = supervisor->engine,
        .verb = work->kind->verb,
        .sandbox = supervisor->sandbox,
        .log = log,
        .nice = work->kind->nice,
    };
    work->phase = WORK_ENGINE;
    work->leaving = false;
    work->kill_at = 0;
    work->started_at = clock_seconds();
    enum status status = child_start(&options, document, &work->child, err);
    if (status == OK)
        log_event(LOG_INFO, "supervisor", "engine started", "verb=%s id=%s pid=%d",
                  work->kind->verb, work->id, child_pid(work->child));
    return status;
}

void work_add(struct supervisor *supervisor, struct work *work)
{
    supervisor->works[supervisor->n_works++] = work;
}

struct work *work_find(struct supervisor *supervisor, const struct work_kind *kind, const char *id)
{
    for (size_t i = 0; i < supervisor->n_works; i++)
        if (supervisor->works[i]->kind == kind && !strcmp(supervisor->works[i]->id, id))
            return supervisor->works[i];
    return NULL;
}

size_t work_count(const struct supervisor *supervisor, const struct work_kind *kind)
{
    size_t n = 0;
    for (size_t i = 0; i < supervisor->n_works; i++)
        n += supervisor->works[i]->kind == kind;
    return n;
}

void work_free(struct work *work)
{
    child_free(work->child);
    json_free(work->result);
    work->kind->free(work);
}

void work_send(struct work *work, const char *type)
{
    struct err err;
    struct json *header = json_new_object();
    json_set_string(header, "type", type);
    if (work->child && child_send(work->child, header, NULL, 0, &err) != OK)
        child_kill(work->child); /* it has not read for a long time */
    json_free(header);
}

void work_deadline(struct work *work, double at)
{
    if (work->kill_at == 0 || at < work->kill_at)
        work->kill_at = at;
}

static void violated(struct work *work, const struct err *err)
{
    char detail[800];
    log_event(LOG_WARN, "supervisor", "engine killed", "verb=%s id=%s reason=%s", work->kind->verb,
              work->id, log_quote(detail, sizeof detail, err->detail));
    work->failure = *err;
    work->violated = true;
    child_kill(work->child);
}

void work_violation(struct work *work, const char *what)
{
    struct err err = {0};
    err_set(&err, E_INVALID, "The engine broke the protocol: %s", what);
    err_name(&err, "engine_protocol", NULL);
    violated(work, &err);
}

/* The engine's own words about its failure: bounded and checked by the wire's table. */
static void keep_error(struct work *work, const struct json *header)
{
    struct err *err = &work->failure;
    if (err->status)
        return;
    *err = (struct err){0};
    enum status status = status_from_name(json_string(header, "status", ""));
    const char *code = json_string(header, "code", "");
    err_at(err, status == OK ? E_INTERNAL : status, json_string(header, "pointer", ""), "%s",
           json_string(header, "detail", ""));
    err_name(err, *code ? code : status_name(err->status), json_string(header, "hint", ""));
}

static void take_frame(struct work *work, const struct json *header)
{
    const char *type = json_string(header, "type", "");
    if (!strcmp(type, "error")) {
        keep_error(work, header);
    } else if (!strcmp(type, "result")) {
        json_free(work->result);
        work->result = json_copy(header);
    } else {
        work->kind->on_frame(work, header);
    }
}

static void take_frames(struct work *work)
{
    while (!work->violated) {
        struct frame frame;
        struct err err = {0};
        if (child_next(work->child, &frame, &err) != OK) {
            violated(work, &err);
            return;
        }
        if (!frame.header)
            return;
        take_frame(work, frame.header);
        frame_deinit(&frame);
    }
}

static void turn_engine(struct work *work, const struct pollfd fds[CHILD_POLL_FDS], double now)
{
    char how[80], quoted[120];
    child_io(work->child, fds);
    take_frames(work);
    work->kind->on_tick(work, now);
    if (work->kill_at != 0 && now >= work->kill_at)
        child_kill(work->child);
    if (!child_ended(work->child))
        return;
    if (!work->leaving) {
        work->leaving = true;
        work_deadline(work, now + GOODBYE_SECONDS);
    }
    if (!child_reap(work->child, &work->ended))
        return;
    log_event(LOG_INFO, "supervisor", "engine ended", "verb=%s id=%s how=%s", work->kind->verb,
              work->id, log_quote(quoted, sizeof quoted, work_exit_text(&work->ended, how)));
    child_free(work->child);
    work->child = NULL;
    work->phase = work->kind->on_exit(work);
}

static void turn_settle(struct work *work, double now)
{
    char detail[800];
    struct err err = {0};
    if (now < work->settle_at)
        return;
    if (work->kind->settle(work, &err) == OK) {
        if (work->phase == WORK_SETTLE)
            work->phase = WORK_OVER;
        return;
    }
    work->settle_at = now + RETRY_SECONDS;
    log_event(LOG_ERROR, "supervisor", "an outcome cannot be written yet", "id=%s detail=%s",
              work->id, log_quote(detail, sizeof detail, err.detail));
}

void work_turn(struct work *work, const struct pollfd fds[CHILD_POLL_FDS], double now)
{
    if (work->phase == WORK_ENGINE)
        turn_engine(work, fds, now);
    if (work->phase == WORK_FILES && work->kind->files_are_done(work))
        work->phase = WORK_SETTLE;
    if (work->phase == WORK_SETTLE)
        turn_settle(work, now);
}

static enum status blob_of_job(struct store *store, const char *key, const char *sha256,
                               char path[PATH_MAX], struct err *err)
{
    char what[40];
    snprintf(what, sizeof what, "the job's %s", key);
    enum status status = blob_check(store, sha256, what, err);
    return status ? status : blob_path(store, sha256, path, PATH_MAX, err);
}

enum status work_set_blob(struct store *store, struct json *document, const char *key,
                          const char *sha256, struct err *err)
{
    char path[PATH_MAX];
    enum status status = sha256 ? blob_of_job(store, key, sha256, path, err) : OK;
    json_set_string(document, key, sha256 && !status ? path : NULL);
    return status;
}

enum status work_set_blobs(struct store *store, struct json *document, const char *key,
                           const char *list, struct err *err)
{
    struct json *blobs = NULL;
    enum status status = list ? json_parse(list, strlen(list), &blobs, err) : OK;
    if (!list)
        return OK;
    struct json *paths = json_set_array(document, key);
    for (size_t i = 0; !status && i < json_len(blobs); i++) {
        char path[PATH_MAX];
        status = blob_of_job(store, key, json_as_string(json_at(blobs, i), ""), path, err);
        if (!status)
            json_add_string(paths, path);
    }
    json_free(blobs);
    return status;
}

char *work_error_json(const struct err *err)
{
    struct json *error = json_new_object();
    json_set_string(error, "code", err->code[0] ? err->code : status_name(err->status));
    json_set_string(error, "detail", err->detail);
    json_set_string(error, "hint", err->hint[0] ? err->hint : NULL);
    char *text = json_text(error);
    json_free(error);
    return text;
}

const char *work_exit_text(const struct child_exit *ended, char text[80])
{
    if (ended->signal)
        snprintf(text, 80, "by signal %d (%s)", ended->signal, strsignal(ended->signal));
    else
        snprintf(text, 80, "with exit code %d", ended->code);
    return text;
}
