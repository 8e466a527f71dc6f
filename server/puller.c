#include "server/puller.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/work.h"
#include "store/pulls.h"

#define ROW_SECONDS       0.5 /* between two writes of a row's progress */
#define ROW_RETRY_SECONDS 2
#define TELL_SHARES       20 /* events of one download, at most */

struct puller {
    struct pull pull;
    char *base_url; /* owned */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t rung_or_closed, entered;
    bool rung, closed, is_inside; /* under lock; is_inside: `import` is being called */

    /* The thread's own: of the model at hand. */
    const char *model;
    bool unwanted; /* it was cancelled */
    uint64_t done, total;
    double row_at;
    uint64_t shares; /* told as events */
};

static bool is_closed(struct puller *puller)
{
    pthread_mutex_lock(&puller->lock);
    bool closed = puller->closed;
    pthread_mutex_unlock(&puller->lock);
    return closed;
}

/* --- What pull_model asks of us ----------------------------------------------------------------
 */

/* Writes how far it is into its row, and sees whether it is still wanted. */
static void note(struct puller *puller)
{
    struct err ignored; /* progress is nobody's promise */
    bool wanted = true;
    uint64_t shares = puller->total > 0 ? puller->done * TELL_SHARES / puller->total : 0;
    pull_progress(puller->pull.store, puller->model, (int64_t)puller->done, (int64_t)puller->total,
                  shares > puller->shares, &wanted, &ignored);
    puller->unwanted = !wanted;
    puller->shares = shares > puller->shares ? shares : puller->shares;
    puller->row_at = clock_seconds() + ROW_SECONDS;
}

static bool told(void *context, uint64_t done, uint64_t total)
{
    struct puller *puller = context;
    puller->done = done;
    puller->total = total > 0 ? total : puller->total;
    if (clock_seconds() >= puller->row_at)
        note(puller);
    return !puller->unwanted && !is_closed(puller);
}

static void fetched(void *context, const char *file, const char *sha256)
{
    const struct puller *puller = context;
    log_event(LOG_INFO, "pull", "fetched", "model=%s file=%s sha256=%s", puller->model, file,
              sha256);
}

/* Whether it was rung before `until`; the ring is taken. */
static bool rest(struct puller *puller, const struct timespec *until)
{
    bool over = false;
    pthread_mutex_lock(&puller->lock);
    while (!puller->rung && !puller->closed && !over)
        over = pthread_cond_timedwait(&puller->rung_or_closed, &puller->lock, until) == ETIMEDOUT;
    bool rung = puller->rung && !puller->closed;
    puller->rung = false;
    pthread_mutex_unlock(&puller->lock);
    return rung;
}

/* A ring may be about this model, which is cancelled, or about another, which comes in its turn. */
static bool pause_before(void *context, double seconds, const struct err *err)
{
    struct puller *puller = context;
    struct timespec until;
    char quoted[1024];
    log_event(LOG_WARN, "pull", "tries again", "model=%s seconds=%.0f error=%s", puller->model,
              seconds, log_quote(quoted, sizeof quoted, err->detail));
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)seconds;
    do
        note(puller);
    while (!puller->unwanted && rest(puller, &until));
    puller_ring(puller); /* what was rung for meanwhile may be another model */
    return !puller->unwanted && !is_closed(puller);
}

static bool enter(void *context)
{
    struct puller *puller = context;
    pthread_mutex_lock(&puller->lock);
    puller->is_inside = !puller->closed;
    bool may = puller->is_inside;
    pthread_mutex_unlock(&puller->lock);
    return may;
}

static void leave(void *context)
{
    struct puller *puller = context;
    pthread_mutex_lock(&puller->lock);
    puller->is_inside = false;
    pthread_cond_signal(&puller->entered);
    pthread_mutex_unlock(&puller->lock);
}

/* --- The thread --------------------------------------------------------------------------------
 */

/* The row says so, and is written again and again while that fails (a full disk). */
static void fail(struct puller *puller, const char *id, const struct err *err)
{
    char quoted[1024];
    struct err unwritten = {0};
    char *error = work_error_json(err);
    log_event(LOG_WARN, "pull", "failed", "model=%s error=%s", id,
              log_quote(quoted, sizeof quoted, err->detail));
    while (pull_fail(puller->pull.store, id, error, &unwritten) != OK &&
           pause_before(puller, ROW_RETRY_SECONDS, &unwritten))
        unwritten = (struct err){0};
    mem_free(error);
}

