/* augment.h -- what is random about a training picture: a crop, a map, light, a hole.
 *
 * augment_draw needs only the picture's size, so the decoder can be told which part to decode, and
 * gives parameters; engine/data/preprocess.h applies them. The crop is torchvision's
 * RandomResizedCrop.get_params (ten tries, then the largest centred crop of an allowed shape), or,
 * at min_scale 1, fastai's Resize: the largest square at a random place. The rest is fastai's
 * aug_transforms (v2): the crop is resized to a square of `presize`, and one composed map takes it
 * to the final size (warp.h); then light (lighting.h), normalisation, erasing (erase.h). */
#ifndef THAW_ENGINE_DATA_AUGMENT_H
#define THAW_ENGINE_DATA_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "engine/data/image.h"

struct augment_options {
    bool enabled;       /* false: the centre crop of validation, for training too */
    double min_scale;   /* the least share of the picture's area that a crop keeps; 1: see above */
    double max_scale;   /* and the largest */
    double min_ratio;   /* width / height of the crop, at least */
    double max_ratio;   /* at most */
    double flip;        /* probability of a horizontal flip */
    bool flip_vertical; /* instead, with that probability, one of the eight ways to turn and mirror
                           a square (fastai's dihedral) */
    double rotate;      /* degrees to either side, at most; 0: never */
    double zoom;        /* at most; 1: never */
    double warp;        /* perspective, at most AUGMENT_MAX_WARP; 0: never */
    double p_affine;    /* probability of rotation, of zoom, of either axis' warp: one by one */
    double lighting;    /* brightness and contrast, below 1; 0: never */
    double p_lighting;  /* probability of brightness, of contrast */
    double erase;       /* probability that a rectangle becomes noise */
    int presize;        /* side of the square that the crop becomes before the map; 0: the final
                           size. More than twice the final size counts as twice: beyond that a map
                           would skip pixels */
};

#define AUGMENT_MAX_WARP 0.3

/* What was drawn. augment_none's values leave a picture as it is. */
struct augment {
    struct region crop;          /* as people see the picture */
    int presize;                 /* as in the options */
    int turn;                    /* fastai's dihedral index, 0..7; 0: none, 1: horizontal flip */
    double angle;                /* degrees; a positive one turns the picture clockwise */
    double zoom, zoom_x, zoom_y; /* 1 and above; where, 0..1 from the left and from the top */
    double warp_x, warp_y;       /* perspective along either axis */
    double brightness;           /* 0..1, .5: none */
    double contrast;             /* 1: none */
    double hole_width, hole_height, hole_x, hole_y; /* of the picture's side; width 0: no hole */
    uint64_t noise;                                 /* names the stream that fills the hole */
};

/* min_scale .35, max_scale 1, ratio 3/4..4/3, flip .5; nothing else. */
struct augment_options augment_default(void);
/* fastai's aug_transforms: min_scale 1, flip .5, rotate 10, zoom 1.1, warp .2, p_affine .75,
 * lighting .2, p_lighting .75; no presizing, no erasing. */
struct augment_options augment_full(void);

struct augment augment_draw(const struct augment_options *options, int width, int height,
                            struct rng *rng);

/* The whole picture, unchanged. */
struct augment augment_none(int width, int height);

#endif
