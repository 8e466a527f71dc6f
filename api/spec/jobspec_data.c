/* jobspec_data.c -- fields about what the network sees: pictures, samples, augmentation, cache. */
#include "api/spec/jobspec_table.h"
#include "base/mem.h"

static const char *const sampled_or_all[] = {"sampled", "all", NULL};

const char *const jobspec_augments[] = {"default", "none", "full", NULL};

static const struct field image_rows[] = {
    {.name = "size",
     .takes = TAKES_INTEGER | TAKES_NULL,
     .min = 32,
     .max = 1024,
     .fallback = "null",
     .meaning = "side of the square that the network sees, in pixels; null: what the network was "
                "made for (in a stage: the job's)"},
};
const struct fields jobspec_image_fields = {"\"image\"", JOBSPEC_FIELDS(image_rows)};

static const struct field sample_rows[] = {
    {.name = "fraction",
     .takes = TAKES_NUMBER,
     .max = 1,
     .above_min = true,
     .required = true,
     .meaning = "share of each class that trains; a smaller sample is part of every larger one of "
                "the same seed"},
    {.name = "min_per_class",
     .takes = TAKES_INTEGER,
     .min = 1,
     .max = 1000000,
     .fallback = "10",
     .meaning = "items of each class at least, however small the fraction, where there are so "
                "many"},
    {.name = "valid",
     .takes = TAKES_CHOICE,
     .choices = sampled_or_all,
     .fallback = "\"sampled\"",
     .meaning = "validate on the same share of the validation items, or on all of them"},
};
const struct fields jobspec_sample_fields = {"\"sample\"", JOBSPEC_FIELDS(sample_rows)};

static const struct field augment_rows[] = {
    {.name = "min_scale",
     .takes = TAKES_NUMBER,
     .max = 1,
     .above_min = true,
     .fallback = "0.35",
     .meaning =
         "least share of the picture's area that a random crop keeps; 1: the largest square, "
         "at a random place"},
    {.name = "flip",
     .takes = TAKES_NUMBER,
     .max = 1,
     .fallback = "0.5",
     .meaning = "probability of a horizontal flip; 0 for digits and text"},
    {.name = "flip_vertical",
     .takes = TAKES_BOOL,
     .fallback = "false",
     .meaning = "flips are one of the eight ways to turn and mirror a square: for pictures taken "
                "from above"},
    {.name = "rotate",
     .takes = TAKES_NUMBER,
     .max = 180,
     .fallback = "0",
     .meaning = "largest rotation, in degrees either way"},
    {.name = "zoom",
     .takes = TAKES_NUMBER,
     .min = 1,
     .max = 4,
     .fallback = "1",
     .meaning = "largest magnification; 1: none"},
    {.name = "warp",
     .takes = TAKES_NUMBER,
     .max = 0.3,
     .fallback = "0",
     .meaning = "largest perspective warp, as fastai's `max_warp`"},
    {.name = "p_affine",
     .takes = TAKES_NUMBER,
     .max = 1,
     .fallback = "0.75",
     .meaning = "probability of each of rotation, zoom and warp"},
    {.name = "lighting",
     .takes = TAKES_NUMBER,
     .max = 0.95,
     .fallback = "0",
     .meaning = "largest change of brightness and contrast, as fastai's `max_lighting`"},
    {.name = "p_lighting",
     .takes = TAKES_NUMBER,
     .max = 1,
     .fallback = "0.75",
     .meaning = "probability of each of brightness and contrast"},
    {.name = "erase",
     .takes = TAKES_NUMBER,
     .max = 1,
     .fallback = "0",
     .meaning = "probability that a rectangle is replaced by noise (random erasing)"},
    {.name = "presize",
     .takes = TAKES_INTEGER | TAKES_NULL,
     .min = 32,
     .max = 2048,
     .fallback = "null",
     .meaning =
         "presizing: the crop becomes a square of this side before it is rotated, zoomed and "
         "warped down to the image's size; null: of the image's size"},
};
const struct fields jobspec_augment_fields = {"\"augment\"", JOBSPEC_FIELDS(augment_rows)};

static const struct field cache_rows[] = {
    {.name = "views",
     .takes = TAKES_INTEGER,
     .min = 1,
     .max = 16,
     .fallback = "1",
     .meaning = "views of each picture that are kept: 1: the centre crop of validation, whatever "
                "the augmentation; more: so many augmented draws, which epochs take in turn"},
};
const struct fields jobspec_cache_fields = {"\"feature_cache\"", JOBSPEC_FIELDS(cache_rows)};
