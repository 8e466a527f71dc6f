/* resize.c -- see resize.h. The arithmetic is Pillow's (libImaging/Resample.c, 9.4), so that a
 * network sees here what it saw under torchvision. */
#include "engine/data/resize.h"

#include <math.h>
#include <stdbool.h>

#include "base/mem.h"

#define WEIGHT_BITS (32 - 8 - 2) /* a sum of 8-bit values times weights of at most 1 fits int32 */

/* What each output position of one axis reads: source pixels first..first+count-1. */
struct axis {
    int *first, *count; /* owned; one for each computed position */
    int32_t *weights;   /* owned; `taps` for each computed position */
    int taps;
    size_t positions_capacity, weights_capacity;
};

struct resize_scratch {
    struct axis horizontal, vertical;
    struct image between; /* after the horizontal pass */
};

struct resize_scratch *resize_scratch_new(void)
{
    return mem_alloc(sizeof(struct resize_scratch));
}

static void axis_deinit(struct axis *axis)
{
    mem_free(axis->first);
    mem_free(axis->count);
    mem_free(axis->weights);
}

void resize_scratch_free(struct resize_scratch *scratch)
{
    if (!scratch)
        return;
    axis_deinit(&scratch->horizontal);
    axis_deinit(&scratch->vertical);
    image_deinit(&scratch->between);
    mem_free(scratch);
}

static enum status grow(void **block, size_t n, size_t size, struct err *err)
{
    void *larger;
    enum status status = mem_try_alloc(n, size, "the resize weights", &larger, err);
    if (status)
        return status;
    mem_free(*block);
    *block = larger;
    return OK;
}

static enum status axis_reserve(struct axis *axis, size_t positions, struct err *err)
{
    enum status status = OK;
    if (positions > axis->positions_capacity) {
        axis->positions_capacity = 0;
        if ((status = grow((void **)&axis->first, positions, sizeof(int), err)) ||
            (status = grow((void **)&axis->count, positions, sizeof(int), err)))
            return status;
        axis->positions_capacity = positions;
    }
    size_t weights = positions * (size_t)axis->taps;
    if (weights > axis->weights_capacity) {
        axis->weights_capacity = 0;
        if ((status = grow((void **)&axis->weights, weights, sizeof(int32_t), err)))
            return status;
        axis->weights_capacity = weights;
    }
    return OK;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Weights of one output position around `center` (source coordinates), normalised and rounded. */
static void axis_weigh(int32_t *weights, int first, int count, double center, double filter_scale)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += triangle((i + first - center + 0.5) / filter_scale);
    for (int i = 0; i < count; i++) {
        double weight = triangle((i + first - center + 0.5) / filter_scale);
        if (sum != 0)
            weight /= sum;
        weights[i] = (int32_t)(weight * (1 << WEIGHT_BITS) + 0.5);
    }
}

/* Maps source [low, high) of `in_size` pixels to `out_size`, of which [from, from+n) is wanted. */
static enum status axis_prepare(struct axis *axis, int in_size, double low, double high,
                                int out_size, int from, int n, struct err *err)
{
    double scale = (high - low) / out_size;
    double filter_scale = scale < 1 ? 1 : scale; /* widening it when shrinking is the antialias */
    axis->taps = (int)ceil(filter_scale) * 2 + 1;
    enum status status = axis_reserve(axis, (size_t)n, err);
    if (status)
        return status;
    for (int i = 0; i < n; i++) {
        double center = low + (from + i + 0.5) * scale;
        int first = (int)(center - filter_scale + 0.5);
        int end = (int)(center + filter_scale + 0.5);
        if (first < 0)
            first = 0;
        if (end > in_size)
            end = in_size;
        axis->first[i] = first;
        axis->count[i] = end - first;
        axis_weigh(axis->weights + (size_t)i * (size_t)axis->taps, first, end - first, center,
                   filter_scale);
    }
    return OK;
}

