#include "tests/unit/engine/format/fixture.h"

#include <string.h>

#include "base/mem.h"
#include "engine/format/model_text.h"
#include "engine/format/words.h"

static struct err err;
static struct json *words;

/* The bytes on the heap, exactly as long: a sanitizer sees each byte too many. */
static enum status parse(const char *text, size_t len)
{
    uint8_t *bytes = mem_alloc(len + 1);
    uint8_t *exact = mem_realloc(bytes, len ? len : 1);
    memcpy(exact, text, len);
    err = (struct err){0};
    json_free(words);
    words = NULL;
    enum status status = words_parse(exact, len, &words, &err);
    mem_free(exact);
    return status;
}

#define PARSE(text) parse(text, sizeof(text) - 1)

static int tear_down(void **state)
{
    (void)state;
    json_free(words);
    words = NULL;
    return 0;
}

static void assert_words(const char *expected)
{
    char *text = json_text(words);
    assert_string_equal(text, expected);
    mem_free(text);
}

static void a_pickled_list_is_read_in_every_protocol_that_python_writes(void **state)
{
    (void)state;
    /* pickle.dumps(["xxunk", "the", "\u00e9"], protocol), 2 and 4 */
    assert_ok(PARSE("\x80\x02]q\0(X\5\0\0\0xxunkq\1X\3\0\0\0theq\2X\2\0\0\0\xc3\xa9q\3e."), &err);
    assert_words("[\"xxunk\",\"the\",\"\u00e9\"]");
    assert_ok(PARSE("\x80\x04\x95\x19\0\0\0\0\0\0\0]\x94(\x8c\5xxunk\x94\x8c\3the\x94\x8c\2\xc3\xa9"
                    "\x94"
                    "e."),
              &err);
    assert_words("[\"xxunk\",\"the\",\"\u00e9\"]");
}

static void a_json_array_is_read(void **state)
{
    (void)state;
    assert_ok(PARSE(" [\"xxunk\", \"a \\\"b\"]\n"), &err);
    assert_words("[\"xxunk\",\"a \\\"b\"]");
}

static void a_pickle_with_code_in_it_is_refused_by_name(void **state)
{
    (void)state;
    assert_refused(PARSE("\x80\x02](cposix\nsystem\nX\4\0\0\0echo\x85Re."), &err,
                   "The vocabulary asks Python for posix.system, which no list of words needs; "
                   "nothing was executed.");
    /* what state dicts may name, lists of words may not */
    assert_refused(PARSE("\x80\x02"
                         "ccollections\nOrderedDict\n)R."),
                   &err, "asks Python for collections.OrderedDict");
    assert_refused(PARSE("\x80\x02i__main__\nf\n."), &err,
                   "uses the operation 0x69, which lists of words do not need");
}

static void anything_but_a_list_of_texts_is_refused(void **state)
{
    (void)state;
    assert_refused(PARSE(""), &err, "is empty");
    assert_refused(PARSE("the\nof\n"), &err, "neither a pickle nor JSON");
    assert_refused(PARSE("\0\0"), &err, "neither a pickle nor JSON");
    assert_refused(PARSE("\x80\x02}."), &err, "a pickle of something else");
    assert_refused(PARSE("\x80\x02](K\1e."), &err, "word 0 is no text");
    assert_refused(PARSE("\x80\x02](X\1\0\0\0aX\1\0\0\0\xff"
                         "e."),
                   &err, "word 1 is not UTF-8");
    assert_refused(PARSE("\x80\x02](X\1\0\0\0\0e."), &err, "holds a NUL");
    assert_refused(PARSE("\x80\x02](X\1\0\0\0a"), &err, "is damaged at byte");
    assert_refused(PARSE("[\"a\", 1]"), &err, "word 1 is no text");
    assert_refused(PARSE("[\"a\""), &err, "no valid JSON");
    assert_refused(PARSE(" {\"a\": 1}"), &err, "no JSON array");
}

static void a_word_or_a_list_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 16u << 20);
    buf_puts(&text, "[");
    for (int i = 0; i <= MODEL_MAX_VOCABULARY; i++)
        buf_puts(&text, i ? ",\"a\"" : "\"a\"");
    buf_puts(&text, "]");
    assert_refused(parse(text.data, text.len), &err, "has 262145 words; at most 262144");
    buf_clear(&text);
    buf_printf(&text, "[\"%0*d\"]", MODEL_MAX_WORD + 1, 0);
    assert_refused(parse(text.data, text.len), &err, "word 0 is longer than 255 bytes");
    buf_deinit(&text);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    scratch_make();
    struct json *some = json_new_array(), *again = NULL;
    json_add_string(some, "xxunk");
    json_add_string(some, "\n");
    json_add_string(some, "na\u00efve \"x\"");
    assert_ok(words_write_pickle(scratch_path("itos.pkl"), some, &err), &err);
    assert_ok(words_read_file(scratch_path("itos.pkl"), &again, &err), &err);
    assert_true(json_equal(some, again));
    json_free(some);
    json_free(again);
    scratch_remove();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_pickled_list_is_read_in_every_protocol_that_python_writes),
        TEST(a_json_array_is_read),
        TEST(a_pickle_with_code_in_it_is_refused_by_name),
        TEST(anything_but_a_list_of_texts_is_refused),
        TEST(a_word_or_a_list_that_is_too_long_is_refused),
        TEST(what_is_written_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
