#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "server/multipart.h"

/* Writes down what it is told: "[name|file|type]content;" */
struct recorder {
    struct buf seen;
    size_t appetite; /* bytes taken at once; 0: all */
    bool full;       /* every second call takes nothing */
};

static enum status begin(void *context, const struct multipart_part *part, struct err *err)
{
    struct recorder *recorder = context;
    (void)err;
    buf_printf(&recorder->seen, "[%s|%s|%s]", part->name, part->file_name ? part->file_name : "-",
               part->content_type ? part->content_type : "-");
    return OK;
}

static enum status data(void *context, const char *bytes, size_t len, size_t *taken,
                        struct err *err)
{
    struct recorder *recorder = context;
    (void)err;
    *taken = recorder->appetite && recorder->appetite < len ? recorder->appetite : len;
    if (recorder->appetite && (recorder->full = !recorder->full))
        *taken = 0;
    buf_append(&recorder->seen, bytes, *taken);
    return OK;
}

static enum status end(void *context, struct err *err)
{
    struct recorder *recorder = context;
    (void)err;
    buf_puts(&recorder->seen, ";");
    return OK;
}

/* Feeds `body` in pieces of `piece` bytes to a sink that takes `appetite` at once. */
static enum status parse_type(struct recorder *recorder, const char *type, const char *body,
                              size_t len, size_t piece, size_t appetite)
{
    struct multipart_sink sink = {recorder, begin, data, end};
    struct multipart form;
    struct err err = {0};
    *recorder = (struct recorder){.appetite = appetite};
    buf_init(&recorder->seen, 1 << 20);
    enum status status = multipart_init(&form, type, &sink, &err);
    for (size_t at = 0; !status && at < len;) {
        size_t used, n = len - at < piece ? len - at : piece;
        char *copy = mem_alloc(n); /* exactly as long, so that ASan sees a read beyond */
        memcpy(copy, body + at, n);
        status = multipart_feed(&form, copy, n, &used, &err);
        mem_free(copy);
        at += used;
    }
    return status ? status : multipart_finish(&form, &err);
}

static enum status parse(struct recorder *recorder, const char *body, size_t piece, size_t appetite)
{
    return parse_type(recorder, "multipart/form-data; boundary=b\"", body, strlen(body), piece,
                      appetite);
}

#define PART(name, content)                                                                        \
    "--b\"\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" content "\r\n"
#define CLOSE "--b\"--\r\n"

static void the_parts_come_in_order(void **state)
{
    struct recorder r;
    (void)state;
    assert_int_equal(
        parse(&r,
              PART("name", "N") "--b\"\r\ncontent-type:image/png \r\nContent-DISPOSITION:form-data;"
                                "filename=\"a b.png\" ; name=file\r\n\r\nbytes\r\n" CLOSE
                                "epilogue",
              10000, 0),
        OK);
    assert_string_equal(r.seen.data, "[name|-|-]N;[file|a b.png|image/png ]bytes;");
    buf_deinit(&r.seen);
}

static void it_is_the_same_however_it_is_cut_and_however_little_is_taken(void **state)
{
    static const char content[] = "\r\n--b\r\r\n--\r\n-\r\n--b!\r\n\r\n--bb\r\n--";
    char body[512], expected[256];
    (void)state;
    snprintf(body, sizeof(body), "preamble\r\n--b\r\n" PART("x", "%s") PART("y", "") CLOSE,
             content);
    snprintf(expected, sizeof(expected), "[x|-|-]%s;[y|-|-];", content);
    for (size_t piece = 1; piece < 40; piece++) {
        for (size_t appetite = 0; appetite < 5; appetite++) {
            struct recorder r;
            assert_int_equal(parse(&r, body, piece, appetite), OK);
            assert_string_equal(r.seen.data, expected);
            buf_deinit(&r.seen);
        }
    }
}

static void names_are_unquoted(void **state)
{
    struct recorder r;
    (void)state;
    assert_int_equal(
        parse(&r,
              "--b\"\r\nContent-Disposition: form-data; x=\"name=\\\"no\\\"; name=no\";"
              " name=\"a\\\"b\\\\c\\d\"; filename=\"C:\\dir\\f\"\r\n\r\n\r\n" CLOSE,
              1000, 0),
        OK);
    assert_string_equal(r.seen.data, "[a\"b\\c\\d|C:\\dir\\f|-];");
    buf_deinit(&r.seen);
}

static void what_is_damaged_or_cut_short_is_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "--b\"",
        "--b\"-",
        "--b\"-x",
        "--b\"x\r\n",
        "--b\"\r\r",
        "--b\"\r\n\r\n\r\n" CLOSE,
        "--b\"\r\nContent-Disposition: form-data\r\n\r\n\r\n" CLOSE,
        "--b\"\r\nContent-Disposition: form-data; name=\"a\x01\"\r\n\r\n\r\n" CLOSE,
        "--b\"\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n\r\n" CLOSE,
        PART("a", "b"),
        PART("a", "b") "--b\"",
        "\n--b\"--",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        for (size_t piece = 1; piece < 100; piece += 33) {
            struct recorder r;
            if (parse(&r, bodies[i], piece, 0) != E_SYNTAX)
                fail_msg("\"%s\" was taken", bodies[i]);
            buf_deinit(&r.seen);
        }
    }
}

static void headers_of_a_part_are_bounded(void **state)
{
    char body[3000];
    struct recorder r;
    (void)state;
    memset(body, 'a', sizeof(body));
    memcpy(body, "--b\"\r\nX: ", 9);
    assert_int_equal(
        parse_type(&r, "multipart/form-data; boundary=\"b\\\"\"", body, sizeof(body), 100, 0),
        E_SYNTAX);
    buf_deinit(&r.seen);
}

static void a_boundary_is_needed(void **state)
{
    static const char *const types[] = {
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary",
        "multipart/form-data; xboundary=a",
        "multipart/form-data; boundary="
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct recorder r;
        if (parse_type(&r, types[i], "", 0, 1, 0) != E_SYNTAX)
            fail_msg("\"%s\" was taken", types[i]);
        buf_deinit(&r.seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_come_in_order),
        cmocka_unit_test(it_is_the_same_however_it_is_cut_and_however_little_is_taken),
        cmocka_unit_test(names_are_unquoted),
        cmocka_unit_test(what_is_damaged_or_cut_short_is_refused),
        cmocka_unit_test(headers_of_a_part_are_bounded),
        cmocka_unit_test(a_boundary_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
