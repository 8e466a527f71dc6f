/* The supervisor over a store, with the fake engine of tests/http: what no HTTP route can ask yet,
 * what an earlier server left behind, and a disk without room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "server/supervisor.h"
#include "store/blobs.h"
#include "store/datasets.h"
#include "store/jobs.h"

#define WAIT_SECONDS 40

struct fixture {
    char folder[64];
    struct store *store;
    struct supervisor *supervisor;
    struct arena arena;
    struct err err;
    const char *dataset;
};

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != OK)                                                                          \
            fail_msg("%s: %s", #call, f->err.detail);                                              \
    } while (0)

static void make_dataset(struct fixture *f)
{
    struct dataset_row row = {
        .name = "d", .kind = "image", .options = "{}", .upload = "u", .sha256 = "s"};
    bool created = false;
    char *path = arena_printf(&f->arena, "%s/tmp/pack", f->folder);
    struct blob blob;
    assert_int_equal(fs_write_file(path, "pack", 4, NULL), OK);
    assert_ok(blob_move(f->store, path, &blob, &f->err));
    assert_ok(dataset_insert(f->store, &row, &f->arena, &created, &f->err));
    row.status = DATASET_READY;
    row.items = 4;
    row.classes = "[{\"name\":\"ants\",\"items\":2},{\"name\":\"bees\",\"items\":2}]";
    row.pack = row.index = blob.sha256;
    assert_ok(dataset_finish(f->store, &row, &f->err));
    f->dataset = row.id;
}

static int open_fixture(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    *state = f;
    snprintf(f->folder, sizeof f->folder, "/tmp/test_supervisor.XXXXXX");
    arena_init(&f->arena);
    log_set_level(LOG_ERROR);
    if (!mkdtemp(f->folder) || store_open(f->folder, &f->store, &f->err) != OK)
        return -1;
    make_dataset(f);
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    supervisor_stop(f->supervisor);
    store_close(f->store);
    arena_deinit(&f->arena);
    enum status status = fs_remove_tree(f->folder, NULL);
    mem_free(f);
    return status == OK ? 0 : -1;
}

static void start(struct fixture *f)
{
    char *engine = realpath("tests/http/fake_engine.py", NULL);
    struct supervisor_options options = {
        .store = f->store, .engine = engine, .max_jobs = 2, .stop_seconds = 3};
    if (!engine)
        fail_msg("tests/http/fake_engine.py is not there: run tests from the top folder");
    assert_ok(supervisor_start(&options, &f->supervisor, &f->err));
    free(engine);
}

static const char *make_job(struct fixture *f, int steps, double delay)
{
    char id[40];
    id_new("job_", id);
    struct job_row row = {
        .id = arena_strdup(&f->arena, id),
        .dataset = f->dataset,
        .model = "thaw-small",
        .spec = arena_printf(&f->arena,
                             "{\"seed\":1,\"stages\":[{\"name\":\"head\",\"epochs\":1,\"freeze_to\""
                             ":-1},{\"name\":\"all\",\"epochs\":2,\"freeze_to\":0}],\"metadata\":{"
                             "\"script\":\"{\\\"steps\\\":%d,\\\"delay\\\":%g}\"}}",
                             steps, delay)};
    assert_ok(job_insert(f->store, &row, &f->err));
    return row.id;
}

static struct job_row get(struct fixture *f, const char *id)
{
    struct job_row row;
    assert_ok(job_get(f->store, id, &f->arena, &row, &f->err));
    return row;
}

static void wait_for(struct fixture *f, const char *id, enum job_status wanted)
{
    double until = clock_seconds() + WAIT_SECONDS;
    for (;;) {
        struct job_row row = get(f, id);
        if (row.status == wanted)
            return;
        if (clock_seconds() > until || job_status_is_terminal(row.status))
            fail_msg("%s is %s, not %s: %s", id, job_status_name(row.status),
                     job_status_name(wanted), row.error ? row.error : "");
        struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
    }
}

static void ask(struct fixture *f, const char *id, enum job_action action)
{
    struct job_row row;
    bool accepted = false;
    assert_ok(job_ask(f->store, id, action, &f->arena, &row, &accepted, &f->err));
    assert_true(accepted);
    supervisor_wake(f->supervisor);
}

static size_t count_events(struct fixture *f, const char *job, const char *type)
{
    struct event_list list;
    struct event_filter filter = {.job = job, .type = type, .limit = 1000};
    assert_ok(events_list(f->store, &filter, &f->arena, &list, &f->err));
    return list.n;
}

static void a_paused_job_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;
    start(f);
    const char *id = make_job(f, 15, .02);
    supervisor_wake(f->supervisor);
    wait_for(f, id, JOB_RUNNING);
    ask(f, id, JOB_ASK_PAUSE);
    wait_for(f, id, JOB_PAUSED);
    size_t before = count_events(f, id, "checkpoint");
    assert_true(before > 0);
    ask(f, id, JOB_ASK_RESUME);
    wait_for(f, id, JOB_SUCCEEDED);
    assert_int_equal(count_events(f, id, "epoch"), 3);
    assert_int_equal(count_events(f, id, "done"), 1);
    assert_int_equal(get(f, id).deaths, 0);
}

static void a_pausing_job_can_still_be_cancelled(void **state)
{
    struct fixture *f = *state;
    const char *id = make_job(f, 1000, .02);
    start(f);
    wait_for(f, id, JOB_RUNNING);
    struct job_row row;
    bool accepted;
    assert_ok(job_ask(f->store, id, JOB_ASK_PAUSE, &f->arena, &row, &accepted, &f->err));
    assert_ok(job_ask(f->store, id, JOB_ASK_CANCEL, &f->arena, &row, &accepted, &f->err));
    supervisor_wake(f->supervisor);
    wait_for(f, id, JOB_CANCELLED);
}

/* From `queued` to each state an earlier server can have left, and where it ends. */
static const struct {
    enum job_status way[4], end;
    int n;
} left[] = {
    {{JOB_QUEUED}, JOB_SUCCEEDED, 1},
    {{JOB_QUEUED, JOB_VALIDATING}, JOB_SUCCEEDED, 2},
    {{JOB_QUEUED, JOB_VALIDATING, JOB_RUNNING}, JOB_SUCCEEDED, 3},
    {{JOB_QUEUED, JOB_VALIDATING, JOB_INTERRUPTED}, JOB_SUCCEEDED, 3},
    {{JOB_QUEUED, JOB_VALIDATING, JOB_RUNNING, JOB_PAUSING}, JOB_PAUSED, 4},
    {{JOB_QUEUED, JOB_PAUSED}, JOB_PAUSED, 2},
    {{JOB_QUEUED, JOB_VALIDATING, JOB_RUNNING, JOB_CANCELLING}, JOB_CANCELLED, 4},
    {{JOB_QUEUED, JOB_CANCELLED}, JOB_CANCELLED, 2},
    {{JOB_QUEUED, JOB_FAILED}, JOB_FAILED, 2},
};

