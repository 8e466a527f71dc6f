/* What reports count with: pairs of many classes, intervals of shares. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/train/calibration.h"
#include "engine/train/confusion.h"
#include "tests/unit/engine/train/golden.h"

static void the_table_of_pairs_counts_as_a_matrix_does(void **state)
{
    (void)state;
    enum { CLASSES = 300, ADDED = 60000 };
    struct confusion confusion;
    struct err err;
    int64_t *matrix = mem_alloc(CLASSES * CLASSES * sizeof *matrix);
    struct rng rng = rng_stream("confusion", 1, 0, 0);
    assert_int_equal(confusion_init(&confusion, CLASSES, &err), OK);
    for (int i = 0; i < ADDED; i++) {
        int32_t actual = (int32_t)(rng_below(&rng, CLASSES) * rng_below(&rng, CLASSES) / CLASSES);
        int32_t predicted = (int32_t)rng_below(&rng, CLASSES);
        confusion_add(&confusion, actual, predicted);
        matrix[actual * CLASSES + predicted]++;
    }
    int64_t above = 0;
    struct pair_count worst[50];
    assert_int_equal(confusion_worst(&confusion, worst, 50), 50);
    for (int32_t a = 0; a < CLASSES; a++) {
        for (int32_t p = 0; p < CLASSES; p++) {
            assert_int_equal(confusion_count(&confusion, a, p), matrix[a * CLASSES + p]);
            above += a != p && matrix[a * CLASSES + p] > worst[49].count;
        }
    }
    assert_true(above < 50); /* none that is more frequent than the last was left out */
    for (int i = 1; i < 50; i++)
        assert_true(worst[i - 1].count >= worst[i].count && worst[i].actual != worst[i].predicted);
    confusion_deinit(&confusion);
    mem_free(matrix);
}

static void wilson_intervals_are_scipys(void **state)
{
    (void)state;
    struct json *all = golden_read("report.json");
    json_each(row, json_get(all, "wilson"))
    {
        struct interval interval = wilson_interval((int64_t)json_as_number(json_at(row, 0), 0),
                                                   (int64_t)json_as_number(json_at(row, 1), 0));
        assert_true(fabs(interval.low - json_as_number(json_at(row, 2), NAN)) < 1e-12);
        assert_true(fabs(interval.high - json_as_number(json_at(row, 3), NAN)) < 1e-12);
    }
    assert_true(isnan(wilson_interval(0, 0).low));
    json_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_pairs_counts_as_a_matrix_does),
        cmocka_unit_test(wilson_intervals_are_scipys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
