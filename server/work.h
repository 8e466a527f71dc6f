/* work.h -- inside the supervisor: one engine at work on one thing, whatever the verb.
 *
 *     WORK_ENGINE  a child lives, or is being reaped
 *     WORK_FILES   the child is gone; the helper thread hashes and moves what it left
 *     WORK_SETTLE  the outcome is written to the rows, and written again every second while that
 *                  fails (a full disk): an outcome is never dropped
 *
 * What differs between verbs is a table of functions, struct work_kind; train_work.c and
 * ingest_work.c each have one, errand.h has one for all verbs that somebody waits for. Everything
 * here runs on the supervisor's thread. */
#ifndef THAW_SERVER_WORK_H
#define THAW_SERVER_WORK_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/app.h"
#include "base/json.h"
#include "server/inbox.h"
#include "server/child.h"
#include "server/supervisor.h"
#include "server/task.h"
#include "store/db.h"
#include "store/jobs.h"

#define MAX_WORKS       80
#define MAX_IMPORTS     32 /* that wait */
#define MAX_PLANS       64 /* that wait */
#define MAX_EXPORTS     32 /* that wait */
#define MAX_INGESTS     2  /* at once */
#define RETRY_SECONDS   1.0
#define CANCEL_SECONDS  5.0   /* an engine has to end after `cancel` */
#define PAUSE_SECONDS   120.0 /* and after `pause`, which writes a checkpoint */
#define GOODBYE_SECONDS 2.0   /* between closing the socket and ending the process */
#define MAX_DEATHS      10    /* of a job, since its last checkpoint */
#define MAX_CRASHES     3     /* those of them by a fatal signal */

enum work_phase { WORK_ENGINE, WORK_FILES, WORK_SETTLE, WORK_OVER };

struct work;

struct work_kind {
    const char *verb;
    int nice;     /* below the API; training below what somebody waits for */
    bool answers; /* somebody waits: it is settled also when thawd ends in the middle of it */
    /* A message that is not `error` or `result` (those are kept in the work). */
    void (*on_frame)(struct work *work, const struct json *header);
    /* At each turn of the loop while the child lives. */
    void (*on_tick)(struct work *work, double now);
    /* The process is gone: the next phase (WORK_ENGINE after starting another one). */
    enum work_phase (*on_exit)(struct work *work);
    /* In WORK_FILES: whether the helper thread is through. */
    bool (*files_are_done)(struct work *work);
    /* In WORK_SETTLE: OK when the outcome stands in the rows; the work is over unless it has set
     * another phase. */
    enum status (*settle)(struct work *work, struct err *err);
    void (*free)(struct work *work);
};

struct work {
    const struct work_kind *kind;
    struct supervisor *supervisor; /* borrowed */
    char id[40];                   /* of the job or dataset; an import has one of its own */
    enum work_phase phase;
    struct child *child; /* owned; NULL when there is none */
    struct child_exit ended;
    double started_at, kill_at; /* monotonic; kill_at 0: no deadline */
    bool leaving;               /* it closed its socket */
    struct json *result;        /* owned; the `result` header, NULL until it came */
    struct err failure;         /* status OK: none. The engine's own, or a broken protocol */
    bool violated;              /* the failure is thawd's verdict: it was killed for it */
    double settle_at;
};

struct supervisor {
    struct store *store;          /* borrowed */
    char *engine, *sandbox, *isa; /* owned */
    char *machine;                /* owned; the processor's name */
    uint64_t memory_limit, min_free;
    bool imports_only;
    int max_jobs, threads;
    double stop_seconds;

    int wake_fd; /* owned; an eventfd that poll() watches */
    pthread_t thread;
    atomic_bool look, stop; /* set by other threads, before they ring */
    struct tasks *tasks;    /* owned */

    struct inbox *imports, *plans, *exports; /* owned; of struct import_ask, plan_ask, export_ask */

    /* The thread's own. */
    struct work *works[MAX_WORKS]; /* owned */
    size_t n_works;
    bool stopping;
    double stop_at, look_at;
    double plan_at; /* no job is planned before: the last plan could not be written */
};

/* Starts the engine for a work on `document`. */
enum status work_launch(struct work *work, const char *log, const struct json *document,
                        struct err *err);
void work_add(struct supervisor *supervisor, struct work *work); /* takes it */
struct work *work_find(struct supervisor *supervisor, const struct work_kind *kind, const char *id);
size_t work_count(const struct supervisor *supervisor, const struct work_kind *kind);

/* One turn: reads, writes, ticks, ends. `fds` is what poll said of the child. */
void work_turn(struct work *work, const struct pollfd fds[CHILD_POLL_FDS], double now);
void work_free(struct work *work);

void work_send(struct work *work, const char *type); /* a header with no fields */
void work_deadline(struct work *work, double at);    /* keeps the earlier one */
/* Kills the engine for breaking the protocol. */
void work_violation(struct work *work, const char *what);

/* The document's `key` becomes the path of a blob of a job, or null; of work_set_blobs the paths of
 * those in a JSON text [sha256...]. E_GONE when one is not there. */
enum status work_set_blob(struct store *store, struct json *document, const char *key,
                          const char *sha256, struct err *err);
enum status work_set_blobs(struct store *store, struct json *document, const char *key,
                           const char *list, struct err *err);

/* {code, detail, hint} as rows keep it; owned by the caller, free with mem_free. */
char *work_error_json(const struct err *err);
/* "by signal 11 (Segmentation fault)", "with exit code 3". */
const char *work_exit_text(const struct child_exit *ended, char text[80]);

/* The kinds. *_look (never while stopping) starts what the rows ask for, and tells engines what
 * clients asked. */
extern const struct work_kind train_kind, ingest_kind, import_kind, plan_kind, export_kind;
void train_look(struct supervisor *supervisor);
void ingest_look(struct supervisor *supervisor);
void import_look(struct supervisor *supervisor);
void plan_look(struct supervisor *supervisor);
void export_look(struct supervisor *supervisor);
void train_ask_stop(struct work *work); /* thawd is going down: a checkpoint, then the end */
void import_refuse_all(struct supervisor *supervisor); /* those that wait, and all to come */
void plan_refuse_all(struct supervisor *supervisor);
void export_refuse_all(struct supervisor *supervisor);
/* Plans a queued job that was submitted before its dataset was ready. */
void plan_job(struct supervisor *supervisor, const struct job_row *row);

#endif
