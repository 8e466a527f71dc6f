#include "tests/unit/store/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"

int fixture_open(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/test_store.XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    arena_init(&fixture->arena);
    *state = fixture;
    return store_open(fixture->folder, &fixture->store, &fixture->err) == OK ? 0 : -1;
}

int fixture_close(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    arena_deinit(&fixture->arena);
    enum status status = fs_remove_tree(fixture->folder, NULL);
    mem_free(fixture);
    return status == OK ? 0 : -1;
}

void fixture_reopen(struct fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = NULL;
    assert_ok(fixture, store_open(fixture->folder, &fixture->store, &fixture->err));
}

const char *fixture_dataset(struct fixture *fixture, const char *sha256)
{
    struct dataset_row row = {.name = "d",
                              .kind = "image",
                              .options = "{}",
                              .upload = "upload-1",
                              .bytes = 10,
                              .sha256 = sha256};
    bool created = false;
    assert_ok(fixture,
              dataset_insert(fixture->store, &row, &fixture->arena, &created, &fixture->err));
    assert_true(created);
    return row.id;
}

void fixture_ready(struct fixture *fixture, const char *dataset)
{
    struct dataset_row row = {.id = dataset,
                              .status = DATASET_READY,
                              .kind = "image",
                              .items = 4,
                              .classes = "[]",
                              .splits = "{}",
                              .rejected = "{\"count\":0,\"items\":[]}"};
    assert_ok(fixture, dataset_finish(fixture->store, &row, &fixture->err));
}

const char *fixture_job(struct fixture *fixture, int priority)
{
    if (!fixture->dataset[0]) {
        const char *id = fixture_dataset(fixture, "sha-of-the-ready-one");
        fixture_ready(fixture, id);
        snprintf(fixture->dataset, sizeof fixture->dataset, "%s", id);
    }
    char id[40];
    id_new("job_", id);
    struct job_row row = {.id = arena_strdup(&fixture->arena, id),
                          .spec = "{\"model\":\"thaw-small\"}",
                          .dataset = fixture->dataset,
                          .model = "thaw-small",
                          .priority = priority};
    assert_ok(fixture, job_insert(fixture->store, &row, &fixture->err));
    return row.id;
}

enum job_status fixture_status(struct fixture *fixture, const char *job)
{
    struct job_row row;
    assert_ok(fixture, job_get(fixture->store, job, &fixture->arena, &row, &fixture->err));
    return row.status;
}

/* The way to each state, from queued, which ends every row. */
static const enum job_status ways[N_JOB_STATUS][5] = {
    [JOB_QUEUED] = {JOB_QUEUED},
    [JOB_VALIDATING] = {JOB_VALIDATING},
    [JOB_RUNNING] = {JOB_VALIDATING, JOB_RUNNING},
    [JOB_PAUSING] = {JOB_VALIDATING, JOB_RUNNING, JOB_PAUSING},
    [JOB_PAUSED] = {JOB_PAUSED},
    [JOB_CANCELLING] = {JOB_VALIDATING, JOB_RUNNING, JOB_CANCELLING},
    [JOB_INTERRUPTED] = {JOB_VALIDATING, JOB_RUNNING, JOB_INTERRUPTED},
    [JOB_SUCCEEDED] = {JOB_VALIDATING, JOB_RUNNING, JOB_SUCCEEDED},
    [JOB_FAILED] = {JOB_FAILED},
    [JOB_CANCELLED] = {JOB_CANCELLED},
};

const char *fixture_job_in(struct fixture *fixture, enum job_status status)
{
    const char *id = fixture_job(fixture, 0);
    enum job_status at = JOB_QUEUED;
    for (int i = 0; at != status; i++) {
        assert_ok(fixture,
                  job_transition(fixture->store, id, at, ways[status][i], NULL, &fixture->err));
        at = ways[status][i];
    }
    return id;
}
