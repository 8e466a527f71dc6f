/* What became of stages: added up step by step, kept through text, told of those that began. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "engine/train/stage_record.h"

static void what_is_written_down_is_read_again(void **state)
{
    (void)state;
    struct stage_record records[2] = {stage_record_start(), stage_record_start()}, read[3];
    stage_record_step(&records[0], 40, .25);
    stage_record_step(&records[0], 24, .75);
    records[0].scores.perplexity = 12.5;
    struct json *json = json_new_object();
    stage_records_set(records, 2, json, "stages");
    stage_records_parse(json, "stages", read, 3);
    assert_int_equal(read[0].steps, 2);
    assert_int_equal(read[0].tokens, 64);
    assert_true(read[0].seconds == 1 && read[0].scores.perplexity == 12.5);
    assert_true(isnan(read[0].scores.valid_loss));
    assert_true(read[1].steps == 0 && read[2].steps == 0 && isnan(read[2].scores.accuracy));
    json_free(json);
    json = json_new_object(); /* of an engine that wrote none */
    stage_records_parse(json, "stages", read, 3);
    assert_true(read[0].steps == 0 && isnan(read[0].scores.perplexity));
    json_free(json);
}

static void stages_that_began_are_told_of_with_their_pace(void **state)
{
    (void)state;
    struct recipe_stage stages[] = {
        {.name = "lm", .phase = PHASE_LANGUAGE_MODEL, .batch = 4, .n_train = 9},
        {.name = "pictures", .phase = PHASE_PICTURES, .batch = 4},
        {.name = "later", .phase = PHASE_CLASSIFIER}};
    struct recipe recipe = {.stages = stages, .n_stages = 3};
    struct stage_record records[3];
    for (int i = 0; i < 3; i++)
        records[i] = stage_record_start();
    stage_record_step(&records[0], 30, .5);
    stage_record_step(&records[1], 0, .5);
    struct json *list = stage_records_report(records, &recipe);
    assert_int_equal(json_len(list), 2);
    const struct json *text = json_at(list, 0), *pictures = json_at(list, 1);
    assert_string_equal(json_string(text, "phase", ""), "language_model");
    assert_true(json_number(text, "tokens_per_second", 0) == 60);
    assert_int_equal(json_integer(text, "n_train", 0), 9);
    assert_int_equal(json_type(json_get(text, "valid_loss")), JSON_NULL);
    assert_null(json_get(pictures, "tokens"));
    assert_true(json_number(pictures, "examples_per_second", 0) == 8);
    json_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_down_is_read_again),
        cmocka_unit_test(stages_that_began_are_told_of_with_their_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
