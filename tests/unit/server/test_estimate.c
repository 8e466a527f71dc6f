/* What a job will take: ranges that narrow as stages run, and what else follows from a plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "server/estimate.h"
#include "server/inbox.h"

struct fixture {
    char folder[64];
    struct store *store;
    struct err err;
    struct json *spec;
    struct estimate_options options;
};

static struct json *parse(const char *text)
{
    struct json *value = NULL;
    struct err err;
    if (json_parse(text, strlen(text), &value, &err) != OK)
        fail_msg("%s", err.detail);
    return value;
}

static int open_fixture(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    *state = f;
    snprintf(f->folder, sizeof f->folder, "/tmp/test_estimate.XXXXXX");
    if (!mkdtemp(f->folder) || store_open(f->folder, &f->store, &f->err) != OK)
        return -1;
    f->spec = parse("{\"frozen_batchnorm\":\"train\",\"feature_cache\":null}");
    f->options = (struct estimate_options){.store = f->store,
                                           .machine = "m",
                                           .isa = "avx2",
                                           .architecture = "resnet18",
                                           .threads = 2,
                                           .spec = f->spec};
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    json_free(f->spec);
    store_close(f->store);
    enum status status = fs_remove_tree(f->folder, NULL);
    mem_free(f);
    return status == OK ? 0 : -1;
}

/* 10 steps of 8 images and 1e9 operations each, no validation. */
static const char plan_text[] =
    "{\"stages\":[{\"name\":\"s\",\"epochs\":2,\"steps\":10,\"batch_size\":8,\"size\":224,"
    "\"n_train\":40,\"n_valid\":0,\"groups\":["
    "{\"name\":\"body\",\"frozen\":true,\"parameters\":1000,\"trainable_parameters\":0},"
    "{\"name\":\"head\",\"frozen\":false,\"parameters\":500,\"trainable_parameters\":500}]}],"
    "\"estimate\":{\"peak_memory_bytes\":4096,\"flops_per_step\":[8e9],\"steps\":[10],"
    "\"batch_size\":8}}";

static struct json *estimate(struct fixture *f)
{
    struct json *plan = parse(plan_text);
    struct json *made = estimate_make(&f->options, plan);
    json_free(plan);
    return made;
}

/* As the wire has it; `seconds` for the 80 images of the stage. */
static void run_stage(struct fixture *f, const char *size, double seconds)
{
    char text[300];
    snprintf(text, sizeof text,
             "{\"stage_index\":0,\"epochs\":2,\"steps\":10,\"batch_size\":8,\"groups\":2,"
             "\"frozen_groups\":1,\"size\":%s,\"n_valid\":0}",
             size);
    struct json *stage = parse(text);
    estimate_learn(&f->options, stage, 8e9, seconds);
    json_free(stage);
}

static double width(const struct json *made)
{
    return json_number(made, "seconds_high", 0) / json_number(made, "seconds", 1);
}

static void the_range_narrows_with_what_has_run(void **state)
{
    struct fixture *f = *state;
    struct json *unknown = estimate(f);
    assert_string_equal(json_string(unknown, "basis", ""), "arithmetic");

    run_stage(f, "128", 40);
    struct json *similar = estimate(f);
    assert_string_equal(json_string(similar, "basis", ""), "similar");
    assert_true(json_number(similar, "seconds", 0) > 38 && json_number(similar, "seconds", 0) < 43);

    run_stage(f, "224", 80);
    struct json *measured = estimate(f);
    assert_string_equal(json_string(measured, "basis", ""), "measured");
    assert_true(json_number(measured, "seconds", 0) > 80);
    assert_true(json_number(measured, "seconds", 0) < 82); /* and a second to start */
    assert_true(width(measured) < width(similar) && width(similar) < width(unknown));
    assert_true(json_number(measured, "seconds_low", 0) < 80);
    json_free(unknown);
    json_free(similar);
    json_free(measured);
}

