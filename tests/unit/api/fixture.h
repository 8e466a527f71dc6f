/* fixture.h -- handlers as thawd calls them: a store of their own, fake ports and no socket. */
#ifndef THAW_TESTS_UNIT_API_FIXTURE_H
#define THAW_TESTS_UNIT_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/handlers.h"
#include "base/mem.h"

struct fixture {
    char folder[32];
    struct app app;
    struct arena arena; /* of the whole test */
    struct request request;
    struct reply reply;
    struct err err;
    struct json *body; /* of the last reply */
    int n_wakes, n_resumes, n_pulls;
    const struct import_ask *import;
    const struct export_ask *export;
    const struct predict_ask *asks[8];
    int n_asks;
    int n_names; /* import: class names at the time of the ask */
};

/* A test's setup and teardown. *state. */
int open_app(void **state);
int close_app(void **state);
#define WITH_APP(test) cmocka_unit_test_setup_teardown(test, open_app, close_app)

/* Calls a handler with what fixture->request holds besides, and reads the reply. */
enum status call(struct fixture *fixture, handler_fn *handler, const char *id);
void read_body(struct fixture *fixture); /* parses the reply, where it is JSON */
void clear_request(struct fixture *fixture);
const char *body_id(struct fixture *fixture);

/* A file as an upload leaves it. */
struct upload *make_upload(struct fixture *fixture, const char *name, const char *content);
enum status post_dataset(struct fixture *fixture, struct upload *upload);
enum status post_job(struct fixture *fixture, const char *spec);
const char *make_job(struct fixture *fixture); /* its id */

#endif
