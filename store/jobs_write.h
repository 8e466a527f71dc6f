/* jobs_write.h -- inside store/: the jobs table, for the two files that share it. */
#ifndef THAW_STORE_JOBS_WRITE_H
#define THAW_STORE_JOBS_WRITE_H

#include "store/internal.h"
#include "store/jobs.h"

extern const struct table jobs_table;

/* As the rows have them, in the order of enum job_status. */
extern const char *const job_status_names[N_JOB_STATUS];

/* The `state` event of a job; `previous` NULL at its creation, `change` NULL where nothing else
 * did. */
enum status job_write_state(struct store *store, struct sql *sql, const char *id,
                            enum job_status status, const char *previous,
                            const struct job_change *change, struct err *err);

/* A `log` event of a job. */
enum status job_write_log(struct store *store, struct sql *sql, const char *id, const char *detail,
                          struct err *err);

#endif
