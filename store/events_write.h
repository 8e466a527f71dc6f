/* events_write.h -- inside store/: events written as part of a transaction. */
#ifndef THAW_STORE_EVENTS_WRITE_H
#define THAW_STORE_EVENTS_WRITE_H

#include "store/events.h"
#include "store/internal.h"

/* Writes one event and remembers its seq for the listener. For a job that is terminal nothing is
 * written: `done` stays its last event. */
enum status event_write(struct store *store, struct sql *sql, const struct event_new *event,
                        struct err *err);

#endif
