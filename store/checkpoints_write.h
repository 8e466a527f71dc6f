/* checkpoints_write.h -- inside store/: a checkpoint written as part of a transaction. */
#ifndef THAW_STORE_CHECKPOINTS_WRITE_H
#define THAW_STORE_CHECKPOINTS_WRITE_H

#include "store/checkpoints.h"
#include "store/internal.h"

/* Inserts, or replaces what the job's slot held (which keeps its id). */
enum status checkpoint_write(struct sql *sql, const struct checkpoint_row *row, struct err *err);

#endif
