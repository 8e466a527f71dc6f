/* predictor.c -- the thread that owns resident engines and hands them images
 * and texts.
 *
 * An ask waits in `waiting` (oldest first) until an engine with its weights has room, is then in
 * that engine's `flight` until its answer comes, and is answered exactly once, on this thread and
 * with no lock held. After a crash the asks in flight are tried again one by one, so that the one
 * that kills engines fails alone. */
#include "server/predictor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/ask.h"
#include "server/child.h"

#define MOST_ENGINES 16
#define MAX_OPEN     2048 /* asks not yet answered: 256 texts for 8 models at least */
#define MAX_FLIGHT   64   /* asks given to one engine */
#define MAX_TRIES    2
#define NICE         5
#define BUSY_WAIT_MS 100
#define IDLE_WAIT_MS 1000

struct resident {
    char *weights; /* owned */
    struct child *child;
    struct asks flight;
    bool retiring;      /* takes no more: another model needs its place */
    double used_at;     /* last ask or answer */
    struct err failure; /* its own words, when it said why it ends */
};

struct predictor {
    char *engine, *sandbox, *log; /* owned */
    int threads;
    size_t max_residents;
    double idle_seconds, timeout_seconds;

    int wake_fd; /* owned */
    pthread_t thread;
    atomic_bool stop;
    atomic_int open; /* asks not yet answered */

    pthread_mutex_t lock;
    struct asks arrived; /* under lock */
    bool closed;         /* under lock */

    struct asks waiting; /* the thread's own, as is what follows */
    struct resident residents[MOST_ENGINES];
    size_t n_residents;
    int64_t next_id;
};

/* --- Engines
 * -------------------------------------------------------------------------------------- */

static enum status start_resident(struct predictor *predictor, const char *weights, double now,
                                  struct err *err)
{
    struct child_options options = {.engine = predictor->engine,
                                    .verb = "predict",
                                    .sandbox = predictor->sandbox,
                                    .log = predictor->log,
                                    .nice = NICE};
    struct resident *resident = &predictor->residents[predictor->n_residents];
    struct json *document = json_new_object();
    json_set_string(document, "type", "job");
    json_set_string(document, "verb", "predict");
    json_set_string(document, "weights", weights);
    json_set_integer(document, "threads", predictor->threads);
    *resident = (struct resident){.used_at = now};
    enum status status = child_start(&options, document, &resident->child, err);
    json_free(document);
    if (status)
        return status;
    resident->weights = mem_strdup(weights);
    predictor->n_residents++;
    log_event(LOG_INFO, "predictor", "engine started", "pid=%d", child_pid(resident->child));
    return OK;
}

/* Its place is free; asks in flight have been moved away. */
static void remove_resident(struct predictor *predictor, size_t i)
{
    struct resident *resident = &predictor->residents[i];
    log_event(LOG_INFO, "predictor", "engine ended", "pid=%d", child_pid(resident->child));
    child_free(resident->child);
    mem_free(resident->weights);
    *resident = predictor->residents[--predictor->n_residents];
}

static struct resident *find_resident(struct predictor *predictor, const char *weights)
{
    for (size_t i = 0; i < predictor->n_residents; i++)
        if (!strcmp(predictor->residents[i].weights, weights))
            return &predictor->residents[i];
    return NULL;
}

/* Room for one more engine: the least recently used one has to go, as soon as it is idle. */
static bool make_room(struct predictor *predictor)
{
    size_t oldest = 0;
    if (predictor->n_residents < predictor->max_residents)
        return true;
    for (size_t i = 1; i < predictor->n_residents; i++)
        if (predictor->residents[i].used_at < predictor->residents[oldest].used_at)
            oldest = i;
    predictor->residents[oldest].retiring = true;
    if (predictor->residents[oldest].flight.n)
        return false;
    remove_resident(predictor, oldest);
    return true;
}

