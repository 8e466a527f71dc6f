/* hub.h -- who listens to events, and what they still lack.
 *
 * The store is the truth; the hub is a doorbell with a short memory. Whoever commits events rings;
 * the hub's thread reads the new rows once, keeps the last few hundred rendered, and wakes the
 * streams that want them. A stream holds no queue, only a cursor: it takes what follows from the
 * hub's memory or, when it fell further behind, from the store. So nothing is lost, nothing comes
 * twice, and a slow reader costs no memory.
 *
 * hub.lock is held only while memory is touched; the store is read without it. */
#ifndef THAW_SERVER_HUB_H
#define THAW_SERVER_HUB_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct hub;
struct stream;
struct store;

enum status hub_start(struct store *store, int max_streams, struct hub **hub, struct err *err);
void hub_ring(void *hub, int64_t seq); /* a struct hub; any thread; never waits */
void hub_close(struct hub *hub);       /* every stream ends at its next read, no new one opens */
void hub_stop(struct hub *hub);        /* after the last stream was closed */

/* How a stream's connection goes to sleep and is woken; both are called with hub.lock held. */
struct stream_port {
    void *context;
    void (*suspend)(void *context);
    void (*resume)(void *context);
};

/* Events after `after`, of `job` or (NULL) of everything. E_TOO_MANY past the limit. */
enum status stream_open(struct hub *hub, const char *job, int64_t after,
                        const struct stream_port *port, struct stream **stream, struct err *err);

enum stream_state {
    STREAM_DATA,   /* *n > 0 bytes were written to `out` */
    STREAM_ASLEEP, /* nothing to say: port.suspend was called */
    STREAM_ENDED
};
enum stream_state stream_read(struct stream *stream, char *out, size_t size, size_t *n);
void stream_close(struct stream *stream);

#endif
