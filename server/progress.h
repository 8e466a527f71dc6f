/* progress.h -- how far a job is: `progress`, `latest` and `best` of API.md, kept from the engine's
 * messages. Pure: no store, no clock. */
#ifndef THAW_SERVER_PROGRESS_H
#define THAW_SERVER_PROGRESS_H

#include <stdbool.h>

#include "base/json.h"

struct progress {
    const struct json *spec;          /* borrowed; resolved */
    struct json *now, *latest, *best; /* owned; latest and best are NULL until there is one */
    double elapsed_before;            /* seconds of earlier runs of the job */
};

/* Goes on from what the job's row holds (each text may be NULL). */
void progress_init(struct progress *progress, const struct json *spec, const char *now,
                   const char *latest, const char *best);
void progress_deinit(struct progress *progress);

/* One `stage`, `step`, `epoch` or `progress` header; `elapsed` counts the seconds of this run. The
 * last says what is done in place of steps, `pass`: {what, done, total}, until another comes. */
void progress_take(struct progress *progress, const struct json *header, double elapsed);
void progress_finish(struct progress *progress, double elapsed); /* all is done */

/* The scores in a header, as an object of their own. Owned by the caller. */
struct json *progress_scores(const struct json *header);

/* Where a header stands, so that two can be compared: what an engine that resumed says again is not
 * greater than before. `field` is "epoch" or "step". */
double progress_position(const struct json *header, const char *field);

#endif
