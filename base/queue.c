/* queue.c -- a ring of pointers, one mutex, two conditions. */
#include "base/queue.h"

#include <pthread.h>

#include "base/mem.h"

struct queue {
    pthread_mutex_t lock; /* guards all below; a leaf */
    pthread_cond_t not_full, not_empty;
    void **slots; /* owned; their items are borrowed */
    size_t capacity, first, n_items;
    bool closed;
};

struct queue *queue_new(size_t capacity)
{
    struct queue *queue = mem_alloc(sizeof(*queue));
    queue->capacity = capacity ? capacity : 1;
    queue->slots = mem_alloc(queue->capacity * sizeof(*queue->slots));
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->not_full, NULL);
    pthread_cond_init(&queue->not_empty, NULL);
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    pthread_cond_destroy(&queue->not_empty);
    pthread_cond_destroy(&queue->not_full);
    pthread_mutex_destroy(&queue->lock);
    mem_free(queue->slots);
    mem_free(queue);
}

static bool push(struct queue *queue, void *item, bool wait)
{
    pthread_mutex_lock(&queue->lock);
    while (wait && !queue->closed && queue->n_items == queue->capacity)
        pthread_cond_wait(&queue->not_full, &queue->lock);
    bool fits = !queue->closed && queue->n_items < queue->capacity;
    if (fits) {
        queue->slots[(queue->first + queue->n_items++) % queue->capacity] = item;
        pthread_cond_signal(&queue->not_empty);
    }
    pthread_mutex_unlock(&queue->lock);
    return fits;
}

bool queue_push(struct queue *queue, void *item)
{
    return push(queue, item, true);
}

bool queue_try_push(struct queue *queue, void *item)
{
    return push(queue, item, false);
}

void *queue_pop(struct queue *queue)
{
    void *item = NULL;
    pthread_mutex_lock(&queue->lock);
    while (!queue->closed && queue->n_items == 0)
        pthread_cond_wait(&queue->not_empty, &queue->lock);
    if (queue->n_items) {
        item = queue->slots[queue->first];
        queue->first = (queue->first + 1) % queue->capacity;
        queue->n_items--;
        pthread_cond_signal(&queue->not_full);
    }
    pthread_mutex_unlock(&queue->lock);
    return item;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_full);
    pthread_cond_broadcast(&queue->not_empty);
    pthread_mutex_unlock(&queue->lock);
}
