/* synth.c -- see synth.h: the classes, the sets, and how a scene is drawn at random and painted. */
#include "engine/data/synth.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/data/synth_paint.h"

#define MAX_STROKES 9
#define MAX_CLASSES 24
#define TWO_PI      6.2831853

enum class_id {
    DISC,
    SQUARE,
    TRIANGLE,
    STAR,
    RING,
    CROSS,
    CRESCENT,
    ARROW,
    STRIPES,
    CHECKS,
    DOTS,
    WAVES,
    BRICKS,
    RAYS,
    HEART,
    HEXAGON,
    FRAME,
    ZIGZAG,
    RINGS,
    GRID,
    N_CLASS_IDS
};

/* One of outline and pattern names the class; the other is random. */
static const struct {
    const char *name;
    outline *outline;
    pattern *pattern;
} classes[N_CLASS_IDS] = {
    [DISC] = {"disc", outline_disc, NULL},
    [SQUARE] = {"square", outline_square, NULL},
    [TRIANGLE] = {"triangle", outline_triangle, NULL},
    [STAR] = {"star", outline_star, NULL},
    [RING] = {"ring", outline_ring, NULL},
    [CROSS] = {"cross", outline_cross, NULL},
    [CRESCENT] = {"crescent", outline_crescent, NULL},
    [ARROW] = {"arrow", outline_arrow, NULL},
    [STRIPES] = {"stripes", NULL, pattern_stripes},
    [CHECKS] = {"checks", NULL, pattern_checks},
    [DOTS] = {"dots", NULL, pattern_dots},
    [WAVES] = {"waves", NULL, pattern_waves},
    [BRICKS] = {"bricks", NULL, pattern_bricks},
    [RAYS] = {"rays", NULL, pattern_rays},
    [HEART] = {"heart", outline_heart, NULL},
    [HEXAGON] = {"hexagon", outline_hexagon, NULL},
    [FRAME] = {"frame", outline_frame, NULL},
    [ZIGZAG] = {"zigzag", NULL, pattern_zigzag},
    [RINGS] = {"rings", NULL, pattern_rings},
    [GRID] = {"grid", NULL, pattern_grid},
};

/* The first n classes of a set make a smaller set of n. */
struct synth_set {
    const char *name;
    size_t n; /* classes by name; behind them, of each kind, */
    enum class_id classes[MAX_CLASSES];
    size_t n_forms[N_FORM_KINDS]; /* so many that a number makes */
};

/* What a class is drawn from. */
struct subject {
    uint64_t id; /* of its stream of random numbers */
    const char *name;
    outline *outline; /* or NULL: random */
    pattern *pattern; /* or NULL: plain, or random for a palette */
    bool is_form;
    enum form_kind kind;
    uint64_t number;
};

static const struct synth_set sets[] = {
    {.name = "a",
     .n = 14,
     .classes = {DISC, STRIPES, SQUARE, CHECKS, TRIANGLE, DOTS, STAR, WAVES, RING, BRICKS, CROSS,
                 RAYS, CRESCENT, ARROW}},
    {.name = "b", .n = 6, .classes = {HEART, ZIGZAG, HEXAGON, GRID, FRAME, RINGS}},
    {.name = "shapes",
     .n = 11,
     .classes = {DISC, SQUARE, TRIANGLE, STAR, RING, CROSS, CRESCENT, ARROW, HEART, HEXAGON,
                 FRAME}},
    {.name = "textures",
     .n = 9,
     .classes = {STRIPES, CHECKS, DOTS, WAVES, BRICKS, RAYS, ZIGZAG, RINGS, GRID}},
    {.name = "forms",
     .n = 14,
     .classes = {DISC, STRIPES, SQUARE, CHECKS, TRIANGLE, DOTS, STAR, WAVES, RING, BRICKS, CROSS,
                 RAYS, CRESCENT, ARROW},
     .n_forms = {[FORM_OUTLINE] = 40, [FORM_PATTERN] = 40, [FORM_PALETTE] = 26}},
};

static const struct {
    const char *name;
    outline *outline;
    pattern *pattern;
} kinds[N_FORM_KINDS] = {
    [FORM_OUTLINE] = {"outline", outline_form, NULL},
    [FORM_PATTERN] = {"pattern", NULL, pattern_form},
    [FORM_PALETTE] = {"palette", NULL, NULL},
};

