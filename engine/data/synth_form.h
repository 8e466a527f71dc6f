/* synth_form.h -- drawn classes without end: a number makes an outline, a pattern or a palette.
 *
 * For pretraining, where many classes matter more than their names. What a form is made of is a
 * pure function of its kind and number; what varies from picture to picture is `jitter` and all
 * that varies in every picture (synth.h). */
#ifndef THAW_ENGINE_DATA_SYNTH_FORM_H
#define THAW_ENGINE_DATA_SYNTH_FORM_H

#include "base/rng.h"

#define FORM_HARMONICS 5 /* of an outline's rim: 2 to 6 lobes */
#define FORM_WAVES     3 /* that a pattern is woven from */

enum form_kind {
    FORM_OUTLINE, /* a closed rim of five harmonics */
    FORM_PATTERN, /* three crossing, bent waves */
    FORM_PALETTE, /* two hues: the outline and the pattern are random */
    N_FORM_KINDS
};

struct form {
    float amplitude[FORM_HARMONICS], phase[FORM_HARMONICS]; /* of the rim */
    float fold; /* 0..1: how far the rim's inward waves are folded outward, which makes corners */
    float frequency[FORM_WAVES], angle[FORM_WAVES], weight[FORM_WAVES]; /* of the pattern */
    float bend;
    float hue[2], saturation[2], value[2]; /* 0..6, 0..1, 0..1 */
};

/* Form number `k` of a kind as it is in one picture: `rng` moves each number a little. */
void form_draw(struct form *form, enum form_kind kind, uint64_t k, struct rng *rng);

float form_rim(const struct form *form, float angle);        /* radius, about .3 to 1 */
float form_shade(const struct form *form, float x, float y); /* about -1 to 1 */

#endif
