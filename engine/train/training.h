/* training.h -- a run under way: what the parts of the trainer share, and what lies between two
 * steps (requests, checkpoints, the clock).
 *
 * Checkpoints cost little beside the training: one that is not asked for waits until the run has
 * trained a hundred times as long as the last one took to write (the first: as it is guessed to
 * take), and the best epoch's weights wait in memory (shadow.h) until then. At a stage's end, at a
 * pause and at the end of all they are written at once. The file "best" is always written before
 * the resume file that knows of it. */
#ifndef THAW_ENGINE_TRAIN_TRAINING_H
#define THAW_ENGINE_TRAIN_TRAINING_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/status.h"
#include "engine/train/events.h"
#include "engine/train/optim.h"
#include "engine/train/position.h"
#include "engine/train/run.h"
#include "engine/train/shadow.h"
#include "engine/train/stage.h"
#include "engine/train/trainer.h"

struct training {
    const struct trainer_options *options; /* borrowed */
    int threads;                           /* of the kernels */
    int loader_threads;                    /* of loaders: never change a result */
    struct run run;
    struct events events;
    struct position at;
    struct optim optim;
    struct stage stage;                            /* owned: the present one's plans and batches */
    char plans[RECIPE_MAX_STAGES + 1][SHA256_HEX]; /* [k]: of the plans of stages 0..k */
    struct snapshot_carried carried;               /* owned: as a resume file had it, or has it */

    struct shadow best; /* owned: the best epoch's weights, while best_waits */
    bool best_waits;    /* to be written */

    double began, epoch_began; /* clock_seconds: this process, this epoch */
    struct stage_record epoch; /* of the epoch's steps in this process */
    double seconds_before;     /* trained by processes before this one */
    double written;            /* when the last resume file was */
    double write_seconds;      /* that it took, with the best model */
    double spent_writing;      /* by this process, on `n_written` files */
    int n_written;
    bool want_checkpoint, want_pause, want_cancel;
    bool paused;
    bool out_of_time; /* max_seconds have passed */
};

const struct recipe_stage *training_stage(const struct training *t);

/* The run as its resume files name it. */
struct snapshot_run training_snapshot_run(struct training *t);

/* Asks for requests; answers are given between steps. */
void training_poll(struct training *t);
enum status training_cancelled(struct err *err);

/* FOLDER/SLOT.safetensors, and its event. */
enum status training_write_slot(struct training *t, const char *slot, char hex[SHA256_HEX],
                                struct err *err);
/* A resume file now, with the best model before it. */
enum status training_write_resume(struct training *t, struct err *err);
/* The same, if writing is due; `epoch_ended`: where a resumed run repeats least. */
enum status training_checkpoint(struct training *t, bool epoch_ended, struct err *err);

/* The present weights are the best so far. */
enum status training_keep_best(struct training *t, struct err *err);
/* Loads the best model, if there is one; a damaged one is told, and the weights stay. */
enum status training_load_best(struct training *t, bool *loaded, struct err *err);

/* A line of the log: what checkpoints cost this process, beside the training. */
void training_tell_writing(struct training *t);

/* Notes whether max_seconds have passed. */
void training_watch_clock(struct training *t);

/* Between two steps: does what was asked for. */
enum status training_answer(struct training *t, struct err *err);

#endif