/* Whether it may be given this ask now. One that is tried again goes alone. */
static bool has_room(const struct resident *resident, const struct ask *ask)
{
    if (resident->retiring || resident->flight.n >= MAX_FLIGHT)
        return false;
    if (ask->tries)
        return resident->flight.n == 0;
    return !resident->flight.first || resident->flight.first->tries == 1;
}

static bool give(struct resident *resident, const struct ask *ask)
{
    struct err err;
    struct json *header = json_new_object();
    json_set_string(header, "type", "predict");
    json_set_integer(header, "id", ask->id);
    json_set_integer(header, "top_k", ask->given.top_k);
    json_set_bool(header, "tta", ask->given.tta);
    json_set_string(header, "kind", ask->given.kind);
    json_set_integer(header, "next", ask->given.next);
    json_set_number(header, "temperature", ask->given.temperature);
    json_set_integer(header, "seed", ask->given.seed);
    enum status status =
        child_send(resident->child, header, ask->given.bytes, ask->given.n_bytes, &err);
    json_free(header);
    return status == OK;
}

/* Hands one ask on. True: it left `waiting`, given or answered. */
static bool dispatch(struct predictor *predictor, struct ask *before, struct ask *ask, double now)
{
    struct err err = {0};
    struct resident *resident = find_resident(predictor, ask->given.weights);
    if (!resident) {
        if (!make_room(predictor))
            return false;
        if (start_resident(predictor, ask->given.weights, now, &err) != OK) {
            ask_answer(asks_take(&predictor->waiting, before), err.status, NULL, &err);
            return true;
        }
        resident = find_resident(predictor, ask->given.weights);
    }
    if (!has_room(resident, ask) || !give(resident, ask))
        return false;
    asks_take(&predictor->waiting, before);
    ask->tries++;
    asks_push(&resident->flight, ask);
    resident->used_at = now;
    return true;
}

static void dispatch_all(struct predictor *predictor, double now)
{
    struct ask *before = NULL;
    for (struct ask *ask = predictor->waiting.first; ask;) {
        struct ask *next = ask->next;
        if (!dispatch(predictor, before, ask, now))
            before = ask;
        ask = next;
    }
}

/* --- Answers
 * -------------------------------------------------------------------------------------- */

static void take_prediction(struct resident *resident, const struct json *header)
{
    int64_t id = json_integer(header, "id", -1);
    struct ask *before = NULL, *ask = resident->flight.first;
    while (ask && ask->id != id) {
        before = ask;
        ask = ask->next;
    }
    if (!ask)
        return; /* it came too late, its asker has given up */
    asks_take(&resident->flight, before);
    if (json_type(json_get(header, "predictions")) == JSON_ARRAY ||
        json_type(json_get(header, "perplexity")) == JSON_NUMBER) {
        ask_answer(ask, OK, header, NULL);
        return;
    }
    struct err err = {0};
    enum status status = status_from_name(json_string(header, "status", ""));
    err_set(&err, status == OK ? E_INTERNAL : status, "%s",
            json_string(header, "detail", "The engine gave no prediction."));
    err_name(&err, json_string(header, "code", NULL), json_string(header, "hint", NULL));
    ask_answer(ask, err.status, NULL, &err);
}

static void keep_error(struct resident *resident, const struct json *header)
{
    const char *code = json_string(header, "code", "");
    enum status status = status_from_name(json_string(header, "status", ""));
    err_set(&resident->failure, status == OK ? E_INTERNAL : status, "%s",
            json_string(header, "detail", ""));
    err_name(&resident->failure, *code ? code : NULL, json_string(header, "hint", ""));
}

static void take_frames(struct resident *resident, double now)
{
    struct frame frame;
    struct err err = {0};
    char detail[800];
    while (child_next(resident->child, &frame, &err) == OK && frame.header) {
        const char *type = json_string(frame.header, "type", "");
        if (!strcmp(type, "prediction"))
            take_prediction(resident, frame.header);
        else if (!strcmp(type, "error"))
            keep_error(resident, frame.header);
        resident->used_at = now;
        frame_deinit(&frame);
    }
    if (!err.status)
        return;
    log_event(LOG_WARN, "predictor", "engine killed", "reason=%s",
              log_quote(detail, sizeof detail, err.detail));
    child_kill(resident->child);
}

