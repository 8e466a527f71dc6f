/* submit.h -- from a client's job spec to a row that can be queued. */
#ifndef THAW_API_SUBMIT_H
#define THAW_API_SUBMIT_H

#include "base/json.h"
#include "store/jobs.h"

/* Resolves the spec, checks that dataset and model exist and can be trained with, and fills *row
 * (arena). In the resolved spec the model is named so that the name cannot change its meaning: a
 * base model by its name, every other by its id. */
enum status submit_prepare(struct store *store, const struct json *spec, struct arena *arena,
                           struct job_row *row, struct err *err);

#endif
