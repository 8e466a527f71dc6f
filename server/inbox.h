/* inbox.h -- what handlers ask of the supervisor's thread and wait for: a bounded queue that never
 * makes the asker wait. Any thread puts, the supervisor's takes. */
#ifndef THAW_SERVER_INBOX_H
#define THAW_SERVER_INBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct inbox;

/* `item_size` bytes each are copied in and out; at most `max` wait. */
struct inbox *inbox_new(size_t item_size, size_t max);
void inbox_free(struct inbox *inbox); /* NULL is fine */

/* E_TOO_MANY when `max` wait already, E_UNAVAILABLE once closed. */
enum status inbox_put(struct inbox *inbox, const void *item, struct err *err);
bool inbox_take(struct inbox *inbox, void *item); /* false: none waits */
void inbox_close(struct inbox *inbox);            /* nothing more is put; what waits can be taken */

#endif
