/* child.h -- one thaw-engine process: started, talked to, bounded, reaped.
 *
 * The engine is hostile as far as this file is concerned: each frame is checked against the wire
 * table, their rate and number are bounded, what it writes to stderr goes to a bounded log. The
 * first violation is E_INVALID with code engine_protocol; the owner then kills it.
 *
 * A child is used by one thread, the one that started it, and that thread must outlive it: the
 * kernel ties PR_SET_PDEATHSIG to the parent's thread, not to its process. */
#ifndef THAW_SERVER_CHILD_H
#define THAW_SERVER_CHILD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"
#include "base/json.h"
#include "base/status.h"

#define CHILD_POLL_FDS 2

struct child; /* owns its process, socket and log */

struct child_options {
    const char *engine;  /* path of thaw-engine */
    const char *verb;    /* a row of the table of verbs in child.c */
    const char *sandbox; /* "auto", "require", "off"; NULL: the engine's default */
    const char *log;     /* file that stderr is appended to; NULL: dropped */
    int nice;            /* added to our own */
};

/* Starts the engine and queues `document` as its first frame. E_UNAVAILABLE when it cannot be
 * started. */
enum status child_start(const struct child_options *options, const struct json *document,
                        struct child **child, struct err *err);

/* Kills the process if it still runs, waits for it, frees. NULL is fine. */
void child_free(struct child *child);

/* Queues one frame down; nothing waits. E_TOO_MANY when too much is queued already. */
enum status child_send(struct child *child, const struct json *header, const void *payload,
                       size_t payload_len, struct err *err);
size_t child_queued(const struct child *child); /* bytes not yet written */

/* What poll() should watch; child_io then reads and writes what is possible without waiting. */
void child_poll(const struct child *child, struct pollfd fds[CHILD_POLL_FDS]);
void child_io(struct child *child, const struct pollfd fds[CHILD_POLL_FDS]);

/* The next frame that came whole, checked: OK with frame->header NULL when there is none yet. The
 * caller deinits it. */
enum status child_next(struct child *child, struct frame *frame, struct err *err);

/* The end. child_ended: the engine closed its socket (or died); what it sent before can still be
 * read. child_reap: true once the process is gone, and then says how. */
struct child_exit {
    int signal; /* 0: it exited by itself, with `code` */
    int code;
    bool killed;        /* by child_kill */
    bool out_of_memory; /* the kernel killed it for want of memory */
};
bool child_ended(const struct child *child);
bool child_reap(struct child *child, struct child_exit *ended);
void child_kill(struct child *child);  /* SIGKILL */
void child_close(struct child *child); /* end of file downwards: the engine stops */
int child_pid(const struct child *child);

/* A fatal signal of the engine's own making: SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGSYS. */
bool child_signal_is_crash(int signal);

#endif
