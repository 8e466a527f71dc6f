/* The queue's order, lists, deletion. */
#include "tests/unit/store/fixture.h"

#include "store/costs.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *next_job(struct fixture *f)
{
    struct job_row row;
    enum status status = jobs_next(f->store, &f->arena, &row, &f->err);
    if (status == E_NOT_FOUND)
        return NULL;
    assert_int_equal(status, OK);
    assert_ok(f, job_transition(f->store, row.id, JOB_QUEUED, JOB_VALIDATING, NULL, &f->err));
    return row.id;
}

static void jobs_start_by_priority_then_by_submission(void **state)
{
    struct fixture *f = *state;
    const char *a = fixture_job(f, 0), *b = fixture_job(f, 5), *c = fixture_job(f, 0),
               *d = fixture_job(f, 5), *e = fixture_job(f, -1);
    int64_t position = 0;
    const char *order[] = {b, d, a, c, e};
    for (int i = 0; i < 5; i++) {
        assert_ok(f, job_queue_position(f->store, order[i], &position, &f->err));
        assert_int_equal(position, i);
    }
    for (int i = 0; i < 5; i++)
        assert_string_equal(next_job(f), order[i]);
    assert_null(next_job(f));
    assert_ok(f, job_queue_position(f->store, a, &position, &f->err));
    assert_int_equal(position, -1);
}

static void an_interrupted_job_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    const char *first = fixture_job_in(f, JOB_INTERRUPTED);
    fixture_job(f, 0);
    assert_ok(f, job_transition(f->store, first, JOB_INTERRUPTED, JOB_QUEUED, NULL, &f->err));
    assert_string_equal(next_job(f), first);
}

static void a_job_waits_for_its_dataset_and_others_pass(void **state)
{
    struct fixture *f = *state;
    const char *later = fixture_job(f, 0);
    const char *dataset = fixture_dataset(f, "sha-of-a-slow-one");
    struct job_row row = {
        .id = "job_waits", .spec = "{}", .dataset = dataset, .model = "resnet18", .priority = 9};
    assert_ok(f, job_insert(f->store, &row, &f->err));
    assert_string_equal(next_job(f), later);
    assert_null(next_job(f));
    fixture_ready(f, dataset);
    assert_string_equal(next_job(f), "job_waits");
}

static void a_job_on_an_unknown_dataset_is_refused_with_its_place(void **state)
{
    struct fixture *f = *state;
    struct job_row row = {.id = "job_x", .spec = "{}", .dataset = "ds_none", .model = "resnet18"};
    assert_int_equal(job_insert(f->store, &row, &f->err), E_INVALID);
    assert_string_equal(f->err.pointer, "/dataset");
    assert_int_equal(job_get(f->store, "job_x", &f->arena, &row, &f->err), E_NOT_FOUND);
}

static void pages_are_newest_first_and_go_on_after_an_id(void **state)
{
    struct fixture *f = *state;
    const char *ids[5];
    for (int i = 0; i < 5; i++)
        ids[i] = fixture_job(f, 0);
    struct job_list list;
    struct page page = {.limit = 2};
    int seen = 5;
    do {
        assert_ok(f, jobs_list(f->store, NULL, &page, &f->arena, &list, &f->err));
        for (size_t i = 0; i < list.n; i++)
            assert_string_equal(list.rows[i].id, ids[--seen]);
        page.after = list.rows[list.n - 1].id;
        assert_int_equal(list.has_more, seen > 0);
    } while (list.has_more);
    assert_int_equal(seen, 0);

    page.after = "job_none";
    assert_int_equal(jobs_list(f->store, NULL, &page, &f->arena, &list, &f->err), E_INVALID);

    const char *paused = fixture_job_in(f, JOB_PAUSED);
    enum job_status wanted = JOB_PAUSED;
    page.after = NULL;
    assert_ok(f, jobs_list(f->store, &wanted, &page, &f->arena, &list, &f->err));
    assert_int_equal(list.n, 1);
    assert_string_equal(list.rows[0].id, paused);
}

static void only_an_ended_job_is_deleted_and_all_of_it_goes(void **state)
{
    struct fixture *f = *state;
    char folder[200];
    const char *open = fixture_job_in(f, JOB_RUNNING), *ended = fixture_job_in(f, JOB_CANCELLED);
    assert_int_equal(job_delete(f->store, open, &f->err), E_CONFLICT);
    snprintf(folder, sizeof folder, "%s/jobs/%s", f->folder, ended);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_ok(f, job_delete(f->store, ended, &f->err));
    assert_int_not_equal(access(folder, F_OK), 0);
    struct event_list events;
    struct event_filter filter = {.job = ended, .limit = 10};
    assert_ok(f, events_list(f->store, &filter, &f->arena, &events, &f->err));
    assert_int_equal(events.n, 0);
    assert_int_equal(job_delete(f->store, ended, &f->err), E_NOT_FOUND);
}

static void a_restart_finds_every_open_job_as_it_was(void **state)
{
    struct fixture *f = *state;
    const char *ids[N_JOB_STATUS];
    for (int i = 0; i < N_JOB_STATUS; i++)
        ids[i] = fixture_job_in(f, (enum job_status)i);
    fixture_reopen(f);
    struct job_brief *briefs = NULL;
    size_t n = 0;
    assert_ok(f, jobs_open(f->store, &f->arena, &briefs, &n, &f->err));
    assert_int_equal(n, JOB_SUCCEEDED);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(briefs[i].id, ids[i]);
        assert_int_equal(briefs[i].status, i);
    }
}

