/* pulls.h -- base models on their way: their rows say what is downloaded, so a restart goes on.
 *
 * A base model without weights is asked for (pull_begin: it has `progress` from then on), told
 * about, and in the end has either weights (pull_finish) or an `error`; or nobody wants it any more
 * (pull_cancel), and it is as it was before. */
#ifndef THAW_STORE_PULLS_H
#define THAW_STORE_PULLS_H

#include "store/models.h"

#define PULLS_MAX 64 /* at a time: more than there are base models */

/* *begun false: it is available, or on its way, already. Bytes; `total` is what is expected. */
enum status pull_begin(struct store *store, const char *model, int64_t total, bool *begun,
                       struct err *err);
/* `tell`: as an event too. Not acknowledged by anybody, hence not synced. *wanted false: it was
 * cancelled. */
enum status pull_progress(struct store *store, const char *model, int64_t done, int64_t total,
                          bool tell, bool *wanted, struct err *err);
/* *cancelled false: it was not on its way. */
enum status pull_cancel(struct store *store, const char *model, bool *cancelled, struct err *err);
/* `error` is JSON {code, detail, hint}. One that was cancelled stays as it is. */
enum status pull_fail(struct store *store, const char *model, const char *error, struct err *err);
/* The base model row->id gets classes, groups, parameters, weights, bytes and weights_sha256. */
enum status pull_finish(struct store *store, const struct model_row *row, struct err *err);

/* The ids of those on their way, oldest first. */
enum status pulls_list(struct store *store, struct arena *arena, const char ***ids, size_t *n,
                       struct err *err);

#endif
