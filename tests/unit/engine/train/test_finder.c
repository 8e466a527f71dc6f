/* The finder's curve and suggestions, against fastai's formulas. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/train/finder.h"
#include "tests/unit/engine/train/golden.h"

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b);
}

/* Sweeps over the case's losses; the finder itself must see where the sweep is over. */
static void sweep(struct finder *finder, const struct json *golden)
{
    struct finder_options options = {json_number(golden, "start", 0), json_number(golden, "end", 0),
                                     json_integer(golden, "steps", 0)};
    size_t n = 0, all = json_len(json_get(golden, "losses"));
    finder_init(finder, &options);
    json_each(loss, json_get(golden, "losses"))
    {
        bool more = finder_add(finder, json_as_number(loss, NAN));
        n++;
        if (more != (n < all))
            fail_msg("%s: step %zu of %zu", json_string(golden, "name", ""), n, all);
    }
}

static void the_curve_and_the_suggestions_are_fastais(void **state)
{
    (void)state;
    struct json *cases = golden_read("finder.json");
    assert_true(json_len(cases) >= 14);
    json_each(golden, cases)
    {
        struct finder finder;
        sweep(&finder, golden);
        assert_true(near(finder.rates[finder.n - 1], json_number(golden, "last_rate", NAN)));
        assert_true(near(finder.smoothed[finder.n - 1], json_number(golden, "last_smoothed", NAN)));
        const struct json *wanted = json_get(golden, "suggestions");
        struct json *told = finder_json(&finder);
        json_each(want, wanted)
        {
            const char *name = json_key(want);
            double rate = json_number(json_get(told, "suggestions"), name, NAN);
            if (!near(rate, json_as_number(want, NAN)))
                fail_msg("%s: %s is %g, not %g", json_string(golden, "name", ""), name, rate,
                         json_as_number(want, NAN));
        }
        assert_int_equal(json_len(json_get(told, "smoothed")), finder.n);
        json_free(told);
        finder_deinit(&finder);
    }
    json_free(cases);
}

static void a_loss_that_is_no_number_ends_the_sweep_and_is_not_recorded(void **state)
{
    (void)state;
    static const double ends[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        struct finder finder;
        finder_init(&finder, &(struct finder_options){1e-7, 10, 100});
        for (int k = 0; k < 40; k++)
            assert_true(finder_add(&finder, 3 - k / 40.));
        assert_false(finder_add(&finder, ends[i]));
        assert_int_equal(finder.n, 40);
        assert_true(finder_suggest(&finder).valley > 0);
        finder_deinit(&finder);
    }
}

static void a_curve_that_is_too_short_suggests_nothing(void **state)
{
    (void)state;
    struct finder finder;
    finder_init(&finder, &(struct finder_options){1e-7, 10, 100});
    for (int k = 0; k < 15; k++)
        finder_add(&finder, 3 - k / 40.);
    struct finder_suggestions none = finder_suggest(&finder);
    assert_true(isnan(none.valley) && isnan(none.steep) && isnan(none.minimum) &&
                isnan(none.slide));
    struct json *told = finder_json(&finder);
    assert_int_equal(json_type(json_get(json_get(told, "suggestions"), "valley")), JSON_NULL);
    json_free(told);
    for (int k = 15; k < 30; k++)
        finder_add(&finder, 3 - k / 40.);
    assert_true(isnan(finder_suggest(&finder).slide)); /* needs 16 */
    assert_true(finder_suggest(&finder).valley > 0);
    finder_deinit(&finder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_curve_and_the_suggestions_are_fastais),
        cmocka_unit_test(a_loss_that_is_no_number_ends_the_sweep_and_is_not_recorded),
        cmocka_unit_test(a_curve_that_is_too_short_suggests_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
