/* preprocess.c -- see preprocess.h. */
#include "engine/data/preprocess.h"

#include <math.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/simd.h"
#include "engine/data/erase.h"
#include "engine/data/lighting.h"
#include "engine/data/resize.h"
#include "engine/data/warp.h"

/* A picture for evaluation is decoded smaller only while its sides stay this many times the wanted
 * ones: then libjpeg's reduction and PIL's filter differ by .15 to .4 of a level (of 255) in the
 * mean, less than rounding to levels does. */
#define EVAL_OVERSAMPLE 4

struct preprocess {
    struct image decoded, turned, resized;
    struct resize_scratch *scratch;
    float levels[3][256]; /* what an 8-bit value becomes, for red, green, blue */
};

static const float mean[3] = {0.485f, 0.456f, 0.406f};
static const float deviation[3] = {0.229f, 0.224f, 0.225f};

struct preprocess *preprocess_new(void)
{
    struct preprocess *preprocess = mem_alloc(sizeof *preprocess);
    preprocess->scratch = resize_scratch_new();
    for (int c = 0; c < 3; c++)
        for (int value = 0; value < 256; value++)
            preprocess->levels[c][value] = ((float)value / 255.0f - mean[c]) / deviation[c];
    return preprocess;
}

void preprocess_free(struct preprocess *preprocess)
{
    if (!preprocess)
        return;
    image_deinit(&preprocess->decoded);
    image_deinit(&preprocess->turned);
    image_deinit(&preprocess->resized);
    resize_scratch_free(preprocess->scratch);
    mem_free(preprocess);
}

/* What is made of a picture: `seen` of it is mapped to width x height, of which `window` is kept.
 */
struct rendering {
    struct region seen;
    int width, height;
    struct region window;
    int oversample; /* decode at least this many times width x height, where the picture has it */
};

/* Fills preprocess->resized. */
static enum status render(struct preprocess *preprocess, const void *bytes, size_t len,
                          const struct image_header *header, const struct rendering *rendering,
                          struct err *err)
{
    const struct region *seen = &rendering->seen;
    struct region stored = image_stored_region(header, seen);
    int shrink = image_best_shrink(header->format, seen->width, seen->height,
                                   rendering->oversample * rendering->width,
                                   rendering->oversample * rendering->height);
    struct image *decoded = &preprocess->decoded;
    enum status status = image_decode(bytes, len, header, &stored, shrink, decoded, err);
    if (status)
        return status;

    struct resize resize = {
        .width = rendering->width, .height = rendering->height, .window = rendering->window};
    resize.box.left = (double)(stored.x % shrink) / shrink;
    resize.box.top = (double)(stored.y % shrink) / shrink;
    resize.box.right = resize.box.left + (double)stored.width / shrink;
    resize.box.bottom = resize.box.top + (double)stored.height / shrink;
    const struct image *upright = decoded;
    if (header->orientation != 1) {
        if ((status = image_turn(decoded, header->orientation, &preprocess->turned, err)))
            return status;
        resize.box = image_turn_box(decoded, header->orientation, resize.box);
        upright = &preprocess->turned;
    }
    return resize_bilinear(preprocess->scratch, upright, &resize, &preprocess->resized, err);
}

/* preprocess->resized -> out (size,size,3) */
static void normalise(const struct preprocess *preprocess, int size, bool flip, float *out)
{
    const uint8_t *row = preprocess->resized.pixels;
    int step = flip ? -3 : 3;
    for (int y = 0; y < size; y++, row += (size_t)size * 3) {
        const uint8_t *pixel = flip ? row + (size_t)(size - 1) * 3 : row;
        for (int x = 0; x < size; x++, pixel += step, out += 3) {
            out[0] = preprocess->levels[0][pixel[0]];
            out[1] = preprocess->levels[1][pixel[1]];
            out[2] = preprocess->levels[2][pixel[2]];
        }
    }
}

static enum status check_size(int size, struct err *err)
{
    if (size >= PREPROCESS_MIN_SIZE && size <= PREPROCESS_MAX_SIZE)
        return OK;
    return err_set(err, E_INVALID, "The image size is %d; it must be from %d to %d.", size,
                   PREPROCESS_MIN_SIZE, PREPROCESS_MAX_SIZE);
}

int preprocess_resize_side(int size)
{
    return (int)rint(1.143 * size);
}

enum status preprocess_eval(struct preprocess *preprocess, const void *bytes, size_t len,
                            const struct image_header *header, int size, float *out,
                            struct err *err)
{
    enum status status = check_size(size, err);
    if (status)
        return status;
    struct rendering rendering = {.oversample = EVAL_OVERSAMPLE};
    int width, height, side = preprocess_resize_side(size);
    image_turned_size(header, &width, &height);
    rendering.seen = (struct region){0, 0, width, height};
    rendering.width = width <= height ? side : (int)((double)side * width / height);
    rendering.height = height <= width ? side : (int)((double)side * height / width);
    /* rint rounds halves to even, as torchvision's CenterCrop does. */
    rendering.window = (struct region){(int)rint((rendering.width - size) / 2.0),
                                       (int)rint((rendering.height - size) / 2.0), size, size};
    if (!(status = render(preprocess, bytes, len, header, &rendering, err)))
        normalise(preprocess, size, false, out);
    return status;
}

/* (n,3), 0..1 -> normalised, in place */
SIMD static void normalise_row(float *values, int n)
{
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            values[i * 3 + c] = (values[i * 3 + c] - mean[c]) / deviation[c];
}

SIMD static void scale_row(float *values, int n)
{
    for (int i = 0; i < n; i++)
        values[i] /= 255.0f;
}

/* preprocess->resized -> out (size,size,3), row by row: mapped, lit, normalised */
static void map(const struct preprocess *preprocess, const struct augment *augment, int size,
                float *out)
{
    struct warp warp = warp_compose(augment);
    bool is_lit = !lighting_is_plain(augment);
    const struct image *square = &preprocess->resized;
    for (int y = 0; y < size; y++, out += (size_t)size * 3) {
        warp_row(&warp, square->pixels, square->width, size, y, out);
        scale_row(out, size * 3);
        if (is_lit)
            lighting_apply(augment, out, (size_t)size * 3);
        normalise_row(out, size);
    }
}

static int presized(const struct augment *augment, int size)
{
    int side = augment->presize > 0 ? augment->presize : size;
    side = side < 2 * size ? side : 2 * size;
    return side > PREPROCESS_MIN_SIZE ? side : PREPROCESS_MIN_SIZE;
}

enum status preprocess_train(struct preprocess *preprocess, const void *bytes, size_t len,
                             const struct image_header *header, const struct augment *augment,
                             int size, float *out, struct err *err)
{
    enum status status = check_size(size, err);
    if (status)
        return status;
    int side = presized(augment, size);
    struct rendering rendering = {.seen = augment->crop,
                                  .width = side,
                                  .height = side,
                                  .window = {0, 0, side, side},
                                  .oversample = 1};
    if ((status = render(preprocess, bytes, len, header, &rendering, err)))
        return status;
    if (side == size && warp_is_plain(augment) && lighting_is_plain(augment))
        normalise(preprocess, size, augment->turn == 1, out);
    else
        map(preprocess, augment, size, out);
    erase_apply(augment, size, out);
    return OK;
}
