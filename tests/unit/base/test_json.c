/* What json.h promises to refuse is refused, and what is built or parsed prints back exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

static enum status parse(const char *text, size_t len, struct err *err)
{
    struct json *root = NULL;
    enum status status = json_parse(text, len, &root, err);
    json_free(root);
    return status;
}

struct refused {
    const char *text;
    const char *sentence; /* a part of what the error says */
};

static const struct refused refused[] = {
    {"", "line 1, column 1"},
    {"   \n  ", "line 2, column 3"},
    {"{\"a\": \"x\\u0000y\"}", "\\u0000 is not allowed"},
    {"{\"a\":1} x", "text follows"},
    {"{\"a\":1}}", "text follows"},
    {"1 2", "text follows"},
    {"{\"a\":1,\"a\":2}", "\"a\" stands twice"},
    {"{\"a\":1,\"b\":{\"c\":1,\"d\":2,\"c\":1}}", "\"c\" stands twice"},
    {"[{\"\\u0061\":1,\"a\":2}]", "\"a\" stands twice"},
    {"{\"\":1,\"\":2}", "\"\" stands twice"},
    {"\"\xff\"", "not UTF-8"},
    {"\"\xc0\x80\"", "not UTF-8"},             /* an overlong NUL */
    {"\"\xed\xa0\x80\"", "not UTF-8"},         /* a surrogate */
    {"\"\xf4\x90\x80\x80\"", "not UTF-8"},     /* past U+10FFFF */
    {"\"\xe2\x82\"", "not UTF-8"},             /* cut short */
    {"\xef\xbb\xbf{}", "a value is expected"}, /* a byte order mark */
    {"\"\\ud800\"", "surrogate"},
    {"\"\\ud800x\"", "surrogate"},
    {"\"\\udc00\\ud800\"", "surrogate"},
    {"\"\\ud800\\ud800\"", "surrogate"},
    {"\"\\u12g4\"", "hexadecimal"},
    {"\"\\x41\"", "not an escape"},
    {"\"a\nb\"", "control character"},
    {"\"a\tb\"", "control character"},
    {"\"open", "not closed"},
    {"\"open\\", "not an escape"},
    {"1e999", "too large for a double"},
    {"-1e999", "too large for a double"},
    {"9007199254740992", "2^53-1"},
    {"-9007199254740992", "2^53-1"},
    {"99999999999999999999999", "2^53-1"},
    {"0.1000000000000000000000000000000000000000000000000000000000001", "60 characters"},
    {"01", "begin with 0"},
    {"-01", "begin with 0"},
    {"+1", "a value is expected"},
    {".5", "a value is expected"},
    {"1.", "a digit is expected"},
    {"1e", "a digit is expected"},
    {"1e+", "a digit is expected"},
    {"-", "a digit is expected"},
    {"0x10", "text follows"},
    {"NaN", "a value is expected"},
    {"nan", "a value is expected"},
    {"Infinity", "a value is expected"},
    {"-Infinity", "a digit is expected"},
    {"True", "a value is expected"},
    {"truth", "a value is expected"},
    {"nul", "a value is expected"},
    {"'a'", "a value is expected"},
    {"{a:1}", "double quotes"},
    {"{\"a\" 1}", "colon"},
    {"{\"a\":}", "a value is expected"},
    {"{\"a\":1,}", "double quotes"},
    {"{\"a\":1 \"b\":2}", "comma or }"},
    {"[1,]", "a value is expected"},
    {"[1 2]", "comma or ]"},
    {"[1", "comma or ]"},
    {"{", "double quotes"},
    {"[", "a value is expected"},
    {"// comment\n1", "a value is expected"},
    {"/* c */ 1", "a value is expected"},
    {"1\v", "text follows"},
    {"\f1", "a value is expected"},
};

static void what_cjson_lets_through_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct err err = {0};
        enum status status = parse(refused[i].text, strlen(refused[i].text), &err);
        if (status != E_SYNTAX || !strstr(err.detail, refused[i].sentence))
            fail_msg("%s: status %d: %s", refused[i].text, status, err.detail);
    }
}

static void a_raw_nul_ends_nothing(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(parse("1\0", 2, &err), E_SYNTAX);
    assert_int_equal(parse("{\"a\":1}\0{}", 10, &err), E_SYNTAX);
    assert_int_equal(parse("\"a\0b\"", 5, &err), E_SYNTAX);
}

