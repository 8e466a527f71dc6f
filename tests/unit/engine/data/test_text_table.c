/* Uploads of text: what they are, and what each row says. */
#include "tests/unit/engine/data/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/data/text_sniff.h"
#include "engine/data/text_table.h"

static struct buf seen;

static enum status on_row(void *context, const struct text_row *row, struct err *err)
{
    static const char *const splits[] = {"train", "valid", "test", "unsup", ""};
    (void)context;
    (void)err;
    assert_int_equal(strnlen(row->text, row->len), row->len);
    buf_printf(&seen, "%d:%.*s", (int)row->line, (int)row->len, row->text);
    if (row->label)
        buf_printf(&seen, " =%.*s", (int)row->label_len, row->label);
    if (row->group)
        buf_printf(&seen, " @%.*s", (int)row->group_len, row->group);
    buf_printf(&seen, "%s%s\n", row->split == N_SPLITS ? "" : " /", splits[row->split]);
    return OK;
}

static void on_rejected(void *context, int64_t line, const char *reason)
{
    (void)context;
    buf_printf(&seen, "%d! %s\n", (int)line, reason);
}

static enum status read_text(const char *text, size_t len, const char *options, struct err *err)
{
    struct json *object = NULL;
    struct text_options how;
    struct source_memory memory = {text, len};
    struct text_sink sink = {on_row, on_rejected, NULL};
    buf_deinit(&seen);
    buf_init(&seen, 1 << 16);
    assert_int_equal(json_parse(options, strlen(options), &object, err), OK);
    enum status status = text_options_init(&how, object, err);
    if (!status)
        status = text_table_read(source_of_memory(&memory), &how, &sink, err);
    text_options_deinit(&how);
    json_free(object);
    return status;
}

static void says(const char *text, const char *options, const char *rows)
{
    struct err err = {0};
    if (read_text(text, strlen(text), options, &err))
        fail_msg("%s", err.detail);
    assert_string_equal(seen.data, rows);
}

static void fails(const char *text, const char *options, const char *code, const char *part)
{
    struct err err = {0};
    assert_int_equal(read_text(text, strlen(text), options, &err), E_INVALID);
    assert_string_equal(err.code, code);
    if (!strstr(err.detail, part))
        fail_msg("\"%s\" is not in: %s", part, err.detail);
}

static void tables_are_known_by_their_columns(void **state)
{
    (void)state;
    says("text,label\na,x\n\"b\nc\",y\n", "{}", "2:a =x\n3:b\nc =y\n");
    says("\xef\xbb\xbfTEXT;LABEL\r\na,b;x\r\n", "{}", "2:a,b =x\n");
    says("label\ttext\nx\t\"a\"\n", "{}", "2:\"a\" =x\n");
    says("label\ttext\nx\t\"a\tb\"\n", "{\"quotes\": \"true\"}", "2:a\tb =x\n");
    says("text\na, b\n", "{}", "2! It has 2 fields, and the first row has 1.\n");
    says("text\n\"a, b\"\n", "{}", "2:a, b\n");
    says("text,label,split,who\na,x,VALID,p\nb,,unsup,q\n", "{\"group_column\": \"who\"}",
         "2:a =x @p /valid\n3:b @q /unsup\n");
    says("text,label,is_valid\na,x,True\nb,y,0\n", "{}", "2:a =x /valid\n3:b =y /train\n");
}

static void columns_may_be_named_counted_and_joined(void **state)
{
    (void)state;
    says("body,stars,title\na,1,b\n",
         "{\"text_column\": \"title, body\", \"label_column\": \"stars\"}",
         "2:b\x1f"
         "a =1\n");
    says("x\ta\x1f"
         "b\ny\tc\n",
         "{\"header\": \"false\", \"label_column\": \"0\", "
         "\"text_column\": \"1\"}",
         "1:a b =x\n2:c =y\n");
    says("a,b\nc,d\n", "{\"header\": \"false\", \"text_column\": \"1,0\"}",
         "1:b\x1f"
         "a\n2:d\x1f"
         "c\n");
    says("body,stars\na,1\n", "{\"text_column\": \"body\", \"label_column\": \"none\"}", "2:a\n");
}

static void what_is_no_table_is_one_text_a_line(void **state)
{
    (void)state;
    says("Hello, world.\n\n  \nSecond line\n", "{}", "1:Hello, world.\n4:Second line\n");
    says("A:b c\nnothing\nB: d\n", "{\"line_regex\": \"(?<label>[A-Z]):(?<text>.*)\"}",
         "1:b c =A\n2! line_regex does not match it.\n3: d =B\n");
    says("a,b\nc,d\n", "{\"format\": \"lines\"}", "1:a,b\n2:c,d\n");
}

