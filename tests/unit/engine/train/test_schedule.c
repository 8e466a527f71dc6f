#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "engine/train/schedule.h"
#include "tests/unit/engine/train/golden.h"

#define TOLERANCE 1e-12 /* of the maximum rate, which is 1 here */

static struct json *parse(const char *text)
{
    struct err err;
    struct json *json = NULL;
    assert_int_equal(json_parse(text, strlen(text), &json, &err), OK);
    return json;
}

static void every_step_agrees_with_the_stepped_policies(void **state)
{
    (void)state;
    struct json *cases = golden_read("schedule.json");
    assert_true(json_len(cases) >= 21);
    json_each(golden, cases)
    {
        struct schedule schedule;
        struct err err;
        assert_int_equal(schedule_parse(golden, FORM_V2, &schedule, &err), OK);
        schedule.steps = json_integer(golden, "steps", 0);
        schedule.steps_per_epoch = json_integer(golden, "steps_per_epoch", 1);
        int64_t step = 0;
        json_each(row, json_get(golden, "rows"))
        {
            double rate = json_as_number(json_at(row, 0), NAN);
            double momentum = json_as_number(json_at(row, 1), NAN);
            assert_true(fabs(schedule_rate(&schedule, step) - rate) <= TOLERANCE);
            assert_true(fabs(schedule_momentum(&schedule, step) - momentum) <= TOLERANCE);
            step++;
        }
        assert_int_equal(step, schedule.steps);
    }
    json_free(cases);
}

static void a_name_alone_takes_the_defaults_of_its_form(void **state)
{
    (void)state;
    struct schedule v1, v2;
    struct err err;
    struct json *name = parse("\"one_cycle\"");
    assert_int_equal(schedule_parse(name, FORM_V1, &v1, &err), OK);
    assert_int_equal(schedule_parse(name, FORM_V2, &v2, &err), OK);
    json_free(name);
    assert_true(v1.pct_start == .3 && v1.div == 25 && v1.div_final == 25e4);
    assert_true(v2.pct_start == .25 && v2.div == 25 && v2.div_final == 1e5);
    assert_true(v1.momentum[0] == .95 && v1.momentum[1] == .85 && v1.momentum[2] == .95);
}

static void a_schedule_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\"two_cycle\"",
        "{\"name\":\"one_cycle\",\"pct_start\":1}",
        "{\"name\":\"one_cycle\",\"pct_start\":-0.1}",
        "{\"name\":\"one_cycle\",\"div\":0}",
        "{\"name\":\"one_cycle\",\"div_final\":0.5}",
        "{\"name\":\"one_cycle\",\"momentum\":[0.9,1,0.9]}",
        "{\"name\":\"sgdr\",\"cycle_len\":0}",
        "{\"name\":\"sgdr\",\"cycle_mult\":0}",
        "{\"name\":\"triangular\",\"cut_frac\":0}",
        "{\"name\":\"triangular\",\"ratio\":0.5}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct schedule schedule;
        struct err err = {0};
        struct json *json = parse(texts[i]);
        assert_int_equal(schedule_parse(json, FORM_V2, &schedule, &err), E_INVALID);
        assert_true(strlen(err.detail) > 20);
        json_free(json);
    }
}

static void rates(const char *text, int n_groups, double *out)
{
    struct err err;
    struct json *lr = parse(text);
    assert_int_equal(schedule_parse_rates(lr, n_groups, out, &err), OK);
    json_free(lr);
}

static void close_to(double actual, double expected)
{
    assert_true(fabs(actual - expected) <= 1e-12 * expected);
}

static void a_slice_is_geometric_over_the_groups(void **state)
{
    (void)state;
    double r[4];
    rates("{\"slice\":[1e-6,1e-4]}", 3, r);
    close_to(r[0], 1e-6);
    close_to(r[1], 1e-5);
    close_to(r[2], 1e-4);
    rates("{\"slice\":[1e-6,1e-4]}", 1, r);
    close_to(r[0], 1e-4);
}

static void a_half_open_slice_gives_a_tenth_to_all_but_the_last(void **state)
{
    (void)state;
    double r[4];
    rates("{\"slice\":[null,3e-3]}", 4, r);
    close_to(r[0], 3e-4);
    close_to(r[2], 3e-4);
    close_to(r[3], 3e-3);
}

static void a_number_and_a_list_are_taken_as_they_are(void **state)
{
    (void)state;
    double r[4];
    rates("0.01", 2, r);
    assert_true(r[0] == .01 && r[1] == .01);
    rates("{\"groups\":[0,0.1,0.2]}", 3, r);
    assert_true(r[0] == 0 && r[1] == .1 && r[2] == .2);
}

static void rates_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"null",
                                        "\"fast\"",
                                        "0",
                                        "-1",
                                        "{\"slice\":[1e-6]}",
                                        "{\"slice\":[1e-6,null]}",
                                        "{\"slice\":[0,1]}",
                                        "{\"slice\":[\"a\",1]}",
                                        "{\"groups\":[1,2]}",
                                        "{\"groups\":[1,2,-1]}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double r[3];
        struct err err = {0};
        struct json *lr = parse(texts[i]);
        assert_int_equal(schedule_parse_rates(lr, 3, r, &err), E_INVALID);
        json_free(lr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_agrees_with_the_stepped_policies),
        cmocka_unit_test(a_name_alone_takes_the_defaults_of_its_form),
        cmocka_unit_test(a_schedule_that_cannot_be_is_refused),
        cmocka_unit_test(a_slice_is_geometric_over_the_groups),
        cmocka_unit_test(a_half_open_slice_gives_a_tenth_to_all_but_the_last),
        cmocka_unit_test(a_number_and_a_list_are_taken_as_they_are),
        cmocka_unit_test(rates_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
