/* puller.h -- the thread that pulls base models, one after the other, as their rows say.
 *
 * The rows are the queue (store/pulls.h): a model with `progress` is on its way, also after a
 * restart. Handlers write the row and ring. */
#ifndef THAW_SERVER_PULLER_H
#define THAW_SERVER_PULLER_H

#include "server/pull.h"

struct puller;

/* Of `pull` the store, base_url, min_free, supervisor and import are taken; strings are copied. */
enum status puller_start(const struct pull *pull, struct puller **puller, struct err *err);

/* Two steps, for the supervisor stops between them: after the first nothing more is given to
 * `import` and downloads end; the second waits for the thread (which may wait for the supervisor's
 * answer) and frees. NULL is fine. */
void puller_close(struct puller *puller);
void puller_stop(struct puller *puller);

void puller_ring(void *puller); /* the port of api/app.h: any thread, never waits */

#endif
