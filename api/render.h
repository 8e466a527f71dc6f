/* render.h -- rows of the store as the JSON that API.md promises: every field, null when unknown.
 */
#ifndef THAW_API_RENDER_H
#define THAW_API_RENDER_H

#include "base/json.h"
#include "store/checkpoints.h"
#include "store/datasets.h"
#include "store/events.h"
#include "store/jobs.h"
#include "store/models.h"

/* Each returns a new object that the caller owns. */
struct json *render_dataset(const struct dataset_row *row);
struct json *render_job(const struct job_row *row, int64_t queue_position); /* -1: null */
struct json *render_event(const struct event_row *row);
struct json *render_model(const struct model_row *row);
struct json *render_checkpoint(const struct checkpoint_row *row);

/* A list as in API.md. Takes `data`, an array; first_id and last_id are those of its objects. */
struct json *render_list(struct json *data, bool has_more, const char *id_key);

#endif
