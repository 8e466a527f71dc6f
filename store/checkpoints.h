/* checkpoints.h -- a job's checkpoints that people can see: each stage's end, the best, the last.
 */
#ifndef THAW_STORE_CHECKPOINTS_H
#define THAW_STORE_CHECKPOINTS_H

#include "store/db.h"

struct checkpoint_row {
    const char *id; /* ckpt_; the same slot of the same job keeps its id */
    const char *job;
    const char *slot; /* the engine's: "stage-1", "best", "final" */
    const char *name; /* people's: the stage's name, "best", "last" */
    int64_t stage_index, epoch, step;
    const char *sha256; /* blob */
    int64_t bytes;
    const char *metrics; /* JSON object */
    int64_t created_ms;
};

struct checkpoint_list {
    struct checkpoint_row *rows; /* arena; oldest first */
    size_t n;
};
enum status checkpoints_list(struct store *store, const char *job, struct arena *arena,
                             struct checkpoint_list *list, struct err *err);
enum status checkpoint_get(struct store *store, const char *id, struct arena *arena,
                           struct checkpoint_row *row, struct err *err); /* E_NOT_FOUND */

#endif