/* The engine is gone: what it had goes back to the head of the queue, or has failed. */
static void release_flight(struct predictor *predictor, struct resident *resident)
{
    struct asks again = {0};
    while (resident->flight.n) {
        struct ask *ask = asks_take(&resident->flight, NULL);
        if (resident->failure.status)
            ask_answer(ask, resident->failure.status, NULL, &resident->failure);
        else if (ask->tries >= MAX_TRIES)
            ask_refuse(ask, E_UNAVAILABLE, "engine_crashed",
                       "The engine died twice while it looked at this.");
        else
            asks_push(&again, ask);
    }
    while (predictor->waiting.n)
        asks_push(&again, asks_take(&predictor->waiting, NULL));
    predictor->waiting = again;
}

static bool is_useless(const struct predictor *predictor, const struct resident *resident,
                       double now)
{
    double silence = now - resident->used_at;
    return resident->flight.n ? silence > predictor->timeout_seconds
                              : silence > predictor->idle_seconds;
}

static void turn_residents(struct predictor *predictor, const struct pollfd *fds, double now)
{
    for (size_t i = predictor->n_residents; i-- > 0;) { /* backwards: removal moves the last */
        struct resident *resident = &predictor->residents[i];
        struct child_exit ended;
        child_io(resident->child, fds + i * CHILD_POLL_FDS);
        take_frames(resident, now);
        if (is_useless(predictor, resident, now))
            child_kill(resident->child);
        bool gone = child_reap(resident->child, &ended);
        if (!gone && child_ended(resident->child))
            child_kill(resident->child);
        if (!gone || !child_ended(resident->child))
            continue;
        release_flight(predictor, resident);
        remove_resident(predictor, i);
    }
}

/* --- The loop
 * ------------------------------------------------------------------------------------- */

static void take_arrived(struct predictor *predictor, double now)
{
    pthread_mutex_lock(&predictor->lock);
    struct asks arrived = predictor->arrived;
    predictor->arrived = (struct asks){0};
    pthread_mutex_unlock(&predictor->lock);
    while (arrived.n) {
        struct ask *ask = asks_take(&arrived, NULL);
        ask->id = predictor->next_id++;
        ask->deadline = now + predictor->timeout_seconds;
        asks_push(&predictor->waiting, ask);
    }
}

static void wait_for_news(struct predictor *predictor, struct pollfd *fds)
{
    size_t n = predictor->n_residents * CHILD_POLL_FDS;
    bool busy = predictor->waiting.n > 0;
    for (size_t i = 0; i < predictor->n_residents; i++) {
        child_poll(predictor->residents[i].child, fds + i * CHILD_POLL_FDS);
        busy |= predictor->residents[i].flight.n > 0 || child_ended(predictor->residents[i].child);
    }
    fds[n] = (struct pollfd){.fd = predictor->wake_fd, .events = POLLIN};
    int wait = busy ? BUSY_WAIT_MS : predictor->n_residents ? IDLE_WAIT_MS : -1;
    if (poll(fds, n + 1, wait) < 0)
        for (size_t i = 0; i <= n; i++)
            fds[i].revents = 0;
    uint64_t rings;
    if (fds[n].revents & POLLIN && read(predictor->wake_fd, &rings, sizeof rings) < 0)
        return; /* nothing to take after all */
}

static void end_all(struct predictor *predictor)
{
    for (size_t i = 0; i < predictor->n_residents; i++)
        while (predictor->residents[i].flight.n)
            asks_push(&predictor->waiting, asks_take(&predictor->residents[i].flight, NULL));
    while (predictor->n_residents)
        remove_resident(predictor, 0);
    take_arrived(predictor, 0);
    while (predictor->waiting.n)
        ask_refuse(asks_take(&predictor->waiting, NULL), E_UNAVAILABLE, NULL,
                   "The server is shutting down: try again.");
}

