/* shadow.h -- a copy of a network's weights and statistics, in memory.
 *
 * Two uses: the best epoch's weights wait here until writing them costs little beside the training
 * (trainer.c), and what the learning-rate finder spoils is put back from here. Copies are raw, in
 * the layout that the parameters have: bit for bit what was there. */
#ifndef THAW_ENGINE_TRAIN_SHADOW_H
#define THAW_ENGINE_TRAIN_SHADOW_H

#include <stdbool.h>

#include "base/status.h"
#include "engine/core/graph.h"

struct shadow {
    float **values; /* owned; one block a parameter of the graph; NULL before the first take */
    int n_params;
};

/* Copies every value; memory is allocated the first time. No parameter may change its layout
 * between this and a restore: every plan has been made once (trainer.c does it at the start). */
enum status shadow_take(struct shadow *shadow, const struct graph *graph, struct err *err);
void shadow_restore(const struct shadow *shadow, struct graph *graph);

/* Exchanges the copy and the graph's values without copying: so that a writer of graphs writes the
 * copy. Nothing may run in between, since plans hold on to the graph's memory. */
void shadow_swap(struct shadow *shadow, struct graph *graph);
void shadow_deinit(struct shadow *shadow);

#endif
