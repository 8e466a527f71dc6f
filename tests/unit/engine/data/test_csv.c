/* Separated text: RFC 4180, and what is no such text. */
#include "tests/unit/engine/data/fixture.h"

#include <stdio.h>
#include <string.h>

#include "engine/data/csv.h"

/* Every row as its fields in brackets, rows by newlines; or the error's sentence. */
static void read_all(const char *text, char separator, char *out, size_t size)
{
    char bytes[400], *fields[4];
    struct csv csv;
    struct err err = {0};
    size_t n, len = strlen(text);
    memcpy(bytes, text, len);
    bytes[len] = '#'; /* the one byte more is the reader's */
    out[0] = 0;
    csv_init(&csv, bytes, len, separator);
    while (csv_next(&csv, fields, 4, &n, &err) == OK && n > 0) {
        for (size_t i = 0; i < n; i++)
            snprintf(out + strlen(out), size - strlen(out), "[%s]", fields[i]);
        snprintf(out + strlen(out), size - strlen(out), "\n");
    }
    if (err.status)
        snprintf(out + strlen(out), size - strlen(out), "%s", err.detail);
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
                        "On line 2 text follows a closing quote: a quote inside a quoted field "
                        "is written twice.");
    read_all("a\n1,2,3,4,5\n", ',', out, sizeof out);
    assert_string_equal(out, "[a]\nLine 2 has more than 4 fields.");
}

static void a_nul_byte_is_no_text(void **state)
{
    (void)state;
    char bytes[] = "a\0b,c\n", *fields[4];
    struct csv csv;
    struct err err = {0};
    size_t n;
    csv_init(&csv, bytes, sizeof bytes - 1, ',');
    assert_int_equal(csv_next(&csv, fields, 4, &n, &err), E_INVALID);
    assert_string_equal(err.detail, "There is a NUL byte on line 1: this is no text file.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_as_they_were_meant),
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(a_nul_byte_is_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