static void json_lines_name_their_columns_themselves(void **state)
{
    (void)state;
    says("{\"text\": \"a\\nb\", \"label\": 1}\n\n{\"label\": true, \"text\": \"c\"}\n{\"text\": "
         "\"d\"}\n",
         "{}", "1:a\nb =1\n3:c =true\n4:d\n");
    says("{\"a\": \"x\", \"b\": \"y\"}\n{\"a\": \"x\"}\n[]\n{\"a\": 1, \"b\": \"y\"}\n",
         "{\"text_column\": \"b,a\", \"label_column\": \"none\"}",
         "1:y\x1fx\n2! It has no text.\n3! It is no JSON object: an array\n"
         "4! Its text is not a string.\n");
    fails("{\"body\": \"a\", \"label\": 1}\n", "{}", "no_column",
          "no column \"text\"; it has: body, label.");
    fails("{\"text\": \"a\", \"stars\": 1}\n", "{}", "no_column",
          "\"label\"; it has: text, stars.");
}

static void what_makes_all_doubtful_is_an_error(void **state)
{
    (void)state;
    fails("text,label\na,x\nb\xff,y\n", "{}", "bad_encoding",
          "Line 3 is not in UTF-8: the byte 0xff");
    fails("text,label\n\"a\n\n\xff\",y\n", "{}", "bad_encoding", "Line 4 is not in UTF-8");
    fails("text,label\na,x\n\"b,y\n", "{}", "bad_table", "The quote that opens on line 3 is never");
    fails("review,stars\na,1\n", "{\"text_column\": \"x\"}", "no_column", "it has: review, stars.");
    fails("text,mood\na,1\n", "{}", "no_column", "no column \"label\"; it has: text, mood.");
    fails("a,b\n", "{\"header\": \"false\", \"text_column\": \"2\"}", "no_column",
          "no column \"2\"; it has: 2, counted from 0.");
    fails("text,label\na,x\n", "{\"group_column\": \"who\"}", "no_column", "no column \"who\"");
    fails("a\n", "{\"format\": \"xml\"}", "bad_option", "csv, semicolons, tsv, jsonl or lines");
    fails("a\n", "{\"line_regex\": \"(?<text>.)\", \"text_column\": \"a\"}", "bad_option",
          "leave out");
}

static void a_row_that_cannot_be_used_is_rejected_by_its_line(void **state)
{
    (void)state;
    struct err err = {0};
    says("text,label,split\n,x,\n \n\na,x,maybe\nb,x,,\nc,x,train\n", "{}",
         "2! Its text is empty.\n3! It has 1 fields, and the first row has 3.\n"
         "5! Its split \"maybe\" is none of train, valid, test and unsup.\n"
         "6! It has 4 fields, and the first row has 3.\n7:c =x /train\n");
    assert_int_equal(read_text("text,label\na\0b,x\nc,y\n", 21, "{}", &err), OK);
    assert_string_equal(seen.data, "2! There is a NUL byte in it.\n3:c =y\n");
}

/* Fifty megabytes are a text; more than a row may have is none, and what follows is read. */
static void a_text_may_be_large_but_not_boundless(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        bool kept;
    } cases[] = {{50u << 20, true}, {TEXT_MAX_BYTES + 1, false}};
    for (size_t i = 0; i < 2; i++) {
        size_t n = cases[i].len;
        char *text = mem_alloc(n + 32);
        struct err err = {0};
        memcpy(text, "text,label\n\"", 12);
        memset(text + 12, 'x', n);
        memcpy(text + 12 + n, "\",a\nb,c\n", 8);
        buf_deinit(&seen);
        assert_int_equal(read_text(text, n + 20, "{}", &err), OK);
        const char *rest = cases[i].kept ? seen.data : strstr(seen.data, "2! It is longer than");
        assert_non_null(rest);
        assert_non_null(strstr(rest, "3:b =c\n"));
        mem_free(text);
    }
}

static void what_is_no_text_is_seen(void **state)
{
    (void)state;
    assert_true(text_is_likely("caf\xe9 & co\n", 10));
    assert_false(text_is_likely("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16));
    assert_false(text_is_likely("", 0));
    assert_string_equal(text_wide_encoding("\xff\xfe"
                                           "a\0",
                                           4),
                        "utf-16");
    assert_string_equal(text_wide_encoding("a\0b\0c\0d\0e\0", 10), "utf-16le");
    assert_null(text_wide_encoding("plain text", 10));
}

static int tear_down(void **state)
{
    (void)state;
    buf_deinit(&seen);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_known_by_their_columns),
        cmocka_unit_test(columns_may_be_named_counted_and_joined),
        cmocka_unit_test(what_is_no_table_is_one_text_a_line),
        cmocka_unit_test(json_lines_name_their_columns_themselves),
        cmocka_unit_test(what_makes_all_doubtful_is_an_error),
        cmocka_unit_test(a_row_that_cannot_be_used_is_rejected_by_its_line),
        cmocka_unit_test(a_text_may_be_large_but_not_boundless),
        cmocka_unit_test(what_is_no_text_is_seen),
    };
    buf_init(&seen, 1 << 16);
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
