/* param.h -- one named tensor of a network: its value and, where it trains, gradient and moments.
 *
 * Weights live in the layout their op wants (a plan decides it) from step to step; the plain,
 * row-major layout in torch's order exists only at import, checkpoint and test edges, through
 * param_read and param_write. Gradient and moments share the value's layout, so an optimiser loops
 * over `n_stored` raw floats and never cares; padding in the layout is zero and stays zero. */
#ifndef THAW_ENGINE_CORE_PARAM_H
#define THAW_ENGINE_CORE_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/status.h"

struct dnn_layout;

enum param_kind {
    PARAM_WEIGHT,       /* of a convolution or linear layer */
    PARAM_BIAS,         /* of a convolution or linear layer */
    PARAM_NORM_WEIGHT,  /* gamma */
    PARAM_NORM_BIAS,    /* beta */
    PARAM_RUNNING_MEAN, /* a statistic: never has a gradient */
    PARAM_RUNNING_VAR
};

enum param_part {
    PARAM_VALUE,
    PARAM_GRADIENT,
    PARAM_MOMENT1,
    PARAM_MOMENT2,
    PARAM_SUM, /* of gradients, over the batches between two steps of an accumulating optimiser */
    N_PARAM_PARTS
};

struct param {
    char name[96];
    enum param_kind kind;
    int n_dims;
    int64_t dims[4];             /* torch's: (O,I,kh,kw), (O,I) or (C) */
    int group;                   /* layer group */
    bool trainable;              /* set when a training plan is made: has a gradient and moments */
    size_t n_elements;           /* product of dims */
    size_t n_stored;             /* floats in `parts`, padding included */
    float *parts[N_PARAM_PARTS]; /* owned; raw layout; NULL where absent (all but VALUE may be) */
    struct dnn_layout *layout;   /* owned; how oneDNN stores it; NULL = plain */
};

bool param_is_statistic(const struct param *param);
bool param_is_norm(const struct param *param); /* gamma or beta */

/* Plain, row-major, n_elements floats. Reading a part that is absent gives zeros; writing one that
 * is absent makes it (moments of a checkpoint, read before the plan exists, stay with the value).
 */
void param_read(const struct param *param, enum param_part part, float *plain);
void param_write(struct param *param, enum param_part part, const float *plain);

/* False when the value holds an infinity or what is no number. Such a value can hide: a ReLU inside
 * oneDNN's convolutions turns NaN into 0, so that the loss may stay a number. */
bool param_is_finite(const struct param *param);

/* Gradient and moments, zeroed, for a trainable parameter; frees them, and a sum, for any other. */
enum status param_set_trainable(struct param *param, bool trainable, struct err *err);
void param_clear_moments(struct param *param);

/* sum += weight * gradient, element by element; the sum is made, zeroed, the first time. Then the
 * other way: gradient = factor * sum, and the sum is zero again. */
enum status param_sum_gradient(struct param *param, float weight, struct err *err);
void param_take_sum(struct param *param, float factor);

/* Stores all parts in `layout` from now on. The first call decides; later ones change nothing,
 * since other plans hold on to the memory: a plan that wishes otherwise reorders. */
enum status param_set_layout(struct param *param, const struct dnn_layout *layout, struct err *err);

/* Normal with mean 0 and the variance of Kaiming He 2015, fan_in, gain sqrt(2) for weights; 0 for
 * biases and running means; 1 for gammas and running variances. */
void param_init(struct param *param, uint64_t seed);

#endif
