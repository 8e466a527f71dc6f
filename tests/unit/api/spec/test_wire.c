/* What an engine may say, and everything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api/spec/wire.h"
#include "base/mem.h"

static enum status check(const char *text, struct err *err)
{
    struct json *header = NULL;
    if (json_parse(text, strlen(text), &header, err) != OK)
        fail_msg("%s: %s", text, err->detail);
    enum status status = wire_check_up(header, err);
    json_free(header);
    return status;
}

#define SCORES "\"train_loss\":0.5,\"valid_loss\":null,\"accuracy\":0.9,\"error_rate\":0.1"
#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const good[] = {
    "{\"type\":\"started\",\"threads\":2,\"isa\":\"avx2\",\"version\":\"1.0\",\"plan_sha256\":"
    "\"" HEX "\"}",
    "{\"type\":\"started\",\"threads\":2,\"isa\":\"avx2\",\"version\":\"1.0\",\"plan_sha256\":"
    "null}",
    "{\"type\":\"progress\",\"done\":0,\"total\":9007199254740991}",
    "{\"type\":\"item\",\"ordinal\":12}",
    "{\"type\":\"stage\",\"stage\":\"head\",\"stage_index\":0,\"stages\":2,\"epochs\":1,\"steps\":"
    "30,"
    "\"batch_size\":8,\"groups\":3,\"frozen_groups\":2,\"trainable_parameters\":10}",
    "{\"type\":\"step\",\"stage_index\":1,\"epoch\":0,\"step\":7,\"steps\":30,\"train_loss\":null,"
    "\"learning_rates\":[0,1e-5,0.01],\"momentum\":0.9,\"examples_per_second\":31.5,"
    "\"eta_seconds\":12,\"peak_memory_bytes\":1000000}",
    "{\"type\":\"epoch\",\"stage_index\":1,\"epoch\":0," SCORES ",\"seconds\":3.5}",
    "{\"type\":\"checkpoint\",\"slot\":\"stage-64\",\"stage_index\":63,\"epoch\":0,\"step\":"
    "1," SCORES "}",
    "{\"type\":\"warning\",\"code\":\"extra_tensors\",\"detail\":\"Some.\"}",
    "{\"type\":\"log\",\"detail\":\"\"}",
    "{\"type\":\"stage\",\"stage\":\"stage-1@0.01\",\"stage_index\":0,\"stages\":4,\"epochs\":1,"
    "\"steps\":30,\"batch_size\":8,\"groups\":3,\"frozen_groups\":2,\"trainable_parameters\":10,"
    "\"size\":224,\"sample_fraction\":0.01,\"n_train\":240,\"n_valid\":60,\"cached_views\":4,"
    "\"cache_bytes\":983040}",
    "{\"type\":\"artifact\",\"name\":\"lr_find.json\"}",
    "{\"type\":\"artifact\",\"name\":\"predictions.csv\"}",
    "{\"type\":\"paused\"}",
    "{\"type\":\"paused\",\"by_recipe\":true}",
    "{\"type\":\"prediction\",\"id\":3,\"predictions\":[{\"label\":\"bee\",\"probability\":1}]}",
    "{\"type\":\"prediction\",\"id\":3,\"status\":\"invalid\",\"detail\":\"No picture.\"}",
    "{\"type\":\"result\"}",
    "{\"type\":\"result\",\"weights_sha256\":\"" HEX "\"," SCORES "}",
    "{\"type\":\"error\",\"status\":\"invalid\",\"code\":\"\",\"detail\":\"No.\",\"hint\":\"\","
    "\"pointer\":\"\"}",
};

static void every_message_of_the_contract_is_taken(void **state)
{
    (void)state;
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (check(good[i], &err) != OK)
            fail_msg("%s: %s", good[i], err.detail);
}

/* Each good message, with each of its fields replaced by each of these or taken out. */
static const char *const wrong[] = {
    "true", "{}", "[[1]]", "[{\"label\":1}]", "-1", "1.5e300", "\"\\n\"", "[true]",
};

static bool may_be(const char *type, const char *field, const char *value)
{
    /* -1 is a loss; "\n" is a text; {} and the rest fit no field of the table. */
    bool loss = strstr(field, "_loss") != NULL;
    bool text = !strcmp(field, "detail") || !strcmp(field, "isa") || !strcmp(field, "version") ||
                !strcmp(field, "stage") || !strcmp(field, "hint") || !strcmp(field, "pointer") ||
                (!strcmp(field, "code") && strcmp(type, "warning") != 0);
    bool flag = !strcmp(field, "by_recipe") && !strcmp(value, "true");
    return flag || (loss && !strcmp(value, "-1")) || (text && value[0] == '"');
}

