/* fixture.h -- a store in a folder of its own, and rows to put into it. */
#ifndef THAW_TESTS_UNIT_STORE_FIXTURE_H
#define THAW_TESTS_UNIT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/blobs.h"
#include "store/datasets.h"
#include "store/db.h"
#include "store/events.h"
#include "store/jobs.h"
#include "store/models.h"

struct fixture {
    char folder[64];
    struct store *store;
    struct arena arena;
    struct err err;
    char dataset[40]; /* a ready one, made by fixture_dataset */
};

int fixture_open(void **state);
int fixture_close(void **state);
void fixture_reopen(struct fixture *fixture); /* as after a restart */

/* Fails the test with the error's own sentence. */
#define assert_ok(fixture, call)                                                                   \
    do {                                                                                           \
        enum status status_ = (call);                                                              \
        if (status_)                                                                               \
            fail_msg("%s: %s", #call, (fixture)->err.detail);                                      \
    } while (0)

/* Each returns an id in the fixture's arena. */
const char *fixture_dataset(struct fixture *fixture, const char *sha256); /* processing */
void fixture_ready(struct fixture *fixture, const char *dataset);
const char *fixture_job(struct fixture *fixture, int priority); /* queued, on a ready dataset */

enum job_status fixture_status(struct fixture *fixture, const char *job);
/* Walks a fresh job to `status` over legal edges. */
const char *fixture_job_in(struct fixture *fixture, enum job_status status);

#endif