size_t synth_n_sets(void)
{
    return ARRAY_LEN(sets);
}

const struct synth_set *synth_set_at(size_t index)
{
    return &sets[index];
}

const struct synth_set *synth_find_set(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        if (strcmp(sets[i].name, name) == 0)
            return &sets[i];
    return NULL;
}

const char *synth_set_name(const struct synth_set *set)
{
    return set->name;
}

size_t synth_n_classes(const struct synth_set *set)
{
    size_t n = set->n;
    for (int kind = 0; kind < N_FORM_KINDS; kind++)
        n += set->n_forms[kind];
    return n;
}

static struct subject subject_of(const struct synth_set *set, size_t label)
{
    if (label < set->n) {
        enum class_id id = set->classes[label];
        return (struct subject){(uint64_t)id, classes[id].name, classes[id].outline,
                                classes[id].pattern, .is_form = false};
    }
    size_t number = label - set->n;
    int kind = 0;
    while (kind < N_FORM_KINDS - 1 && number >= set->n_forms[kind])
        number -= set->n_forms[kind++];
    return (struct subject){.id = (uint64_t)(kind + 1) << 32 | number,
                            .name = kinds[kind].name,
                            .outline = kinds[kind].outline,
                            .pattern = kinds[kind].pattern,
                            .is_form = true,
                            .kind = (enum form_kind)kind,
                            .number = number};
}

struct synth_name synth_class_name(const struct synth_set *set, size_t label)
{
    struct synth_name name;
    struct subject subject = subject_of(set, label);
    if (subject.is_form)
        snprintf(name.text, sizeof name.text, "%s-%02d", subject.name, (int)subject.number);
    else
        snprintf(name.text, sizeof name.text, "%s", subject.name);
    return name;
}

/* --- The scene: everything that is drawn at random -------------------------------------------- */

struct colour {
    float red, green, blue; /* 0..1 */
};

/* A line or, with both ends equal, a spot. In pictures of side 1. */
struct stroke {
    struct point from, to;
    float half_width;
    struct colour colour;
    bool before; /* the object, not behind it */
};

struct scene {
    outline *outline;
    pattern *pattern; /* NULL: plain */
    struct style style;
    struct point centre;
    float cosine, sine, scale, squeeze; /* of the object: turn, half size, aspect */
    struct colour fill, second;         /* of the object: its pattern runs between them */
    float shade;                        /* how much light falls off across the object */
    struct colour background, far_background;
    struct point slope; /* of the background's gradient */
    struct noise noise;
    float noise_strength, grain; /* of the background's clouds; of every pixel */
    struct point light;
    struct stroke strokes[MAX_STROKES];
    int n_strokes;
};

static float draw(struct rng *rng, double low, double high)
{
    return (float)rng_uniform(rng, low, high);
}

/* Hue (0..6), saturation, value -> RGB. */
static struct colour colour_of(float hue, float saturation, float value)
{
    float channels[3];
    for (int i = 0; i < 3; i++) {
        float k = fmodf((float)(5 - 2 * i) + hue + 6, 6);
        float part = fmaxf(0, fminf(fminf(k, 4 - k), 1));
        channels[i] = value - value * saturation * part;
    }
    return (struct colour){channels[0], channels[1], channels[2]};
}

static struct colour draw_colour(struct rng *rng)
{
    float hue = draw(rng, 0, 6), saturation = draw(rng, 0.1, 0.95), value = draw(rng, 0.12, 1);
    return colour_of(hue, saturation, value);
}

static float difference(struct colour a, struct colour b)
{
    return fabsf(a.red - b.red) * 0.3f + fabsf(a.green - b.green) * 0.59f +
           fabsf(a.blue - b.blue) * 0.11f;
}

/* A colour that can be told from `other`. */
static struct colour draw_contrast(struct rng *rng, struct colour other, float least)
{
    struct colour colour = draw_colour(rng);
    for (int tries = 0; tries < 40 && difference(colour, other) < least; tries++)
        colour = draw_colour(rng);
    return colour;
}

