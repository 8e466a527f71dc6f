#include "engine/data/synth_form.h"

#include <math.h>
#include <string.h>

#define TWO_PI 6.2831853

static float draw(struct rng *rng, double low, double high)
{
    return (float)rng_uniform(rng, low, high);
}

/* The numbers of the class itself. */
static void draw_class(struct form *form, struct rng *rng)
{
    for (int i = 0; i < FORM_HARMONICS; i++) {
        form->amplitude[i] = draw(rng, 0, 1) * draw(rng, 0, 1) * .34f;
        form->phase[i] = draw(rng, 0, TWO_PI);
    }
    form->fold = rng_below(rng, 3) == 0 ? draw(rng, .4, 1) : 0;
    for (int i = 0; i < FORM_WAVES; i++) {
        form->frequency[i] = 4.f * powf(4, draw(rng, 0, 1));
        form->angle[i] = draw(rng, 0, TWO_PI / 2);
        form->weight[i] = draw(rng, .2, 1);
    }
    form->bend = rng_below(rng, 2) ? draw(rng, .3, 1.6) : 0;
    for (int i = 0; i < 2; i++) {
        form->hue[i] = draw(rng, 0, 6);
        form->saturation[i] = draw(rng, .15, .95);
        form->value[i] = draw(rng, .2, 1);
    }
}

static void jitter(struct form *form, struct rng *rng)
{
    for (int i = 0; i < FORM_HARMONICS; i++) {
        form->amplitude[i] *= draw(rng, .85, 1.15);
        form->phase[i] += draw(rng, -.2, .2);
    }
    for (int i = 0; i < FORM_WAVES; i++) {
        form->frequency[i] *= draw(rng, .93, 1.07);
        form->angle[i] += draw(rng, -.08, .08);
        form->weight[i] *= draw(rng, .85, 1.15);
    }
    form->bend *= draw(rng, .85, 1.15);
    for (int i = 0; i < 2; i++) {
        form->hue[i] += draw(rng, -.25, .25);
        form->saturation[i] = fminf(1, form->saturation[i] * draw(rng, .8, 1.2));
        form->value[i] = fminf(1, form->value[i] * draw(rng, .75, 1.25));
    }
}

void form_draw(struct form *form, enum form_kind kind, uint64_t k, struct rng *rng)
{
    struct rng of_class = rng_stream("form", (uint64_t)kind, k, 0);
    memset(form, 0, sizeof *form);
    draw_class(form, &of_class);
    jitter(form, rng);
}

float form_rim(const struct form *form, float angle)
{
    float rim = .66f;
    for (int i = 0; i < FORM_HARMONICS; i++) {
        float wave = cosf((float)(i + 2) * angle + form->phase[i]);
        wave += form->fold * (fabsf(wave) - wave);
        rim += form->amplitude[i] * wave;
    }
    return fmaxf(.2f, fminf(rim, 1.1f));
}

float form_shade(const struct form *form, float x, float y)
{
    float sum = 0, weights = 0;
    for (int i = 0; i < FORM_WAVES; i++) {
        float along = x * cosf(form->angle[i]) + y * sinf(form->angle[i]);
        float across = y * cosf(form->angle[i]) - x * sinf(form->angle[i]);
        float bent = along * form->frequency[i] + form->bend * sinf(across * 4);
        sum += form->weight[i] * sinf(bent);
        weights += form->weight[i];
    }
    return sum / weights;
}
