/* supervisor.c -- the thread that runs engines: its loop, its start, its end.
 *
 * A turn looks at the rows where somebody rang, lets every work take its turn (work.h), and waits
 * in poll(). Only this thread touches works and children; it forks them itself, since a child dies
 * with the thread that made it. */
#include "server/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/machine.h"
#include "server/train_work.h"
#include "server/work.h"
#include "store/blobs.h"

#define BUSY_WAIT_MS  100 /* timers of works are this exact */
#define IDLE_WAIT_MS  30000
#define LOOK_SECONDS  30.0 /* a look that nobody rang for, should a ring have come to nothing */
#define STOP_SECONDS  5.0
#define LEAVE_SECONDS 3.0 /* after that, for what is still being written */

/* --- The loop
 * ------------------------------------------------------------------------------------- */

static void look(struct supervisor *supervisor)
{
    import_look(supervisor);
    if (supervisor->imports_only)
        return;
    ingest_look(supervisor);
    plan_look(supervisor);
    export_look(supervisor);
    train_look(supervisor);
}

static void begin_stop(struct supervisor *supervisor, double now)
{
    supervisor->stopping = true;
    supervisor->stop_at = now + supervisor->stop_seconds;
    import_refuse_all(supervisor);
    plan_refuse_all(supervisor);
    export_refuse_all(supervisor);
    for (size_t i = 0; i < supervisor->n_works; i++) {
        struct work *work = supervisor->works[i];
        if (work->kind == &train_kind)
            train_ask_stop(work);
        else if (work->child)
            child_kill(work->child); /* done again from the start */
    }
}

static void turn_works(struct supervisor *supervisor, const struct pollfd *fds, double now)
{
    size_t kept = 0;
    for (size_t i = 0; i < supervisor->n_works; i++) {
        struct work *work = supervisor->works[i];
        work_turn(work, fds + i * CHILD_POLL_FDS, now);
        if (work->phase == WORK_OVER) {
            work_free(work);
            atomic_store(&supervisor->look, true); /* there is room for another one */
        } else {
            supervisor->works[kept++] = work;
        }
    }
    supervisor->n_works = kept;
}

static void wait_for_news(struct supervisor *supervisor, struct pollfd *fds)
{
    size_t n = supervisor->n_works * CHILD_POLL_FDS;
    for (size_t i = 0; i < supervisor->n_works; i++) {
        struct pollfd *own = fds + i * CHILD_POLL_FDS;
        if (supervisor->works[i]->child)
            child_poll(supervisor->works[i]->child, own);
        else
            own[0] = own[1] = (struct pollfd){.fd = -1};
    }
    fds[n] = (struct pollfd){.fd = supervisor->wake_fd, .events = POLLIN};
    int wait = supervisor->n_works || supervisor->stopping ? BUSY_WAIT_MS : IDLE_WAIT_MS;
    if (poll(fds, n + 1, atomic_load(&supervisor->look) ? 0 : wait) < 0)
        for (size_t i = 0; i <= n; i++)
            fds[i].revents = 0;
    uint64_t rings;
    if (fds[n].revents & POLLIN && read(supervisor->wake_fd, &rings, sizeof rings) < 0)
        return; /* nothing to take after all */
}

static void *supervise(void *argument)
{
    struct supervisor *supervisor = argument;
    struct pollfd fds[MAX_WORKS * CHILD_POLL_FDS + 1] = {0};
    for (;;) {
        wait_for_news(supervisor, fds);
        double now = clock_seconds();
        if (atomic_load(&supervisor->stop) && !supervisor->stopping)
            begin_stop(supervisor, now);
        turn_works(supervisor, fds, now);
        if (supervisor->stopping)
            atomic_store(&supervisor->look, false); /* the rows are the next start's */
        else if (atomic_exchange(&supervisor->look, false) || now >= supervisor->look_at) {
            supervisor->look_at = now + LOOK_SECONDS;
            look(supervisor);
        }
        if (supervisor->stopping &&
            (!supervisor->n_works || now >= supervisor->stop_at + LEAVE_SECONDS))
            return NULL;
    }
}

/* --- From outside
 * --------------------------------------------------------------------------------- */