static void other_machines_and_threads_teach_nothing(void **state)
{
    struct fixture *f = *state;
    run_stage(f, "224", 80);
    f->options.threads = 4;
    struct json *made = estimate(f);
    assert_string_equal(json_string(made, "basis", ""), "arithmetic");
    json_free(made);
    f->options.threads = 2;
    f->options.machine = "another";
    made = estimate(f);
    assert_string_equal(json_string(made, "basis", ""), "arithmetic");
    json_free(made);
}

static void disk_holds_resume_files_and_each_checkpoint_twice(void **state)
{
    struct fixture *f = *state;
    struct json *made = estimate(f);
    /* Weights 4 * 1500, moments 8 * 500; two resume files; best, last and one stage, twice. */
    assert_int_equal(json_integer(made, "disk_bytes", 0), 2 * (6000 + 4000) + 2 * 6000 * 3);
    char *text = json_text(made);
    assert_int_equal(estimate_bytes(text, "peak_memory_bytes"), 4096);
    assert_int_equal(estimate_bytes(text, "nothing"), 0);
    assert_int_equal(estimate_bytes("{}", "disk_bytes"), 0);
    assert_int_equal(estimate_bytes(NULL, "disk_bytes"), 0);
    mem_free(text);
    json_free(made);
}

static void the_rate_finder_takes_its_time(void **state)
{
    struct fixture *f = *state;
    run_stage(f, "224", 80); /* a second an image */
    json_free(f->spec);
    f->spec = parse("{\"frozen_batchnorm\":\"train\",\"stages\":[{\"lr\":\"auto\"}],"
                    "\"lr_find\":{\"steps\":50}}");
    f->options.spec = f->spec;
    struct json *made = estimate(f);
    assert_true(json_number(made, "seconds", 0) > 480 && json_number(made, "seconds", 0) < 482);
    json_free(made);
    json_free(f->spec);
    f->spec = parse("{\"frozen_batchnorm\":\"train\",\"task\":\"lr_find\","
                    "\"stages\":[{\"lr\":1}],\"lr_find\":{\"steps\":50}}");
    f->options.spec = f->spec;
    made = estimate(f);
    assert_true(json_number(made, "seconds", 0) > 400 && json_number(made, "seconds", 0) < 402);
    json_free(made);
}

/* 10 steps of 8 rows of texts; %s: operations a step. */
static const char text_plan[] =
    "{\"stages\":[{\"name\":\"s\",\"phase\":\"%s\",\"epochs\":2,\"steps\":10,\"batch_size\":8,"
    "\"n_train\":4000,\"n_valid\":400,\"groups\":["
    "{\"name\":\"rnn1\",\"frozen\":false,\"parameters\":1000,\"trainable_parameters\":1000}]}],"
    "\"estimate\":{\"peak_memory_bytes\":4096,\"flops_per_step\":[%s],\"steps\":[10],"
    "\"batch_size\":8}}";

static struct json *estimate_text(struct fixture *f, const char *phase, const char *flops)
{
    char text[500];
    snprintf(text, sizeof text, text_plan, phase, flops);
    struct json *plan = parse(text), *made = estimate_make(&f->options, plan);
    json_free(plan);
    return made;
}

static void stages_on_texts_teach_by_their_phase_and_scale_with_the_arithmetic(void **state)
{
    struct fixture *f = *state;
    f->options.architecture = "awd-lstm";
    struct json *header =
        parse("{\"stage_index\":0,\"epochs\":2,\"steps\":10,\"batch_size\":8,\"groups\":1,"
              "\"frozen_groups\":0,\"phase\":\"language_model\",\"n_train\":4000,\"n_valid\":400}");
    struct json *made = estimate_text(f, "language_model", "8e9");
    assert_string_equal(json_string(made, "basis", ""), "arithmetic");
    json_free(made);
    estimate_learn(&f->options, header, 8e9, 40);
    json_free(header);
    made = estimate_text(f, "language_model", "8e9");
    assert_string_equal(json_string(made, "basis", ""), "measured");
    assert_true(json_number(made, "seconds", 0) > 40 && json_number(made, "seconds", 0) < 42);
    json_free(made);
    made = estimate_text(f, "language_model", "12e9"); /* half as much again */
    assert_string_equal(json_string(made, "basis", ""), "measured");
    assert_true(json_number(made, "seconds", 0) > 60 && json_number(made, "seconds", 0) < 62);
    json_free(made);
    made = estimate_text(f, "language_model", "80e9");
    assert_string_equal(json_string(made, "basis", ""), "similar");
    assert_true(json_number(made, "seconds", 0) > 400 && json_number(made, "seconds", 0) < 402);
    json_free(made);
    made = estimate_text(f, "classifier", "8e9");
    assert_string_equal(json_string(made, "basis", ""), "similar");
    json_free(made);
}

