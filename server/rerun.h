/* rerun.h -- how a job that repeats another one came out: the same weights, or which input differs.
 */
#ifndef THAW_SERVER_RERUN_H
#define THAW_SERVER_RERUN_H

#include "store/jobs.h"

/* {of, equal, weights_sha256, differs:[{input, here, there}]}: `equal` is null when the other job
 * is gone or made no weights; `differs` names inputs (spec members, dataset, starting weights,
 * engine version, isa, threads, plan) whatever came out. `sha256` is this job's result, or NULL.
 * Owned by the caller, free with mem_free. */
char *rerun_compare(struct store *store, const struct job_row *row, const char *sha256);

#endif