static void every_prefix_of_a_document_is_refused(void **state)
{
    (void)state;
    const char text[] =
        "{\"key\":[1,-2.5e-3,true,false,null,\"\\u00e9\\ud83d\\ude00\\n\xc3\xa9\"],\"o\":{}}";
    struct err err = {0};
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        char *copy = mem_alloc(len + 1); /* so that a read past the end is seen */
        memcpy(copy, text, len);
        assert_int_equal(parse(copy, len, &err), E_SYNTAX);
        mem_free(copy);
    }
    assert_int_equal(parse(text, sizeof(text) - 1, &err), OK);
}

static void levels_are_bounded(void **state)
{
    (void)state;
    char text[2 * (JSON_MAX_DEPTH + 1)];
    struct err err = {0};
    for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(parse(text, 2 * depth, &err), depth > JSON_MAX_DEPTH ? E_SYNTAX : OK);
    }
    assert_non_null(strstr(err.detail, "32 levels"));
    char *deep = mem_alloc(1000000);
    memset(deep, '[', 1000000);
    assert_int_equal(parse(deep, 1000000, &err), E_SYNTAX);
    mem_free(deep);
}

static void lookups_are_case_sensitive(void **state)
{
    (void)state;
    struct json *root = NULL;
    assert_int_equal(json_parse("{\"Epochs\":3}", 12, &root, NULL), OK);
    assert_null(json_get(root, "epochs"));
    assert_int_equal(json_integer(root, "Epochs", 0), 3);
    json_free(root);
}

static void many_keys_are_checked_quickly(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 8u << 20);
    buf_puts(&text, "{\"k\":0");
    for (int i = 0; i < 200000; i++)
        buf_printf(&text, ",\"k%d\":0", i);
    buf_puts(&text, "}");
    struct err err = {0};
    assert_int_equal(parse(text.data, text.len, &err), OK);
    text.len--;
    buf_puts(&text, ",\"k777\":1}");
    assert_int_equal(parse(text.data, text.len, &err), E_SYNTAX);
    buf_deinit(&text);
}

static const char *const faithful[] = {
    "{\"a\":1,\"b\":[true,false,null],\"c\":{\"d\":\"e\"}}",
    "[0.1,1e-300,123456.789,3.3333333333333335,9007199254740991,-9007199254740991,1e+300]",
    "[\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\/\xc3\xa9\xf0\x9f\x98\x80\"]",
    "\"\"",
    "{}",
    "[]",
    "{\"\":0}",
};

static void documents_print_as_they_were(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(faithful); i++) {
        struct json *root = NULL;
        assert_int_equal(json_parse(faithful[i], strlen(faithful[i]), &root, NULL), OK);
        char *text = json_text(root);
        assert_string_equal(text, faithful[i]);
        mem_free(text);
        json_free(root);
    }
}

static void numbers_read_back_as_the_same_double(void **state)
{
    (void)state;
    const double numbers[] = {0.1,
                              1.0 / 3,
                              2.0 / 3,
                              DBL_MAX,
                              DBL_MIN,
                              5e-324,
                              0.1 + 0.2,
                              1e15 / 7,
                              9007199254740993.0,
                              1e21,
                              -0.0625,
                              123456789.1,
                              2e-3,
                              5.0000000000000009e-5};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct json *array = json_new_array(), *back = NULL;
        json_add_number(array, numbers[i]);
        char *text = json_text(array);
        if (json_parse(text, strlen(text), &back, NULL) == OK)
            assert_true(json_as_number(json_at(back, 0), NAN) == numbers[i]);
        else
            fail_msg("%s does not read back", text);
        mem_free(text);
        json_free(back);
        json_free(array);
    }
}

static void what_is_built_is_always_valid(void **state)
{
    (void)state;
    struct json *root = json_new_object();
    json_set_string(root, "bad", "a\xff\xc3(\x01");
    json_set_string(root, "bad \xfe key", NULL);
    json_set_number(root, "nan", NAN);
    json_set_number(root, "inf", -INFINITY);
    char *text = json_text(root);
    assert_string_equal(
        text, "{\"bad\":\"a\xef\xbf\xbd\xef\xbf\xbd(\\u0001\",\"bad \xef\xbf\xbd key\":null,"
              "\"nan\":null,\"inf\":null}");
    assert_int_equal(parse(text, strlen(text), NULL), OK);
    mem_free(text);
    json_free(root);
}

