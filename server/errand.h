/* errand.h -- inside the supervisor: an engine that works for somebody who waits for the answer
 * (an import, a plan, an export).
 *
 * It has no row: it works in a folder of its own, DATA/tmp/ID, which goes when it is over.
 * `collect` looks at what the engine left there, `answer` is called exactly once, whatever happens,
 * and never tried again. A kind's struct begins with a struct errand; its table of functions is
 * ERRAND_KIND. */
#ifndef THAW_SERVER_ERRAND_H
#define THAW_SERVER_ERRAND_H

#include "server/work.h"

struct errand {
    struct work work; /* first */
    struct arena arena;
    char *folder;     /* owned */
    const char *what; /* "the weights": what the engine looks at, for sentences */
    /* On the helper thread, when the engine has ended well. */
    enum status (*collect)(struct errand *errand, struct err *err);
    /* On the supervisor's thread; `failure` is complete where status is not OK. */
    void (*answer)(struct errand *errand, enum status status, struct err *failure);

    struct task task;
    bool collecting;
    enum status status;
    struct err err;
};

/* Fills a zeroed errand: its id, folder and functions. */
void errand_init(struct errand *errand, struct supervisor *supervisor, const struct work_kind *kind,
                 const char *prefix);
/* Starts the engine on `document`, which must name errand->folder as `out`, and gives the errand to
 * the supervisor. `status` other than OK (with work.failure): it failed before that. */
void errand_start(struct errand *errand, enum status status, const struct json *document,
                  double seconds);

void errand_on_frame(struct work *work, const struct json *header);
void errand_on_tick(struct work *work, double now);
enum work_phase errand_on_exit(struct work *work);
bool errand_files_are_done(struct work *work);
enum status errand_settle(struct work *work, struct err *err);
void errand_free(struct work *work);

#define ERRAND_KIND(name, niceness)                                                                \
    {                                                                                              \
        .verb = name, .nice = niceness, .answers = true, .on_frame = errand_on_frame,              \
        .on_tick = errand_on_tick, .on_exit = errand_on_exit,                                      \
        .files_are_done = errand_files_are_done, .settle = errand_settle, .free = errand_free,     \
    }

#endif
