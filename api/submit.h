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

/* The model that a promoted job goes on from: the one that its first stage trains. A job that
 * begins with its language model goes on from the language model that `job` left, whose decoder a
 * classifier lacks, and makes a new head on it; every other from the job's result. E_CONFLICT where
 * that model was never made, or is gone. In the arena. */
enum status submit_goes_on_from(struct store *store, const struct job_row *job,
                                const struct json *spec, struct arena *arena, const char **model,
                                struct err *err);

/* The spec of a job that is to run again on `fraction` of the data (1: all of it), with `model` in
 * the place of its own unless that is NULL. Owned by the caller. */
struct json *submit_promoted(const struct json *spec, double fraction, const char *model);

#endif
