/* footprint.h -- what a run will take, before it is made: memory and arithmetic.
 *
 * Counted from dry plans, which are exact, and from what the trainer keeps beside them: parameters
 * with gradients and moments, batch slots of the loaders, a decoder a thread, copies of weights.
 * FOOTPRINT_BASE is what a process of this program has resident before any of that (libraries' own
 * heaps, generated kernels): measured, with the runs in tests/unit/engine/train/test_footprint.c.
 *
 * The peak is of anonymous resident memory (RssAnon), which is what a cgroup's limit is about. */
#ifndef THAW_ENGINE_TRAIN_FOOTPRINT_H
#define THAW_ENGINE_TRAIN_FOOTPRINT_H

#include <stdint.h>

#include "base/status.h"
#include "engine/core/plan.h"
#include "engine/train/recipe.h"

/* Bytes that an engine takes before it has any plan. */
#define FOOTPRINT_BASE (24 << 20)

struct footprint {
    int64_t peak_memory_bytes;
    double flops_per_step[RECIPE_MAX_STAGES]; /* validation and the filling of a cache are spread
                                                 over a stage's steps */
};

/* `classes` of the data set; `threads` of the kernels and of the loader. */
enum status footprint_of(const struct recipe *recipe, int64_t classes, int threads,
                         struct footprint *footprint, struct err *err);

/* Lowers batches with "batch_size": "auto" until the run's peak is at most `limit` bytes (0: no
 * limit), and leaves the footprint. E_NO_SPACE when that does not suffice: the sentence names the
 * batch size that would fit. */
enum status footprint_fit(struct recipe *recipe, int64_t classes, int threads, int64_t limit,
                          struct footprint *footprint, struct err *err);

/* One forward pass over items, as evaluations are: `plan` says batch and size. A classifier of
 * texts has a second plan, the `head` behind its encoder; else NULL. */
struct footprint_pass {
    int64_t peak_memory_bytes;
    double flops_per_step;
};

enum status footprint_of_pass(struct graph *graph, const struct plan_options *plan,
                              const struct plan_options *head, int threads,
                              struct footprint_pass *pass, struct err *err);

#endif
