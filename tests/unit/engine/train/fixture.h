/* fixture.h -- a small data set on disk, and a trainer's hooks that write down what they are told.
 */
#ifndef THAW_TESTS_TRAIN_FIXTURE_H
#define THAW_TESTS_TRAIN_FIXTURE_H

#include "base/buf.h"
#include "base/json.h"
#include "engine/train/trainer.h"

struct fixture {
    char folder[64]; /* temporary: pack, index, and a folder for each run */
    char pack[96], index[96], out[96];
    struct buf events; /* every header, one a line */
    int polls;         /* so far */
    int request_at;    /* the poll that answers `request`, from 1; 0 = never */
    enum trainer_request request;
    int threads, loader_threads;
    const struct json *ensemble; /* files of models that evaluations average, too; or NULL */
    struct err err;              /* of the last run */
};

/* Two classes of 32 px pictures that differ in colour, n_items in all. */
void fixture_init(struct fixture *fixture, int n_items);
void fixture_deinit(struct fixture *fixture);

/* A test's setup and teardown: 20 items a class, a fifth of them validate, so 32 train. *state. */
#define N_ITEMS 40
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* A fresh folder for the next run. */
void fixture_new_run(struct fixture *fixture);

/* Runs thaw-small (or `weights`) on the data; `spec` is JSON text with ' for ". */
enum status fixture_run(struct fixture *fixture, const char *spec, const char *weights);

/* The same, and the test fails with the run's own sentence; `anew` in a fresh folder to its end,
 * with its weights_sha256. */
void fixture_run_ok(struct fixture *fixture, const char *spec, const char *weights);
void fixture_run_anew(struct fixture *fixture, const char *spec, char hex[65]);

/* The n-th header of a type so far (from 0), owned by the caller; NULL if there is none. */
struct json *fixture_event(const struct fixture *fixture, const char *type, int n);
int fixture_count(const struct fixture *fixture, const char *type);

/* weights_sha256 of the last `result`; "" without one. Copied into `hex`. */
const char *fixture_result(const struct fixture *fixture, char hex[65]);

/* A file that the run left, which must be there; owned by the caller. */
struct json *fixture_json(const struct fixture *fixture, const char *name);

char *fixture_path(const struct fixture *fixture, const char *slot); /* mem_free it */

#endif
