#include "engine/data/order.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

struct order {
    enum sampler sampler;
    uint64_t seed;
    uint32_t n;
    uint32_t *items; /* owned */

    /* SAMPLER_BALANCED: class k has members[starts[k]] up to members[starts[k+1]-1]; classes
     * without an item are not here. */
    uint32_t *members, *starts; /* owned */
    uint32_t n_classes;
};

/* Adds an item to each of its classes; without labels to the one behind all. */
static void count_item(const struct pack *pack, uint32_t item, uint32_t *counts)
{
    const uint32_t *labels;
    uint32_t n = pack_labels(pack, item, &labels);
    for (uint32_t i = 0; i < n; i++)
        counts[labels[i]]++;
    if (n == 0)
        counts[pack_n_classes(pack)]++;
}

/* `next[class]`: where that class' next member goes. */
static void put_item(const struct pack *pack, uint32_t item, uint32_t *next, uint32_t *members)
{
    const uint32_t *labels;
    uint32_t n = pack_labels(pack, item, &labels);
    for (uint32_t i = 0; i < n; i++)
        members[next[labels[i]]++] = item;
    if (n == 0)
        members[next[pack_n_classes(pack)]++] = item;
}

static enum status group_by_class(struct order *order, const struct pack *pack, struct err *err)
{
    uint32_t classes = pack_n_classes(pack) + 1, total = 0;
    uint32_t *next = mem_alloc(classes * sizeof *next);
    void *members;
    for (uint32_t i = 0; i < order->n; i++)
        count_item(pack, order->items[i], next);
    order->starts = mem_alloc((classes + 1) * sizeof *order->starts);
    for (uint32_t c = 0; c < classes; c++) {
        uint32_t count = next[c];
        next[c] = total;
        total += count;
        if (count > 0)
            order->starts[++order->n_classes] = total;
    }
    enum status status =
        mem_try_alloc(total, sizeof *order->members, "the items of each class", &members, err);
    if (status == OK) {
        order->members = members;
        for (uint32_t i = 0; i < order->n; i++)
            put_item(pack, order->items[i], next, order->members);
    }
    mem_free(next);
    return status;
}

enum status order_new(const struct pack *pack, const uint32_t *items, uint32_t n,
                      enum sampler sampler, uint64_t seed, struct order **out, struct err *err)
{
    struct order *order = mem_alloc(sizeof *order);
    void *copy;
    *order = (struct order){.sampler = sampler, .seed = seed, .n = n};
    enum status status = mem_try_alloc(n, sizeof *items, "the items of an epoch", &copy, err);
    if (status == OK) {
        order->items = copy;
        memcpy(order->items, items, n * sizeof *items);
        if (sampler == SAMPLER_BALANCED)
            status = group_by_class(order, pack, err);
    }
    if (status == OK)
        *out = order;
    else
        order_free(order);
    return status;
}

void order_free(struct order *order)
{
    if (!order)
        return;
    mem_free(order->items);
    mem_free(order->members);
    mem_free(order->starts);
    mem_free(order);
}

static void draw_balanced(const struct order *order, struct rng *rng, uint32_t *out)
{
    for (uint32_t i = 0; i < order->n; i++) {
        uint32_t class = rng_below(rng, order->n_classes), first = order->starts[class];
        out[i] = order->members[first + rng_below(rng, order->starts[class + 1] - first)];
    }
}

void order_draw(const struct order *order, uint32_t stage, uint32_t epoch, uint32_t *out)
{
    const char *stream = order->sampler == SAMPLER_BALANCED ? "balanced" : "order";
    struct rng rng = rng_stream(stream, order->seed, stage, epoch);
    if (order->sampler == SAMPLER_BALANCED) {
        draw_balanced(order, &rng, out);
        return;
    }
    memcpy(out, order->items, order->n * sizeof *out);
    if (order->sampler == SAMPLER_SHUFFLED)
        rng_shuffle(&rng, out, order->n);
}
