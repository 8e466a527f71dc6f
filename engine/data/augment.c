/* augment.c -- see augment.h. What is drawn comes in a fixed order, and what is off draws nothing,
 * so an option that is added changes no run that leaves it off. */
#include "engine/data/augment.h"

#include <math.h>

/* RandomErasing's share of the area and shape of the hole (sh, min_aspect). */
#define MAX_HOLE       0.3
#define MIN_HOLE_RATIO 0.3

struct augment_options augment_default(void)
{
    return (struct augment_options){.enabled = true,
                                    .min_scale = 0.35,
                                    .max_scale = 1,
                                    .min_ratio = 3.0 / 4,
                                    .max_ratio = 4.0 / 3,
                                    .flip = 0.5,
                                    .zoom = 1,
                                    .p_affine = 0.75,
                                    .p_lighting = 0.75};
}

struct augment_options augment_full(void)
{
    struct augment_options options = augment_default();
    options.min_scale = 1;
    options.rotate = 10;
    options.zoom = 1.1;
    options.warp = 0.2;
    options.lighting = 0.2;
    return options;
}

struct augment augment_none(int width, int height)
{
    return (struct augment){.crop = {0, 0, width, height},
                            .zoom = 1,
                            .zoom_x = 0.5,
                            .zoom_y = 0.5,
                            .brightness = 0.5,
                            .contrast = 1};
}

/* --- The crop --------------------------------------------------------------------------------- */

static struct region place(int crop_width, int crop_height, int width, int height, struct rng *rng)
{
    struct region crop = {.width = crop_width, .height = crop_height};
    crop.y = (int)rng_below(rng, (uint32_t)(height - crop_height) + 1);
    crop.x = (int)rng_below(rng, (uint32_t)(width - crop_width) + 1);
    return crop;
}

/* One try: a shape of the drawn area and ratio, placed at random where it fits. */
static bool try_crop(const struct augment_options *options, int width, int height, struct rng *rng,
                     struct region *crop)
{
    double area = rng_uniform(rng, options->min_scale, options->max_scale) * (double)width * height;
    double ratio = exp(rng_uniform(rng, log(options->min_ratio), log(options->max_ratio)));
    double w = rint(sqrt(area * ratio)), h = rint(sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height)
        return false;
    *crop = place((int)w, (int)h, width, height, rng);
    return true;
}

/* The largest crop of an allowed shape, in the middle. */
static struct region centred_crop(const struct augment_options *options, int width, int height)
{
    struct region crop = {.width = width, .height = height};
    double ratio = (double)width / height;
    if (ratio < options->min_ratio)
        crop.height = (int)fmax(1, fmin(height, rint(width / options->min_ratio)));
    else if (ratio > options->max_ratio)
        crop.width = (int)fmax(1, fmin(width, rint(height * options->max_ratio)));
    crop.x = (width - crop.width) / 2;
    crop.y = (height - crop.height) / 2;
    return crop;
}

static struct region draw_crop(const struct augment_options *options, int width, int height,
                               struct rng *rng)
{
    struct region crop;
    if (options->min_scale >= 1) {
        int side = width < height ? width : height;
        return place(side, side, width, height, rng);
    }
    for (int tries = 0; tries < 10; tries++)
        if (try_crop(options, width, height, rng, &crop))
            return crop;
    return centred_crop(options, width, height);
}

/* --- The rest --------------------------------------------------------------------------------- */

static bool happens(double probability, struct rng *rng)
{
    return rng_uniform(rng, 0, 1) < probability;
}

/* The value is drawn whether it happens or not. */
static double draw(double low, double high, double probability, double neutral, struct rng *rng)
{
    double value = rng_uniform(rng, low, high);
    return happens(probability, rng) ? value : neutral;
}

static void draw_map(const struct augment_options *options, struct augment *augment,
                     struct rng *rng)
{
    double p = options->p_affine;
    if (options->warp > 0) {
        double warp = fmin(options->warp, AUGMENT_MAX_WARP);
        augment->warp_x = draw(-warp, warp, p, 0, rng);
        augment->warp_y = draw(-warp, warp, p, 0, rng);
    }
    if (options->rotate > 0)
        augment->angle = draw(-options->rotate, options->rotate, p, 0, rng);
    if (options->zoom > 1) {
        augment->zoom = draw(1, options->zoom, p, 1, rng);
        augment->zoom_x = rng_uniform(rng, 0, 1);
        augment->zoom_y = rng_uniform(rng, 0, 1);
    }
}

static void draw_lighting(const struct augment_options *options, struct augment *augment,
                          struct rng *rng)
{
    double lighting = options->lighting;
    if (lighting <= 0)
        return;
    augment->brightness =
        draw(0.5 * (1 - lighting), 0.5 * (1 + lighting), options->p_lighting, 0.5, rng);
    augment->contrast =
        exp(draw(log(1 - lighting), -log(1 - lighting), options->p_lighting, 0, rng));
}

static void draw_hole(const struct augment_options *options, struct augment *augment,
                      struct rng *rng)
{
    if (options->erase <= 0 || !happens(options->erase, rng))
        return;
    double area = rng_uniform(rng, 0, MAX_HOLE);
    double ratio = exp(rng_uniform(rng, log(MIN_HOLE_RATIO), -log(MIN_HOLE_RATIO)));
    augment->hole_height = sqrt(area * ratio);
    augment->hole_width = sqrt(area / ratio);
    augment->hole_y = rng_uniform(rng, 0, 1);
    augment->hole_x = rng_uniform(rng, 0, 1);
    augment->noise = rng_u64(rng);
}

struct augment augment_draw(const struct augment_options *options, int width, int height,
                            struct rng *rng)
{
    struct augment augment = augment_none(width, height);
    augment.crop = draw_crop(options, width, height, rng);
    augment.presize = options->presize;
    if (happens(options->flip, rng))
        augment.turn = options->flip_vertical ? (int)rng_below(rng, 8) : 1;
    draw_map(options, &augment, rng);
    draw_lighting(options, &augment, rng);
    draw_hole(options, &augment, rng);
    return augment;
}
