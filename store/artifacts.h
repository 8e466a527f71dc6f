/* artifacts.h -- files that a job's run left beside its checkpoints: reports, predictions, the
 * finder's curve, the schedule. They are kept as long as the job is. */
#ifndef THAW_STORE_ARTIFACTS_H
#define THAW_STORE_ARTIFACTS_H

#include "store/db.h"

struct artifact_row {
    const char *id;
    const char *job;
    const char *name;   /* "report.json": a name of wire_artifact_is_valid */
    const char *sha256; /* blob */
    int64_t bytes;
    int64_t created_ms;
};

struct artifact_list {
    struct artifact_row *rows; /* arena; oldest first */
    size_t n;
};
enum status artifacts_list(struct store *store, const char *job, struct arena *arena,
                           struct artifact_list *list, struct err *err);
/* E_NOT_FOUND, for the caller to say when it comes. */
enum status artifact_get(struct store *store, const char *job, const char *name,
                         struct arena *arena, struct artifact_row *row, struct err *err);

#endif
