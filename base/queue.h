/* queue.h -- a bounded queue of pointers between threads.
 *
 * queue.lock is a leaf: nothing else is locked while it is held (docs/ARCHITECTURE.md, threads). */
#ifndef THAW_BASE_QUEUE_H
#define THAW_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct queue; /* owns its slots, borrows what it carries */

struct queue *queue_new(size_t capacity);
void queue_free(struct queue *queue);
bool queue_push(struct queue *queue, void *item); /* waits for room; false once closed */
void *queue_pop(struct queue *queue);             /* waits; NULL once closed and empty */
bool queue_try_push(struct queue *queue, void *item);
void queue_close(struct queue *queue); /* wakes everybody */

#endif
