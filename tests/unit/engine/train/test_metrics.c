#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/train/metrics.h"

static void close_to(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-12 * fmax(1, fabs(expected))))
        fail_msg("%.17g is not %.17g", actual, expected);
}

static void the_smoothed_loss_is_a_debiased_average(void **state)
{
    (void)state;
    struct smooth_loss loss = {0};
    assert_true(isnan(smooth_loss_value(&loss)));
    smooth_loss_add(&loss, 3);
    close_to(smooth_loss_value(&loss), 3);
    smooth_loss_add(&loss, 1);
    close_to(smooth_loss_value(&loss), (3 * .98 * .02 + 1 * .02) / (1 - .98 * .98));
    for (int i = 0; i < 2000; i++)
        smooth_loss_add(&loss, .25);
    close_to(smooth_loss_value(&loss), .25);
}

static void validation_scores_are_means_over_items(void **state)
{
    (void)state;
    struct evaluation evaluation = {.loss = {4.5, 3}, .correct = 2, .rows = 3};
    struct smooth_loss none = {0};
    struct scores scores = scores_from(&none, &evaluation);
    close_to(scores.valid_loss, 1.5);
    close_to(scores.accuracy, 2. / 3);
    close_to(scores.error_rate, 1. / 3);
    assert_true(isnan(scores.train_loss));
}

static void without_validation_items_scores_are_unknown(void **state)
{
    (void)state;
    struct evaluation evaluation = {0};
    struct smooth_loss loss = {0};
    smooth_loss_add(&loss, 1);
    struct scores scores = scores_from(&loss, &evaluation);
    assert_true(isnan(scores.valid_loss) && isnan(scores.accuracy) && isnan(scores.error_rate));
    close_to(scores.train_loss, 1);
}

static void scores_survive_json_to_the_last_bit(void **state)
{
    (void)state;
    struct scores scores = {.1 + .2, NAN, 1. / 3, 2. / 3, NAN};
    struct json *json = json_new_object();
    scores_set(&scores, json);
    assert_int_equal(json_type(json_get(json, "valid_loss")), JSON_NULL);
    assert_null(json_get(json, "perplexity")); /* of language models alone */
    struct scores back = scores_parse(json);
    json_free(json);
    assert_true(isnan(back.perplexity));
    assert_true(back.train_loss == scores.train_loss && back.accuracy == scores.accuracy);
    assert_true(isnan(back.valid_loss) && back.error_rate == scores.error_rate);
}

static void a_language_models_loss_is_a_perplexity(void **state)
{
    (void)state;
    struct smooth_loss train = {0};
    smooth_loss_add(&train, 2);
    struct evaluation valid = {
        .loss = {.loss = 30, .weight = 10}, .correct = 4, .rows = 10, .of_words = true};
    struct scores scores = scores_from(&train, &valid);
    close_to(scores.perplexity, exp(3));
    close_to(scores.accuracy, .4);
    struct json *json = json_new_object();
    scores_set(&scores, json);
    struct scores back = scores_parse(json);
    json_free(json);
    assert_true(back.perplexity == scores.perplexity);
    valid.of_words = false;
    assert_true(isnan(scores_from(&train, &valid).perplexity));
}

static void losses_and_errors_want_less_accuracy_more(void **state)
{
    (void)state;
    assert_true(scores_is_better("valid_loss", 1, 2));
    assert_false(scores_is_better("valid_loss", 2, 2));
    assert_true(scores_is_better("error_rate", .1, .2));
    assert_true(scores_is_better("accuracy", .9, .8));
    assert_false(scores_is_better("accuracy", .7, .8));
    assert_true(scores_is_better("accuracy", .1, NAN));
    assert_false(scores_is_better("accuracy", NAN, .1));
    assert_false(scores_is_better("loudness", 1, 2));
    assert_false(scores_knows("loudness"));
    struct scores scores = {1, 2, .75, .25, 4};
    close_to(scores_get(&scores, "accuracy"), .75);
    assert_true(isnan(scores_get(&scores, "loudness")));
}

static void better_by_a_margin_is_more_than_better(void **state)
{
    (void)state;
    assert_true(scores_is_better_by("valid_loss", .5, .61, .1));
    assert_false(scores_is_better_by("valid_loss", .5, .59, .1));
    assert_true(scores_is_better_by("accuracy", .8, .75, .04));
    assert_false(scores_is_better_by("accuracy", .8, .75, .06));
    assert_true(scores_is_better_by("accuracy", .8, NAN, .06));
    assert_false(scores_is_better_by("accuracy", NAN, .1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smoothed_loss_is_a_debiased_average),
        cmocka_unit_test(validation_scores_are_means_over_items),
        cmocka_unit_test(without_validation_items_scores_are_unknown),
        cmocka_unit_test(better_by_a_margin_is_more_than_better),
        cmocka_unit_test(scores_survive_json_to_the_last_bit),
        cmocka_unit_test(a_language_models_loss_is_a_perplexity),
        cmocka_unit_test(losses_and_errors_want_less_accuracy_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
