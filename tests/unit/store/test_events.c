/* Events: numbered once, kept in order, step events thinned evenly. */
#include "tests/unit/store/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static size_t count_steps(struct fixture *f, const char *job, int64_t *first, int64_t *last)
{
    size_t n = 0;
    struct event_filter filter = {.job = job, .type = "step", .limit = 1000};
    struct event_list list;
    do {
        struct arena arena;
        arena_init(&arena);
        assert_ok(f, events_list(f->store, &filter, &arena, &list, &f->err));
        for (size_t i = 0; i < list.n; i++) {
            int64_t number = strtoll(list.rows[i].data + strlen("{\"n\":"), NULL, 10);
            if (n++ == 0)
                *first = number;
            *last = number;
            filter.after = list.rows[i].seq;
        }
        arena_deinit(&arena);
    } while (list.has_more);
    return n;
}

/* Writes step events {"n": from} to {"n": to - 1}. */
static void write_steps(struct fixture *f, const char *job, int from, int to)
{
    enum { BATCH = 500 };
    char texts[BATCH][32];
    struct event_new events[BATCH];
    for (int at = from; at < to; at += BATCH) {
        size_t n = 0;
        for (; n < BATCH && at + (int)n < to; n++) {
            snprintf(texts[n], sizeof texts[n], "{\"n\":%d}", at + (int)n);
            events[n] = (struct event_new){.type = "step", .job = job, .data = texts[n]};
        }
        assert_ok(f, events_append(f->store, events, n, false, &f->err));
    }
}

static void step_events_never_pass_ten_thousand_and_cover_the_whole_run(void **state)
{
    struct fixture *f = *state;
    const char *job = fixture_job_in(f, JOB_RUNNING);
    int64_t first = 0, last = 0;
    for (int round = 0; round < 6; round++) {
        write_steps(f, job, round * 5000, (round + 1) * 5000);
        size_t n = count_steps(f, job, &first, &last);
        assert_in_range(n, 1, EVENTS_MAX_STEPS);
        assert_int_equal(last, (round + 1) * 5000 - 1); /* the newest are all there */
        assert_in_range(first, 0, 8);                   /* and the oldest are, thinned */
    }
    assert_in_range(count_steps(f, job, &first, &last), 3000, EVENTS_MAX_STEPS);
}

static void other_kinds_are_never_thinned(void **state)
{
    struct fixture *f = *state;
    const char *job = fixture_job_in(f, JOB_RUNNING);
    struct event_new epoch = {.type = "epoch", .job = job, .data = "{}"};
    for (int i = 0; i < 3; i++) {
        assert_ok(f, events_append(f->store, &epoch, 1, true, &f->err));
        write_steps(f, job, i * 6000, (i + 1) * 6000);
    }
    struct event_list list;
    struct event_filter filter = {.job = job, .type = "epoch", .limit = 10};
    assert_ok(f, events_list(f->store, &filter, &f->arena, &list, &f->err));
    assert_int_equal(list.n, 3);
}

static void seq_starts_at_one_and_is_never_given_twice(void **state)
{
    struct fixture *f = *state;
    int64_t seq = 0;
    assert_ok(f, events_last_seq(f->store, &seq, &f->err));
    assert_int_equal(seq, 0);
    const char *job = fixture_job_in(f, JOB_CANCELLED);
    struct event_list list;
    struct event_filter filter = {.limit = 100};
    assert_ok(f, events_list(f->store, &filter, &f->arena, &list, &f->err));
    for (size_t i = 0; i < list.n; i++)
        assert_int_equal(list.rows[i].seq, i + 1);
    assert_ok(f, events_last_seq(f->store, &seq, &f->err));
    assert_int_equal(seq, list.n);
    assert_ok(f, job_delete(f->store, job, &f->err));
    fixture_reopen(f);
    struct event_new event = {.type = "log", .data = "{}"};
    assert_ok(f, events_append(f->store, &event, 1, true, &f->err));
    int64_t next = 0;
    assert_ok(f, events_last_seq(f->store, &next, &f->err));
    assert_int_equal(next, seq + 1);
}

static void lists_go_on_after_a_seq_and_can_be_of_one_job_or_type(void **state)
{
    struct fixture *f = *state;
    const char *a = fixture_job(f, 0), *b = fixture_job_in(f, JOB_RUNNING);
    struct event_list list;
    struct event_filter filter = {.job = b, .limit = 2};
    assert_ok(f, events_list(f->store, &filter, &f->arena, &list, &f->err));
    assert_int_equal(list.n, 2);
    assert_true(list.has_more);
    filter.after = list.rows[1].seq;
    assert_ok(f, events_list(f->store, &filter, &f->arena, &list, &f->err));
    assert_int_equal(list.n, 1);
    assert_false(list.has_more);
    assert_string_equal(list.rows[0].job, b);
    filter = (struct event_filter){.job = a, .type = "done", .limit = 10};
    assert_ok(f, events_list(f->store, &filter, &f->arena, &list, &f->err));
    assert_int_equal(list.n, 0);
    struct event_row last;
    assert_ok(f, events_last(f->store, b, "state", &f->arena, &last, &f->err));
    assert_non_null(strstr(last.data, "\"running\""));
    assert_int_equal(events_last(f->store, b, "epoch", &f->arena, &last, &f->err), E_NOT_FOUND);
}

static int64_t heard;

static void hear(void *context, int64_t seq)
{
    assert_ptr_equal(context, &heard);
    assert_true(seq > heard);
    heard = seq;
}

static void the_listener_hears_of_every_commit_and_of_no_rollback(void **state)
{
    struct fixture *f = *state;
    heard = 0;
    store_on_events(f->store, hear, &heard);
    const char *job = fixture_job_in(f, JOB_RUNNING);
    int64_t seq = 0;
    assert_ok(f, events_last_seq(f->store, &seq, &f->err));
    assert_int_equal(heard, seq);
    assert_int_equal(job_transition(f->store, job, JOB_QUEUED, JOB_VALIDATING, NULL, &f->err),
                     E_CONFLICT);
    assert_int_equal(heard, seq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(step_events_never_pass_ten_thousand_and_cover_the_whole_run,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(other_kinds_are_never_thinned, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(seq_starts_at_one_and_is_never_given_twice, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(lists_go_on_after_a_seq_and_can_be_of_one_job_or_type,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(the_listener_hears_of_every_commit_and_of_no_rollback,
                                        fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
