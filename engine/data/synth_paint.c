/* synth_paint.c -- see synth_paint.h. Distances of polygons follow Inigo Quilez's 2D functions;
 * where a distance is only a bound, rims are a little softer, which no label depends on. */
#include "engine/data/synth_paint.h"

#include <math.h>

#define PI 3.14159265f

static float length(struct point p)
{
    return sqrtf(p.x * p.x + p.y * p.y);
}

static float clamp(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}

static float box_distance(struct point p, float half_width, float half_height)
{
    float x = fabsf(p.x) - half_width, y = fabsf(p.y) - half_height;
    float outside = length((struct point){fmaxf(x, 0), fmaxf(y, 0)});
    return outside + fminf(fmaxf(x, y), 0);
}

float segment_distance(struct point p, struct point a, struct point b)
{
    struct point ab = {b.x - a.x, b.y - a.y}, ap = {p.x - a.x, p.y - a.y};
    float square = ab.x * ab.x + ab.y * ab.y;
    float along = square > 0 ? clamp((ap.x * ab.x + ap.y * ab.y) / square, 0, 1) : 0;
    return length((struct point){ap.x - ab.x * along, ap.y - ab.y * along});
}

/* The inradius of an n-gon is its rim's least distance: the rim is where the angle's cosine
 * reaches it. */
static float polygon_distance(struct point p, int corners, float inradius)
{
    float sector = 2 * PI / (float)corners;
    float angle = atan2f(p.x, -p.y);
    float inside = angle - sector * floorf(angle / sector + 0.5f);
    return length(p) * cosf(inside) - inradius;
}

float outline_disc(struct point p, const struct style *style)
{
    (void)style;
    return length(p) - 0.88f;
}

float outline_square(struct point p, const struct style *style)
{
    (void)style;
    return box_distance(p, 0.78f, 0.78f);
}

float outline_triangle(struct point p, const struct style *style)
{
    (void)style;
    return polygon_distance(p, 3, 0.52f);
}

float outline_hexagon(struct point p, const struct style *style)
{
    (void)style;
    return polygon_distance(p, 6, 0.82f);
}

/* Five spikes: the rim is the line from a tip (radius 1) to a valley (radius .42). */
float outline_star(struct point p, const struct style *style)
{
    (void)style;
    float sector = 2 * PI / 5, angle = atan2f(p.x, p.y);
    float folded = fabsf(angle - sector * floorf(angle / sector + 0.5f)), radius = length(p);
    struct point at = {radius * sinf(folded), radius * cosf(folded)};
    struct point tip = {0, 1}, valley = {0.42f * sinf(sector / 2), 0.42f * cosf(sector / 2)};
    struct point along = {valley.x - tip.x, valley.y - tip.y};
    float cross = along.x * (at.y - tip.y) - along.y * (at.x - tip.x);
    return cross / length(along);
}

float outline_ring(struct point p, const struct style *style)
{
    float half = 0.12f + 0.12f * style->thickness;
    return fabsf(length(p) - (0.92f - half)) - half;
}

float outline_frame(struct point p, const struct style *style)
{
    float half = 0.11f + 0.11f * style->thickness;
    return fabsf(box_distance(p, 0.82f - half, 0.82f - half)) - half;
}

float outline_cross(struct point p, const struct style *style)
{
    float half = 0.2f + 0.14f * style->thickness;
    return fminf(box_distance(p, 0.92f, half), box_distance(p, half, 0.92f));
}

float outline_crescent(struct point p, const struct style *style)
{
    float shift = 0.38f + 0.2f * style->thickness;
    float bite = length((struct point){p.x - shift, p.y}) - 0.72f;
    return fmaxf(length(p) - 0.9f, -bite);
}

float outline_arrow(struct point p, const struct style *style)
{
    float half = 0.12f + 0.1f * style->thickness;
    float shaft = box_distance((struct point){p.x, p.y + 0.35f}, half, 0.55f);
    float head = fmaxf(0.05f - p.y, (fabsf(p.x) - 0.72f * (0.95f - p.y)) * 0.81f);
    return fminf(shaft, head);
}

float outline_heart(struct point p, const struct style *style)
{
    (void)style;
    float x = fabsf(p.x) * 0.62f, y = p.y * 0.62f + 0.55f;
    if (x + y > 1)
        return (length((struct point){x - 0.25f, y - 0.75f}) - 0.3535534f) / 0.62f;
    float half = 0.5f * fmaxf(x + y, 0);
    float distance =
        fminf(length((struct point){x, y - 1}), length((struct point){x - half, y - half}));
    return copysignf(distance, x - y) / 0.62f;
}