static void every_state_an_earlier_server_left_finds_its_way(void **state)
{
    struct fixture *f = *state;
    const char *ids[ARRAY_LEN(left)];
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        ids[i] = make_job(f, 1, 0);
        for (int step = 1; step < left[i].n; step++)
            assert_ok(job_transition(f->store, ids[i], left[i].way[step - 1], left[i].way[step],
                                     NULL, &f->err));
    }
    start(f);
    for (size_t i = 0; i < ARRAY_LEN(left); i++)
        wait_for(f, ids[i], left[i].end);
}

static void a_stop_leaves_running_jobs_interrupted_with_a_checkpoint(void **state)
{
    struct fixture *f = *state;
    const char *id = make_job(f, 1000, .02), *queued;
    start(f);
    wait_for(f, id, JOB_RUNNING);
    make_job(f, 1000, .02); /* takes the second place */
    queued = make_job(f, 1, 0);
    double begin = clock_seconds();
    supervisor_stop(f->supervisor);
    f->supervisor = NULL;
    assert_true(clock_seconds() - begin < 5);
    assert_int_equal(get(f, id).status, JOB_INTERRUPTED);
    assert_int_equal(get(f, id).deaths, 0);
    assert_true(count_events(f, id, "checkpoint") > 0);
    assert_int_equal(get(f, queued).status, JOB_QUEUED);
}

static void an_outcome_waits_for_a_disk_with_room(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, full;
    const char *id = make_job(f, 5, .05);
    signal(SIGXFSZ, SIG_IGN);
    start(f);
    wait_for(f, id, JOB_RUNNING);
    getrlimit(RLIMIT_FSIZE, &before);
    full = before;
    full.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0); /* ours alone: the engine runs already */
    struct timespec pause = {.tv_sec = 3};
    nanosleep(&pause, NULL); /* it has ended by now, and nothing could be written */
    assert_int_equal(get(f, id).status, JOB_RUNNING);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    wait_for(f, id, JOB_SUCCEEDED);
    assert_int_equal(count_events(f, id, "epoch"), 3);
}

static void an_engine_that_cannot_be_started_fails_the_job_in_the_end(void **state)
{
    struct fixture *f = *state;
    struct supervisor_options options = {.store = f->store, .engine = "/nowhere/thaw-engine"};
    const char *id = make_job(f, 1, 0);
    assert_ok(supervisor_start(&options, &f->supervisor, &f->err));
    wait_for(f, id, JOB_FAILED);
    assert_non_null(strstr(get(f, id).error, "/nowhere/thaw-engine"));
}

static void a_job_without_its_weights_is_paused_and_says_so(void **state)
{
    struct fixture *f = *state;
    struct job_row row = {.id = "job_w",
                          .dataset = f->dataset,
                          .model = "resnet18",
                          .spec = "{}",
                          .weights =
                              "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    assert_ok(job_insert(f->store, &row, &f->err));
    start(f);
    wait_for(f, "job_w", JOB_PAUSED);
    struct job_row paused = get(f, "job_w");
    assert_int_equal(paused.started_ms, 0);
    assert_non_null(strstr(paused.error, "file_missing"));
    assert_non_null(strstr(paused.error, row.weights));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_paused_job_goes_on_where_it_was, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(a_pausing_job_can_still_be_cancelled, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(every_state_an_earlier_server_left_finds_its_way,
                                        open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(a_stop_leaves_running_jobs_interrupted_with_a_checkpoint,
                                        open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(an_outcome_waits_for_a_disk_with_room, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(an_engine_that_cannot_be_started_fails_the_job_in_the_end,
                                        open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(a_job_without_its_weights_is_paused_and_says_so,
                                        open_fixture, close_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