static void ring(void *context)
{
    struct supervisor *supervisor = context;
    uint64_t one = 1;
    while (write(supervisor->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

void supervisor_wake(void *context)
{
    struct supervisor *supervisor = context;
    atomic_store(&supervisor->look, true);
    ring(supervisor);
}

/* What an earlier thawd left in the rows, and on the disk. */
static enum status recover(struct supervisor *supervisor, struct err *err)
{
    struct arena arena;
    struct job_brief *briefs = NULL;
    size_t n = 0;
    arena_init(&arena);
    struct blob_sweep sweep;
    enum status status = store_sweep_folders(supervisor->store, err);
    if (status == OK)
        status = blobs_collect(supervisor->store, &sweep, err);
    if (status == OK)
        status = jobs_open(supervisor->store, &arena, &briefs, &n, err);
    for (size_t i = 0; status == OK && i < n; i++)
        status = train_recover(supervisor, &briefs[i], err);
    arena_deinit(&arena);
    return status;
}

/* What a stop could not wait for. An outcome that is known is written; who waits is answered;
 * everything else the next start finds in the rows. */
static void leave(struct work *work)
{
    struct err ignored;
    if (work->phase == WORK_ENGINE && !work->kind->answers)
        return;
    if (work->phase == WORK_ENGINE)
        err_set(&work->failure, E_UNAVAILABLE, "The server is shutting down: try again.");
    work->kind->settle(work, &ignored);
}

static void supervisor_free(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->n_works; i++)
        if (supervisor->works[i]->child)
            child_kill(supervisor->works[i]->child);
    tasks_stop(supervisor->tasks); /* before the works, whose tasks it may be running */
    for (size_t i = 0; i < supervisor->n_works; i++) {
        leave(supervisor->works[i]);
        work_free(supervisor->works[i]);
    }
    if (supervisor->wake_fd >= 0)
        close(supervisor->wake_fd);
    inbox_free(supervisor->imports);
    inbox_free(supervisor->plans);
    inbox_free(supervisor->exports);
    mem_free(supervisor->isa);
    mem_free(supervisor->machine);
    mem_free(supervisor->engine);
    mem_free(supervisor->sandbox);
    mem_free(supervisor);
}

static struct supervisor *supervisor_new(const struct supervisor_options *options)
{
    struct supervisor *supervisor = mem_alloc(sizeof *supervisor);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    int most = (int)(MAX_WORKS - MAX_INGESTS - 6);
    supervisor->store = options->store;
    supervisor->imports_only = options->imports_only;
    supervisor->engine = mem_strdup(options->engine);
    supervisor->sandbox = options->sandbox ? mem_strdup(options->sandbox) : NULL;
    supervisor->max_jobs = options->max_jobs < 1      ? 1
                           : options->max_jobs > most ? most
                                                      : options->max_jobs;
    supervisor->threads = options->threads > 0 ? options->threads : online > 0 ? (int)online : 1;
    supervisor->stop_seconds = options->stop_seconds > 0 ? options->stop_seconds : STOP_SECONDS;
    supervisor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    supervisor->imports = inbox_new(sizeof(struct import_ask), MAX_IMPORTS);
    supervisor->plans = inbox_new(sizeof(struct plan_ask), MAX_PLANS);
    supervisor->exports = inbox_new(sizeof(struct export_ask), MAX_EXPORTS);
    supervisor->isa = mem_strdup(options->isa ? options->isa : "");
    supervisor->machine = machine_name();
    supervisor->memory_limit = machine_memory();
    supervisor->min_free = options->min_free;
    atomic_init(&supervisor->look, true);
    atomic_init(&supervisor->stop, false);
    return supervisor;
}

/* Threads that are not main's leave signals to main's. */
static enum status start_threads(struct supervisor *supervisor, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    supervisor->tasks = tasks_start(ring, supervisor);
    int failed = supervisor->tasks
                     ? pthread_create(&supervisor->thread, NULL, supervise, supervisor)
                     : EAGAIN;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return err_set(err, E_IO, "The supervisor's thread cannot be started: %s.",
                       strerror(failed));
    return OK;
}

enum status supervisor_start(const struct supervisor_options *options, struct supervisor **out,
                             struct err *err)
{
    struct supervisor *supervisor = supervisor_new(options);
    enum status status = OK;
    if (supervisor->wake_fd < 0)
        status = err_errno(err, "The supervisor's wake-up descriptor cannot be made");
    if (status == OK && !options->imports_only)
        status = recover(supervisor, err);
    if (status == OK)
        status = start_threads(supervisor, err);
    if (status)
        supervisor_free(supervisor);
    else
        *out = supervisor;
    return status;
}

void supervisor_stop(struct supervisor *supervisor)
{
    if (!supervisor)
        return;
    atomic_store(&supervisor->stop, true);
    ring(supervisor);
    pthread_join(supervisor->thread, NULL);
    supervisor_free(supervisor);
}
