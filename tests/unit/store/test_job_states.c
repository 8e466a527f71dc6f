/* A job moves along the drawn edges and no others; its last event is `done`. */
#include "tests/unit/store/fixture.h"

#include <string.h>

#define INTERRUPT JOB_INTERRUPTED

/* The drawing of server/supervisor.h as a matrix, written down a second time on purpose. */
static const char drawing[N_JOB_STATUS][N_JOB_STATUS + 1] = {
    /*                      q v r P p c i S F C */
    [JOB_QUEUED] = /*     */ ".v..p...FC", [JOB_VALIDATING] = /* */ "..r..ci.F.",
    [JOB_RUNNING] = /*    */ "...P.ciSF.", [JOB_PAUSING] = /*    */ "....pc.SF.",
    [JOB_PAUSED] = /*     */ "q........C", [JOB_CANCELLING] = /* */ ".........C",
    [INTERRUPT] = /*      */ "q...p....C", [JOB_SUCCEEDED] = /*  */ "..........",
    [JOB_FAILED] = /*     */ "..........", [JOB_CANCELLED] = /*  */ "..........",
};

static void every_edge_is_legal_exactly_where_it_is_drawn(void **state)
{
    struct fixture *f = *state;
    for (int from = 0; from < N_JOB_STATUS; from++)
        for (int to = 0; to < N_JOB_STATUS; to++) {
            bool drawn = drawing[from][to] != '.';
            assert_int_equal(job_edge_is_legal((enum job_status)from, (enum job_status)to), drawn);
            const char *id = fixture_job_in(f, (enum job_status)from);
            enum status status = job_transition(f->store, id, (enum job_status)from,
                                                (enum job_status)to, NULL, &f->err);
            assert_int_equal(status, drawn ? OK : E_INTERNAL);
            assert_int_equal(fixture_status(f, id), drawn ? to : from);
        }
}

static void an_edge_from_a_state_the_job_has_left_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    const char *id = fixture_job_in(f, JOB_RUNNING);
    assert_int_equal(job_transition(f->store, id, JOB_QUEUED, JOB_VALIDATING, NULL, &f->err),
                     E_CONFLICT);
    assert_int_equal(fixture_status(f, id), JOB_RUNNING);
    assert_int_equal(
        job_transition(f->store, "job_none", JOB_QUEUED, JOB_VALIDATING, NULL, &f->err),
        E_NOT_FOUND);
}

static void events_of(struct fixture *f, const char *job, struct event_list *list)
{
    struct event_filter filter = {.job = job, .limit = 1000};
    assert_ok(f, events_list(f->store, &filter, &f->arena, list, &f->err));
}

static void each_edge_writes_one_event_and_the_last_is_done(void **state)
{
    struct fixture *f = *state;
    const char *id = fixture_job_in(f, JOB_RUNNING);
    struct job_change change = {.error = "{\"code\":\"c\",\"detail\":\"d\",\"hint\":null}"};
    assert_ok(f, job_transition(f->store, id, JOB_RUNNING, JOB_FAILED, &change, &f->err));
    struct event_list list;
    events_of(f, id, &list);
    static const char *const wanted[] = {"state", "state", "state", "state", "done"};
    assert_int_equal(list.n, ARRAY_LEN(wanted));
    for (size_t i = 0; i < list.n; i++)
        assert_string_equal(list.rows[i].type, wanted[i]);
    assert_non_null(strstr(list.rows[4].data, "\"code\":\"c\""));
}

static void nothing_follows_done(void **state)
{
    struct fixture *f = *state;
    const char *id = fixture_job_in(f, JOB_SUCCEEDED);
    struct event_new late = {.type = "step", .job = id, .data = "{}"};
    struct job_report report = {.progress = "{\"late\":1}", .events = &late, .n_events = 1};
    assert_ok(f, job_report(f->store, id, &report, true, &f->err));
    assert_ok(f, events_append(f->store, &late, 1, true, &f->err));
    struct event_list list;
    events_of(f, id, &list);
    assert_string_equal(list.rows[list.n - 1].type, "done");
    struct job_row row;
    assert_ok(f, job_get(f->store, id, &f->arena, &row, &f->err));
    assert_null(row.progress);
}

static void times_are_set_by_the_edges(void **state)
{
    struct fixture *f = *state;
    struct job_row row;
    const char *id = fixture_job_in(f, JOB_RUNNING);
    assert_ok(f, job_get(f->store, id, &f->arena, &row, &f->err));
    int64_t started = row.started_ms;
    assert_true(started >= row.created_ms && row.finished_ms == 0);
    assert_ok(f, job_transition(f->store, id, JOB_RUNNING, JOB_INTERRUPTED, NULL, &f->err));
    assert_ok(f, job_transition(f->store, id, JOB_INTERRUPTED, JOB_QUEUED, NULL, &f->err));
    assert_ok(f, job_transition(f->store, id, JOB_QUEUED, JOB_VALIDATING, NULL, &f->err));
    assert_ok(f, job_transition(f->store, id, JOB_VALIDATING, JOB_FAILED, NULL, &f->err));
    assert_ok(f, job_get(f->store, id, &f->arena, &row, &f->err));
    assert_int_equal(row.started_ms, started);
    assert_true(row.finished_ms >= started);
}

