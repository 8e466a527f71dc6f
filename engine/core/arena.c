/* arena.c -- one block for all activations, gradients and scratch of a plan.
 *
 * Buffers whose lifetimes overlap must not overlap in memory. Largest first, each goes to the
 * lowest offset that is free for its whole lifetime (Pisarchyk and Lee 2020, "greedy by size"). */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/core/plan_build.h"

#define ALIGN 16 /* floats: a cache line */

static int larger_first(const void *a, const void *b)
{
    const struct buffer *x = *(struct buffer *const *)a, *y = *(struct buffer *const *)b;
    if (x->floats != y->floats)
        return x->floats < y->floats ? 1 : -1;
    return x < y ? -1 : 1;
}

static bool alive_together(const struct buffer *a, const struct buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `buffer` meets none of the n that are placed, which are sorted by
 * offset. */
static size_t lowest_offset(const struct buffer *buffer, struct buffer *const *placed, int n)
{
    size_t offset = 0;
    for (int i = 0; i < n; i++) {
        if (!alive_together(buffer, placed[i]))
            continue;
        if (offset + buffer->floats <= placed[i]->offset)
            break;
        size_t after = placed[i]->offset + placed[i]->floats;
        if (after > offset)
            offset = after;
    }
    return offset;
}

static void insert_sorted(struct buffer **placed, int n, struct buffer *buffer)
{
    int i = n;
    for (; i > 0 && placed[i - 1]->offset > buffer->offset; i--)
        placed[i] = placed[i - 1];
    placed[i] = buffer;
}

static size_t place_all(struct buffer **sorted, int n)
{
    struct buffer **placed = mem_alloc((size_t)(n + 1) * sizeof(struct buffer *));
    size_t end = 0;
    for (int i = 0; i < n; i++) {
        sorted[i]->offset = lowest_offset(sorted[i], placed, i);
        insert_sorted(placed, i, sorted[i]);
        if (sorted[i]->offset + sorted[i]->floats > end)
            end = sorted[i]->offset + sorted[i]->floats;
    }
    mem_free(placed);
    return end;
}

static enum status allocate_arena(struct plan *plan, struct buffer **sorted, int n, struct err *err)
{
    void *arena = NULL;
    enum status status =
        mem_try_aligned(plan->arena_floats, sizeof(float), "activations", &arena, err);
    plan->arena = arena;
    for (int i = 0; i < n && !status; i++)
        sorted[i]->data = plan->arena + sorted[i]->offset;
    return status;
}

static enum status allocate_persistent(struct plan *plan, struct buffer *buffer, struct err *err)
{
    void *data = NULL;
    plan->persistent_floats += buffer->floats;
    if (plan->options.dry)
        return OK;
    enum status status = mem_try_aligned(buffer->floats, sizeof(float), "weights", &data, err);
    buffer->data = data;
    return status;
}

enum status plan_allocate(struct plan *plan, struct err *err)
{
    struct buffer **sorted = mem_alloc((size_t)(plan->n_buffers + 1) * sizeof(struct buffer *));
    int n = 0;
    for (int i = 0; i < plan->n_buffers; i++) {
        struct buffer *buffer = &plan->buffers[i];
        buffer->floats = (buffer->floats + ALIGN - 1) / ALIGN * ALIGN;
        if (!buffer->persistent)
            sorted[n++] = buffer;
    }
    qsort(sorted, (size_t)n, sizeof(struct buffer *), larger_first);
    plan->arena_floats = place_all(sorted, n);
    enum status status = plan->options.dry ? OK : allocate_arena(plan, sorted, n, err);
    mem_free(sorted);
    for (int i = 0; i < plan->n_buffers && !status; i++)
        if (plan->buffers[i].persistent)
            status = allocate_persistent(plan, &plan->buffers[i], err);
    return status;
}
