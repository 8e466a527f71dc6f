#include "engine/core/param.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/core/dnn.h"
#include "engine/core/simd.h"

#define SMALL 4096 /* floats: below, threads cost more than they save */

bool param_is_statistic(const struct param *param)
{
    return param->kind == PARAM_RUNNING_MEAN || param->kind == PARAM_RUNNING_VAR;
}

bool param_is_norm(const struct param *param)
{
    return param->kind == PARAM_NORM_WEIGHT || param->kind == PARAM_NORM_BIAS;
}

void param_read(const struct param *param, enum param_part part, float *plain)
{
    const float *stored = param->parts[part];
    if (!stored) {
        memset(plain, 0, param->n_elements * sizeof *plain);
    } else if (!param->layout) {
        memcpy(plain, stored, param->n_elements * sizeof *plain);
    } else {
        struct dnn_layout to = dnn_layout_plain(param->n_dims, param->dims);
        dnn_reorder(param->layout, stored, &to, plain);
    }
}

/* An exponent of ones is an infinity or no number; an integer sum of such flags is what compilers
 * make vectors of. */
SIMD static bool any_not_finite(const float *values, size_t n)
{
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        found |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return found != 0;
}

bool param_is_finite(const struct param *param)
{
    return !any_not_finite(param->parts[PARAM_VALUE], param->n_stored);
}

static float *new_part(const struct param *param, struct err *err)
{
    void *block = NULL;
    mem_try_aligned(param->n_stored, sizeof(float), param->name, &block, err);
    return block;
}

void param_write(struct param *param, enum param_part part, const float *plain)
{
    struct err err;
    if (!param->parts[part] && !(param->parts[part] = new_part(param, &err)))
        abort();
    if (!param->layout) {
        memcpy(param->parts[part], plain, param->n_elements * sizeof *plain);
    } else {
        struct dnn_layout from = dnn_layout_plain(param->n_dims, param->dims);
        dnn_reorder(&from, plain, param->layout, param->parts[part]);
    }
}

enum status param_set_trainable(struct param *param, bool trainable, struct err *err)
{
    param->trainable = trainable;
    for (int part = PARAM_GRADIENT; part < N_PARAM_PARTS; part++) {
        if (!trainable) {
            mem_free(param->parts[part]);
            param->parts[part] = NULL;
        } else if (!param->parts[part] && part != PARAM_SUM) {
            param->parts[part] = new_part(param, err);
            if (!param->parts[part])
                return E_NO_SPACE;
        }
    }
    return OK;
}

void param_clear_moments(struct param *param)
{
    for (int part = PARAM_MOMENT1; part < N_PARAM_PARTS; part++)
        if (param->parts[part])
            memset(param->parts[part], 0, param->n_stored * sizeof(float));
}

enum status param_sum_gradient(struct param *param, float weight, struct err *err)
{
    if (!param->parts[PARAM_SUM] && !(param->parts[PARAM_SUM] = new_part(param, err)))
        return E_NO_SPACE;
    float *restrict sum = param->parts[PARAM_SUM];
    const float *restrict gradient = param->parts[PARAM_GRADIENT];
    int64_t n = (int64_t)param->n_stored;
#pragma omp parallel for simd schedule(static) if (n > SMALL)
    for (int64_t i = 0; i < n; i++)
        sum[i] += weight * gradient[i];
    return OK;
}

void param_take_sum(struct param *param, float factor)
{
    float *restrict sum = param->parts[PARAM_SUM], *restrict gradient =
                                                       param->parts[PARAM_GRADIENT];
    int64_t n = (int64_t)param->n_stored;
#pragma omp parallel for simd schedule(static) if (n > SMALL)
    for (int64_t i = 0; i < n; i++) {
        gradient[i] = factor * sum[i];
        sum[i] = 0;
    }
}

static void fill_kaiming_normal(struct param *param, float *plain, uint64_t seed)
{
    int64_t fan_in = 1;
    for (int i = 1; i < param->n_dims; i++)
        fan_in *= param->dims[i];
    double deviation = sqrt(2.0 / (double)fan_in);
    struct rng rng = rng_stream(param->name, seed, 0, 0);
    for (size_t i = 0; i < param->n_elements; i++)
        plain[i] = (float)(deviation * rng_normal(&rng));
}

void param_init(struct param *param, uint64_t seed)
{
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    if (param->kind == PARAM_WEIGHT)
        fill_kaiming_normal(param, plain, seed);
    else if (param->kind == PARAM_NORM_WEIGHT || param->kind == PARAM_RUNNING_VAR)
        for (size_t i = 0; i < param->n_elements; i++)
            plain[i] = 1.f;
    param_write(param, PARAM_VALUE, plain);
    mem_free(plain);
}

enum status param_set_layout(struct param *param, const struct dnn_layout *layout, struct err *err)
{
    if (param->layout)
        return OK;
    float *parts[N_PARAM_PARTS] = {NULL};
    struct dnn_layout from = dnn_layout_plain(param->n_dims, param->dims);
    param->n_stored = dnn_layout_floats(layout);
    for (int part = 0; part < N_PARAM_PARTS; part++) {
        if (!param->parts[part])
            continue;
        parts[part] = new_part(param, err);
        if (!parts[part])
            goto fail;
        dnn_reorder(&from, param->parts[part], layout, parts[part]);
    }
    for (int part = 0; part < N_PARAM_PARTS; part++) {
        mem_free(param->parts[part]);
        param->parts[part] = parts[part];
    }
    param->layout = mem_alloc(sizeof *param->layout);
    *param->layout = *layout;
    return OK;
fail:
    for (int part = 0; part < N_PARAM_PARTS; part++)
        mem_free(parts[part]);
    param->n_stored = param->n_elements;
    return E_NO_SPACE;
}