/* action: what follows in each state; '-' is a conflict, '=' nothing to do (200), '+' under way
 * already (202), a letter the edge taken. */
static const char asked[N_JOB_ACTION][N_JOB_STATUS + 1] = {
    /*                      q v r P p c i S F C */
    [JOB_ASK_CANCEL] = /**/ "CcccC+C--=",
    [JOB_ASK_PAUSE] = /* */ "p-P+=-p---",
    [JOB_ASK_RESUME] = /**/ "=-=-q-----",
};

static void what_clients_ask_follows_the_contract_in_every_state(void **state)
{
    struct fixture *f = *state;
    static const char letters[] = "qvrPpciSFC";
    for (int action = 0; action < N_JOB_ACTION; action++)
        for (int from = 0; from < N_JOB_STATUS; from++) {
            char wanted = asked[action][from];
            const char *id = fixture_job_in(f, (enum job_status)from);
            struct job_row row;
            bool accepted = false;
            enum status status =
                job_ask(f->store, id, (enum job_action)action, &f->arena, &row, &accepted, &f->err);
            if (wanted == '-') {
                assert_int_equal(status, E_CONFLICT);
                assert_int_equal(fixture_status(f, id), from);
                continue;
            }
            assert_int_equal(status, OK);
            assert_int_equal(accepted, wanted != '=');
            int to =
                wanted == '=' || wanted == '+' ? from : (int)(strchr(letters, wanted) - letters);
            assert_int_equal(row.status, to);
            assert_int_equal(fixture_status(f, id), to);
        }
}

static void deaths_are_counted_until_a_checkpoint(void **state)
{
    struct fixture *f = *state;
    const char *id = fixture_job_in(f, JOB_RUNNING);
    struct job_change died = {.died = true, .crashed = true};
    assert_ok(f, job_transition(f->store, id, JOB_RUNNING, JOB_INTERRUPTED, &died, &f->err));
    struct job_row row;
    assert_ok(f, job_get(f->store, id, &f->arena, &row, &f->err));
    assert_int_equal(row.deaths, 1);
    assert_int_equal(row.crashes, 1);
    struct job_report report = {.checkpointed = true};
    assert_ok(f, job_report(f->store, id, &report, true, &f->err));
    assert_ok(f, job_get(f->store, id, &f->arena, &row, &f->err));
    assert_int_equal(row.deaths + row.crashes, 0);
}

static void success_brings_its_model_and_checkpoints_in_one_transaction(void **state)
{
    struct fixture *f = *state;
    const char *id = fixture_job_in(f, JOB_RUNNING);
    struct checkpoint_row checkpoints[] = {
        {.job = id, .slot = "stage-1", .name = "first", .sha256 = "a", .bytes = 1},
        {.job = id, .slot = "final", .name = "last", .sha256 = "b", .bytes = 2}};
    struct model_row model = {.id = "mdl_x",
                              .name = "thaw-small", /* taken by the base model */
                              .kind = "image",
                              .architecture = "thaw-small",
                              .origin = "job",
                              .available = true,
                              .job = id,
                              .weights = "b"};
    struct job_change change = {
        .result_model = "mdl_x", .model = &model, .checkpoints = checkpoints, .n_checkpoints = 2};
    /* The wrong starting state: none of it may stay. */
    assert_int_equal(job_transition(f->store, id, JOB_PAUSING, JOB_SUCCEEDED, &change, &f->err),
                     E_CONFLICT);
    struct model_row found;
    assert_int_equal(model_get(f->store, "mdl_x", &f->arena, &found, &f->err), E_NOT_FOUND);

    assert_ok(f, job_transition(f->store, id, JOB_RUNNING, JOB_SUCCEEDED, &change, &f->err));
    assert_ok(f, model_get(f->store, "mdl_x", &f->arena, &found, &f->err));
    assert_string_not_equal(found.name, "thaw-small");
    struct checkpoint_list list;
    assert_ok(f, checkpoints_list(f->store, id, &f->arena, &list, &f->err));
    assert_int_equal(list.n, 2);
    struct checkpoint_row one;
    assert_ok(f, checkpoint_get(f->store, list.rows[0].id, &f->arena, &one, &f->err));
    assert_string_equal(one.name, "first");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_edge_is_legal_exactly_where_it_is_drawn, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(an_edge_from_a_state_the_job_has_left_is_a_conflict,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(each_edge_writes_one_event_and_the_last_is_done,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(nothing_follows_done, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(times_are_set_by_the_edges, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(what_clients_ask_follows_the_contract_in_every_state,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(deaths_are_counted_until_a_checkpoint, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(success_brings_its_model_and_checkpoints_in_one_transaction,
                                        fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
