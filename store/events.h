/* events.h -- what happened, in order: the log that lists, streams and histories are read from.
 *
 * `seq` is server-wide, starts at 1 and only grows. `step` is a lossy kind: at most 10000 a job are
 * kept; past that the older ones are thinned, evenly over the whole run, by halving. All other
 * kinds stay as long as their job. `done` is a job's last event, whatever comes later. */
#ifndef THAW_STORE_EVENTS_H
#define THAW_STORE_EVENTS_H

#include "store/db.h"

#define EVENTS_MAX_STEPS 10000

struct event_row {
    int64_t seq, time_ms;
    const char *type;                  /* state stage epoch step log checkpoint warning done */
    const char *job, *dataset, *model; /* what it is about; the others are NULL */
    const char *data;                  /* JSON object: the event's own fields */
};

struct event_new {
    int64_t time_ms; /* 0: now */
    const char *type, *job, *dataset, *model;
    const char *data; /* JSON object */
};

struct event_filter {
    const char *job;  /* NULL: every resource's */
    const char *type; /* NULL: every type */
    int64_t after;    /* seq; 0 from the first */
    int limit;        /* 1..1000 */
};

struct event_list {
    struct event_row *rows; /* arena; ascending */
    size_t n;
    bool has_more;
};

enum status events_append(struct store *store, const struct event_new *events, size_t n,
                          bool durable, struct err *err);
enum status events_list(struct store *store, const struct event_filter *filter, struct arena *arena,
                        struct event_list *list, struct err *err);
/* The newest event of `type` of a job; E_NOT_FOUND. */
enum status events_last(struct store *store, const char *job, const char *type, struct arena *arena,
                        struct event_row *row, struct err *err);
enum status events_last_seq(struct store *store, int64_t *seq, struct err *err); /* 0: none yet */

#endif
