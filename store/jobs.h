/* jobs.h -- jobs, and the only function that moves one from state to state.
 *
 * job_transition writes an edge as one `UPDATE ... WHERE status = old` and one `state` event, in
 * one transaction; the edges are the table in jobs.c and are drawn in server/supervisor.h. A
 * terminal edge also writes `done`, the job's last event. Handlers ask with job_ask, which finds
 * the edge that an action means in the job's present state. */
#ifndef THAW_STORE_JOBS_H
#define THAW_STORE_JOBS_H

#include "store/artifacts.h"
#include "store/checkpoints.h"
#include "store/db.h"
#include "store/events.h"
#include "store/models.h"

enum job_status {
    JOB_QUEUED,
    JOB_VALIDATING,
    JOB_RUNNING,
    JOB_PAUSING,
    JOB_PAUSED,
    JOB_CANCELLING,
    JOB_INTERRUPTED,
    JOB_SUCCEEDED, /* this and what follows is terminal */
    JOB_FAILED,
    JOB_CANCELLED,
    N_JOB_STATUS
};

const char *job_status_name(enum job_status status); /* "queued" */
bool job_status_from_name(const char *name, enum job_status *status);
bool job_status_is_terminal(enum job_status status);
bool job_edge_is_legal(enum job_status from, enum job_status to);

struct job_row {
    const char *id;
    int64_t order; /* of submission; given by the store */
    enum job_status status;
    const char *name, *spec /* JSON, resolved */, *metadata /* JSON */;
    const char *dataset;      /* its id, kept when the dataset is deleted */
    const char *model;        /* as the spec names it; "": a language model from nothing */
    const char *architecture; /* of that model; the store fills it in at insertion */
    const char *weights;      /* blob it starts from; NULL: from random weights */
    const char *ensemble;     /* JSON [blob...] of the models that are averaged with it, or NULL */
    int64_t priority;         /* the greater starts first */
    int64_t created_ms, started_ms, finished_ms, estimated_finish_ms;
    const char *progress, *latest, *best, *engine; /* JSON objects, as API.md has them */
    const char *error;                             /* JSON {code, detail, hint} */
    const char *result_model, *weights_sha256;
    int64_t deaths, crashes; /* engine deaths since the last checkpoint; those by a fatal signal */
    const char *parent;      /* the job it was promoted from, or NULL */
    const char *rerun_of;    /* the job it repeats, or NULL */
    const char *rerun;       /* JSON: how the two compare, once it has ended */
    const char *estimate;    /* JSON of server/estimate.h; NULL: not planned yet */
    const char *reason;      /* JSON {code, detail, hint}: why it is paused, where nobody asked */
};

/* Inserts a queued job and its first event; `order`, `status` and `created_ms` are the store's to
 * set and are written back into *row. E_INVALID with a pointer when dataset or model is gone. */
enum status job_insert(struct store *store, struct job_row *row, struct err *err);
enum status job_get(struct store *store, const char *id, struct arena *arena, struct job_row *row,
                    struct err *err); /* E_NOT_FOUND */

struct job_list {
    struct job_row *rows; /* arena */
    size_t n;
    bool has_more;
};
/* `status` NULL: all. */
enum status jobs_list(struct store *store, const enum job_status *status, const struct page *page,
                      struct arena *arena, struct job_list *list, struct err *err);

/* Terminal jobs only, else E_CONFLICT; events and checkpoints go with it. */
enum status job_delete(struct store *store, const char *id, struct err *err);

/* Writes spec, name, metadata and priority of `after` into a job that still is as `before` says
 * (state and spec), with a `log` event that says `detail`; a changed spec loses its estimate.
 * E_CONFLICT when the job changed meanwhile. */
enum status job_revise(struct store *store, const struct job_row *before,
                       const struct job_row *after, const char *detail, struct err *err);
/* What a job will do: its estimate and (unless NULL) its schedule. */
enum status job_set_plan(struct store *store, const char *id, const char *estimate,
                         const struct artifact_row *schedule, struct err *err);

/* Ids of the jobs that were promoted from this one, oldest first, at most 100. */
enum status job_children(struct store *store, const char *id, struct arena *arena,
                         const char ***ids, size_t *n, struct err *err);

/* How many queued jobs start before this one, counted from 0; -1 when it is not queued. */
enum status job_queue_position(struct store *store, const char *id, int64_t *position,
                               struct err *err);

/* What an edge writes besides the state; NULL leaves the column as it is. A job that goes back to
 * the queue loses the error and the reason it was paused with. */
struct job_change {
    const char *error, *engine, *result_model, *weights_sha256, *latest, *best, *rerun;
    const char *reason;                       /* of a pause */
    const struct model_row *model;            /* inserted in the same transaction */
    const struct model_row *language_model;   /* what it stands on: likewise, before it */
    const struct checkpoint_row *checkpoints; /* likewise */
    size_t n_checkpoints;
    const struct artifact_row *artifacts; /* likewise */
    size_t n_artifacts;
    bool died, crashed; /* count one death (and one by a fatal signal) */
};

/* E_CONFLICT when the job is no longer in `from`, E_INTERNAL when there is no such edge. `change`
 * may be NULL. */
enum status job_transition(struct store *store, const char *id, enum job_status from,
                           enum job_status to, const struct job_change *change, struct err *err);

/* What a client may ask. */
enum job_action { JOB_ASK_CANCEL, JOB_ASK_PAUSE, JOB_ASK_RESUME, N_JOB_ACTION };

/* Does what `action` means now. *accepted: something is under way or was done (202); false: the job
 * was already as asked (200). E_CONFLICT where the state forbids it. *row is the job afterwards. */
enum status job_ask(struct store *store, const char *id, enum job_action action,
                    struct arena *arena, struct job_row *row, bool *accepted, struct err *err);

/* The supervisor's news of a job that runs: columns (NULL: unchanged) and events, one transaction.
 * `durable` false skips the fsync: a crash may lose it, never corrupt it. A job that is terminal
 * already takes nothing more. */
struct job_report {
    const char *progress, *latest, *best;
    int64_t estimated_finish_ms; /* 0: unchanged */
    const struct event_new *events;
    size_t n_events;
    const struct checkpoint_row *checkpoint; /* upserted */
    const struct artifact_row *artifact;     /* likewise */
    bool checkpointed; /* further than ever before: resets deaths and crashes */
};
enum status job_report(struct store *store, const char *id, const struct job_report *report,
                       bool durable, struct err *err);

/* The next job to start: by priority, then submission, among those that are queued and whose
 * dataset is no longer processing. E_NOT_FOUND when there is none. */
enum status jobs_next(struct store *store, struct arena *arena, struct job_row *row,
                      struct err *err);

/* Ids and states of all jobs that are not terminal, oldest first. */
struct job_brief {
    const char *id;
    enum job_status status;
    int64_t deaths;
    const char *dataset_status; /* NULL: the dataset is gone */
};
enum status jobs_open(struct store *store, struct arena *arena, struct job_brief **briefs,
                      size_t *n, struct err *err);

#endif
