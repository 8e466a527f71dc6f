/* artifacts_write.h -- inside store/: an artifact written as part of a transaction. */
#ifndef THAW_STORE_ARTIFACTS_WRITE_H
#define THAW_STORE_ARTIFACTS_WRITE_H

#include "store/artifacts.h"
#include "store/internal.h"

/* Inserts, or replaces what the job had under that name. */
enum status artifact_write(struct sql *sql, const struct artifact_row *row, struct err *err);

#endif
