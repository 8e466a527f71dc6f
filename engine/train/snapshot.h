/* snapshot.h -- what a run writes down: checkpoints, and everything needed to go on from one.
 *
 * A checkpoint is a safetensors file: weights and batch-norm statistics under torchvision's names,
 * metadata as in engine/format/model_file.h. A resume file holds the moments too (NAME.moment1,
 * NAME.moment2) and the trainer's position in its metadata. Files are written beside their final
 * name, fsynced and renamed: one that is there is whole. Resume files alternate between two names,
 * so that a crash while one is written leaves the other. */
#ifndef THAW_ENGINE_TRAIN_SNAPSHOT_H
#define THAW_ENGINE_TRAIN_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/train/metrics.h"

/* Where a run stands: between two steps. */
struct position {
    int64_t generation;  /* of resume files written: the newest has the largest */
    int stage;           /* from 0 */
    int64_t step;        /* completed steps of the stage */
    int64_t total_steps; /* completed steps of the run: names the dropout streams */
    int64_t optim_steps;
    struct smooth_loss loss;
    struct scores latest, best; /* of the last and the best epoch; best.* NaN = none yet */
    int best_stage;
    int64_t best_epoch;
    double elapsed; /* seconds of training before this process */
};

struct model_info; /* engine/format/model_file.h: architecture, classes, size, lineage */

/* FOLDER/SLOT.safetensors: weights and statistics only. */
enum status snapshot_write(const char *folder, const char *slot, const struct graph *graph,
                           const struct model_info *info, struct err *err);

/* FOLDER/resume-a or -b, by position->generation: everything. `run_sha256` names the run (spec,
 * data, starting weights): a file of another run is not resumed. */
enum status snapshot_write_resume(const char *folder, const struct graph *graph,
                                  const struct model_info *info, const struct position *position,
                                  const char *run_sha256, struct err *err);

/* Loads the newest resume file that is whole and of this run into graph and position. Damaged ones
 * are passed over with a sentence in *warning (may be NULL), 512 bytes. *found false: none. */
enum status snapshot_resume(const char *folder, const char *run_sha256, struct graph *graph,
                            struct position *position, bool *found, char *warning, struct err *err);

#endif
