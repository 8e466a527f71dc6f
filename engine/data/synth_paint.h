/* synth_paint.h -- what drawn pictures are made of: outlines, patterns and value noise.
 *
 * An outline is a signed distance (negative inside, about 1 from the centre to the rim); a pattern
 * is a shade 0..1. Both are functions of a point in the object's own, turned and scaled, space. */
#ifndef THAW_ENGINE_DATA_SYNTH_PAINT_H
#define THAW_ENGINE_DATA_SYNTH_PAINT_H

#include "engine/data/synth_form.h"

struct point {
    float x, y;
};

/* What varies about an object besides its place. */
struct style {
    float thickness;  /* of rings, crosses, frames: 0..1 */
    float frequency;  /* periods of a pattern across the object */
    float duty;       /* share of the dark part of a pattern, about .5 */
    float phase;      /* 0..2 pi */
    float softness;   /* 0: hard edges in the pattern, 1: sine-like */
    float wobble[6];  /* of a blob's rim: amplitude and phase of three waves */
    struct form form; /* of the outline or pattern that a number made */
};

typedef float outline(struct point p, const struct style *style);
typedef float pattern(struct point p, const struct style *style);

outline outline_disc, outline_square, outline_triangle, outline_star, outline_ring, outline_cross,
    outline_crescent, outline_arrow, outline_heart, outline_hexagon, outline_frame, outline_blob,
    outline_form;
pattern pattern_stripes, pattern_checks, pattern_dots, pattern_waves, pattern_bricks, pattern_rays,
    pattern_zigzag, pattern_rings, pattern_grid, pattern_form;

/* Distance from p to the segment a-b. */
float segment_distance(struct point p, struct point a, struct point b);

#define NOISE_CELLS 8
/* Smooth noise over the unit square: random values on a lattice, interpolated. */
struct noise {
    float lattice[NOISE_CELLS + 1][NOISE_CELLS + 1];
};
void noise_draw(struct noise *noise, struct rng *rng);
float noise_at(const struct noise *noise, float x, float y); /* x, y in [0,1]; 0..1 */

#endif