static void draw_style(struct scene *scene, struct rng *rng)
{
    struct style *style = &scene->style;
    style->thickness = draw(rng, 0, 1);
    style->frequency = draw(rng, 3.5, 7);
    style->duty = draw(rng, 0.35, 0.65);
    style->phase = draw(rng, 0, TWO_PI);
    style->softness = draw(rng, 0, 0.8);
    for (int k = 0; k < 3; k++) {
        style->wobble[2 * k] = draw(rng, 0, 0.16 / (k + 1));
        style->wobble[2 * k + 1] = draw(rng, 0, TWO_PI);
    }
}

/* The outline or pattern of a form; a palette gets any pattern there is. */
static void draw_form(struct scene *scene, const struct subject *subject, struct rng *rng)
{
    form_draw(&scene->style.form, subject->kind, subject->number, rng);
    if (subject->kind == FORM_PALETTE && rng_below(rng, 4) > 0)
        scene->pattern = classes[STRIPES + rng_below(rng, RAYS - STRIPES + 1)].pattern;
}

static void draw_object(struct scene *scene, const struct subject *subject, struct rng *rng)
{
    static outline *const carriers[] = {outline_blob, outline_disc, outline_square};
    bool is_shape = subject->outline != NULL;
    scene->outline =
        is_shape ? subject->outline : carriers[rng_below(rng, (uint32_t)ARRAY_LEN(carriers))];
    scene->pattern = subject->pattern;
    draw_style(scene, rng);
    if (subject->is_form)
        draw_form(scene, subject, rng);
    double turn = rng_uniform(rng, 0, TWO_PI);
    scene->cosine = (float)cos(turn);
    scene->sine = (float)sin(turn);
    scene->scale = is_shape ? draw(rng, 0.2, 0.42) : draw(rng, 0.3, 0.5);
    scene->squeeze = draw(rng, 0.8, 1.25);
    float room = fmaxf(0.5f - scene->scale * 0.9f, 0.02f);
    scene->centre.x = 0.5f + draw(rng, -room, room);
    scene->centre.y = 0.5f + draw(rng, -room, room);
    scene->shade = draw(rng, 0, 0.5);
}

static void draw_strokes(struct scene *scene, struct rng *rng)
{
    scene->n_strokes = 2 + (int)rng_below(rng, MAX_STROKES - 1);
    for (int i = 0; i < scene->n_strokes; i++) {
        struct stroke *stroke = &scene->strokes[i];
        double angle = rng_uniform(rng, 0, TWO_PI), length = rng_uniform(rng, 0, 0.5);
        stroke->from = (struct point){draw(rng, -0.05, 1.05), draw(rng, -0.05, 1.05)};
        stroke->to = stroke->from;
        if (length > 0.1) {
            stroke->to.x += (float)(cos(angle) * length);
            stroke->to.y += (float)(sin(angle) * length);
        }
        stroke->half_width = draw(rng, 0.008, 0.05);
        stroke->colour = draw_colour(rng);
        stroke->before = i < 2 && rng_below(rng, 2) == 0;
    }
}

/* A palette's colours are its own; all others' only differ from what is behind them. */
static void draw_fill(struct scene *scene, const struct subject *subject, struct rng *rng)
{
    const struct form *form = &scene->style.form;
    scene->fill = draw_contrast(rng, scene->background, 0.16f);
    scene->second = scene->pattern ? draw_contrast(rng, scene->fill, 0.22f) : scene->fill;
    if (subject->is_form && subject->kind == FORM_PALETTE) {
        scene->fill = colour_of(form->hue[0], form->saturation[0], form->value[0]);
        scene->second = colour_of(form->hue[1], form->saturation[1], form->value[1]);
    }
}

static void draw_scene(struct scene *scene, const struct subject *subject, struct rng *rng)
{
    memset(scene, 0, sizeof *scene);
    scene->background = draw_colour(rng);
    scene->far_background = rng_below(rng, 2) ? draw_colour(rng) : scene->background;
    double direction = rng_uniform(rng, 0, TWO_PI);
    scene->slope = (struct point){(float)cos(direction), (float)sin(direction)};
    noise_draw(&scene->noise, rng);
    scene->noise_strength = draw(rng, 0, 0.45);
    scene->grain = draw(rng, 0.01, 0.07);
    scene->light = (struct point){draw(rng, -0.35, 0.35), draw(rng, -0.35, 0.35)};
    draw_object(scene, subject, rng);
    draw_fill(scene, subject, rng);
    draw_strokes(scene, rng);
}