/* 5 steps of 8 images, all groups frozen: what the verb tells of an evaluation. */
static const char pass_text[] =
    "{\"stages\":[{\"name\":\"evaluate\",\"epochs\":1,\"steps\":5,\"batch_size\":8,\"size\":224,"
    "\"n_train\":0,\"n_valid\":40,\"groups\":["
    "{\"name\":\"body\",\"frozen\":true,\"parameters\":1000,\"trainable_parameters\":0},"
    "{\"name\":\"head\",\"frozen\":true,\"parameters\":500,\"trainable_parameters\":0}]}],"
    "\"estimate\":{\"peak_memory_bytes\":7,\"flops_per_step\":[8e9],\"steps\":[5],"
    "\"batch_size\":8}}";

static void a_pass_has_a_time_of_its_own_and_keeps_nothing_on_disk(void **state)
{
    struct fixture *f = *state;
    run_stage(f, "224", 80); /* a second an image, where the head trains */
    struct json *plan = parse(pass_text), *made = estimate_make(&f->options, plan);
    assert_string_equal(json_string(made, "basis", ""), "similar");
    assert_true(json_number(made, "seconds", 0) > 40 && json_number(made, "seconds", 0) < 42);
    assert_int_equal(json_integer(made, "disk_bytes", -1), 0);
    assert_int_equal(json_integer(made, "peak_memory_bytes", 0), 7);
    json_free(made);
    struct json *header = parse("{\"stage_index\":0,\"epochs\":1,\"steps\":5,\"batch_size\":8,"
                                "\"groups\":2,\"frozen_groups\":2,\"size\":224,\"n_valid\":40}");
    estimate_learn(&f->options, header, 8e9, 10); /* a quarter of a second an image */
    made = estimate_make(&f->options, plan);
    assert_string_equal(json_string(made, "basis", ""), "measured");
    assert_true(json_number(made, "seconds", 0) > 10 && json_number(made, "seconds", 0) < 12);
    json_free(header);
    json_free(made);
    json_free(plan);
}

static void an_inbox_is_bounded_in_order_and_can_be_closed(void **state)
{
    struct err err = {0};
    int item = 0;
    (void)state;
    struct inbox *inbox = inbox_new(sizeof item, 2);
    assert_false(inbox_take(inbox, &item));
    for (int i = 1; i <= 2; i++)
        assert_int_equal(inbox_put(inbox, &i, &err), OK);
    assert_int_equal(inbox_put(inbox, &item, &err), E_TOO_MANY);
    assert_true(inbox_take(inbox, &item));
    assert_int_equal(item, 1);
    inbox_close(inbox);
    assert_int_equal(inbox_put(inbox, &item, &err), E_UNAVAILABLE);
    assert_true(inbox_take(inbox, &item));
    assert_int_equal(item, 2);
    inbox_free(inbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_range_narrows_with_what_has_run, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(other_machines_and_threads_teach_nothing, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(disk_holds_resume_files_and_each_checkpoint_twice,
                                        open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(the_rate_finder_takes_its_time, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(
            stages_on_texts_teach_by_their_phase_and_scale_with_the_arithmetic, open_fixture,
            close_fixture),
        cmocka_unit_test_setup_teardown(a_pass_has_a_time_of_its_own_and_keeps_nothing_on_disk,
                                        open_fixture, close_fixture),
        cmocka_unit_test(an_inbox_is_bounded_in_order_and_can_be_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
