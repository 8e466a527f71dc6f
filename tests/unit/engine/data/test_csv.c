/* Separated text: RFC 4180, and what is no such text. */
#include "tests/unit/engine/data/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/csv.h"

/* Hands out a few bytes at a time. */
struct slow {
    const char *bytes;
    size_t left, step;
};

static enum status read_slowly(void *context, void *bytes, size_t size, size_t *got,
                               struct err *err)
{
    struct slow *slow = context;
    (void)err;
    *got = slow->left < slow->step ? slow->left : slow->step;
    assert_true(*got <= size);
    memcpy(bytes, slow->bytes, *got);
    slow->bytes += *got;
    slow->left -= *got;
    return OK;
}

/* Every row as its fields in brackets, rows by newlines; or the error's sentence. `step` bytes are
 * read at once. */
static void read_by(const char *text, size_t len, struct csv_options options, size_t step,
                    char *out, size_t size)
{
    struct slow slow = {text, len, step};
    struct csv *csv = csv_new((struct source){read_slowly, &slow}, &options);
    struct csv_row row;
    struct err err = {0};
    out[0] = 0;
    while (csv_next(csv, &row, &err) == OK && row.n > 0) {
        if (row.too_long)
            snprintf(out + strlen(out), size - strlen(out), "line %d: too long", (int)row.line);
        for (size_t i = 0; i < row.n && !row.too_long; i++) {
            assert_int_equal(strlen(row.fields[i].text), row.fields[i].len);
            snprintf(out + strlen(out), size - strlen(out), "[%s]", row.fields[i].text);
        }
        snprintf(out + strlen(out), size - strlen(out), "\n");
    }
    if (err.status)
        snprintf(out + strlen(out), size - strlen(out), "%s", err.detail);
    csv_free(csv);
}

/* However the stream is cut, the rows are the same. */
static void read_all(const char *text, char separator, char *out, size_t size)
{
    const struct csv_options options = {.separator = separator, .quotes = true, .max_row = 1000};
    char again[400];
    read_by(text, strlen(text), options, 1 << 10, out, size);
    for (size_t step = 1; step < 6; step++) {
        read_by(text, strlen(text), options, step, again, sizeof again);
        assert_string_equal(again, out);
    }
}

static void rows_come_as_they_were_meant(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        char separator;
        const char *rows;
    } cases[] = {
        {"a,b\nc,d\n", ',', "[a][b]\n[c][d]\n"},
        {"a,b\r\nc,d", ',', "[a][b]\n[c][d]\n"},
        {"a,\n,b\n,", ',', "[a][]\n[][b]\n[][]\n"},
        {"a,", ',', "[a][]\n"},
        {"\n\na\n\r\n\nb\n", ',', "[a]\n[b]\n"},
        {"a\tb,c\n", '\t', "[a][b,c]\n"},
        {"\"a,b\",c\n", ',', "[a,b][c]\n"},
        {"\"a \"\"b\"\"\",c\n", ',', "[a \"b\"][c]\n"},
        {"\"two\nlines\",c\r\n\"\",d", ',', "[two\nlines][c]\n[][d]\n"},
        {"a\"b,c\n", ',', "[a\"b][c]\n"},
        {"\xef\xbb\xbfpath,label\n", ',', "[path][label]\n"},
        {"caf\xc3\xa9;x\n", ';', "[caf\xc3\xa9][x]\n"},
        {"", ',', ""},
        {"\n", ',', ""},
    };
    char out[400];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_all(cases[i].text, cases[i].separator, out, sizeof out);
        assert_string_equal(out, cases[i].rows);
    }
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
    (void)state;
    char out[400];
    read_all("a,b\nc,\"d\ne\n", ',', out, sizeof out);
    assert_string_equal(out, "[a][b]\nThe quote that opens on line 2 is never closed.");
    read_all("\"a\nb\"c,d\n", ',', out, sizeof out);
    assert_string_equal(out,
                        "On line 2 text follows a closing quote, of the field that opens on line "
                        "1: a quote inside a quoted field is written twice.");
    read_all("a\n\n\n\"b\"\r", ',', out, sizeof out);
    assert_string_equal(out,
                        "[a]\nOn line 4 text follows a closing quote, of the field that opens on "
                        "line 4: a quote inside a quoted field is written twice.");
}