static uint8_t to_pixel(int32_t sum)
{
    int32_t value = sum >> WEIGHT_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void row_horizontal(const struct axis *axis, const uint8_t *in, uint8_t *out, int n)
{
    for (int i = 0; i < n; i++) {
        const uint8_t *pixel = in + (size_t)axis->first[i] * 3;
        const int32_t *weight = axis->weights + (size_t)i * (size_t)axis->taps;
        int32_t red = 1 << (WEIGHT_BITS - 1), green = red, blue = red;
        for (int k = 0; k < axis->count[i]; k++, pixel += 3) {
            red += pixel[0] * weight[k];
            green += pixel[1] * weight[k];
            blue += pixel[2] * weight[k];
        }
        out[i * 3] = to_pixel(red);
        out[i * 3 + 1] = to_pixel(green);
        out[i * 3 + 2] = to_pixel(blue);
    }
}

#define COLUMN_BLOCK 96 /* values summed side by side: enough to vectorise, small enough for L1 */

static void row_vertical(const uint8_t *in, size_t stride, const int32_t *weight, int count,
                         uint8_t *out, size_t n)
{
    for (size_t at = 0; at < n; at += COLUMN_BLOCK) {
        size_t width = n - at < COLUMN_BLOCK ? n - at : COLUMN_BLOCK;
        int32_t sums[COLUMN_BLOCK];
        for (size_t i = 0; i < width; i++)
            sums[i] = 1 << (WEIGHT_BITS - 1);
        for (int k = 0; k < count; k++) {
            const uint8_t *row = in + (size_t)k * stride + at;
            for (size_t i = 0; i < width; i++)
                sums[i] += row[i] * weight[k];
        }
        for (size_t i = 0; i < width; i++)
            out[at + i] = to_pixel(sums[i]);
    }
}

static enum status check_arguments(const struct image *in, const struct resize *resize,
                                   struct err *err)
{
    const struct region *window = &resize->window;
    bool source = resize->box.left >= 0 && resize->box.left < resize->box.right &&
                  resize->box.top >= 0 && resize->box.top < resize->box.bottom &&
                  resize->box.right <= in->width && resize->box.bottom <= in->height;
    bool target = window->x >= 0 && window->y >= 0 && window->width > 0 && window->height > 0 &&
                  window->width <= resize->width - window->x &&
                  window->height <= resize->height - window->y;
    if (!source || !target)
        return err_set(err, E_INTERNAL,
                       "A %d x %d picture cannot be resized from (%g, %g, %g, %g) to %d x %d.",
                       in->width, in->height, resize->box.left, resize->box.top, resize->box.right,
                       resize->box.bottom, resize->width, resize->height);
    return OK;
}

enum status resize_bilinear(struct resize_scratch *scratch, const struct image *in,
                            const struct resize *resize, struct image *out, struct err *err)
{
    const struct region *window = &resize->window;
    struct axis *columns = &scratch->horizontal, *rows = &scratch->vertical;
    enum status status = check_arguments(in, resize, err);
    if (status ||
        (status = axis_prepare(columns, in->width, resize->box.left, resize->box.right,
                               resize->width, window->x, window->width, err)) ||
        (status = axis_prepare(rows, in->height, resize->box.top, resize->box.bottom,
                               resize->height, window->y, window->height, err)))
        return status;

    int last = window->height - 1;
    int first_row = rows->first[0], n_rows = rows->first[last] + rows->count[last] - first_row;
    struct image *between = &scratch->between;
    if ((status = image_reserve(between, window->width, n_rows, err)) ||
        (status = image_reserve(out, window->width, window->height, err)))
        return status;

    size_t in_stride = (size_t)in->width * 3, stride = (size_t)window->width * 3;
    for (int y = 0; y < n_rows; y++)
        row_horizontal(columns, in->pixels + (size_t)(first_row + y) * in_stride,
                       between->pixels + (size_t)y * stride, window->width);
    for (int y = 0; y < window->height; y++)
        row_vertical(between->pixels + (size_t)(rows->first[y] - first_row) * stride, stride,
                     rows->weights + (size_t)y * (size_t)rows->taps, rows->count[y],
                     out->pixels + (size_t)y * stride, stride);
    return OK;
}
