/* Frames arrive whole, and nothing hostile becomes one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/mem.h"

static struct json *header_of(const char *type)
{
    struct json *header = json_new_object();
    json_set_string(header, "type", type);
    return header;
}

static void frames_cross_a_socket(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct json *header = header_of("predict");
    assert_int_equal(frame_write(fds[0], header, "bytes", 5, NULL), OK);
    assert_int_equal(frame_write(fds[0], header, NULL, 0, NULL), OK);
    struct frame frame;
    assert_int_equal(frame_read(fds[1], 5, &frame, NULL), OK);
    assert_string_equal(json_string(frame.header, "type", ""), "predict");
    assert_int_equal(frame.payload_len, 5);
    assert_memory_equal(frame.payload, "bytes", 5);
    frame_deinit(&frame);
    assert_int_equal(frame_read(fds[1], 5, &frame, NULL), OK);
    assert_null(frame.payload);
    frame_deinit(&frame);
    struct err err = {0};
    assert_int_equal(frame_write(fds[0], header, "bytes!", 6, NULL), OK);
    assert_int_equal(frame_read(fds[1], 5, &frame, &err), E_INVALID);
    json_free(header);
    close(fds[0]);
    close(fds[1]);
}

static void a_closed_peer_is_told_from_a_cut_frame(void **state)
{
    (void)state;
    struct buf whole;
    buf_init(&whole, 1000);
    struct json *header = header_of("x");
    assert_int_equal(frame_encode(&whole, header, "abc", 3, NULL), OK);
    for (size_t len = 0; len <= whole.len; len++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        assert_int_equal(write(fds[0], whole.data, len), len);
        close(fds[0]);
        struct frame frame = {0};
        struct err err = {0};
        enum status expected = len == 0 ? E_CANCELLED : len < whole.len ? E_INVALID : OK;
        assert_int_equal(frame_read(fds[1], 3, &frame, &err), expected);
        frame_deinit(&frame);
        close(fds[1]);
    }
    json_free(header);
    buf_deinit(&whole);
}

static void writing_to_a_closed_peer_is_an_error_and_no_signal(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    close(fds[1]);
    struct json *header = header_of("x");
    struct err err = {0};
    assert_int_equal(frame_write(fds[0], header, NULL, 0, &err), E_CANCELLED);
    close(fds[0]);
    json_free(header);
}

static void frames_come_out_of_any_pieces(void **state)
{
    (void)state;
    struct buf wire, in;
    buf_init(&wire, 4096);
    buf_init(&in, 4096);
    for (int i = 0; i < 5; i++) {
        struct json *header = header_of("step");
        json_set_integer(header, "i", i);
        assert_int_equal(frame_encode(&wire, header, "payload", (size_t)i, NULL), OK);
        json_free(header);
    }
    int got = 0;
    for (size_t i = 0; i < wire.len; i++) {
        buf_append(&in, wire.data + i, 1);
        struct frame frame;
        assert_int_equal(frame_next(&in, 7, &frame, NULL), OK);
        if (!frame.header)
            continue;
        assert_int_equal(json_integer(frame.header, "i", -1), got);
        assert_int_equal(frame.payload_len, got);
        frame_deinit(&frame);
        got++;
    }
    assert_int_equal(got, 5);
    assert_int_equal(in.len, 0);
    buf_deinit(&wire);
    buf_deinit(&in);
}

struct hostile {
    const char *name;
    size_t len;
    const char *bytes;
};

static const struct hostile hostile[] = {
    {"a header past 64 KiB", 8, "\x01\x00\x01\x00\x00\x00\x00\x00"},
    {"a header of 4 GiB", 8, "\xff\xff\xff\xff\x00\x00\x00\x00"},
    {"a payload past the bound", 8, "\x02\x00\x00\x00\x08\x00\x00\x00"},
    {"an empty header", 8, "\x00\x00\x00\x00\x00\x00\x00\x00"},
    {"no JSON", 10, "\x02\x00\x00\x00\x00\x00\x00\x00{x"},
    {"no object", 10, "\x02\x00\x00\x00\x00\x00\x00\x00[]"},
    {"no type", 10, "\x02\x00\x00\x00\x00\x00\x00\x00{}"},
    {"a type that is no text", 18, "\x0a\x00\x00\x00\x00\x00\x00\x00{\"type\":1}"},
    {"judged before its payload is there", 10, "\x02\x00\x00\x00\x07\x00\x00\x00{}"},
};

static void what_can_never_become_a_frame_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        struct buf in;
        buf_init(&in, 4096);
        buf_append(&in, hostile[i].bytes, hostile[i].len);
        struct frame frame;
        struct err err = {0};
        if (frame_next(&in, 7, &frame, &err) != E_INVALID)
            fail_msg("%s was accepted", hostile[i].name);
        assert_null(frame.header);
        buf_deinit(&in);
    }
}

static void what_does_not_fit_leaves_no_half_frame(void **state)
{
    (void)state;
    struct buf out;
    struct err err = {0};
    buf_init(&out, 40);
    struct json *header = header_of("x");
    assert_int_equal(frame_encode(&out, header, "12", 2, NULL), OK);
    size_t before = out.len;
    assert_int_equal(frame_encode(&out, header, "12345678901234567890", 20, &err), E_NO_SPACE);
    assert_int_equal(out.len, before);
    char *longer = mem_alloc(FRAME_MAX_HEADER + 1);
    memset(longer, 'x', FRAME_MAX_HEADER);
    json_set_string(header, "text", longer);
    assert_int_equal(frame_encode(&out, header, NULL, 0, &err), E_INTERNAL);
    mem_free(longer);
    json_free(header);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_cross_a_socket),
        cmocka_unit_test(a_closed_peer_is_told_from_a_cut_frame),
        cmocka_unit_test(writing_to_a_closed_peer_is_an_error_and_no_signal),
        cmocka_unit_test(frames_come_out_of_any_pieces),
        cmocka_unit_test(what_can_never_become_a_frame_is_refused),
        cmocka_unit_test(what_does_not_fit_leaves_no_half_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