static void *predict(void *argument)
{
    struct predictor *predictor = argument;
    struct pollfd fds[MOST_ENGINES * CHILD_POLL_FDS + 1] = {0};
    while (!atomic_load(&predictor->stop)) {
        wait_for_news(predictor, fds);
        double now = clock_seconds();
        turn_residents(predictor, fds, now);
        take_arrived(predictor, now);
        asks_refuse_late(&predictor->waiting, now);
        for (size_t i = 0; i < predictor->n_residents; i++)
            asks_refuse_late(&predictor->residents[i].flight, now);
        dispatch_all(predictor, now);
    }
    end_all(predictor);
    return NULL;
}

/* --- From outside
 * --------------------------------------------------------------------------------- */

static void ring(struct predictor *predictor)
{
    uint64_t one = 1;
    while (write(predictor->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

void predictor_ask(void *context, const struct predict_ask *given)
{
    struct predictor *predictor = context;
    struct ask *ask = mem_alloc(sizeof *ask);
    ask->given = *given;
    ask->open = &predictor->open;
    bool full = atomic_fetch_add(&predictor->open, 1) >= MAX_OPEN;
    pthread_mutex_lock(&predictor->lock);
    bool closed = predictor->closed;
    if (!closed && !full)
        asks_push(&predictor->arrived, ask);
    pthread_mutex_unlock(&predictor->lock);
    if (closed)
        ask_refuse(ask, E_UNAVAILABLE, NULL, "The server is shutting down: try again.");
    else if (full)
        ask_refuse(ask, E_TOO_MANY, NULL, "Too many predictions wait already: try again.");
    else
        ring(predictor);
}

static void predictor_free(struct predictor *predictor)
{
    if (predictor->wake_fd >= 0)
        close(predictor->wake_fd);
    pthread_mutex_destroy(&predictor->lock);
    mem_free(predictor->engine);
    mem_free(predictor->sandbox);
    mem_free(predictor->log);
    mem_free(predictor);
}

static struct predictor *predictor_new(const struct predictor_options *options)
{
    struct predictor *predictor = mem_alloc(sizeof *predictor);
    int max = options->max_engines > 0 ? options->max_engines : 2;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    predictor->engine = mem_strdup(options->engine);
    predictor->sandbox = options->sandbox ? mem_strdup(options->sandbox) : NULL;
    predictor->log = options->log ? mem_strdup(options->log) : NULL;
    predictor->threads = options->threads > 0 ? options->threads : online > 0 ? (int)online : 1;
    predictor->max_residents = (size_t)(max < MOST_ENGINES ? max : MOST_ENGINES);
    predictor->idle_seconds = options->idle_seconds > 0 ? options->idle_seconds : 60;
    predictor->timeout_seconds = options->timeout_seconds > 0 ? options->timeout_seconds : 60;
    predictor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    predictor->next_id = 1;
    pthread_mutex_init(&predictor->lock, NULL);
    atomic_init(&predictor->stop, false);
    atomic_init(&predictor->open, 0);
    return predictor;
}

enum status predictor_start(const struct predictor_options *options, struct predictor **out,
                            struct err *err)
{
    struct predictor *predictor = predictor_new(options);
    sigset_t all, before;
    sigfillset(&all);
    enum status status = OK;
    if (predictor->wake_fd < 0)
        status = err_errno(err, "The predictor's wake-up descriptor cannot be made");
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = status ? 0 : pthread_create(&predictor->thread, NULL, predict, predictor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        status =
            err_set(err, E_IO, "The predictor's thread cannot be started: %s.", strerror(failed));
    if (status)
        predictor_free(predictor);
    else
        *out = predictor;
    return status;
}

void predictor_stop(struct predictor *predictor)
{
    if (!predictor)
        return;
    pthread_mutex_lock(&predictor->lock);
    predictor->closed = true;
    pthread_mutex_unlock(&predictor->lock);
    atomic_store(&predictor->stop, true);
    ring(predictor);
    pthread_join(predictor->thread, NULL);
    predictor_free(predictor);
}
