/* optim.h -- AdamW over the parameters of a graph.
 *
 * An optimiser owns no weights and no moments: it updates what param.h holds, float by float in
 * whatever layout the kernels chose, so it never cares which one that is. Frozen parameters are
 * skipped and have no state. Formulas: Loshchilov & Hutter 2019 as torch.optim.AdamW computes
 * them, which is fastai v1's and v2's too: decay by p *= 1 - lr*wd first, moments debiased with the
 * momentum of this very step, eps added after the root. What the forms differ in is data: eps 1e-8
 * or 1e-5, and whether norms and biases decay.
 *
 * The result does not depend on the number of threads: every float is updated by itself, and the
 * gradient norm is summed over fixed chunks in a fixed order. */
#ifndef THAW_ENGINE_TRAIN_OPTIM_H
#define THAW_ENGINE_TRAIN_OPTIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/train/schedule.h"

struct optim_options {
    double beta2, eps, weight_decay;
    bool decay_norm_bias; /* v1 decays norms and biases too, v2 does not */
    double clip;          /* largest norm of all gradients together; 0 = no clipping */
};

struct optim {
    struct optim_options options;
    int64_t steps; /* taken since the last reset: what debiasing counts */
};

struct optim_options optim_defaults(enum recipe_form form);

/* From a resolved spec's "optimizer". beta1 is the schedule's momentum. */
enum status optim_parse(const struct json *json, enum recipe_form form,
                        struct optim_options *options, struct err *err);

void optim_init(struct optim *optim, const struct optim_options *options);

/* A new optimiser for a new stage: moments of all parameters zeroed, step count too. */
void optim_reset(struct optim *optim, struct graph *graph);

/* One step from the gradients the graph's parameters hold. rates[g] is group g's rate, momentum is
 * Adam's beta1 for this step. */
void optim_step(struct optim *optim, struct graph *graph, const double *rates, double momentum);

#endif