float outline_blob(struct point p, const struct style *style)
{
    float angle = atan2f(p.y, p.x), rim = 0.86f;
    for (int k = 0; k < 3; k++)
        rim += style->wobble[2 * k] * sinf((float)(k + 2) * angle + style->wobble[2 * k + 1]);
    return length(p) - rim;
}

float outline_form(struct point p, const struct style *style)
{
    return length(p) - form_rim(&style->form, atan2f(p.y, p.x));
}

/* A wave of period 1 in `t`: a sine, or hardened towards two levels, `duty` of it dark. */
static float wave(float t, const struct style *style)
{
    float sine = 0.5f + 0.5f * sinf(2 * PI * t + style->phase);
    float edge = 0.06f + 0.44f * style->softness;
    return clamp((sine - style->duty) / (2 * edge) + 0.5f, 0, 1);
}

/* A distance to the nearest dark thing, in periods -> shade. */
static float threshold(float distance, float radius, const struct style *style)
{
    float edge = 0.05f + 0.15f * style->softness;
    return clamp((distance - radius) / (2 * edge) + 0.5f, 0, 1);
}

static float fraction(float x)
{
    return x - floorf(x);
}

float pattern_stripes(struct point p, const struct style *style)
{
    return wave(p.x * style->frequency / 2, style);
}

float pattern_checks(struct point p, const struct style *style)
{
    float x = sinf(PI * p.x * style->frequency / 2 + style->phase);
    float y = sinf(PI * p.y * style->frequency / 2 + style->phase);
    float edge = 0.05f + 0.25f * style->softness;
    return clamp(x * y / (2 * edge) + 0.5f, 0, 1);
}

float pattern_dots(struct point p, const struct style *style)
{
    float x = fraction(p.x * style->frequency / 2 + style->phase) - 0.5f;
    float y = fraction(p.y * style->frequency / 2 + style->phase) - 0.5f;
    return threshold(length((struct point){x, y}), 0.18f + 0.24f * style->duty, style);
}

float pattern_waves(struct point p, const struct style *style)
{
    float bend = 0.35f * sinf(PI * p.y * style->frequency / 2 + 2 * style->phase);
    return wave(p.x * style->frequency / 2 + bend, style);
}

float pattern_zigzag(struct point p, const struct style *style)
{
    float saw = fabsf(fraction(p.y * style->frequency / 3 + style->phase) - 0.5f);
    return wave(p.x * style->frequency / 2 + 1.6f * saw, style);
}

float pattern_bricks(struct point p, const struct style *style)
{
    float row = p.y * style->frequency / 2 + style->phase;
    float column = p.x * style->frequency / 4 + 0.5f * fmodf(fabsf(floorf(row)), 2);
    float x = fabsf(fraction(column) - 0.5f), y = fabsf(fraction(row) - 0.5f);
    float mortar = fminf(2 * (0.5f - x), 0.5f - y); /* 0 in the middle of the joint */
    return threshold(mortar, 0.05f + 0.1f * style->duty, style);
}

float pattern_grid(struct point p, const struct style *style)
{
    float x = fabsf(fraction(p.x * style->frequency / 2 + style->phase) - 0.5f);
    float y = fabsf(fraction(p.y * style->frequency / 2 + style->phase) - 0.5f);
    return threshold(0.5f - fmaxf(x, y), 0.05f + 0.12f * style->duty, style);
}

float pattern_rays(struct point p, const struct style *style)
{
    float spokes = floorf(style->frequency + 2);
    return wave(atan2f(p.y, p.x) * spokes / (2 * PI), style);
}

float pattern_rings(struct point p, const struct style *style)
{
    return wave(length(p) * style->frequency / 2, style);
}

float pattern_form(struct point p, const struct style *style)
{
    float edge = .1f + .6f * style->softness;
    return clamp((form_shade(&style->form, p.x, p.y) + .5f - style->duty) / edge + .5f, 0, 1);
}

void noise_draw(struct noise *noise, struct rng *rng)
{
    for (int y = 0; y <= NOISE_CELLS; y++)
        for (int x = 0; x <= NOISE_CELLS; x++)
            noise->lattice[y][x] = rng_float(rng);
}

static float smooth(float t)
{
    return t * t * (3 - 2 * t);
}

float noise_at(const struct noise *noise, float x, float y)
{
    x = clamp(x, 0, 0.9999f) * NOISE_CELLS;
    y = clamp(y, 0, 0.9999f) * NOISE_CELLS;
    int column = (int)x, row = (int)y;
    float u = smooth(x - (float)column), v = smooth(y - (float)row);
    const float *upper = noise->lattice[row], *lower = noise->lattice[row + 1];
    float above = upper[column] + u * (upper[column + 1] - upper[column]);
    float below = lower[column] + u * (lower[column + 1] - lower[column]);
    return above + v * (below - above);
}
