#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/spec/wire.h"
#include "base/mem.h"
#include "engine/worker/report.h"

struct fixture {
    int parent;
    int child;
    struct report *report;
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    f->parent = fds[0];
    f->child = fds[1];
    f->report = report_new_wire(f->child);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    report_free(f->report);
    if (f->parent >= 0)
        close(f->parent);
    close(f->child);
    mem_free(f);
    return 0;
}

static void ask(struct fixture *f, const char *type, const char *payload)
{
    struct err err;
    struct json *header = json_new_object();
    json_set_string(header, "type", type);
    assert_int_equal(frame_write(f->parent, header, payload, strlen(payload), &err), OK);
    json_free(header);
}

/* The next frame the parent gets; it must be one that the wire's table allows. */
static struct json *heard(struct fixture *f)
{
    struct err err = {0};
    struct frame frame;
    assert_int_equal(frame_read(f->parent, 0, &frame, &err), OK);
    if (wire_check_up(frame.header, &err) != OK)
        fail_msg("%s", err.detail);
    struct json *header = frame.header;
    frame.header = NULL;
    frame_deinit(&frame);
    return header;
}

static void hear(struct fixture *f, const char *type)
{
    struct json *header = heard(f);
    assert_string_equal(json_string(header, "type", ""), type);
    json_free(header);
}

static void every_header_it_makes_fits_the_wire(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    report_started(f->report, 2, NULL);
    report_progress(f->report, 1, 10);
    report_item(f->report, 7);
    report_log(f->report, "%d things", 3);
    report_warning(f->report, "odd_thing", "thing %s is odd", "x");
    err_set(&err, E_INVALID, "It cannot be.");
    report_error(f->report, &err);
    static const char *const types[] = {"started", "progress", "item", "log", "warning", "error"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        hear(f, types[i]);
}

static void an_error_crosses_with_status_code_and_hint(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    err_at(&err, E_NO_SPACE, "/batch_size", "No room for %d items.", 9);
    err_name(&err, "out_of_room", "Take fewer.");
    report_error(f->report, &err);
    struct json *header = heard(f);
    assert_int_equal(status_from_name(json_string(header, "status", "")), E_NO_SPACE);
    assert_string_equal(json_string(header, "detail", ""), "No room for 9 items.");
    assert_string_equal(json_string(header, "code", ""), "out_of_room");
    assert_string_equal(json_string(header, "hint", ""), "Take fewer.");
    assert_string_equal(json_string(header, "pointer", ""), "/batch_size");
    json_free(header);
}

static void progress_is_thinned_but_its_end_is_told(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i <= 1000; i++)
        report_progress(f->report, i, 1000);
    report_log(f->report, "end");
    int n = 0;
    int64_t done = -1;
    struct json *header;
    while (strcmp(json_string(header = heard(f), "type", ""), "progress") == 0) {
        done = json_integer(header, "done", -1);
        json_free(header);
        n++;
    }
    json_free(header);
    assert_int_equal(done, 1000);
    assert_in_range(n, 2, 20);
}

static void nothing_asked_is_nothing_to_do(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(report_poll(f->report), REQUEST_NONE);
    assert_int_equal(report_check(f->report, &err), OK);
}

static void a_checkpoint_is_asked_for_once_a_pause_for_good(void **state)
{
    struct fixture *f = *state;
    struct err err;
    ask(f, "checkpoint", "");
    assert_int_equal(report_poll(f->report), REQUEST_CHECKPOINT);
    assert_int_equal(report_poll(f->report), REQUEST_NONE);
    assert_int_equal(report_check(f->report, &err), OK);
    ask(f, "checkpoint", "");
    ask(f, "pause", "");
    assert_int_equal(report_poll(f->report), REQUEST_PAUSE);
    assert_int_equal(report_poll(f->report), REQUEST_PAUSE);
    ask(f, "cancel", "");
    assert_int_equal(report_poll(f->report), REQUEST_CANCEL);
    assert_int_equal(report_check(f->report, &err), E_CANCELLED);
}

static void a_parent_that_is_gone_asks_for_cancellation(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct frame frame;
    close(f->parent);
    f->parent = -1;
    assert_int_equal(report_poll(f->report), REQUEST_CANCEL);
    assert_int_equal(report_receive(f->report, -1, 0, &frame, &err), E_CANCELLED);
    report_log(f->report, "into the void"); /* and nothing breaks */
}

static void a_send_that_fails_asks_for_cancellation_too(void **state)
{
    struct fixture *f = *state;
    shutdown(f->child, SHUT_WR);
    report_log(f->report, "cannot be sent");
    assert_int_equal(report_poll(f->report), REQUEST_CANCEL);
}

static void receive_hands_out_work_and_keeps_requests(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct frame frame;
    assert_int_equal(report_receive(f->report, 0, 100, &frame, &err), OK);
    assert_null(frame.header);
    ask(f, "checkpoint", "");
    ask(f, "predict", "picture");
    assert_int_equal(report_receive(f->report, -1, 100, &frame, &err), OK);
    assert_string_equal(json_string(frame.header, "type", ""), "predict");
    assert_int_equal(frame.payload_len, 7);
    frame_deinit(&frame);
    assert_int_equal(report_poll(f->report), REQUEST_CHECKPOINT);
    ask(f, "cancel", "");
    assert_int_equal(report_receive(f->report, -1, 100, &frame, &err), E_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_header_it_makes_fits_the_wire, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_crosses_with_status_code_and_hint, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(progress_is_thinned_but_its_end_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_asked_is_nothing_to_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_checkpoint_is_asked_for_once_a_pause_for_good, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_parent_that_is_gone_asks_for_cancellation, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_send_that_fails_asks_for_cancellation_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(receive_hands_out_work_and_keeps_requests, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
