#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/format/weights_digest.h"
#include "tests/unit/engine/train/fixture.h"

#define SPEC(rest, stages)                                                                         \
    "{'dataset':'d','model':'thaw-small','weights':'random','image':{'size':32},'batch_size':8,"   \
    "'seed':7,'optimizer':{'name':'adamw','form':'v2'}," rest "'stages':[" stages "]}"
#define FROZEN                                                                                     \
    "{'name':'stage-1','freeze_to':-1,'epochs':1,'lr':{'slice':[null,2e-3]},"                      \
    "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.99,'div':25,'div_final':1e5}}"
#define WHOLE                                                                                      \
    "{'name':'stage-2','freeze_to':0,'epochs':2,'lr':{'slice':[1e-4,1e-3]},"                       \
    "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.3,'div':5,'div_final':1e5}}"
#define TWO_STAGES SPEC("", FROZEN "," WHOLE)

static bool exists(const struct fixture *fixture, const char *slot)
{
    char *path = fixture_path(fixture, slot);
    bool there = access(path, F_OK) == 0;
    mem_free(path);
    return there;
}

static int64_t event_integer(const struct fixture *fixture, const char *type, int n,
                             const char *key)
{
    struct json *event = fixture_event(fixture, type, n);
    assert_non_null(event);
    int64_t value = json_integer(event, key, -1);
    json_free(event);
    return value;
}

static double event_number(const struct fixture *fixture, const char *type, int n, const char *key)
{
    struct json *event = fixture_event(fixture, type, n);
    assert_non_null(event);
    double value = json_number(event, key, NAN);
    json_free(event);
    return value;
}

static void both_stages_run_and_the_model_learns(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f, TWO_STAGES, NULL);
    assert_int_equal(fixture_count(f, "started"), 1);
    assert_int_equal(fixture_count(f, "stage"), 2);
    assert_int_equal(fixture_count(f, "epoch"), 3);
    assert_int_equal(event_integer(f, "stage", 0, "frozen_groups"), 2);
    assert_int_equal(event_integer(f, "stage", 0, "steps"), 4);
    assert_int_equal(event_integer(f, "stage", 1, "steps"), 8);
    assert_int_equal(event_integer(f, "stage", 1, "frozen_groups"), 0);
    assert_true(event_integer(f, "stage", 1, "trainable_parameters") >
                event_integer(f, "stage", 0, "trainable_parameters"));
    assert_int_equal(event_integer(f, "epoch", 2, "stage_index"), 1);
    assert_int_equal(event_integer(f, "epoch", 2, "epoch"), 1);
    assert_true(event_number(f, "result", 0, "accuracy") == 1);
    static const char *const slots[] = {"stage-1",  "stage-2",  "best",
                                        "resume-a", "resume-b", "final"};
    for (size_t i = 0; i < ARRAY_LEN(slots); i++)
        assert_true(exists(f, slots[i]));
}

static void steps_report_the_rate_of_each_group(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f, SPEC("", WHOLE), NULL);
    /* The first step is always told; later ones may be thinned out. */
    struct json *step = fixture_event(f, "step", 0);
    const struct json *rates = json_get(step, "learning_rates");
    assert_int_equal(json_integer(step, "step", 0), 1);
    assert_int_equal(json_len(rates), 3);
    assert_true(fabs(json_as_number(json_at(rates, 0), 0) - 1e-4 / 5) < 1e-12);
    assert_true(fabs(json_as_number(json_at(rates, 2), 0) - 1e-3 / 5) < 1e-12);
    assert_true(fabs(json_number(step, "momentum", 0) - .95) < 1e-12);
    assert_true(json_number(step, "eta_seconds", -1) > 0);
    assert_true(json_number(step, "examples_per_second", -1) > 0);
    json_free(step);
}

static void the_same_spec_gives_the_same_bits(void **state)
{
    struct fixture *f = *state;
    char first[65], second[65], other[65];
    fixture_run_ok(f, TWO_STAGES, NULL);
    fixture_result(f, first);
    fixture_new_run(f);
    fixture_run_ok(f, TWO_STAGES, NULL);
    assert_string_equal(fixture_result(f, second), first);
    fixture_new_run(f);
    fixture_run_ok(f, SPEC("'split_seed':1,", FROZEN "," WHOLE), NULL);
    assert_string_not_equal(fixture_result(f, other), first);
}

