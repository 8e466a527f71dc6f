/* augment.c -- see augment.h. */
#include "engine/data/augment.h"

#include <math.h>

struct augment_options augment_default(void)
{
    return (struct augment_options){.enabled = true,
                                    .min_scale = 0.35,
                                    .max_scale = 1,
                                    .min_ratio = 3.0 / 4,
                                    .max_ratio = 4.0 / 3,
                                    .flip = 0.5};
}

/* One try: a shape of the drawn area and ratio, placed at random where it fits. */
static bool draw_crop(const struct augment_options *options, int width, int height, struct rng *rng,
                      struct region *crop)
{
    double area = rng_uniform(rng, options->min_scale, options->max_scale) * (double)width * height;
    double ratio = exp(rng_uniform(rng, log(options->min_ratio), log(options->max_ratio)));
    double w = rint(sqrt(area * ratio)), h = rint(sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height)
        return false;
    crop->width = (int)w;
    crop->height = (int)h;
    crop->y = (int)rng_below(rng, (uint32_t)(height - crop->height) + 1);
    crop->x = (int)rng_below(rng, (uint32_t)(width - crop->width) + 1);
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

struct augment augment_draw(const struct augment_options *options, int width, int height,
                            struct rng *rng)
{
    struct augment augment = {0};
    int tries = 0;
    while (tries < 10 && !draw_crop(options, width, height, rng, &augment.crop))
        tries++;
    if (tries == 10)
        augment.crop = centred_crop(options, width, height);
    augment.flip = rng_uniform(rng, 0, 1) < options->flip;
    return augment;
}