static void a_field_of_the_wrong_kind_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    size_t tried = 0;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct json *header = NULL;
        assert_int_equal(json_parse(good[i], strlen(good[i]), &header, NULL), OK);
        json_each(member, header)
        {
            for (size_t w = 0; w < ARRAY_LEN(wrong); w++) {
                struct json *changed = json_copy(header), *value = NULL;
                struct err err = {0};
                const char *key = json_key(member);
                assert_int_equal(json_parse(wrong[w], strlen(wrong[w]), &value, NULL), OK);
                json_set(changed, key, value);
                enum status status = wire_check_up(changed, &err);
                bool allowed = may_be(json_string(header, "type", ""), key, wrong[w]);
                if (status != (allowed ? OK : E_INVALID))
                    fail_msg("%s with %s = %s", good[i], key, wrong[w]);
                tried++;
                json_free(changed);
            }
        }
        json_free(header);
    }
    assert_true(tried > 400);
}

static const char *const bad[] = {
    "{}",
    "[]",
    "\"started\"",
    "{\"type\":7}",
    "{\"type\":\"\"}",
    "{\"type\":\"Started\"}",
    "{\"type\":\"promote\"}",
    "{\"type\":\"paused\",\"more\":1}",
    "{\"type\":\"paused\",\"by_recipe\":1}",
    "{\"type\":\"artifact\"}",
    "{\"type\":\"artifact\",\"name\":null}",
    "{\"type\":\"artifact\",\"name\":\"\"}",
    "{\"type\":\"artifact\",\"name\":\"final.safetensors\"}",
    "{\"type\":\"artifact\",\"name\":\"../report.json\"}",
    "{\"type\":\"item\"}",
    "{\"type\":\"item\",\"ordinal\":null}",
    "{\"type\":\"item\",\"ordinal\":1.5}",
    "{\"type\":\"item\",\"Ordinal\":1}",
    "{\"type\":\"checkpoint\",\"slot\":\"stage-0\",\"stage_index\":0,\"epoch\":0,\"step\":1," SCORES
    "}",
    "{\"type\":\"checkpoint\",\"slot\":\"best\",\"stage_index\":0,\"epoch\":0,\"step\":1}",
    "{\"type\":\"epoch\",\"stage_index\":64,\"epoch\":0," SCORES ",\"seconds\":3.5}",
    "{\"type\":\"epoch\",\"stage_index\":0,\"epoch\":10001," SCORES ",\"seconds\":3.5}",
    "{\"type\":\"error\",\"status\":\"in valid\",\"detail\":\"No.\"}",
    "{\"type\":\"error\",\"status\":\"invalid\",\"detail\":\"\"}",
    "{\"type\":\"result\",\"weights_sha256\":"
    "\"ABCDEF6789abcdef0123456789abcdef0123456789abcdef01234"
    "56789abcdef\"}",
    "{\"type\":\"prediction\",\"id\":1,\"predictions\":[{\"label\":\"a\",\"probability\":1.5}]}",
    "{\"type\":\"prediction\",\"id\":1,\"predictions\":[{\"label\":\"a\",\"probability\":1,\"x\":1}"
    "]}",
    "{\"type\":\"prediction\",\"id\":1,\"predictions\":{\"label\":\"a\",\"probability\":1}}",
};

static void what_the_table_does_not_have_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        if (check(bad[i], &err) != E_INVALID || !err.detail[0])
            fail_msg("taken: %s", bad[i]);
    }
}

static void texts_and_arrays_are_bounded(void **state)
{
    (void)state;
    struct err err = {0};
    static char text[70000];
    snprintf(text, sizeof text, "{\"type\":\"log\",\"detail\":\"%01024d\"}", 0);
    assert_int_equal(check(text, &err), OK);
    snprintf(text, sizeof text, "{\"type\":\"log\",\"detail\":\"%01025d\"}", 0);
    assert_int_equal(check(text, &err), E_INVALID);

    struct json *step = NULL;
    assert_int_equal(json_parse(good[5], strlen(good[5]), &step, NULL), OK);
    struct json *rates = json_set_array(step, "learning_rates");
    for (int i = 0; i < 64; i++)
        json_add_number(rates, .1);
    assert_int_equal(wire_check_up(step, &err), OK);
    json_add_number(rates, .1);
    assert_int_equal(wire_check_up(step, &err), E_INVALID);
    json_free(step);
}

static void an_error_names_message_and_field(void **state)
{
    (void)state;
    struct err err = {0};
    check("{\"type\":\"item\",\"ordinal\":-5}", &err);
    assert_non_null(strstr(err.detail, "\"item\""));
    assert_non_null(strstr(err.detail, "\"ordinal\""));
}

static void slots_are_names_and_never_paths(void **state)
{
    (void)state;
    static const char *const yes[] = {"stage-1", "stage-9",  "stage-10", "stage-64",
                                      "best",    "resume-a", "resume-b", "final"};
    static const char *const no[] = {"",         "stage-",   "stage-0", "stage-01", "stage-65",
                                     "stage-1 ", "../final", "final/",  "Final",    "stage--1"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(wire_slot_is_valid(yes[i]));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(wire_slot_is_valid(no[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_of_the_contract_is_taken),
        cmocka_unit_test(a_field_of_the_wrong_kind_is_refused_wherever_it_stands),
        cmocka_unit_test(what_the_table_does_not_have_is_refused),
        cmocka_unit_test(texts_and_arrays_are_bounded),
        cmocka_unit_test(an_error_names_message_and_field),
        cmocka_unit_test(slots_are_names_and_never_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
