/* Opening: the schema, the folder, the lock; threads; a full disk. */
#include "tests/unit/store/fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "store/migrate.h"

static struct sqlite3 *open_database(struct fixture *f)
{
    struct sqlite3 *db = NULL;
    char path[100];
    snprintf(path, sizeof path, "%s/thaw.db", f->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void a_newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    struct sqlite3 *db = open_database(f);
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", migrate_newest() + 1);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_open(f->folder, &f->store, &f->err), E_CONFLICT);
    assert_non_null(strstr(f->err.detail, "newer"));
}

static void migrations_run_once_and_rows_outlive_them(void **state)
{
    struct fixture *f = *state;
    const char *job = fixture_job(f, 3);
    for (int i = 0; i < 3; i++)
        fixture_reopen(f);
    struct job_row row;
    assert_ok(f, job_get(f->store, job, &f->arena, &row, &f->err));
    assert_int_equal(row.priority, 3);
    struct sqlite3 *db = open_database(f);
    sqlite3_stmt *stmt = NULL;
    sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), migrate_newest());
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

/* What version 1 wrote is still there in version 2, and the new columns are empty. */
static void rows_of_the_first_version_are_brought_along(void **state)
{
    static const char old_rows[] =
        "INSERT INTO datasets (id, status, name, kind, options, bytes, sha256, created_ms)"
        " VALUES ('ds_old', 'ready', 'd', 'image', '{}', 1, 'x', 1);"
        "INSERT INTO jobs (id, status, spec, dataset, model, priority, created_ms)"
        " VALUES ('job_old', 'succeeded', '{}', 'ds_old', 'thaw-small', 7, 1)";
    struct fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    char path[100];
    snprintf(path, sizeof path, "%s/thaw.db", f->folder);
    assert_int_equal(unlink(path), 0);
    struct sqlite3 *db = open_database(f);
    assert_ok(f, migrate_to(db, 1, &f->err));
    assert_int_equal(sqlite3_exec(db, old_rows, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_ok(f, store_open(f->folder, &f->store, &f->err));
    struct job_row row;
    assert_ok(f, job_get(f->store, "job_old", &f->arena, &row, &f->err));
    assert_int_equal(row.status, JOB_SUCCEEDED);
    assert_int_equal(row.priority, 7);
    assert_null(row.parent);
    assert_null(row.estimate);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[100], junk[4096];
    store_close(f->store);
    f->store = NULL;
    memset(junk, 'x', sizeof junk);
    snprintf(path, sizeof path, "%s/thaw.db", f->folder);
    assert_int_equal(fs_write_file(path, junk, sizeof junk, NULL), OK);
    assert_int_equal(store_open(f->folder, &f->store, &f->err), E_IO);
    assert_non_null(strstr(f->err.detail, "thaw.db"));
}

static void a_folder_in_use_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    assert_int_equal(store_open(f->folder, &second, &f->err), E_CONFLICT);
    assert_non_null(strstr(f->err.detail, "running server"));
}

static void a_folder_that_others_may_write_to_is_refused(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(chmod(f->folder, 0777), 0);
    assert_int_equal(store_open(f->folder, &f->store, &f->err), E_FORBIDDEN);
    assert_non_null(strstr(f->err.detail, "chmod 700"));
    assert_int_equal(chmod(f->folder, 0700), 0);
    fixture_reopen(f);
}

static void a_folder_is_made_with_its_parents(void **state)
{
    struct fixture *f = *state;
    char path[100];
    struct store *store = NULL;
    snprintf(path, sizeof path, "%s/deep/data", f->folder);
    assert_ok(f, store_open(path, &store, &f->err));
    assert_string_equal(store_folder(store), path);
    store_close(store);
}

/* --- Threads ---------------------------------------------------------------------------------- */

enum { THREADS = 6, ROUNDS = 15 };

struct worker {
    struct fixture *f;
    const char *shared; /* a job that all move */
    int moved;
};

/* Each makes jobs of its own and moves them, and all try to move one that is shared. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    struct store *store = worker->f->store;
    struct arena arena;
    struct err err;
    arena_init(&arena);
    for (int i = 0; i < ROUNDS; i++) {
        char id[40];
        id_new("job_", id);
        struct job_row row = {
            .id = id, .spec = "{}", .dataset = worker->f->dataset, .model = "thaw-small"};
        struct job_list list;
        struct page page = {.limit = 5};
        bool accepted = false;
        if (job_insert(store, &row, &err) != OK ||
            jobs_list(store, NULL, &page, &arena, &list, &err) != OK ||
            job_ask(store, id, JOB_ASK_CANCEL, &arena, &row, &accepted, &err) != OK)
            worker->moved = -1000;
        static const enum job_status ring[] = {JOB_QUEUED, JOB_PAUSED};
        worker->moved +=
            job_transition(store, worker->shared, ring[i % 2], ring[1 - i % 2], NULL, &err) == OK;
    }
    arena_deinit(&arena);
    return NULL;
}

static void threads_write_and_read_at_once_and_each_edge_has_one_winner(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    const char *shared = fixture_job(f, 0);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.f = f, .shared = shared};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    int moved = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(workers[i].moved >= 0);
        moved += workers[i].moved;
    }
    struct event_list list;
    struct event_filter filter = {.job = shared, .limit = 1000};
    assert_ok(f, events_list(f->store, &filter, &f->arena, &list, &f->err));
    assert_int_equal(list.n, 1 + moved); /* an event for each edge, none for a lost race */
    enum job_status expected = moved % 2 ? JOB_PAUSED : JOB_QUEUED;
    assert_int_equal(fixture_status(f, shared), expected);
}

