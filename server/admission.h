/* admission.h -- inside the supervisor: whether there is room for one more job. */
#ifndef THAW_SERVER_ADMISSION_H
#define THAW_SERVER_ADMISSION_H

#include "server/work.h"

/* Whether what a job will write fits beside what running jobs reserved and --min-free. E_NO_SPACE
 * with code disk_low. */
enum status admission_disk(const struct supervisor *supervisor, int64_t bytes, struct err *err);

/* Whether a job's peak fits beside those of the jobs that run: if not, it waits for them. */
bool admission_memory(const struct supervisor *supervisor, int64_t bytes);

#endif