static void set_replaces_in_place_and_remove_removes(void **state)
{
    (void)state;
    struct json *root = json_new_object();
    json_set_integer(root, "a", 1);
    json_set_bool(root, "b", true);
    json_set_string(root, "c", "x");
    json_set_string(root, "a", "new");
    json_set_null(root, "c");
    json_remove(root, "b");
    json_remove(root, "absent");
    struct json *inner = json_set_array(json_set_object(root, "o"), "list");
    json_add_string(inner, "one");
    json_set_bool(json_add_object(inner), "two", false);
    char *text = json_text(root);
    assert_string_equal(text,
                        "{\"a\":\"new\",\"c\":null,\"o\":{\"list\":[\"one\",{\"two\":false}]}}");
    mem_free(text);
    json_free(root);
}

static void a_copy_is_a_root_of_its_own(void **state)
{
    (void)state;
    struct json *root = json_new_object();
    json_set_integer(json_set_object(root, "inner"), "n", 7);
    struct json *copy = json_copy(json_get(root, "inner"));
    assert_null(json_key(copy));
    json_free(root);
    struct json *other = json_new_object();
    json_set(other, "renamed", copy);
    assert_int_equal(json_integer(json_get(other, "renamed"), "n", 0), 7);
    struct json *nothing = json_copy(NULL);
    assert_int_equal(json_type(nothing), JSON_NULL);
    json_free(nothing);
    json_free(other);
}

static void equality_ignores_the_order_of_members_only(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
        {"{\"a\":1,\"b\":2}", "{\"a\":1}", false},
        {"[1,2]", "[2,1]", false},
        {"[1]", "[1,2]", false},
        {"[1,2]", "[1]", false},
        {"1", "1.0", true},
        {"0.1", "0.10000000000000002", false},
        {"\"1\"", "1", false},
        {"null", "false", false},
        {"{\"a\":[{}]}", "{\"a\":[{}]}", true},
        {"{}", "[]", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json *a = NULL, *b = NULL;
        assert_int_equal(json_parse(cases[i].a, strlen(cases[i].a), &a, NULL), OK);
        assert_int_equal(json_parse(cases[i].b, strlen(cases[i].b), &b, NULL), OK);
        assert_int_equal(json_equal(a, b), cases[i].equal);
        json_free(a);
        json_free(b);
    }
}

static void getters_chain_over_what_is_absent_or_of_another_type(void **state)
{
    (void)state;
    struct json *root = NULL;
    const char text[] = "{\"n\":1.5,\"s\":\"x\",\"b\":true,\"i\":3,\"a\":[1]}";
    assert_int_equal(json_parse(text, sizeof(text) - 1, &root, NULL), OK);
    assert_string_equal(json_string(json_get(json_get(root, "no"), "no"), "no", "fallback"),
                        "fallback");
    assert_string_equal(json_string(root, "n", "fallback"), "fallback");
    assert_int_equal(json_integer(root, "n", 9), 9);
    assert_int_equal(json_integer(root, "i", 9), 3);
    assert_false(json_is_integer(json_get(root, "n")));
    assert_true(json_number(root, "s", 2.5) == 2.5);
    assert_true(json_bool(root, "b", false));
    assert_true(json_bool(root, "i", true));
    assert_null(json_get(json_get(root, "a"), "0"));
    assert_int_equal(json_len(root), 5);
    assert_null(json_at(root, 5));
    assert_string_equal(json_key(json_at(root, 4)), "a");
    assert_int_equal(json_type(NULL), JSON_NULL);
    json_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cjson_lets_through_is_refused),
        cmocka_unit_test(a_raw_nul_ends_nothing),
        cmocka_unit_test(every_prefix_of_a_document_is_refused),
        cmocka_unit_test(levels_are_bounded),
        cmocka_unit_test(lookups_are_case_sensitive),
        cmocka_unit_test(many_keys_are_checked_quickly),
        cmocka_unit_test(documents_print_as_they_were),
        cmocka_unit_test(numbers_read_back_as_the_same_double),
        cmocka_unit_test(what_is_built_is_always_valid),
        cmocka_unit_test(set_replaces_in_place_and_remove_removes),
        cmocka_unit_test(a_copy_is_a_root_of_its_own),
        cmocka_unit_test(equality_ignores_the_order_of_members_only),
        cmocka_unit_test(getters_chain_over_what_is_absent_or_of_another_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
