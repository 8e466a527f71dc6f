#include "engine/train/optim.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/core/simd.h"

#define CHUNK 4096 /* floats whose squares are summed together: fixed, so that the sum is */

/* The numbers of one parameter's update, the same for each of its floats. */
struct update {
    float decay;                           /* 1 - lr * weight_decay, or 1 */
    float penalty;                         /* weight_decay added to the gradient, or 0 */
    float beta1, rest1, beta2, rest2, eps; /* rest = 1 - beta, from doubles; sgd: rest1 = 1 */
    float step;                            /* lr / (1 - beta1^t); sgd: lr */
    float root;                            /* 1 / sqrt(1 - beta2^t) */
    float grad_scale;                      /* clipping */
};

SIMD static void adam_range(const struct update *update, float *restrict value,
                            const float *restrict gradient, float *restrict moment1,
                            float *restrict moment2, int64_t n)
{
    const struct update u = *update;
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * u.grad_scale + u.penalty * value[i];
        float m = u.beta1 * moment1[i] + u.rest1 * g;
        float v = u.beta2 * moment2[i] + u.rest2 * g * g;
        moment1[i] = m;
        moment2[i] = v;
        value[i] = u.decay * value[i] - u.step * (m / (sqrtf(v) * u.root + u.eps));
    }
}

SIMD static void sgd_range(const struct update *update, float *restrict value,
                           const float *restrict gradient, float *restrict moment1,
                           float *restrict moment2, int64_t n)
{
    const struct update u = *update;
    (void)moment2;
    for (int64_t i = 0; i < n; i++) {
        float m = u.beta1 * moment1[i] + u.rest1 * (gradient[i] * u.grad_scale);
        moment1[i] = m;
        value[i] = u.decay * value[i] - u.step * m;
    }
}

static const struct {
    const char *name;
    bool is_adam;
    void (*update)(const struct update *update, float *restrict value,
                   const float *restrict gradient, float *restrict moment1, float *restrict moment2,
                   int64_t n);
} kinds[] = {
    [OPTIM_ADAMW] = {"adamw", true, adam_range},
    [OPTIM_ADAM] = {"adam", true, adam_range},
    [OPTIM_SGD] = {"sgd", false, sgd_range},
};

static void update_param(struct param *param, const struct update *update, enum optim_kind kind)
{
    int64_t n = (int64_t)param->n_stored;
#pragma omp parallel if (n > CHUNK)
    {
        int64_t begin, end;
        simd_share(n, &begin, &end);
        kinds[kind].update(
            update, param->parts[PARAM_VALUE] + begin, param->parts[PARAM_GRADIENT] + begin,
            param->parts[PARAM_MOMENT1] + begin, param->parts[PARAM_MOMENT2] + begin, end - begin);
    }
}

struct optim_options optim_defaults(enum recipe_form form)
{
    if (form == FORM_V1)
        return (struct optim_options){
            .beta2 = .99, .eps = 1e-8, .weight_decay = .01, .decay_norm_bias = true};
    return (struct optim_options){.beta2 = .99, .eps = 1e-5, .weight_decay = .01};
}

enum status optim_parse(const struct json *json, enum recipe_form form,
                        struct optim_options *options, struct err *err)
{
    const char *name = json_string(json, "name", kinds[OPTIM_ADAMW].name);
    size_t kind = 0;
    while (kind < ARRAY_LEN(kinds) && strcmp(kinds[kind].name, name) != 0)
        kind++;
    if (kind == ARRAY_LEN(kinds))
        return err_at(err, E_INVALID, "/optimizer/name",
                      "There is no optimizer \"%.40s\": use adamw, adam or sgd.", name);
    struct optim_options o = optim_defaults(form);
    o.kind = (enum optim_kind)kind;
    o.beta2 = json_as_number(json_at(json_get(json, "betas"), 1), o.beta2);
    o.eps = json_number(json, "eps", o.eps);
    o.weight_decay = json_number(json, "weight_decay", o.weight_decay);
    o.decay_norm_bias = json_bool(json, "decay_norm_bias", o.decay_norm_bias);
    o.clip = json_number(json, "clip", 0);
    if (!(o.beta2 >= 0 && o.beta2 < 1 && o.eps > 0 && o.weight_decay >= 0 && o.clip >= 0))
        return err_at(err, E_INVALID, "/optimizer",
                      "The optimizer's numbers are out of range: betas in [0, 1), eps above 0, "
                      "weight_decay and clip at least 0.");
    *options = o;
    return OK;
}