static void without_quotes_a_quote_is_a_letter(void **state)
{
    (void)state;
    char out[400];
    read_by("\"a\tb\"\n\"\n", 8, (struct csv_options){'\t', false, 100}, 3, out, sizeof out);
    assert_string_equal(out, "[\"a][b\"]\n[\"]\n");
    read_by("a,b\n\nc\r\n", 8, (struct csv_options){CSV_LINES, false, 100}, 3, out, sizeof out);
    assert_string_equal(out, "[a,b]\n[c]\n");
}

static void a_nul_byte_is_seen(void **state)
{
    (void)state;
    struct source_memory memory = {"a\0b,c\nd,e\n", 10};
    struct csv *csv = csv_new(source_of_memory(&memory), &(struct csv_options){',', true, 100});
    struct csv_row row;
    struct err err = {0};
    assert_int_equal(csv_next(csv, &row, &err), OK);
    assert_true(csv_row_has_nul(&row));
    assert_int_equal(row.fields[0].len, 3);
    assert_int_equal(csv_next(csv, &row, &err), OK);
    assert_false(csv_row_has_nul(&row));
    csv_free(csv);
}

/* A row of a megabyte among short ones, kept or not as its limit says. */
static void a_long_row_is_kept_up_to_the_limit(void **state)
{
    (void)state;
    const size_t n = 1 << 20;
    char *text = mem_alloc(n + 20), out[400];
    memset(text, 'x', n);
    memcpy(text, "a\n\"", 3);
    memcpy(text + n, "\"\"\"\r\nb\n", 7);
    read_by(text, n + 7, (struct csv_options){',', true, n / 2}, 100000, out, sizeof out);
    assert_string_equal(out, "[a]\nline 2: too long\n[b]\n");
    struct source_memory memory = {text, n + 7};
    struct csv *csv = csv_new(source_of_memory(&memory), &(struct csv_options){',', true, n});
    struct csv_row row;
    struct err err = {0};
    assert_int_equal(csv_next(csv, &row, &err), OK);
    assert_int_equal(csv_next(csv, &row, &err), OK);
    assert_int_equal(row.fields[0].len, n - 3 + 1);
    assert_int_equal(row.fields[0].text[n - 3], '"');
    csv_free(csv);
    mem_free(text);
}

/* The quote is named by its line, and what it swallowed is not kept. */
static void a_quote_open_to_the_end_of_much_takes_no_memory(void **state)
{
    (void)state;
    const size_t n = 8 << 20;
    char *text = mem_alloc(n), out[400];
    memset(text, 'x', n);
    for (size_t i = 99; i < n; i += 100)
        text[i] = '\n';
    text[200] = '"';
    read_by(text, n, (struct csv_options){',', true, 1000}, 100000, out, sizeof out);
    assert_non_null(strstr(out, "The quote that opens on line 3 is never closed."));
    mem_free(text);
}

static void fields_beyond_the_limit_are_counted(void **state)
{
    (void)state;
    char text[2 * CSV_MAX_FIELDS + 3];
    for (size_t i = 0; i < CSV_MAX_FIELDS + 1; i++)
        memcpy(text + 2 * i, "a,", 2);
    text[2 * CSV_MAX_FIELDS + 1] = '\n';
    struct source_memory memory = {text, 2 * CSV_MAX_FIELDS + 2};
    struct csv *csv = csv_new(source_of_memory(&memory), &(struct csv_options){',', true, 9999});
    struct csv_row row;
    struct err err = {0};
    assert_int_equal(csv_next(csv, &row, &err), OK);
    assert_int_equal(row.n, CSV_MAX_FIELDS + 1);
    assert_string_equal(row.fields[CSV_MAX_FIELDS - 1].text, "a");
    csv_free(csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_as_they_were_meant),
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(without_quotes_a_quote_is_a_letter),
        cmocka_unit_test(a_nul_byte_is_seen),
        cmocka_unit_test(a_long_row_is_kept_up_to_the_limit),
        cmocka_unit_test(a_quote_open_to_the_end_of_much_takes_no_memory),
        cmocka_unit_test(fields_beyond_the_limit_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