static void a_revision_needs_the_job_as_it_was_seen(void **state)
{
    struct fixture *f = *state;
    const char *id = fixture_job(f, 0);
    struct job_row before, now;
    assert_ok(f, job_set_plan(f->store, id, "{\"seconds\":1}", NULL, &f->err));
    assert_ok(f, job_get(f->store, id, &f->arena, &before, &f->err));
    struct job_row after = before;
    after.name = "renamed";
    assert_ok(f, job_revise(f->store, &before, &after, "renamed", &f->err));
    assert_ok(f, job_get(f->store, id, &f->arena, &now, &f->err));
    assert_string_equal(now.name, "renamed");
    assert_string_equal(now.estimate, "{\"seconds\":1}");
    after.spec = "{\"model\":\"resnet18\"}";
    assert_ok(f, job_revise(f->store, &before, &after, "another spec", &f->err));
    assert_ok(f, job_get(f->store, id, &f->arena, &now, &f->err));
    assert_string_equal(now.spec, after.spec);
    assert_null(now.estimate); /* it was another spec's */
    assert_int_equal(job_revise(f->store, &before, &after, "late", &f->err), E_CONFLICT);
    assert_ok(f, job_transition(f->store, id, JOB_QUEUED, JOB_VALIDATING, NULL, &f->err));
    assert_int_equal(job_revise(f->store, &now, &after, "too late", &f->err), E_CONFLICT);
}

static void a_pause_keeps_its_reason_and_error_until_the_job_is_queued_again(void **state)
{
    struct fixture *f = *state;
    const char *id = fixture_job_in(f, JOB_PAUSING);
    struct job_row row;
    struct job_change why = {.error = "{\"code\":\"disk_full\"}", .reason = "{\"code\":\"x\"}"};
    bool accepted = false;
    assert_ok(f, job_transition(f->store, id, JOB_PAUSING, JOB_PAUSED, &why, &f->err));
    assert_ok(f, job_get(f->store, id, &f->arena, &row, &f->err));
    assert_string_equal(row.error, why.error);
    assert_string_equal(row.reason, why.reason);
    assert_ok(f, job_ask(f->store, id, JOB_ASK_RESUME, &f->arena, &row, &accepted, &f->err));
    assert_null(row.error);
    assert_null(row.reason);
}

static void jobs_know_those_that_grew_from_them(void **state)
{
    struct fixture *f = *state;
    const char *parent = fixture_job(f, 0);
    struct job_row row, child = {.id = "job_child",
                                 .spec = "{}",
                                 .dataset = f->dataset,
                                 .model = "thaw-small",
                                 .parent = parent};
    const char **ids = NULL;
    size_t n = 0;
    assert_ok(f, job_insert(f->store, &child, &f->err));
    assert_ok(f, job_children(f->store, parent, &f->arena, &ids, &n, &f->err));
    assert_int_equal(n, 1);
    assert_string_equal(ids[0], "job_child");
    assert_ok(f, job_get(f->store, "job_child", &f->arena, &row, &f->err));
    assert_string_equal(row.parent, parent);
}

static void costs_are_learned_by_their_whole_key(void **state)
{
    struct fixture *f = *state;
    struct cost_key key = {.machine = "m",
                           .isa = "avx2",
                           .threads = 2,
                           .architecture = "resnet18",
                           .image_size = 224,
                           .frozen_groups = 2,
                           .mode = "train"};
    struct cost cost;
    assert_int_equal(cost_get(f->store, &key, &cost, &f->err), E_NOT_FOUND);
    assert_int_equal(cost_similar(f->store, &key, false, &cost, &f->err), E_NOT_FOUND);
    struct cost stage = {.image_ns = 3000, .image_flops = 1500};
    assert_ok(f, cost_learn(f->store, &key, &stage, &f->err));
    stage.image_ns = 6000;
    assert_ok(f, cost_learn(f->store, &key, &stage, &f->err));
    assert_ok(f, cost_get(f->store, &key, &cost, &f->err));
    assert_int_equal(cost.image_ns, 4000);
    assert_int_equal(cost.low_ns, 3000);
    assert_int_equal(cost.high_ns, 6000);
    assert_int_equal(cost.stages, 2);
    key.frozen_groups = 0;
    assert_int_equal(cost_get(f->store, &key, &cost, &f->err), E_NOT_FOUND);
    assert_ok(f, cost_similar(f->store, &key, true, &cost, &f->err));
    assert_int_equal(cost.low_ns, 2000000000LL); /* 3000 ns for 1500 operations */
    key.threads = 1;
    assert_int_equal(cost_similar(f->store, &key, false, &cost, &f->err), E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(jobs_start_by_priority_then_by_submission, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(an_interrupted_job_keeps_its_place, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_job_waits_for_its_dataset_and_others_pass, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_job_on_an_unknown_dataset_is_refused_with_its_place,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(pages_are_newest_first_and_go_on_after_an_id, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(only_an_ended_job_is_deleted_and_all_of_it_goes,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_revision_needs_the_job_as_it_was_seen, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(
            a_pause_keeps_its_reason_and_error_until_the_job_is_queued_again, fixture_open,
            fixture_close),
        cmocka_unit_test_setup_teardown(jobs_know_those_that_grew_from_them, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(costs_are_learned_by_their_whole_key, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_restart_finds_every_open_job_as_it_was, fixture_open,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