static void a_run_paused_anywhere_ends_in_the_same_bits(void **state)
{
    struct fixture *f = *state;
    char whole[65], resumed[65];
    fixture_run_ok(f, TWO_STAGES, NULL);
    fixture_result(f, whole);
    /* In the middle of an epoch, at a stage's end, before the last step of all. */
    static const int polls[] = {2, 5, 13};
    for (size_t i = 0; i < ARRAY_LEN(polls); i++) {
        fixture_new_run(f);
        f->request = TRAINER_PAUSE;
        f->request_at = polls[i];
        fixture_run_ok(f, TWO_STAGES, NULL);
        assert_int_equal(fixture_count(f, "paused"), 1);
        assert_int_equal(fixture_count(f, "result"), 0);
        f->request_at = 0;
        fixture_run_ok(f, TWO_STAGES, NULL);
        assert_string_equal(fixture_result(f, resumed), whole);
    }
}

static void a_run_interrupted_again_and_again_ends_in_the_same_bits(void **state)
{
    struct fixture *f = *state;
    char whole[65], resumed[65];
    fixture_run_ok(f, TWO_STAGES, NULL);
    fixture_result(f, whole);
    fixture_new_run(f);
    f->request = TRAINER_PAUSE;
    f->request_at = 1;
    int runs = 0;
    while (fixture_count(f, "result") == 0 && runs++ < 50)
        fixture_run_ok(f, TWO_STAGES, NULL);
    assert_true(runs >= 12); /* about once a step */
    f->request_at = 0;
    assert_string_equal(fixture_result(f, resumed), whole);
}

static void a_checkpoint_asked_for_is_what_a_killed_run_goes_on_from(void **state)
{
    struct fixture *f = *state;
    char whole[65], resumed[65];
    fixture_run_ok(f, TWO_STAGES, NULL);
    fixture_result(f, whole);
    fixture_new_run(f);
    f->request = TRAINER_CHECKPOINT;
    f->request_at = 2;
    fixture_run_ok(f, TWO_STAGES, NULL);
    assert_string_equal(fixture_result(f, resumed), whole);
    assert_int_equal(event_integer(f, "checkpoint", 0, "step"), 2);

    fixture_new_run(f);
    f->request = TRAINER_CANCEL; /* leaves what was on disk, as a kill does */
    f->request_at = 9;
    assert_int_equal(fixture_run(f, TWO_STAGES, NULL), E_CANCELLED);
    f->request_at = 0;
    fixture_run_ok(f, TWO_STAGES, NULL);
    assert_string_equal(fixture_result(f, resumed), whole);
    struct json *log = fixture_event(f, "log", 0);
    assert_non_null(strstr(json_string(log, "detail", ""), "Going on from stage"));
    json_free(log);
}

static void going_on_with_other_threads_is_told(void **state)
{
    struct fixture *f = *state;
    f->request = TRAINER_PAUSE;
    f->request_at = 2;
    fixture_run_ok(f, TWO_STAGES, NULL);
    assert_int_equal(fixture_count(f, "warning"), 0);
    f->request_at = 0;
    f->threads = 1;
    fixture_run_ok(f, TWO_STAGES, NULL);
    struct json *warning = fixture_event(f, "warning", 0);
    assert_string_equal(json_string(warning, "code", ""), "computed_differently");
    json_free(warning);
}

static void another_spec_does_not_go_on_from_this_ones_files(void **state)
{
    struct fixture *f = *state;
    char expected[65], actual[65];
    fixture_run_ok(f, SPEC("", WHOLE), NULL);
    fixture_result(f, expected);
    fixture_new_run(f);
    fixture_run_ok(f, TWO_STAGES, NULL);
    buf_clear(&f->events);
    fixture_run_ok(f, SPEC("", WHOLE), NULL);
    assert_string_equal(fixture_result(f, actual), expected);
    assert_int_equal(fixture_count(f, "warning"), 1);
}

/* --- what freezing leaves alone --------------------------------------------------------------- */

struct pair {
    struct tensor_source a, b;
};

static void open_pair(struct pair *pair, const char *a, const char *b)
{
    struct err err;
    assert_int_equal(tensor_source_open(a, &pair->a, &err), OK);
    assert_int_equal(tensor_source_open(b, &pair->b, &err), OK);
}

/* Whether tensor `name` holds the same bits in both. */
static bool same(const struct pair *pair, const struct tensor_view *view)
{
    const struct tensor_view *other = tensor_source_find(&pair->b, view->name);
    assert_non_null(other);
    float *x = mem_alloc(view->n_elements * sizeof *x),
          *y = mem_alloc(view->n_elements * sizeof *y);
    tensor_read(view, x);
    tensor_read(other, y);
    bool equal = memcmp(x, y, view->n_elements * sizeof *x) == 0;
    mem_free(x);
    mem_free(y);
    return equal;
}