void optim_init(struct optim *optim, const struct optim_options *options)
{
    *optim = (struct optim){.options = *options};
}

void optim_reset(struct optim *optim, struct graph *graph)
{
    optim->steps = 0;
    for (int i = 0; i < graph->n_params; i++)
        param_clear_moments(graph->params[i]);
}

static double chunk_squares(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

/* Chunks are summed in parallel, their sums added in order. */
static double sum_squares(const float *x, size_t n)
{
    double total = 0;
    size_t n_chunks = (n + CHUNK - 1) / CHUNK;
    for (size_t first = 0; first < n_chunks; first += 256) {
        double sums[256];
        size_t count = n_chunks - first < 256 ? n_chunks - first : 256;
#pragma omp parallel for schedule(static)
        for (size_t k = 0; k < count; k++) {
            size_t at = (first + k) * CHUNK;
            sums[k] = chunk_squares(x + at, n - at < CHUNK ? n - at : CHUNK);
        }
        for (size_t k = 0; k < count; k++)
            total += sums[k];
    }
    return total;
}

/* What all gradients are multiplied by, so that their norm together is at most `clip`. */
static float clip_factor(const struct graph *graph, double clip)
{
    if (clip <= 0)
        return 1;
    double total = 0;
    for (int i = 0; i < graph->n_params; i++)
        if (graph->params[i]->trainable)
            total +=
                sum_squares(graph->params[i]->parts[PARAM_GRADIENT], graph->params[i]->n_stored);
    double factor = clip / (sqrt(total) + 1e-6);
    return factor < 1 ? (float)factor : 1;
}

static bool decays(const struct optim_options *options, const struct param *param)
{
    return options->decay_norm_bias || param->kind == PARAM_WEIGHT;
}

static struct update update_at(const struct optim *optim, const struct graph *graph,
                               double momentum)
{
    const struct optim_options *o = &optim->options;
    double t = (double)optim->steps;
    bool adam = kinds[o->kind].is_adam;
    return (struct update){.beta1 = (float)momentum,
                           .rest1 = (float)(adam ? 1 - momentum : 1),
                           .beta2 = (float)o->beta2,
                           .rest2 = (float)(1 - o->beta2),
                           .eps = (float)o->eps,
                           .root = (float)(1 / sqrt(1 - pow(o->beta2, t))),
                           .grad_scale = clip_factor(graph, o->clip)};
}

void optim_step(struct optim *optim, struct graph *graph, const double *rates, double momentum)
{
    const struct optim_options *o = &optim->options;
    optim->steps++;
    bool adam = kinds[o->kind].is_adam, decoupled = o->kind != OPTIM_ADAM;
    double debias = adam ? 1 - pow(momentum, (double)optim->steps) : 1;
    struct update u = update_at(optim, graph, momentum);
    for (int i = 0; i < graph->n_params; i++) {
        struct param *param = graph->params[i];
        if (!param->trainable)
            continue;
        double rate = rates[param->group];
        double decay = decays(o, param) ? o->weight_decay : 0;
        u.decay = (float)(decoupled ? 1 - rate * decay : 1);
        u.penalty = (float)(decoupled ? 0 : decay);
        u.step = (float)(rate / debias);
        update_param(param, &u, o->kind);
    }
}
