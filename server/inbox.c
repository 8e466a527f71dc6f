#include "server/inbox.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"

struct inbox {
    pthread_mutex_t lock; /* a leaf */
    char *items;          /* owned; under lock, oldest first, as is the rest */
    size_t item_size, n, max;
    bool closed;
};

struct inbox *inbox_new(size_t item_size, size_t max)
{
    struct inbox *inbox = mem_alloc(sizeof *inbox);
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->items = mem_alloc(item_size * max);
    inbox->item_size = item_size;
    inbox->max = max;
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    if (!inbox)
        return;
    pthread_mutex_destroy(&inbox->lock);
    mem_free(inbox->items);
    mem_free(inbox);
}

enum status inbox_put(struct inbox *inbox, const void *item, struct err *err)
{
    pthread_mutex_lock(&inbox->lock);
    bool closed = inbox->closed, full = inbox->n == inbox->max;
    if (!closed && !full)
        memcpy(inbox->items + inbox->n++ * inbox->item_size, item, inbox->item_size);
    pthread_mutex_unlock(&inbox->lock);
    if (closed)
        return err_set(err, E_UNAVAILABLE, "The server is shutting down: try again.");
    if (full)
        return err_set(err, E_TOO_MANY,
                       "Too many requests of this kind wait already: try again "
                       "in a minute.");
    return OK;
}

bool inbox_take(struct inbox *inbox, void *item)
{
    pthread_mutex_lock(&inbox->lock);
    bool there = inbox->n > 0;
    if (there) {
        memcpy(item, inbox->items, inbox->item_size);
        memmove(inbox->items, inbox->items + inbox->item_size, --inbox->n * inbox->item_size);
    }
    pthread_mutex_unlock(&inbox->lock);
    return there;
}

void inbox_close(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    pthread_mutex_unlock(&inbox->lock);
}
