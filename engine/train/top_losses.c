#include "engine/train/top_losses.h"

#include <stdlib.h>

#include "base/mem.h"

static void entry_free(struct top_loss *entry)
{
    mem_free((void *)(uintptr_t)entry->label);
    mem_free((void *)(uintptr_t)entry->predicted);
}

void top_losses_deinit(struct top_losses *top)
{
    for (int i = 0; i < top->n; i++)
        entry_free(&top->list[i]);
    *top = (struct top_losses){0};
}

/* Below 0: `a` comes before `b` in the sorted list. */
static int compare(double loss_a, uint32_t item_a, double loss_b, uint32_t item_b)
{
    if (loss_a != loss_b)
        return loss_a > loss_b ? -1 : 1;
    return item_a < item_b ? -1 : item_a > item_b;
}

static int compare_entries(const void *left, const void *right)
{
    const struct top_loss *a = left, *b = right;
    return compare(a->loss, a->item, b->loss, b->item);
}

static void swap(struct top_losses *top, int a, int b)
{
    struct top_loss entry = top->list[a];
    top->list[a] = top->list[b];
    top->list[b] = entry;
}

/* list[0] is the least: every entry comes after its two children in the sorted order. */
static void sift_up(struct top_losses *top, int at)
{
    for (int parent; at > 0; at = parent) {
        parent = (at - 1) / 2;
        if (compare_entries(&top->list[at], &top->list[parent]) <= 0)
            return;
        swap(top, at, parent);
    }
}

static void sift_down(struct top_losses *top, int at)
{
    for (;;) {
        int last = at;
        for (int child = 2 * at + 1; child <= 2 * at + 2 && child < top->n; child++)
            if (compare_entries(&top->list[child], &top->list[last]) > 0)
                last = child;
        if (last == at)
            return;
        swap(top, at, last);
        at = last;
    }
}

bool top_losses_wants(const struct top_losses *top, double loss, uint32_t item)
{
    const struct top_loss *least = &top->list[0];
    return top->n < TOP_LOSSES || compare(loss, item, least->loss, least->item) < 0;
}

void top_losses_add(struct top_losses *top, const struct top_loss *entry)
{
    if (!top_losses_wants(top, entry->loss, entry->item))
        return;
    struct top_loss copy = *entry;
    copy.label = mem_strdup(entry->label);
    copy.predicted = mem_strdup(entry->predicted);
    if (top->n < TOP_LOSSES) {
        top->list[top->n++] = copy;
        sift_up(top, top->n - 1);
    } else {
        entry_free(&top->list[0]);
        top->list[0] = copy;
        sift_down(top, 0);
    }
}

void top_losses_sort(struct top_losses *top)
{
    qsort(top->list, (size_t)top->n, sizeof *top->list, compare_entries);
}
