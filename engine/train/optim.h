/* optim.h -- AdamW, Adam and SGD over the parameters of a graph.
 *
 * An optimiser owns no weights and no moments: it updates what param.h holds, float by float in
 * whatever layout the kernels chose, so it never cares which one that is. Frozen parameters are
 * skipped and have no state. m and v are the two moments, g the gradient after clipping, mom this
 * very step's momentum (the schedule's), t the steps since the last reset:
 *
 *   adamw  p *= 1 - lr*wd;  m = mom*m + (1-mom)*g;  v = beta2*v + (1-beta2)*g^2
 *          p -= lr/(1-mom^t) * m / (sqrt(v/(1-beta2^t)) + eps)      Loshchilov & Hutter 2019
 *   adam   the same, but g += wd*p instead of the decay             Kingma & Ba 2015
 *   sgd    p *= 1 - lr*wd;  m = mom*m + g;  p -= lr*m
 *
 * So compute torch.optim and fastai v1 and v2 alike. What the forms differ in is data: eps 1e-8 or
 * 1e-5, and whether norms and biases decay.
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

enum optim_kind { OPTIM_ADAMW, OPTIM_ADAM, OPTIM_SGD };

struct optim_options {
    enum optim_kind kind;
    double beta2, eps, weight_decay;
    bool decay_norm_bias; /* v1 decays norms and biases too, v2 does not */
    double clip;          /* largest norm of all gradients together; 0 = no clipping */
};

struct optim {
    struct optim_options options;
    int64_t steps; /* taken since the last reset: what debiasing counts */
};

struct optim_options optim_defaults(enum recipe_form form);

/* From a resolved spec's "optimizer". beta1, or sgd's momentum, is the schedule's. */
enum status optim_parse(const struct json *json, enum recipe_form form,
                        struct optim_options *options, struct err *err);

void optim_init(struct optim *optim, const struct optim_options *options);

/* A new optimiser for a new stage: moments of all parameters zeroed, step count too. */
void optim_reset(struct optim *optim, struct graph *graph);

/* One step from the gradients the graph's parameters hold. rates[g] is group g's rate, momentum is
 * Adam's beta1, or sgd's momentum, for this step. */
void optim_step(struct optim *optim, struct graph *graph, const double *rates, double momentum);

#endif