/* --- Painting --------------------------------------------------------------------------------- */

static struct colour mix(struct colour a, struct colour b, float share)
{
    return (struct colour){a.red + share * (b.red - a.red), a.green + share * (b.green - a.green),
                           a.blue + share * (b.blue - a.blue)};
}

/* How much of a pixel of side `pixel` lies within `distance` < 0. */
static float coverage(float distance, float pixel)
{
    float share = 0.5f - distance / pixel;
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static struct colour background_at(const struct scene *scene, struct point at)
{
    float along = (at.x - 0.5f) * scene->slope.x + (at.y - 0.5f) * scene->slope.y + 0.5f;
    along = along < 0 ? 0 : along > 1 ? 1 : along;
    struct colour colour = mix(scene->background, scene->far_background, along);
    float cloud = 1 + scene->noise_strength * 2 * (noise_at(&scene->noise, at.x, at.y) - 0.5f);
    return (struct colour){colour.red * cloud, colour.green * cloud, colour.blue * cloud};
}

static void paint_strokes(const struct scene *scene, bool before, struct point at, float pixel,
                          struct colour *colour)
{
    for (int i = 0; i < scene->n_strokes; i++) {
        const struct stroke *stroke = &scene->strokes[i];
        if (stroke->before != before)
            continue;
        float distance = segment_distance(at, stroke->from, stroke->to) - stroke->half_width;
        float share = coverage(distance, pixel);
        if (share > 0)
            *colour = mix(*colour, stroke->colour, share);
    }
}

static void paint_object(const struct scene *scene, struct point at, float pixel,
                         struct colour *colour)
{
    float x = (at.x - scene->centre.x) / scene->scale, y = (at.y - scene->centre.y) / scene->scale;
    struct point p = {(x * scene->cosine + y * scene->sine) * scene->squeeze,
                      (y * scene->cosine - x * scene->sine) / scene->squeeze};
    if (p.x * p.x + p.y * p.y > 2.6f)
        return; /* no outline reaches so far */
    float share = coverage(scene->outline(p, &scene->style), pixel / scene->scale);
    if (share <= 0)
        return;
    float tone = scene->pattern ? scene->pattern(p, &scene->style) : 0;
    struct colour fill = mix(scene->fill, scene->second, tone);
    float light = 1 + scene->shade * 0.5f * (x + y) * 0.7f;
    fill = (struct colour){fill.red * light, fill.green * light, fill.blue * light};
    *colour = mix(*colour, fill, share);
}

/* About normal, mean 0, deviation 1: four uniform bytes added. */
static float grain(struct rng *rng)
{
    uint32_t word = rng_u32(rng);
    int sum =
        (int)(word & 255) + (int)(word >> 8 & 255) + (int)(word >> 16 & 255) + (int)(word >> 24);
    return (float)(sum - 510) / 147.8f;
}

static uint8_t to_byte(float value)
{
    return (uint8_t)(value <= 0 ? 0 : value >= 1 ? 255 : value * 255 + 0.5f);
}

void synth_draw(const struct synth_set *set, size_t label, uint64_t seed, uint64_t index, int size,
                uint8_t *pixels)
{
    struct scene scene;
    struct subject subject = subject_of(set, label);
    struct rng rng = rng_stream("synth", seed, subject.id, index);
    draw_scene(&scene, &subject, &rng);
    float pixel = 1.0f / (float)size;
    for (int row = 0; row < size; row++) {
        for (int column = 0; column < size; column++, pixels += 3) {
            struct point at = {((float)column + 0.5f) * pixel, ((float)row + 0.5f) * pixel};
            struct colour colour = background_at(&scene, at);
            paint_strokes(&scene, false, at, pixel, &colour);
            paint_object(&scene, at, pixel, &colour);
            paint_strokes(&scene, true, at, pixel, &colour);
            float light = 1 + scene.light.x * (at.x - 0.5f) * 2 + scene.light.y * (at.y - 0.5f) * 2;
            pixels[0] = to_byte(colour.red * light + scene.grain * grain(&rng));
            pixels[1] = to_byte(colour.green * light + scene.grain * grain(&rng));
            pixels[2] = to_byte(colour.blue * light + scene.grain * grain(&rng));
        }
    }
}