/* --- A full disk ------------------------------------------------------------------------------ */

/* In a process of its own, where no file may grow past its present size or so. */
static int write_until_it_is_full(struct fixture *f)
{
    struct rlimit limit = {400 * 1024, 400 * 1024};
    struct err err = {0};
    char detail[2000];
    memset(detail, 'x', sizeof detail - 1);
    detail[sizeof detail - 1] = '\0';
    snprintf(detail, 10, "{\"a\":\"");
    detail[6] = 'x';
    memcpy(detail + sizeof detail - 3, "\"}", 3);
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 1;
    struct event_new event = {.type = "log", .data = detail};
    enum status status = OK;
    int64_t before = 0, after = 0;
    for (int i = 0; i < 2000 && status == OK; i++) {
        if (events_last_seq(f->store, &before, &err))
            return 2;
        status = events_append(f->store, &event, 1, true, &err);
    }
    if (status == OK)
        return 3; /* it never became full */
    if (events_last_seq(f->store, &after, &err) || after != before)
        return 4; /* reading goes on, and nothing of the failed one is there */
    /* In another half-full transaction nothing sticks either. */
    status = job_transition(f->store, "job_none", JOB_QUEUED, JOB_FAILED, NULL, &err);
    return status == OK ? 5 : 0;
}

static void a_full_disk_fails_the_write_and_harms_nothing(void **state)
{
    struct fixture *f = *state;
    const char *job = fixture_job(f, 0);
    store_close(f->store);
    f->store = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        struct err err;
        if (store_open(f->folder, &f->store, &err))
            _exit(9);
        _exit(write_until_it_is_full(f));
    }
    int how = 0;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    fixture_reopen(f);
    assert_int_equal(fixture_status(f, job), JOB_QUEUED);
    assert_ok(f, job_transition(f->store, job, JOB_QUEUED, JOB_VALIDATING, NULL, &f->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(migrations_run_once_and_rows_outlive_them, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(rows_of_the_first_version_are_brought_along, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_database_is_refused, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_folder_in_use_is_refused, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_folder_that_others_may_write_to_is_refused, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_folder_is_made_with_its_parents, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(threads_write_and_read_at_once_and_each_edge_has_one_winner,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_full_disk_fails_the_write_and_harms_nothing, fixture_open,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
