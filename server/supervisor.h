/* supervisor.h -- runs what the rows ask for: ingests datasets, imports weights, trains jobs.
 *
 * One thread polls its children and a wake-up descriptor. The database is the queue: handlers write
 * rows and ring; the supervisor looks at the rows. After a crash the rows tell the truth.
 *
 *                  job_insert
 *                      v
 *   .------------>  queued --launch--> validating --on_started--> running --settle--> succeeded
 *   |               |  |  |               |    |                  |  | |
 *   |   job_ask     |  |  '--settle-------|----|------------------|--|-'-------------> failed
 *   |   (cancel) <--'  |   (its dataset   |    |       (error,    |  |
 *   |        |         |    failed)       |    |     death rules) |  |
 *   |        v         |                  |    |                  |  '--job_ask--> pausing
 *   |    cancelled     |      job_ask <---'    '---settle---------'    (pause)       |
 *   |     ^  ^  ^      |     (cancel)           (it died)     |                      |
 *   |     |  |  |      |         v                            v                      |
 *   |     |  |  '------|--- cancelling <---- job_ask      interrupted                |
 *   |     |  |  settle |                     (cancel)       |  |  |                  |
 *   |     |  |         |                                    |  |  |                  |
 *   |     |  '---------|------------ job_ask (cancel) ------'  |  |                  |
 *   |     |            |                                       |  |                  |
 *   |     |            '--job_ask (pause)----> paused <--------'  |                  |
 *   |     |                                   |  |  ^  job_ask    |                  |
 *   |     '--------------- job_ask (cancel) --'  |  |  (pause)    |                  |
 *   |                                            |  '--settle-----|------------------'
 *   |---------------------- job_ask (resume) ----'                |
 *   '---------------------- requeue ------------------------------'
 *
 *   Nobody need ask for a pause: a queued job whose turn finds too little disk, or a file missing,
 * goes to paused (pause_queued), as does, over pausing, a running one whose disk is full or whose
 * stage says "then": "pause" (settle). A queued job is planned before it starts (plan_job), and
 * fails where the plan does not fit.
 *
 *   pausing also ends as succeeded, failed (settle: the engine was faster) or cancelling (job_ask).
 *   After a restart `recover` does: validating, running -> interrupted -> queued; pausing ->
 * paused; cancelling -> cancelled. Every edge goes through job_transition (store/jobs.h).
 *
 * Deaths: an engine that dies leaves its job interrupted, and it starts again from its last
 * checkpoint. Ten deaths since that checkpoint, or three by SIGSEGV, SIGBUS, SIGILL, SIGABRT or
 * SIGSYS, make it failed: engine_crashed, or out_of_memory where the kernel says so.
 *
 * Invariants: a train child exists iff its job is validating, running, pausing or cancelling.
 * Terminal states never change. Nothing here waits: hashing has a helper thread (server/task.h). */
#ifndef THAW_SERVER_SUPERVISOR_H
#define THAW_SERVER_SUPERVISOR_H

#include "api/app.h"
#include "base/status.h"

struct supervisor;

struct supervisor_options {
    struct store *store; /* borrowed */
    const char *engine;  /* path of thaw-engine */
    const char *sandbox; /* "auto", "require", "off" */
    const char *isa;     /* the engine's vector instructions; NULL: unknown */
    uint64_t min_free;   /* bytes of disk that jobs leave free */
    bool imports_only;   /* nothing is recovered or started from the rows: imports alone */
    int max_jobs;        /* train children at once */
    int threads;         /* of one train child; 0: the online CPUs */
    double stop_seconds; /* how long a stop waits for checkpoints; 0: 5 */
};

/* Recovers what an earlier process left, then starts the thread. */
enum status supervisor_start(const struct supervisor_options *options,
                             struct supervisor **supervisor, struct err *err);

/* Asks every job for a checkpoint, waits a bounded time, leaves them interrupted, answers imports
 * that wait with E_UNAVAILABLE, ends the thread, frees. */
void supervisor_stop(struct supervisor *supervisor);

/* The ports of api/app.h; `supervisor` is a struct supervisor. Any thread; they never wait. */
void supervisor_wake(void *supervisor);
void supervisor_import(void *supervisor, const struct import_ask *ask);
void supervisor_plan(void *supervisor, const struct plan_ask *ask);
void supervisor_export(void *supervisor, const struct export_ask *ask);

#endif
