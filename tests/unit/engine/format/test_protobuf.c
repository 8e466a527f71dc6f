#include "tests/unit/engine/format/fixture.h"

#include <string.h>

#include "engine/format/protobuf.h"

static void assert_bytes(struct buf *out, const char *bytes, size_t len)
{
    assert_int_equal(out->len, len);
    assert_memory_equal(out->data, bytes, len);
    buf_clear(out);
}

/* The examples of the format's own documentation, and the ends of the range. */
static void numbers_take_seven_bits_a_byte(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 100);
    protobuf_integer(&out, 1, 150);
    assert_bytes(&out, "\x08\x96\x01", 3);
    protobuf_integer(&out, 1, 0);
    assert_bytes(&out, "\x08\x00", 2);
    protobuf_integer(&out, 20, 127);
    assert_bytes(&out, "\xa0\x01\x7f", 3);
    protobuf_integer(&out, 1, UINT64_MAX);
    assert_bytes(&out, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    buf_deinit(&out);
}

static void texts_and_messages_have_their_length_before_them(void **state)
{
    (void)state;
    struct buf out, inner;
    buf_init(&out, 100);
    buf_init(&inner, 100);
    protobuf_text(&out, 2, "testing");
    assert_bytes(&out, "\x12\x07testing", 9);
    protobuf_integer(&inner, 1, 150);
    protobuf_message(&out, 3, &inner);
    assert_bytes(&out, "\x1a\x03\x08\x96\x01", 5);
    protobuf_begin(&out, 1, 300);
    assert_bytes(&out, "\x0a\xac\x02", 3);
    buf_deinit(&inner);
    buf_deinit(&out);
}

static void a_float_is_four_bytes_lowest_first(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 100);
    protobuf_float(&out, 2, 1e-5f);
    assert_bytes(&out, "\x15\xac\xc5\x27\x37", 5);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_take_seven_bits_a_byte),
        cmocka_unit_test(texts_and_messages_have_their_length_before_them),
        cmocka_unit_test(a_float_is_four_bytes_lowest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
