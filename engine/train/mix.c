#include "engine/train/mix.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/core/simd.h"

bool mix_is_on(const struct mix_options *options)
{
    return options->mixup > 0 || options->cutmix > 0;
}

enum status mix_init(struct mix *mix, const struct mix_options *options, uint64_t seed,
                     int64_t rows, int64_t classes, struct err *err)
{
    *mix = (struct mix){.options = *options, .seed = seed, .rows = rows, .classes = classes};
    if (!mix_is_on(options))
        return OK;
    void *targets;
    size_t n = (size_t)rows;
    enum status status =
        mem_try_alloc(n * (size_t)classes, sizeof *mix->targets, "mixed targets", &targets, err);
    if (status != OK)
        return status;
    mix->targets = targets;
    mix->others = mem_alloc(n * sizeof *mix->others);
    mix->shares = mem_alloc(n * sizeof *mix->shares);
    return OK;
}

void mix_deinit(struct mix *mix)
{
    mem_free(mix->targets);
    mem_free(mix->others);
    mem_free(mix->shares);
    *mix = (struct mix){0};
}

/* --- drawing ---------------------------------------------------------------------------------- */

/* Uniform in (0,1): a logarithm of it is finite. */
static double open_uniform(struct rng *rng)
{
    return ((double)(rng_u64(rng) >> 12) + .5) * 0x1p-52;
}

/* The logarithm of a Gamma(alpha, 1) draw: Marsaglia and Tsang 2000 for alpha + 1, and a power of a
 * uniform number to come down to alpha. As a logarithm, since for a small alpha it underflows. */
static double log_gamma_draw(struct rng *rng, double alpha)
{
    double d = alpha + 1 - 1. / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rng_normal(rng), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        if (log(open_uniform(rng)) < x * x / 2 + d * (1 - v + log(v)))
            return log(d * v) + log(open_uniform(rng)) / alpha;
    }
}

/* Beta(alpha, alpha): a / (a + b) of two gammas. */
static double beta_draw(struct rng *rng, double alpha)
{
    double a = log_gamma_draw(rng, alpha), b = log_gamma_draw(rng, alpha);
    return 1 / (1 + exp(b - a));
}

static int64_t clamp(int64_t value, int64_t high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

struct mix_box mix_box_around(double b, int64_t x, int64_t y, int64_t size)
{
    int64_t half = (int64_t)rint((double)size * sqrt(1 - b)) / 2;
    return (struct mix_box){clamp(x - half, size), clamp(y - half, size), clamp(x + half, size),
                            clamp(y + half, size)};
}

static void draw_box(struct mix *mix, struct rng *rng, int64_t count, int64_t size)
{
    double b = beta_draw(rng, mix->options.cutmix);
    int64_t x = rng_below(rng, (uint32_t)size), y = rng_below(rng, (uint32_t)size);
    mix->box = mix_box_around(b, x, y, size);
    int64_t area = (mix->box.right - mix->box.left) * (mix->box.bottom - mix->box.top);
    for (int64_t i = 0; i < count; i++)
        mix->shares[i] = (float)(1 - (double)area / (double)(size * size));
}

static void draw_shares(struct mix *mix, struct rng *rng, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        double b = beta_draw(rng, mix->options.mixup);
        mix->shares[i] = (float)(b > .5 ? b : 1 - b);
    }
}

void mix_draw(struct mix *mix, int64_t count, int64_t size, uint64_t step)
{
    struct rng rng = rng_stream("mix", mix->seed, step, 0);
    mix->cuts = mix->options.cutmix > 0;
    for (int64_t i = 0; i < count; i++)
        mix->others[i] = (uint32_t)i;
    rng_shuffle(&rng, mix->others, (size_t)count);
    if (mix->cuts)
        draw_box(mix, &rng, count, size);
    else
        draw_shares(mix, &rng, count);
}

/* --- applying --------------------------------------------------------------------------------- */

/* other + share * (own - other), as torch.lerp for a share of at least one half. */
SIMD static void blend(const float *own, const float *other, float share, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = own[i] - (own[i] - other[i]) * (1.f - share);
}

static void put_box(const struct mix_box *box, int64_t size, const float *other, float *out)
{
    size_t bytes = (size_t)(box->right - box->left) * 3 * sizeof *out;
    for (int64_t y = box->top; y < box->bottom; y++) {
        int64_t at = (y * size + box->left) * 3;
        memcpy(out + at, other + at, bytes);
    }
}

static void mix_images(const struct mix *mix, const struct batch *batch, int64_t size, float *input)
{
    int64_t row = size * size * 3;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < batch->count; i++) {
        const float *own = batch->images + i * row, *other = batch->images + mix->others[i] * row;
        float *out = input + i * row;
        if (!mix->cuts) {
            blend(own, other, mix->shares[i], out, row);
            continue;
        }
        memcpy(out, own, (size_t)row * sizeof *out);
        put_box(&mix->box, size, other, out);
    }
}

static void mix_targets(const struct mix *mix, const float *targets, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const float *own = targets + i * mix->classes;
        const float *other = targets + mix->others[i] * mix->classes;
        for (int64_t c = 0; c < mix->classes; c++)
            mix->targets[i * mix->classes + c] =
                own[c] * mix->shares[i] + other[c] * (1.f - mix->shares[i]);
    }
}

const float *mix_apply(struct mix *mix, struct loss *loss, const struct batch *batch, int64_t size,
                       float *input)
{
    mix_images(mix, batch, size, input);
    mix_targets(mix, loss_targets(loss, batch), batch->count);
    return mix->targets;
}

const float *mix_batch(struct mix *mix, struct loss *loss, const struct batch *batch, int64_t size,
                       uint64_t step, float *input)
{
    if (!mix_is_on(&mix->options)) {
        memcpy(input, batch->images, (size_t)batch->count * batch->row_floats * sizeof *input);
        return NULL;
    }
    mix_draw(mix, batch->count, size, step);
    return mix_apply(mix, loss, batch, size, input);
}