static void close_pair(struct pair *pair)
{
    tensor_source_close(&pair->a);
    tensor_source_close(&pair->b);
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void check_frozen(struct fixture *f, const char *spec, const char *start, bool norm_trains)
{
    struct pair pair;
    fixture_new_run(f);
    fixture_run_ok(f, spec, start);
    char *final = fixture_path(f, "final");
    open_pair(&pair, start, final);
    int n_norm_moved = 0;
    for (size_t i = 0; i < pair.a.n_tensors; i++) {
        const struct tensor_view *view = &pair.a.tensors[i];
        bool head = begins(view->name, "head."), norm = strstr(view->name, ".bn.") != NULL;
        if (head)
            assert_false(same(&pair, view));
        else if (!norm || !norm_trains)
            assert_true(same(&pair, view));
        else
            n_norm_moved += !same(&pair, view);
    }
    if (norm_trains)
        assert_true(n_norm_moved >= 4 * 6); /* gamma, beta and statistics of most norms */
    close_pair(&pair);
    mem_free(final);
}

static void what_is_frozen_does_not_change_a_bit(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f, SPEC("", WHOLE), NULL);
    char *start = fixture_path(f, "final");
    check_frozen(f, SPEC("'head':'new','frozen_batchnorm':'eval',", FROZEN), start, false);
    check_frozen(f, SPEC("'head':'new','frozen_batchnorm':'train',", FROZEN), start, true);
    mem_free(start);
}

static void a_head_for_the_same_classes_is_kept_when_asked(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f, SPEC("", WHOLE), NULL);
    double before = event_number(f, "result", 0, "valid_loss");
    char *start = fixture_path(f, "final");
    static const char tiny[] = "{'name':'stage-1','freeze_to':-1,'epochs':1,'lr':1e-12,"
                               "'schedule':'flat'}";
    char spec[1024];
    snprintf(spec, sizeof spec, SPEC("'head':'auto','frozen_batchnorm':'eval',", "%s"), tiny);
    fixture_new_run(f);
    fixture_run_ok(f, spec, start);
    assert_true(event_number(f, "result", 0, "valid_loss") < before + .2);
    snprintf(spec, sizeof spec, SPEC("'head':'new','frozen_batchnorm':'eval',", "%s"), tiny);
    fixture_new_run(f);
    fixture_run_ok(f, spec, start);
    assert_true(event_number(f, "result", 0, "valid_loss") > before + .2);
    mem_free(start);
}

/* --- the final model -------------------------------------------------------------------------- */

static void with_save_best_the_final_model_is_the_best_epochs(void **state)
{
    struct fixture *f = *state;
    /* A good epoch, then one at a rate that ruins it. */
    fixture_run_ok(f,
                   SPEC("'save_best':{'monitor':'valid_loss'},", WHOLE
                        ",{'name':'bad','freeze_to':0,'epochs':1,'lr':3.0,'schedule':'flat'}"),
                   NULL);
    char *best = fixture_path(f, "best"), *final = fixture_path(f, "final");
    struct pair pair;
    open_pair(&pair, best, final);
    for (size_t i = 0; i < pair.a.n_tensors; i++)
        assert_true(same(&pair, &pair.a.tensors[i]));
    close_pair(&pair);
    mem_free(best);
    mem_free(final);
    double least = INFINITY;
    for (int i = 0; i < 3; i++)
        least = fmin(least, event_number(f, "epoch", i, "valid_loss"));
    assert_true(event_number(f, "result", 0, "valid_loss") == least);
    assert_true(event_number(f, "epoch", 2, "valid_loss") > least);
}

static void the_result_names_the_files_weights_and_the_file_its_classes(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct tensor_source source;
    struct model_info info;
    char told[65], actual[SHA256_HEX];
    fixture_run_ok(f, SPEC("", FROZEN), NULL);
    char *final = fixture_path(f, "final");
    assert_int_equal(model_file_open(final, &source, &info, &err), OK);
    assert_int_equal(weights_sha256(&source, actual, &err), OK);
    assert_string_equal(fixture_result(f, told), actual);
    assert_string_equal(info.architecture, "thaw-small");
    assert_string_equal(info.head, "v2");
    assert_int_equal(info.image_size, 32);
    assert_int_equal(json_len(info.classes), 2);
    assert_string_equal(json_as_string(json_at(info.classes, 0), ""), "blue");
    model_info_deinit(&info);
    tensor_source_close(&source);
    mem_free(final);
}

