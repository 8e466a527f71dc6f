/* Softmax cross-entropy: known values, extreme logits, and the gradient's defining sums. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/op/xent.h"

static void equal_logits_cost_the_log_of_the_number_of_classes(void **state)
{
    (void)state;
    const float logits[] = {5, 5, 5, 5};
    const int32_t label = 2;
    float row_loss;
    assert_float_equal(xent_loss(logits, &label, 1, 4, NULL, &row_loss), log(4), 1e-12);
    assert_float_equal(row_loss, log(4), 1e-6);
}

static void huge_logits_neither_overflow_nor_vanish(void **state)
{
    (void)state;
    const float logits[] = {3e38f, -3e38f, 1000, 0};
    const int32_t labels[] = {0, 0};
    float gradient[4], probabilities[4];
    double loss = xent_loss(logits, labels, 2, 2, gradient, NULL);
    assert_true(isfinite(loss));
    assert_float_equal(loss, 0, 1e-12);
    softmax_rows(logits, 2, 2, probabilities);
    assert_float_equal(probabilities[0], 1, 0);
    assert_float_equal(probabilities[3], 0, 0);
}

static void a_row_of_gradients_sums_to_zero_and_pulls_at_the_label(void **state)
{
    (void)state;
    const float logits[] = {.5f, -1, 2, 0, 0, 1};
    const int32_t labels[] = {2, 0};
    float gradient[6];
    xent_loss(logits, labels, 2, 3, gradient, NULL);
    for (int r = 0; r < 2; r++) {
        double sum = 0;
        for (int i = 0; i < 3; i++) {
            sum += gradient[r * 3 + i];
            assert_true((gradient[r * 3 + i] < 0) == (i == labels[r]));
        }
        assert_float_equal(sum, 0, 1e-7);
    }
}

static void no_number_in_gives_no_number_out(void **state)
{
    (void)state;
    const float logits[] = {NAN, 1};
    const int32_t label = 1;
    assert_true(isnan(xent_loss(logits, &label, 1, 2, NULL, NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_logits_cost_the_log_of_the_number_of_classes),
        cmocka_unit_test(huge_logits_neither_overflow_nor_vanish),
        cmocka_unit_test(a_row_of_gradients_sums_to_zero_and_pulls_at_the_label),
        cmocka_unit_test(no_number_in_gives_no_number_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
