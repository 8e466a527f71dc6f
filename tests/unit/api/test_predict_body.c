#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "api/predict_body.h"
#include "api/spec/wire.h"

static struct arena arena;
static struct predict_wish wish;
static struct predict_text *texts;
static size_t n;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static enum status read_body(const char *text)
{
    struct json *body = NULL;
    wish = (struct predict_wish){.top_k = 5, .temperature = 1};
    err = (struct err){0};
    assert_int_equal(json_parse(text, strlen(text), &body, &err), OK);
    enum status status = predict_body_read(body, &arena, &wish, &texts, &n, &err);
    json_free(body);
    return status;
}

static void a_text_and_its_wishes_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_body("{\"text\":\"Hello\",\"next\":20,\"temperature\":0.7,\"seed\":3,"
                               "\"top_k\":2}"),
                     OK);
    assert_int_equal(n, 1);
    assert_string_equal(texts[0].bytes, "Hello");
    assert_int_equal(texts[0].len, 5);
    assert_int_equal(wish.next, 20);
    assert_true(wish.temperature == 0.7);
    assert_int_equal(wish.seed, 3);
    assert_int_equal(wish.top_k, 2);
    assert_int_equal(read_body("{\"text\":\"a\"}"), OK);
    assert_true(wish.next == 0 && wish.temperature == 1 && wish.top_k == 5);
}

static void a_list_keeps_its_order_and_fields_are_parted(void **state)
{
    (void)state;
    assert_int_equal(read_body("{\"texts\":[\"one\",[\"title\",\"\",\"body\"],\"three\"]}"), OK);
    assert_int_equal(n, 3);
    assert_string_equal(texts[0].bytes, "one");
    assert_string_equal(texts[1].bytes, "title\x1f\x1f"
                                        "body");
    assert_string_equal(texts[2].bytes, "three");
}

static void assert_refused(const char *text, enum status status, const char *words,
                           const char *pointer)
{
    assert_int_equal(read_body(text), status);
    if (!strstr(err.detail, words))
        fail_msg("\"%s\" does not say \"%s\"", err.detail, words);
    assert_string_equal(err.pointer, pointer);
}

static void what_is_wrong_is_named_and_pointed_at(void **state)
{
    (void)state;
    assert_refused("[]", E_SYNTAX, "an array", "");
    assert_refused("{\"test\":\"a\"}", E_SYNTAX, "did you mean \"text\"", "");
    assert_refused("{}", E_INVALID, "There is no text", "");
    assert_refused("{\"text\":\"a\",\"texts\":[\"a\"]}", E_INVALID, "both given", "");
    assert_refused("{\"text\":7}", E_INVALID, "a number", "/text");
    assert_refused("{\"text\":[]}", E_INVALID, "an array", "/text");
    assert_refused("{\"text\":[\"\",\" \"]}", E_INVALID, "is empty", "/text");
    assert_refused("{\"texts\":[\"a\",null]}", E_INVALID, "null", "/texts/1");
    assert_refused("{\"texts\":[\"a\",[1]]}", E_INVALID, "something else", "/texts/1");
    assert_refused("{\"text\":\"a\",\"top_k\":0}", E_INVALID, "1..1000", "/top_k");
    assert_refused("{\"text\":\"a\",\"next\":501}", E_INVALID, "0..500", "/next");
    assert_refused("{\"text\":\"a\",\"next\":null}", E_INVALID, "0..500", "/next");
    assert_refused("{\"text\":\"a\",\"temperature\":11}", E_INVALID, "0..10", "/temperature");
}

static void a_text_that_is_too_long_is_refused(void **state)
{
    (void)state;
    size_t len = WIRE_MAX_TEXT + 1;
    char *body = mem_printf("{\"text\":\"%0*d\"}", (int)len, 0);
    assert_int_equal(read_body(body), E_TOO_LARGE);
    mem_free(body);
    body = mem_printf("{\"text\":\"%0*d\"}", (int)len - 1, 0);
    assert_int_equal(read_body(body), OK);
    mem_free(body);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_text_and_its_wishes_are_read),
        TEST(a_list_keeps_its_order_and_fields_are_parted),
        TEST(what_is_wrong_is_named_and_pointed_at),
        TEST(a_text_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
