/* Encodings: known by name, decoded whatever the pieces, refused by line. */
#include "tests/unit/engine/data/fixture.h"

#include <string.h>

#include "engine/data/encoding.h"

/* One byte at a time: every character is cut. */
static enum status read_byte(void *context, void *bytes, size_t size, size_t *got, struct err *err)
{
    struct source_memory *memory = context;
    (void)size;
    (void)err;
    *got = memory->left > 0;
    if (*got)
        memcpy(bytes, memory->bytes++, 1);
    memory->left -= *got;
    return OK;
}

static enum status decode(const char *name, const char *bytes, size_t len, char *out, size_t size,
                          struct err *err)
{
    struct source_memory memory = {bytes, len};
    struct decoder *decoder = NULL;
    size_t n = 0, got = 1;
    enum status status = decoder_new(name, (struct source){read_byte, &memory}, &decoder, err);
    if (status)
        return status;
    struct source source = decoder_source(decoder);
    while (!status && got && n + 1 < size) {
        status = source.read(source.context, out + n, size - 1 - n, &got, err);
        n += status ? 0 : got;
    }
    out[n] = 0;
    decoder_free(decoder);
    return status;
}

static void known_encodings_become_utf_8(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        {"latin-1", "caf\xe9\n", 5, "caf\xc3\xa9\n"},
        {"ISO-8859-1", "\xfc", 1, "\xc3\xbc"},
        {"windows-1252", "\x80", 1, "\xe2\x82\xac"},
        {"utf-16", "\xff\xfe\x41\0\xac\x20", 6, "A\xe2\x82\xac"},
        {"utf-16", "\xfe\xff\0\x41", 4, "A"},
        {"utf-16le", "\x3d\xd8\0\xde", 4, "\xf0\x9f\x98\x80"},
        {"shift_jis", "\x83\x65", 2, "\xe3\x83\x86"},
        {"koi8-r", "\xc1", 1, "\xd0\xb0"},
        {"latin-1", "", 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        struct err err = {0};
        assert_int_equal(decode(cases[i].name, cases[i].bytes, cases[i].len, out, sizeof out, &err),
                         OK);
        assert_string_equal(out, cases[i].text);
    }
}

static void what_means_nothing_is_refused_with_its_line(void **state)
{
    (void)state;
    char out[64];
    struct err err = {0};
    assert_int_equal(decode("windows-1252", "a\nb\n\x81", 5, out, sizeof out, &err), E_INVALID);
    assert_string_equal(err.code, "bad_encoding");
    assert_non_null(strstr(err.detail, "Line 3 is not in windows-1252"));
    assert_int_equal(decode("utf-16le", "a\0b", 3, out, sizeof out, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "cut off"));
}

static void names_are_looked_up_and_never_handed_on(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(encoding_check("Latin1", &err), OK);
    assert_int_equal(encoding_check("latin-11", &err), E_INVALID);
    assert_non_null(strstr(err.detail, "did you mean latin-1?"));
    assert_int_equal(encoding_check("/etc/passwd", &err), E_INVALID);
    assert_int_equal(encoding_check("UTF-8//TRANSLIT", &err), E_INVALID);
    assert_string_equal(err.code, "bad_option");
    assert_true(encoding_is_utf8(NULL));
    assert_true(encoding_is_utf8("UTF8"));
    assert_false(encoding_is_utf8("utf-16"));
    assert_int_equal(encoding_load("latin-1", &err), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_encodings_become_utf_8),
        cmocka_unit_test(what_means_nothing_is_refused_with_its_line),
        cmocka_unit_test(names_are_looked_up_and_never_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
