/* Allocation, arenas and bounded buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static void a_product_that_overflows_is_an_error(void **state)
{
    (void)state;
    struct err err = {0};
    void *block = NULL;
    assert_int_equal(mem_try_alloc(SIZE_MAX / 2, 3, "the batch", &block, &err), E_NO_SPACE);
    assert_non_null(strstr(err.detail, "the batch"));
    assert_int_equal(mem_try_aligned(SIZE_MAX / 2, 3, "the batch", &block, &err), E_NO_SPACE);
    assert_int_equal(mem_try_alloc(1, SIZE_MAX, "the batch", &block, &err), E_NO_SPACE);
    assert_int_equal(mem_try_aligned(1, SIZE_MAX, "the batch", &block, &err), E_NO_SPACE);
    assert_null(block);
}

static void aligned_memory_is_aligned_and_zero(void **state)
{
    (void)state;
    for (size_t n = 0; n < 200; n += 33) {
        void *block = NULL;
        assert_int_equal(mem_try_aligned(n, 1, "x", &block, NULL), OK);
        assert_int_equal((uintptr_t)block % 64, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(((char *)block)[i], 0);
        mem_free(block);
    }
}

static void printed_text_is_as_long_as_it_needs_to_be(void **state)
{
    (void)state;
    char *text = mem_printf("%s-%0500d", "a", 7);
    assert_int_equal(strlen(text), 502);
    mem_free(text);
}

static void an_arena_keeps_everything_apart_until_its_end(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        size_t size = i * 37 % 5000;
        blocks[i] = arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], (int)i, size);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k < i * 37 % 5000; k++)
            assert_int_equal((unsigned char)blocks[i][k], i & 255);
    assert_string_equal(arena_printf(&arena, "%d %s", 5, "x"), "5 x");
    assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&arena, "ab", 30), "ab");
    assert_null(arena_strdup(&arena, NULL));
    arena_deinit(&arena);
    assert_null(arena.blocks);
}

static void a_buffer_stops_at_its_maximum_and_says_so(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_string_equal(buf.data, "");
    assert_true(buf_puts(&buf, "12345"));
    assert_true(buf_printf(&buf, "%d", 6789));
    assert_false(buf.overflow);
    assert_false(buf_puts(&buf, "xy"));
    assert_true(buf.overflow);
    assert_string_equal(buf.data, "123456789");
    assert_true(buf_puts(&buf, "x")); /* exactly full */
    assert_false(buf_printf(&buf, "%s", "y"));
    assert_string_equal(buf.data, "123456789x");
    buf_clear(&buf);
    assert_string_equal(buf.data, "");
    assert_false(buf.overflow);
    buf_deinit(&buf);
}

static void a_buffer_holds_any_bytes(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1u << 20);
    for (int i = 0; i < 100000; i++) {
        char byte = (char)i;
        assert_true(buf_append(&buf, &byte, 1));
    }
    buf_consume(&buf, 99990);
    assert_int_equal(buf.len, 10);
    assert_int_equal((unsigned char)buf.data[9], 99999 & 255);
    assert_int_equal(buf.data[10], 0);
    buf_consume(&buf, 1000);
    assert_int_equal(buf.len, 0);
    buf_deinit(&buf);
}

static void taken_bytes_leave_an_empty_buffer(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    buf_consume(&buf, 5);
    char *nothing = buf_take(&buf);
    assert_string_equal(nothing, "");
    mem_free(nothing);
    buf_puts(&buf, "abc");
    char *text = buf_take(&buf);
    assert_string_equal(text, "abc");
    assert_int_equal(buf.len, 0);
    mem_free(text);
    assert_true(buf_puts(&buf, "again"));
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_that_overflows_is_an_error),
        cmocka_unit_test(aligned_memory_is_aligned_and_zero),
        cmocka_unit_test(printed_text_is_as_long_as_it_needs_to_be),
        cmocka_unit_test(an_arena_keeps_everything_apart_until_its_end),
        cmocka_unit_test(a_buffer_stops_at_its_maximum_and_says_so),
        cmocka_unit_test(a_buffer_holds_any_bytes),
        cmocka_unit_test(taken_bytes_leave_an_empty_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