static void pull_one(struct puller *puller, const char *id)
{
    struct err err = {0};
    const struct base_model *base = base_model_find(id + strlen("mdl_"));
    enum status status = OK;
    puller->model = id;
    puller->unwanted = false;
    puller->done = 0;
    puller->total = base ? (uint64_t)pull_expected_bytes(base) : 0;
    puller->row_at = 0;
    puller->shares = 0;
    log_event(LOG_INFO, "pull", "begins", "model=%s", id);
    if (base && base->file)
        status = pull_model(&puller->pull, base, &err);
    else
        status = err_set(&err, E_INVALID, "There is no published file of %s.", id);
    if (status == OK)
        log_event(LOG_INFO, "pull", "done", "model=%s", id);
    else if (puller->unwanted)
        log_event(LOG_INFO, "pull", "cancelled", "model=%s", id);
    else if (!is_closed(puller)) /* else the next start goes on with it */
        fail(puller, id, &err);
}

static bool wait_for_ring(struct puller *puller)
{
    pthread_mutex_lock(&puller->lock);
    while (!puller->rung && !puller->closed)
        pthread_cond_wait(&puller->rung_or_closed, &puller->lock);
    puller->rung = false;
    bool goes_on = !puller->closed;
    pthread_mutex_unlock(&puller->lock);
    return goes_on;
}

static void *run(void *argument)
{
    struct puller *puller = argument;
    while (wait_for_ring(puller)) {
        struct arena arena;
        struct err ignored; /* a ring, or the next start, looks again */
        const char **ids = NULL;
        size_t n = 0;
        arena_init(&arena);
        if (pulls_list(puller->pull.store, &arena, &ids, &n, &ignored) != OK)
            n = 0;
        for (size_t i = 0; i < n && !is_closed(puller); i++)
            pull_one(puller, ids[i]);
        arena_deinit(&arena);
    }
    return NULL;
}

/* --- From outside ------------------------------------------------------------------------------
 */

void puller_ring(void *context)
{
    struct puller *puller = context;
    pthread_mutex_lock(&puller->lock);
    puller->rung = true;
    pthread_cond_broadcast(&puller->rung_or_closed);
    pthread_mutex_unlock(&puller->lock);
}

static void puller_free(struct puller *puller)
{
    pthread_mutex_destroy(&puller->lock);
    pthread_cond_destroy(&puller->rung_or_closed);
    pthread_cond_destroy(&puller->entered);
    mem_free(puller->base_url);
    mem_free(puller);
}

/* Signals are main's. */
static int start_thread(struct puller *puller)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&puller->thread, NULL, run, puller);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

enum status puller_start(const struct pull *pull, struct puller **out, struct err *err)
{
    struct puller *puller = mem_alloc(sizeof *puller);
    puller->base_url = mem_strdup(pull->base_url);
    puller->pull = *pull;
    puller->pull.base_url = puller->base_url;
    puller->pull.context = puller;
    puller->pull.told = told;
    puller->pull.fetched = fetched;
    puller->pull.pause = pause_before;
    puller->pull.enter = enter;
    puller->pull.leave = leave;
    pthread_mutex_init(&puller->lock, NULL);
    pthread_cond_init(&puller->rung_or_closed, NULL);
    pthread_cond_init(&puller->entered, NULL);
    puller->rung = true; /* what an earlier process left */
    int failed = start_thread(puller);
    if (failed) {
        puller_free(puller);
        return err_set(err, E_IO, "The thread that pulls models cannot be started: %s.",
                       strerror(failed));
    }
    *out = puller;
    return OK;
}

void puller_close(struct puller *puller)
{
    if (!puller)
        return;
    pthread_mutex_lock(&puller->lock);
    puller->closed = true;
    pthread_cond_broadcast(&puller->rung_or_closed);
    while (puller->is_inside)
        pthread_cond_wait(&puller->entered, &puller->lock);
    pthread_mutex_unlock(&puller->lock);
}

void puller_stop(struct puller *puller)
{
    if (!puller)
        return;
    puller_close(puller);
    pthread_join(puller->thread, NULL);
    puller_free(puller);
}
