/* Progress as API.md shows it, from what the engine says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "server/progress.h"

static struct json *parse(const char *text)
{
    struct json *value = NULL;
    assert_int_equal(json_parse(text, strlen(text), &value, NULL), OK);
    return value;
}

static void take(struct progress *progress, const char *text, double elapsed)
{
    struct json *header = parse(text);
    progress_take(progress, header, elapsed);
    json_free(header);
}

static double now(const struct progress *progress, const char *field)
{
    return json_number(progress->now, field, -1);
}

#define STAGE(index, epochs)                                                                       \
    "{\"type\":\"stage\",\"stage\":\"s\",\"stage_index\":" #index                                  \
    ",\"stages\":2,\"epochs\":" #epochs                                                            \
    ",\"steps\":10,\"batch_size\":8,\"groups\":3,\"frozen_groups\":2,\"trainable_parameters\":1}"
#define STEP(index, step)                                                                          \
    "{\"type\":\"step\",\"stage_index\":" #index ",\"epoch\":0,\"step\":" #step                    \
    ",\"steps\":10,\"train_loss\":1,\"learning_rates\":[0.1,0.2],\"momentum\":0.9,"                \
    "\"examples_per_second\":50,\"eta_seconds\":30,\"peak_memory_bytes\":1000}"
#define EPOCH(epoch, valid, accuracy)                                                              \
    "{\"type\":\"epoch\",\"stage_index\":0,\"epoch\":" #epoch                                      \
    ",\"train_loss\":1,\"valid_loss\":" #valid ",\"accuracy\":" #accuracy                          \
    ",\"error_rate\":0.5,\"seconds\":1}"

static void every_field_is_there_from_the_start(void **state)
{
    (void)state;
    struct progress progress;
    progress_init(&progress, NULL, NULL, NULL, NULL);
    static const char *const fields[] = {"stage",
                                         "stage_index",
                                         "stages",
                                         "epoch",
                                         "epochs",
                                         "step",
                                         "steps",
                                         "fraction",
                                         "examples_per_second",
                                         "elapsed_seconds",
                                         "eta_seconds",
                                         "learning_rates",
                                         "momentum",
                                         "peak_memory_bytes",
                                         "pass"};
    assert_int_equal(json_len(progress.now), sizeof fields / sizeof *fields);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_non_null(json_get(progress.now, fields[i]));
    progress_deinit(&progress);
}

static void the_fraction_weighs_stages_by_their_epochs(void **state)
{
    (void)state;
    struct json *spec = parse("{\"stages\":[{\"epochs\":1},{\"epochs\":3}]}");
    struct progress progress;
    progress_init(&progress, spec, NULL, NULL, NULL);
    take(&progress, STAGE(0, 1), 0);
    assert_true(now(&progress, "fraction") == 0);
    take(&progress, STEP(0, 5), 2);
    assert_true(now(&progress, "fraction") == .125);
    take(&progress, STAGE(1, 3), 4);
    assert_true(now(&progress, "fraction") == .25);
    take(&progress, STEP(1, 10), 10);
    assert_true(now(&progress, "fraction") == 1);
    assert_true(now(&progress, "elapsed_seconds") == 10);
    assert_int_equal(json_len(json_get(progress.now, "learning_rates")), 2);
    progress_deinit(&progress);
    json_free(spec);
}

static void the_best_is_by_the_monitor_and_numbers_only(void **state)
{
    (void)state;
    struct json *by_accuracy = parse("{\"save_best\":{\"monitor\":\"accuracy\"},\"stages\":[]}");
    struct progress progress;
    progress_init(&progress, NULL, NULL, NULL, NULL);
    take(&progress, EPOCH(0, null, 0.9), 0);
    assert_null(progress.best);
    take(&progress, EPOCH(1, 0.5, 0.7), 0);
    take(&progress, EPOCH(2, 0.6, 0.8), 0);
    assert_true(json_number(progress.best, "valid_loss", 0) == .5);
    assert_true(json_number(progress.latest, "valid_loss", 0) == .6);
    progress_deinit(&progress);

    progress_init(&progress, by_accuracy, NULL, NULL, NULL);
    take(&progress, EPOCH(1, 0.5, 0.7), 0);
    take(&progress, EPOCH(2, 0.6, 0.8), 0);
    assert_true(json_number(progress.best, "accuracy", 0) == .8);
    progress_deinit(&progress);
    json_free(by_accuracy);
}

static void a_resumed_run_goes_on_from_its_row(void **state)
{
    (void)state;
    struct progress first, second;
    progress_init(&first, NULL, NULL, NULL, NULL);
    take(&first, STEP(0, 5), 20);
    take(&first, EPOCH(0, 0.5, 0.7), 20);
    struct buf now_text, best_text;
    buf_init(&now_text, 10000);
    buf_init(&best_text, 10000);
    json_print(first.now, &now_text);
    json_print(first.best, &best_text);
    progress_init(&second, NULL, now_text.data, NULL, best_text.data);
    assert_true(now(&second, "step") == 5);
    take(&second, STEP(0, 6), 3);
    take(&second, EPOCH(1, 0.6, 0.7), 3);
    assert_true(now(&second, "elapsed_seconds") == 23);
    assert_true(json_number(second.best, "valid_loss", 0) == .5);
    progress_deinit(&first);
    progress_deinit(&second);
    buf_deinit(&now_text);
    buf_deinit(&best_text);
}

static void a_pass_is_told_until_steps_go_on(void **state)
{
    (void)state;
    struct progress progress;
    progress_init(&progress, NULL, "{\"pass\":{\"what\":\"texts\"}}", NULL, NULL);
    assert_int_equal(json_type(json_get(progress.now, "pass")), JSON_NULL);
    take(&progress, "{\"type\":\"progress\",\"what\":\"features\",\"done\":3,\"total\":9}", 2);
    const struct json *pass = json_get(progress.now, "pass");
    assert_string_equal(json_string(pass, "what", ""), "features");
    assert_int_equal(json_integer(pass, "done", -1), 3);
    assert_int_equal(json_integer(pass, "total", -1), 9);
    assert_true(now(&progress, "elapsed_seconds") == 2);
    assert_int_equal(json_type(json_get(progress.now, "fraction")), JSON_NULL);
    take(&progress, STAGE(0, 1), 4);
    assert_int_equal(json_type(json_get(progress.now, "pass")), JSON_NULL);
    progress_deinit(&progress);
}

static void positions_compare_across_stages(void **state)
{
    (void)state;
    struct json *late = parse(STEP(0, 10)), *early = parse(STEP(1, 1));
    assert_true(progress_position(early, "step") > progress_position(late, "step"));
    json_free(late);
    json_free(early);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_there_from_the_start),
        cmocka_unit_test(the_fraction_weighs_stages_by_their_epochs),
        cmocka_unit_test(the_best_is_by_the_monitor_and_numbers_only),
        cmocka_unit_test(a_resumed_run_goes_on_from_its_row),
        cmocka_unit_test(a_pass_is_told_until_steps_go_on),
        cmocka_unit_test(positions_compare_across_stages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
