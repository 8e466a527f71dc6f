/* nearest.h -- "did you mean": the known name that a misspelt one is closest to. */
#ifndef THAW_BASE_NEAREST_H
#define THAW_BASE_NEAREST_H

#include <stddef.h>

/* A search over candidates offered one by one: start with {.word = w}. */
struct nearest {
    const char *word;
    const char *best; /* borrowed from the candidates; NULL while nothing is near enough */
    size_t distance;  /* of best: edits, a swap of neighbours counting as one */
};

/* Keeps `candidate` when it is nearer than the best so far and at most a third of its letters (at
 * least one) differ. Case is ignored. */
void nearest_offer(struct nearest *nearest, const char *candidate);

#endif
