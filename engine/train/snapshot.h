/* snapshot.h -- what a run writes down: checkpoints, and everything needed to go on from one.
 *
 * A checkpoint is a model file (engine/format/model_file.h): weights and batch-norm statistics
 * under torchvision's names. A resume file holds the moments too (NAME.moment1, NAME.moment2) and
 * the trainer's position in its metadata. Files are written beside their final name, fsynced and
 * renamed: one that is there is whole. Resume files alternate between two names, so that a crash
 * while one is written leaves the other. */
#ifndef THAW_ENGINE_TRAIN_SNAPSHOT_H
#define THAW_ENGINE_TRAIN_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/format/model_file.h"
#include "engine/train/metrics.h"

/* Where a run stands: between two steps. With the weights, their moments and what decides the run
 * (spec, data, starting weights) it is all that the next step depends on. */
struct position {
    int64_t generation;  /* resume files written so far: the newest has the largest */
    int64_t stage;       /* from 0; the number of stages when all are done */
    int64_t step;        /* completed steps of the stage */
    int64_t total_steps; /* completed steps of the run: names the dropout streams */
    int64_t optim_steps; /* the optimiser's, since its last reset */
    struct smooth_loss loss;
    struct scores latest, best; /* of the last and the best epoch; NaN = none yet */
    int64_t threads;            /* how it was computed so far: with other threads or kernels */
    char plans[SHA256_HEX];     /* (digest of all plans) sums round differently */
};

struct position position_start(void);

/* FOLDER/SLOT.safetensors: weights and statistics. hex (may be NULL): weights_sha256. */
enum status snapshot_write(const char *folder, const char *slot, const struct graph *graph,
                           const struct model_info *info, char hex[SHA256_HEX], struct err *err);

/* FOLDER/resume-a or resume-b in turn: everything; *slot is the name. Raises the generation.
 * `run_sha256` names the run: its file is no other run's to go on with. */
enum status snapshot_write_resume(const char *folder, const struct graph *graph,
                                  const struct model_info *info, struct position *position,
                                  const char *run_sha256, const char **slot, struct err *err);

#define SNAPSHOT_WARNING 600

/* Loads the newest resume file that is whole and of this run into graph and position. One that is
 * damaged or another run's is passed over with a sentence in `warning` ("" if none was). *found
 * false: there is none. An error is the machine's: a folder that cannot be read. */
enum status snapshot_resume(const char *folder, const char *run_sha256, struct graph *graph,
                            struct position *position, bool *found, char warning[SNAPSHOT_WARNING],
                            struct err *err);

/* Loads the weights of a slot written by snapshot_write. */
enum status snapshot_load(const char *folder, const char *slot, struct graph *graph,
                          struct err *err);

#endif
