/* snapshot.h -- what a run writes down: checkpoints, and everything needed to go on from one.
 *
 * A checkpoint is a model file (engine/format/model_file.h): weights and batch-norm statistics
 * under torchvision's names. A resume file holds the moments too (NAME.moment1, NAME.moment2;
 * between two steps of an accumulating optimiser NAME.sum) and the trainer's position in its
 * metadata. Files are written beside their final name, fsynced and renamed: one that is there is
 * whole. Resume files alternate between two names, so that a crash while one is written leaves the
 * other, and end with a digest of all that is in them (the tensor "~sha256"), so that one that the
 * disk damaged later is not gone on with. */
#ifndef THAW_ENGINE_TRAIN_SNAPSHOT_H
#define THAW_ENGINE_TRAIN_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/format/model_file.h"
#include "engine/train/position.h"

#define SLOT_LANGUAGE_MODEL "language-model" /* what a classifier of texts stands on */

/* FOLDER/SLOT.safetensors: weights and statistics. hex (may be NULL): weights_sha256. */
enum status snapshot_write(const char *folder, const char *slot, const struct graph *graph,
                           const struct model_info *info, char hex[SHA256_HEX], struct err *err);

/* What the next step depends on beside weights and position (stage_carried_floats). */
struct snapshot_carried {
    float *floats; /* owned; NULL: nothing */
    size_t n;
};

/* What names a run: its file is no other run's to go on with. Stages that have not begun when a
 * file is written may be changed before the run goes on. */
struct snapshot_run {
    const char *sha256;               /* of spec without stages, data, starting weights */
    const char (*stages)[SHA256_HEX]; /* (n_stages): [k] of the stages 0..k */
    int n_stages;
    struct snapshot_carried *carried; /* written, and read; borrowed; NULL: there is none */
    /* The graph of a stage, where a run has more than one: made for snapshot_resume. May be NULL.
     */
    enum status (*find_graph)(void *context, int64_t stage, struct graph **graph, struct err *err);
    void *context;
};

/* FOLDER/resume-a or resume-b in turn: everything; *slot is the name. Raises the generation. */
enum status snapshot_write_resume(const char *folder, const struct graph *graph,
                                  const struct model_info *info, struct position *position,
                                  const struct snapshot_run *run, const char **slot,
                                  struct err *err);

#define SNAPSHOT_WARNING 600

/* Loads the newest resume file that is whole and of this run into graph and position. One that is
 * damaged or another run's is passed over with a sentence in `warning` ("" if none was). *found
 * false: there is none. An error is the machine's: a folder that cannot be read. */
enum status snapshot_resume(const char *folder, const struct snapshot_run *run, struct graph *graph,
                            struct position *position, bool *found, char warning[SNAPSHOT_WARNING],
                            struct err *err);

/* Loads the weights of a slot written by snapshot_write; E_INVALID when they are not those of
 * weights_sha256 (NULL: any). */
enum status snapshot_load(const char *folder, const char *slot, const char *wanted_sha256,
                          struct graph *graph, struct err *err);

#endif
