/* report.h -- a verb's voice and ear: what it tells its parent, and what the parent asks of it.
 *
 * Launched by thawd (--wire) a report speaks frames over fd 3 (api/spec/wire.h has every type and
 * field); run by hand it prints each header as one JSON line on stdout, and Ctrl-C asks it to
 * pause. A parent that is gone asks for cancellation: a verb sees one story, not two.
 * One thread, the verb's own, uses a report. */
#ifndef THAW_ENGINE_WORKER_REPORT_H
#define THAW_ENGINE_WORKER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/frame.h"
#include "base/json.h"
#include "base/status.h"

struct report;

struct report *report_new_wire(int fd); /* borrows fd */
struct report *report_new_text(void);
void report_free(struct report *report);
bool report_is_wire(const struct report *report);

/* Sends one header ({"type": ..., ...}); borrows it. A parent that cannot be reached is remembered:
 * the next poll answers REQUEST_CANCEL. */
void report_send(struct report *report, const struct json *header);

/* The headers that several verbs send. */
void report_started(struct report *report, int threads, const char *plan_sha256); /* may be NULL */
void report_progress(struct report *report, int64_t done, int64_t total); /* at most 4 a second */
/* The same of `what`, one of several things that a verb does. */
void report_progress_of(struct report *report, const char *what, int64_t done, int64_t total);
void report_item(struct report *report, int64_t ordinal);
void report_log(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void report_warning(struct report *report, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_error(struct report *report, const struct err *err); /* main.c sends it for a verb */
/* FOLDER/result.json, then the header `result`: what a verb ends with. By hand the header shows
 * the result, too, as `shown`; NULL: it does not. */
enum status report_result(struct report *report, const struct json *result, const char *folder,
                          const char *shown, struct err *err);

/* What the parent asked for since the last poll, without waiting. Pause and cancel stay: once
 * asked for, every later poll answers them again (cancel outranks pause, pause a checkpoint). */
enum report_request { REQUEST_NONE, REQUEST_CHECKPOINT, REQUEST_PAUSE, REQUEST_CANCEL };
enum report_request report_poll(struct report *report);

/* For verbs that know only "go on" and "stop": OK, or E_CANCELLED once told to pause or cancel. */
enum status report_check(struct report *report, struct err *err);

/* Waits up to timeout_ms (-1: for ever) for a frame that is no request of the kinds above (verb
 * predict). OK with frame->header == NULL: none came in time. E_CANCELLED: told to stop, or the
 * parent is gone. The frame is the caller's to deinit. */
enum status report_receive(struct report *report, int timeout_ms, size_t max_payload,
                           struct frame *frame, struct err *err);

#endif
