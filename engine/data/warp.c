/* warp.c -- see warp.h. A row is made in two loops: where its pixels are read (in vectors), and
 * reading them (four channels at a time; a pixel and its right neighbour are six bytes in a row).
 */
#include "engine/data/warp.h"

#include <math.h>
#include <string.h>

#include "base/simd.h"

static const double identity[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};

/* a = a * b */
static void multiply(double a[3][3], const double b[3][3])
{
    double product[3][3];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            product[i][j] = a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j];
    memcpy(a, product, sizeof product);
}

/* fastai's _WarpCoord moves the corners (-1,-1), (-1,1), (1,-1), (1,1) by (-y,-x), (y,x), (y,x),
 * (-y,-x), solves eight equations for the map back, and gets this. */
static void multiply_perspective(double map[3][3], double x, double y)
{
    double d = 1 - x * x - y * y;
    double shear = 2 * x * y / d;
    double across = -x * (1 - x * x + y * y) / d, down = -y * (1 + x * x - y * y) / d;
    const double perspective[3][3] = {{1, shear, across}, {shear, 1, down}, {across, down, 1}};
    multiply(map, perspective);
}

/* fastai's dihedral_mat. */
static void multiply_turn(double map[3][3], int turn)
{
    static const int xs[8] = {1, -1, 1, -1, -1, 1, 1, -1}, ys[8] = {1, 1, -1, 1, -1, -1, 1, -1};
    static const bool upright[8] = {true, true, true, false, true, false, false, false};
    const double x = xs[turn & 7], y = ys[turn & 7];
    bool keeps = upright[turn & 7];
    const double matrix[3][3] = {
        {keeps ? x : 0, keeps ? 0 : x, 0}, {keeps ? 0 : y, keeps ? y : 0, 0}, {0, 0, 1}};
    multiply(map, matrix);
}

static void multiply_rotation(double map[3][3], double degrees)
{
    double angle = degrees * acos(-1) / 180, c = cos(angle), s = sin(angle);
    const double rotation[3][3] = {{c, s, 0}, {-s, c, 0}, {0, 0, 1}};
    multiply(map, rotation);
}

static void multiply_zoom(double map[3][3], double zoom, double at_x, double at_y)
{
    double scale = 1 / zoom;
    const double matrix[3][3] = {{scale, 0, (1 - scale) * (2 * at_x - 1)},
                                 {0, scale, (1 - scale) * (2 * at_y - 1)},
                                 {0, 0, 1}};
    multiply(map, matrix);
}

struct warp warp_compose(const struct augment *augment)
{
    struct warp warp;
    memcpy(warp.map, identity, sizeof identity);
    multiply_perspective(warp.map, augment->warp_x, augment->warp_y);
    multiply_turn(warp.map, augment->turn);
    multiply_rotation(warp.map, augment->angle);
    multiply_zoom(warp.map, augment->zoom, augment->zoom_x, augment->zoom_y);
    return warp;
}

bool warp_is_plain(const struct augment *augment)
{
    return augment->warp_x == 0 && augment->warp_y == 0 && augment->turn < 2 &&
           augment->angle == 0 && augment->zoom == 1;
}

/* --- A row ------------------------------------------------------------------------------------ */

#define MIN_DEPTH 0.05f /* of the perspective's divisor; AUGMENT_MAX_WARP keeps above .26 */

/* The row's map: (a x + b) / (e x + f), (c x + d) / (e x + f) for column x, in source pixels. */
struct line {
    float a, b, c, d, e, f;
};

static struct line line_of(const struct warp *warp, int side, int size, int y)
{
    const double(*m)[3] = warp->map;
    double step = 2.0 / (size - 1), v = -1 + step * y, half = (side - 1) / 2.0;
    double along[3], start[3];
    for (int i = 0; i < 3; i++) {
        along[i] = m[i][0] * step;
        start[i] = -m[i][0] + m[i][1] * v + m[i][2];
    }
    /* (t + 1) half = (p/q + 1) half = (p + q) half / q */
    return (struct line){.a = (float)((along[0] + along[2]) * half),
                         .b = (float)((start[0] + start[2]) * half),
                         .c = (float)((along[1] + along[2]) * half),
                         .d = (float)((start[1] + start[2]) * half),
                         .e = (float)along[2],
                         .f = (float)start[2]};
}

/* Into 0..period/2, by reflection at both ends as often as it takes. */
static inline float reflect(float t, float period, float frequency)
{
    t -= period * floorf(t * frequency);
    t = t < period - t ? t : period - t;
    return t > 0 ? t : 0;
}

#define CHUNK 64 /* columns at a time: what lies between the two loops stays in the first cache */

struct places {
    int32_t at[CHUNK];              /* byte offset of the upper left of four pixels */
    float right[CHUNK], low[CHUNK]; /* how far towards the right and the lower ones, 0..1 */
};

SIMD static void find_places(const struct line *line, int side, int first, struct places *places)
{
    float a = line->a, b = line->b, c = line->c, d = line->d, e = line->e, f = line->f;
    float period = 2 * (float)(side - 1), frequency = 1 / period, last = (float)(side - 2);
    for (int i = 0; i < CHUNK; i++) {
        float x = (float)(first + i), depth = e * x + f;
        depth = depth > MIN_DEPTH ? depth : MIN_DEPTH;
        float u = reflect((a * x + b) / depth, period, frequency);
        float v = reflect((c * x + d) / depth, period, frequency);
        float column = floorf(u), row = floorf(v);
        column = column < last ? column : last;
        row = row < last ? row : last;
        places->right[i] = u - column;
        places->low[i] = v - row;
        places->at[i] = ((int32_t)row * side + (int32_t)column) * 3;
    }
}

typedef float float4 __attribute__((vector_size(16)));
typedef uint8_t byte4 __attribute__((vector_size(4)));

static inline float4 load_pixel(const uint8_t *at)
{
    byte4 pixel;
    memcpy(&pixel, at, sizeof pixel);
    return __builtin_convertvector(pixel, float4);
}

/* (1 - t) a + t b would be rounded twice; this way equal neighbours stay exactly equal. */
static inline float4 between(float4 a, float4 b, float t)
{
    return a + (b - a) * t;
}

SIMD static void read_places(const struct places *places, const uint8_t *pixels, size_t stride,
                             int n, float *out)
{
    for (int i = 0; i < n; i++, out += 3) {
        const uint8_t *upper = pixels + places->at[i], *lower = upper + stride;
        float4 above = between(load_pixel(upper), load_pixel(upper + 3), places->right[i]);
        float4 below = between(load_pixel(lower), load_pixel(lower + 3), places->right[i]);
        float4 value = between(above, below, places->low[i]);
        out[0] = value[0];
        out[1] = value[1];
        out[2] = value[2];
    }
}

void warp_row(const struct warp *warp, const uint8_t *pixels, int side, int size, int y, float *out)
{
    struct line line = line_of(warp, side, size, y);
    struct places places;
    for (int x = 0; x < size; x += CHUNK) {
        int n = size - x < CHUNK ? size - x : CHUNK;
        find_places(&line, side, x, &places);
        read_places(&places, pixels, (size_t)side * 3, n, out + (size_t)x * 3);
    }
}
