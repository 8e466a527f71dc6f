/* train_work.h -- inside the supervisor: one job while its engine is at work.
 *
 * train_work.c starts jobs and passes on what clients ask; train_frames.c turns the engine's
 * messages into rows and events, train_files.c its files into blobs; train_end.c decides what an
 * end means, and settles it. */
#ifndef THAW_SERVER_TRAIN_WORK_H
#define THAW_SERVER_TRAIN_WORK_H

#include "base/digest.h"
#include "server/progress.h"
#include "server/work.h"
#include "store/blobs.h"
#include "store/jobs.h"

#define TRAIN_FLUSH_SECONDS 0.5  /* step events are written in batches */
#define TRAIN_MAX_BATCH     512  /* events of one batch */
#define TRAIN_MAX_LINES     1000 /* `log` and `warning` of one run; the rest is dropped */
#define TRAIN_MAX_WEIGHTS   (64ULL << 30)
#define TRAIN_MAX_ARTIFACT  (4ULL << 30)
#define TRAIN_MAX_JSON      (64u << 20) /* an artifact that is read as JSON */
#define TRAIN_MAX_STAGES    64

/* A file on its way into the store, on the helper thread: a checkpoint or an artifact. */
struct train_file {
    struct task task; /* first: the helper thread sees only this */
    struct train_file *next;
    struct store *store; /* borrowed */
    char *folder;        /* owned */
    char *slot;          /* owned; the file is FOLDER/SLOT.safetensors. Of an artifact: its name */
    bool artifact;       /* the file is FOLDER/SLOT itself */
    struct json *header; /* owned; the engine's `checkpoint` or `artifact`, or NULL: it was lost in
                            a crash */
    bool move;           /* the writer is dead: the file itself moves. Else its bytes are copied */
    enum status status;
    struct err err;
    struct blob blob;
};

/* What a job's end turned out to be. */
enum train_outcome {
    TRAIN_SUCCEEDED,
    TRAIN_FAILED,
    TRAIN_DISK_FULL,
    TRAIN_INTERRUPTED,
    TRAIN_STOPPED,   /* paused or cancelled, whichever its row says by now */
    TRAIN_STAGE_END, /* a stage said: then pause */
    TRAIN_RESTING,   /* interrupted; goes back to the queue after a while */
};

struct train {
    struct work work; /* first */
    struct arena arena;
    struct job_row row; /* as it was at the start */
    struct json *spec;  /* owned */
    char *folder;       /* owned; DATA/jobs/ID/checkpoints */
    bool started;       /* its `started` came */
    bool told_cancel, told_pause;
    bool paused_by_recipe; /* its `paused` said so */
    enum train_outcome outcome;
    double rest_until;

    struct progress progress;
    struct event_new batch[TRAIN_MAX_BATCH]; /* `data` owned */
    size_t n_batch;
    bool urgent; /* more than steps is in the batch */
    double flush_at, retry_at;
    double last_stage, last_epoch, last_checkpoint; /* positions: what came already */
    bool checkpointed;                              /* a new one since the last flush */
    int n_lines;
    int64_t trainable_parameters; /* of the last stage, where nothing was frozen; else -1 */

    /* What the stage costs, as long as it is the only thing that runs (see learn). */
    struct json *stage; /* owned; its header; NULL: not to be learned from */
    double stage_seconds;
    int64_t stage_epochs; /* of which epochs */
    double stage_began;   /* clock_seconds */
    int64_t threads;      /* of `started` */
    char isa[64];

    struct train_file *files; /* owned; oldest first */
};

void train_on_frame(struct work *work, const struct json *header);
void train_on_tick(struct work *work, double now);
/* What an evaluation took, now that it has succeeded. */
void train_learn_pass(struct train *train);
/* Files that were announced and have arrived: their rows and events. */
void train_take_files(struct train *train, double now);
int train_stage_of_slot(const char *slot); /* "stage-2" -> 1; -1 for the other slots */
const char *train_name_of_slot(const struct train *train, const char *slot); /* people's */
enum status train_flush(struct train *train, struct err *err); /* what gathered, to the rows */

/* Puts a checkpoint's file, or an artifact's, on its way; `header` may be NULL. */
void train_add_file(struct train *train, const char *slot, const struct json *header, bool move);
void train_add_artifact(struct train *train, const char *name, const struct json *header,
                        bool move);
void train_free_file(struct train_file *file);
/* The row of a file that arrived; strings are borrowed from it or in `arena`. */
void train_checkpoint_row(const struct train *train, const struct train_file *file,
                          struct arena *arena, struct checkpoint_row *row);

struct artifact_row train_artifact_row(const struct train *train, const struct train_file *file);

/* Whether the job ends with a model: the tasks lr_find, evaluate and predict do not. */
bool train_makes_model(const struct train *train);

enum work_phase train_on_exit(struct work *work);
bool train_files_are_done(struct work *work);
enum status train_settle(struct work *work, struct err *err);

/* The last edge of a success and all it brings; `final` NULL: a task that makes no model. */
enum status train_write_success(struct train *train, const struct job_row *row,
                                const struct train_file *final, struct err *err);

/* The state a row of an earlier thawd goes to, whose engine is gone. */
enum status train_recover(struct supervisor *supervisor, const struct job_brief *brief,
                          struct err *err);

#endif