static void without_validation_items_the_last_model_is_the_final_one(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f, SPEC("'valid_fraction':0,'save_best':{'monitor':'valid_loss'},", WHOLE),
                   NULL);
    assert_int_equal(event_integer(f, "stage", 0, "steps"), 10); /* all 40 items train */
    struct json *epoch = fixture_event(f, "epoch", 1);
    assert_int_equal(json_type(json_get(epoch, "valid_loss")), JSON_NULL);
    json_free(epoch);
    assert_false(exists(f, "best"));
    assert_true(exists(f, "final"));
    assert_true(event_number(f, "result", 0, "train_loss") > 0);
}

/* --- what stops a run ------------------------------------------------------------------------- */

static void a_loss_that_is_no_number_stops_the_run_with_a_hint(void **state)
{
    struct fixture *f = *state;
    static const char wild[] = "{'name':'wild','freeze_to':0,'epochs':3,'lr':1e30,"
                               "'schedule':'flat'}";
    char spec[1024];
    snprintf(spec, sizeof spec, SPEC("", "%s"), wild);
    assert_int_equal(fixture_run(f, spec, NULL), E_INVALID);
    assert_string_equal(f->err.code, "loss_is_nan");
    assert_non_null(strstr(f->err.detail, "stage \"wild\" at step "));
    assert_non_null(strstr(f->err.hint, "learning rate"));
    assert_false(exists(f, "final"));
}

static void a_batch_larger_than_the_data_is_lowered_to_it(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f,
                   "{'model':'thaw-small','image':{'size':32},'batch_size':500,"
                   "'stages':[{'name':'s','freeze_to':-1,'epochs':1,'lr':1e-3,'schedule':'flat'}]}",
                   NULL);
    assert_int_equal(event_integer(f, "stage", 0, "batch_size"), 32);
    assert_int_equal(event_integer(f, "stage", 0, "steps"), 1);
}

static void refused(struct fixture *f, const char *spec, const char *weights, const char *words)
{
    assert_int_equal(fixture_run(f, spec, weights), E_INVALID);
    if (!strstr(f->err.detail, words))
        fail_msg("\"%s\" does not say \"%s\"", f->err.detail, words);
    assert_int_equal(fixture_count(f, "started"), 0);
}

static void a_spec_that_cannot_run_is_refused_before_it_starts(void **state)
{
    struct fixture *f = *state;
    refused(f, "{'model':'thaw-tiny','stages':[{'epochs':1,'lr':1e-3}]}", NULL,
            "no network \"thaw-tiny\"");
    refused(f, "{'model':'thaw-small','batch_size':1,'stages':[{'epochs':1,'lr':1e-3}]}", NULL,
            "batch of one item");
    refused(f, "{'model':'thaw-small','stages':[{'epochs':1,'lr':1e-3,'freeze_to':3}]}", NULL,
            "it must be in -3..2");
    assert_string_equal(f->err.pointer, "/stages/0/freeze_to");
    refused(f, "{'model':'thaw-small','stages':[]}", NULL, "1 to 64 stages");
    refused(f, "{'model':'thaw-small','stages':[{'epochs':1,'lr':{'groups':[1,2]}}]}", NULL,
            "3 layer groups");
    refused(f, "{'model':'thaw-small','stages':[{'epochs':1,'lr':1e-3}]}", f->index, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_stages_run_and_the_model_learns, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(steps_report_the_rate_of_each_group, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(the_same_spec_gives_the_same_bits, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_run_paused_anywhere_ends_in_the_same_bits, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_run_interrupted_again_and_again_ends_in_the_same_bits,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_checkpoint_asked_for_is_what_a_killed_run_goes_on_from,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(going_on_with_other_threads_is_told, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(another_spec_does_not_go_on_from_this_ones_files,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_is_frozen_does_not_change_a_bit, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_head_for_the_same_classes_is_kept_when_asked,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(with_save_best_the_final_model_is_the_best_epochs,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(the_result_names_the_files_weights_and_the_file_its_classes,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(without_validation_items_the_last_model_is_the_final_one,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_loss_that_is_no_number_stops_the_run_with_a_hint,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_batch_larger_than_the_data_is_lowered_to_it,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_spec_that_cannot_run_is_refused_before_it_starts,
                                        fixture_set_up, fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
