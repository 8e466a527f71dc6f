/* top_losses.h -- the items that a model got most wrong: a heap of fixed size. */
#ifndef THAW_ENGINE_TRAIN_TOP_LOSSES_H
#define THAW_ENGINE_TRAIN_TOP_LOSSES_H

#include <stdbool.h>
#include <stdint.h>

#define TOP_LOSSES 100

struct top_loss {
    double loss;
    uint32_t item;
    float probability;             /* of the most probable class */
    const char *label, *predicted; /* owned by the list, borrowed when added */
};

struct top_losses {
    struct top_loss list[TOP_LOSSES];
    int n;
};

void top_losses_deinit(struct top_losses *top);

/* Whether an item would be kept; ties go to the lower item. */
bool top_losses_wants(const struct top_losses *top, double loss, uint32_t item);
/* Keeps it, and drops the least where the list is full. Texts are copied. */
void top_losses_add(struct top_losses *top, const struct top_loss *entry);
void top_losses_sort(struct top_losses *top); /* largest first; nothing can be added afterwards */

#endif
