#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/worker/flags.h"

static const struct verb_flag flags[] = {
    {"--name", "name", FLAG_TEXT, "NAME", "what it is called", true},
    {"--count", "count", FLAG_INTEGER, "N", "how many", false},
    {"--share", "options.share", FLAG_NUMBER, "X", "of the whole", false},
    {"--label", "options.labels", FLAG_TEXTS, "L", "one of several", false},
    {"--loud", "loud", FLAG_SWITCH, NULL, "say more", false},
    {"--in", "in", FLAG_INPUT, "FILE", "to read", false},
    {"--more", "more", FLAG_INPUTS, "FILE", "to read as well", false},
    {"--out", "out", FLAG_OUTPUT, "FOLDER", "to write", false},
    {"--spec", "spec", FLAG_JSON, "FILE", "a document", false},
};

static const struct verb verb = {
    .name = "try", .summary = "tries flags", .flags = flags, .n_flags = ARRAY_LEN(flags)};

#define ARGS(...) (char *[]){__VA_ARGS__}, (int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *))

static struct json *parse(char **argv, int argc)
{
    struct err err = {0};
    struct json *document = NULL;
    if (flags_parse(&verb, argc, argv, &document, &err) != OK)
        fail_msg("%s", err.detail);
    return document;
}

static void refuse(char **argv, int argc, const char *words)
{
    struct err err = {0};
    struct json *document = NULL;
    assert_int_not_equal(flags_parse(&verb, argc, argv, &document, &err), OK);
    assert_null(document);
    if (!strstr(err.detail, words))
        fail_msg("\"%s\" does not say \"%s\"", err.detail, words);
}

static void flags_become_the_document(void **state)
{
    (void)state;
    struct json *d = parse(ARGS("--name", "x y", "--count=-3", "--loud", "--share", ".5", "--label",
                                "a", "--label=b"));
    assert_string_equal(json_string(d, "verb", ""), "try");
    assert_string_equal(json_string(d, "name", ""), "x y");
    assert_int_equal(json_integer(d, "count", 0), -3);
    assert_true(json_bool(d, "loud", false));
    const struct json *options = json_get(d, "options");
    assert_true(json_number(options, "share", 0) == .5);
    assert_int_equal(json_len(json_get(options, "labels")), 2);
    assert_string_equal(json_as_string(json_at(json_get(options, "labels"), 1), ""), "b");
    assert_null(json_get(d, "in"));
    json_free(d);
}

static void a_mistake_is_named_with_what_was_meant(void **state)
{
    (void)state;
    refuse(ARGS("--name", "x", "--cuont", "3"), "did you mean --count?");
    refuse(ARGS("--name", "x", "--zzzzzzzz"), "--help lists them");
    refuse(ARGS("--name", "x", "stray"), "has no flag stray");
    refuse(ARGS("--count", "3"), "needs --name NAME");
    refuse(ARGS("--name"), "--name takes a value");
    refuse(ARGS("--name", "x", "--count", "2.5"), "a whole number, not \"2.5\"");
    refuse(ARGS("--name", "x", "--count", "3x"), "not \"3x\"");
    refuse(ARGS("--name", "x", "--count", ""), "not \"\"");
    refuse(ARGS("--name", "x", "--share", "nan"), "a number, not \"nan\"");
    refuse(ARGS("--name", "x", "--share", "1e999"), "a number");
    refuse(ARGS("--name", "x", "--loud=yes"), "takes no value");
    refuse(ARGS("--name", "x", "--in", "/nonexistent/file"), "/nonexistent/file");
    refuse(ARGS("--name", "x", "--spec", "/nonexistent/file"), "--spec /nonexistent/file");
}

static void paths_are_made_absolute_and_opened_for_the_sandbox(void **state)
{
    (void)state;
    char folder[] = "/tmp/thaw-test-XXXXXX";
    struct err err;
    assert_non_null(mkdtemp(folder));
    char *file = mem_printf("%s/file", folder), *dotted = mem_printf("%s/./file", folder);
    char *out = mem_printf("%s/a/b", folder);
    assert_int_equal(fs_write_file(file, "{\"k\":1}", 7, &err), OK);
    struct json *d = parse(ARGS("--name", "x", "--in", dotted, "--more", file, "--more", dotted,
                                "--out", out, "--spec", file));
    assert_string_equal(json_string(d, "in", ""), file);
    assert_int_equal(access(out, W_OK), 0);
    assert_int_equal(json_integer(json_get(d, "spec"), "k", 0), 1);
    assert_string_equal(flags_output(&verb, d), out);
    struct sandbox_options sandbox = {0};
    assert_int_equal(flags_add_paths(&verb, d, &sandbox, &err), OK);
    assert_int_equal(sandbox.n_read, 3);
    assert_string_equal(sandbox.read[0], file);
    assert_int_equal(sandbox.n_write, 1);
    assert_string_equal(sandbox.write[0], out);
    json_free(d);
    assert_int_equal(fs_remove_tree(folder, &err), OK);
    mem_free(file);
    mem_free(dotted);
    mem_free(out);
}

static void a_document_from_elsewhere_is_checked_by_the_same_table(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum status status;
    } cases[] = {
        {"{\"name\":\"x\"}", OK},
        {"{\"name\":\"x\",\"count\":null,\"unknown\":1}", OK},
        {"{}", E_INVALID},
        {"{\"name\":3}", E_INVALID},
        {"{\"name\":\"x\",\"more\":\"file\"}", E_INVALID},
        {"{\"name\":\"x\",\"options\":{\"share\":\"half\"}}", E_INVALID},
        {"{\"name\":\"x\",\"spec\":[]}", E_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct json *d = NULL;
        assert_int_equal(json_parse(cases[i].text, strlen(cases[i].text), &d, &err), OK);
        assert_int_equal(flags_check(&verb, d, &err), cases[i].status);
        json_free(d);
    }
}

static void help_lists_every_flag(void **state)
{
    (void)state;
    struct buf help;
    buf_init(&help, 1u << 16);
    flags_print_help(&verb, &help);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        assert_non_null(strstr(help.data, flags[i].name));
    assert_non_null(strstr(help.data, "what it is called (required)"));
    buf_deinit(&help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_become_the_document),
        cmocka_unit_test(a_mistake_is_named_with_what_was_meant),
        cmocka_unit_test(paths_are_made_absolute_and_opened_for_the_sandbox),
        cmocka_unit_test(a_document_from_elsewhere_is_checked_by_the_same_table),
        cmocka_unit_test(help_lists_every_flag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
