#include "engine/worker/report.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "engine/worker/version.h"

#define PROGRESS_INTERVAL .25 /* seconds between two progress headers */

struct report {
    int fd;                      /* the wire, borrowed; -1 when run by hand */
    enum report_request request; /* the strongest one so far that stays */
    bool checkpoint;             /* asked for since the last poll */
    bool gone;                   /* nobody listens any more */
    double last_progress;
};

/* Set by Ctrl-C in a verb that is run by hand. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct report *report_new_wire(int fd)
{
    struct report *report = mem_alloc(sizeof *report);
    report->fd = fd;
    return report;
}

struct report *report_new_text(void)
{
    struct report *report = mem_alloc(sizeof *report);
    report->fd = -1;
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return report;
}

void report_free(struct report *report)
{
    mem_free(report);
}

bool report_is_wire(const struct report *report)
{
    return report->fd >= 0;
}

static void strengthen(struct report *report, enum report_request request)
{
    if (request == REQUEST_CHECKPOINT)
        report->checkpoint = true;
    else if (request > report->request)
        report->request = request;
}

/* The parent cannot be reached, or speaks nonsense: the work is for nobody. */
static void note_gone(struct report *report)
{
    report->gone = true;
    strengthen(report, REQUEST_CANCEL);
}

static void send_text(struct report *report, const struct json *header)
{
    char *text = json_text(header);
    if (puts(text) == EOF || fflush(stdout) == EOF)
        note_gone(report);
    mem_free(text);
}

void report_send(struct report *report, const struct json *header)
{
    struct err err;
    if (report->gone)
        return;
    if (report->fd < 0) {
        send_text(report, header);
    } else if (frame_write(report->fd, header, NULL, 0, &err) != OK) {
        char quoted[sizeof err.detail];
        log_event(LOG_ERROR, "report", "a header could not be sent", "type=%s detail=%s",
                  json_string(header, "type", ""), log_quote(quoted, sizeof quoted, err.detail));
        note_gone(report);
    }
}

static struct json *header_new(const char *type)
{
    struct json *header = json_new_object();
    json_set_string(header, "type", type);
    return header;
}

static void send_and_free(struct report *report, struct json *header)
{
    report_send(report, header);
    json_free(header);
}

void report_started(struct report *report, int threads, const char *plan_sha256)
{
    struct json *header = header_new("started");
    json_set_integer(header, "threads", threads);
    json_set_string(header, "isa", engine_isa());
    json_set_string(header, "version", THAW_VERSION);
    json_set_string(header, "plan_sha256", plan_sha256);
    send_and_free(report, header);
}

void report_progress(struct report *report, int64_t done, int64_t total)
{
    report_progress_of(report, NULL, done, total);
}

void report_progress_of(struct report *report, const char *what, int64_t done, int64_t total)
{
    double now = clock_seconds();
    bool last = total > 0 && done >= total;
    if (!last && report->last_progress > 0 && now - report->last_progress < PROGRESS_INTERVAL)
        return;
    report->last_progress = now;
    struct json *header = header_new("progress");
    if (what)
        json_set_string(header, "what", what);
    json_set_integer(header, "done", done);
    json_set_integer(header, "total", total);
    send_and_free(report, header);
}

void report_item(struct report *report, int64_t ordinal)
{
    if (report->fd < 0)
        return; /* only thawd restarts an ingest that died on an item */
    struct json *header = header_new("item");
    json_set_integer(header, "ordinal", ordinal);
    send_and_free(report, header);
}

static void send_sentence(struct report *report, const char *type, const char *code,
                          const char *format, va_list args)
{
    char detail[512];
    vsnprintf(detail, sizeof detail, format, args);
    struct json *header = header_new(type);
    if (code)
        json_set_string(header, "code", code);
    json_set_string(header, "detail", detail);
    send_and_free(report, header);
}

void report_log(struct report *report, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    send_sentence(report, "log", NULL, format, args);
    va_end(args);
}

void report_warning(struct report *report, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    send_sentence(report, "warning", code, format, args);
    va_end(args);
}

void report_error(struct report *report, const struct err *err)
{
    struct json *header = header_new("error");
    json_set_string(header, "status", status_name(err->status));
    json_set_string(header, "code", err->code);
    json_set_string(header, "detail", err->detail);
    json_set_string(header, "hint", err->hint);
    json_set_string(header, "pointer", err->pointer);
    send_and_free(report, header);
}

static const struct {
    const char *type;
    enum report_request request;
} requests[] = {
    {"checkpoint", REQUEST_CHECKPOINT}, {"pause", REQUEST_PAUSE}, {"cancel", REQUEST_CANCEL}};

/* True if the header was a request, which is now noted. */
static bool note_request(struct report *report, const struct json *header)
{
    const char *type = json_string(header, "type", "");
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        if (strcmp(requests[i].type, type) == 0) {
            strengthen(report, requests[i].request);
            return true;
        }
    }
    return false;
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    int n = poll(&pollfd, 1, timeout_ms);
    return n > 0 || (n < 0 && errno != EINTR);
}

/* Reads the frame that waits. */
static void read_request(struct report *report)
{
    struct frame frame = {0};
    struct err err;
    if (frame_read(report->fd, 0, &frame, &err) != OK)
        note_gone(report);
    else
        note_request(report, frame.header);
    frame_deinit(&frame);
}

enum status report_result(struct report *report, const struct json *result, const char *folder,
                          const char *shown, struct err *err)
{
    enum status status = json_write_file(result, folder, "result.json", err);
    if (status != OK)
        return status;
    struct json *header = json_new_object();
    json_set_string(header, "type", "result");
    if (shown && !report_is_wire(report))
        json_set(header, shown, json_copy(result));
    report_send(report, header);
    json_free(header);
    return OK;
}

enum report_request report_poll(struct report *report)
{
    if (report->fd < 0 && interrupted)
        strengthen(report, REQUEST_PAUSE);
    while (report->fd >= 0 && report->request != REQUEST_CANCEL && readable(report->fd, 0))
        read_request(report);
    bool checkpoint = report->checkpoint;
    report->checkpoint = false;
    if (report->request != REQUEST_NONE)
        return report->request;
    return checkpoint ? REQUEST_CHECKPOINT : REQUEST_NONE;
}

static enum status stopped(struct err *err)
{
    return err_set(err, E_CANCELLED, "The work was told to stop.");
}

enum status report_check(struct report *report, struct err *err)
{
    enum report_request request = report_poll(report);
    return request >= REQUEST_PAUSE ? stopped(err) : OK;
}

enum status report_receive(struct report *report, int timeout_ms, size_t max_payload,
                           struct frame *frame, struct err *err)
{
    *frame = (struct frame){0};
    while (report->request == REQUEST_NONE) {
        if (!readable(report->fd, timeout_ms))
            return OK;
        enum status status = frame_read(report->fd, max_payload, frame, err);
        if (status != OK) {
            note_gone(report);
            return status;
        }
        if (!note_request(report, frame->header))
            return OK;
        frame_deinit(frame);
        *frame = (struct frame){0};
    }
    return stopped(err);
}
