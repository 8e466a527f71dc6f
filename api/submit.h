/* submit.h -- from a client's job spec to a row that can be queued. */
#ifndef THAW_API_SUBMIT_H
#define THAW_API_SUBMIT_H

#include "base/json.h"
#include "store/jobs.h"

/* A job on its way into the queue. */
struct submission {
    struct job_row row; /* arena */
    struct json *spec;  /* owned; resolved, as row.spec has it */
    bool dataset_ready; /* else it is still processing */
};

/* Resolves the spec, checks that dataset and model exist and can be trained with, and fills in the
 * submission. In the resolved spec the model is named so that the name cannot change its meaning: a
 * base model by its name, every other by its id. */
enum status submit_prepare(struct store *store, const struct json *spec, struct arena *arena,
                           struct submission *submission, struct err *err);

/* The spec of a job that is to run again on `fraction` of the data (1: all of it), with `model` in
 * the place of its own unless that is NULL. Owned by the caller. */
struct json *submit_promoted(const struct json *spec, double fraction, const char *model);

#endif
