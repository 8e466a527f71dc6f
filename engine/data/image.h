/* image.h -- pictures: what a file's header says, and decoding to 8-bit RGB.
 *
 * Formats are a table (image.c); each has its own file (jpeg.c, png.c, webp.c) and nobody else
 * knows its library. The format is the content's, never the name's. Width and height of a header
 * are as stored; `orientation` (EXIF, 1..8) says how to turn them; image_turned gives what people
 * see. Pixels are counted from the header, before any memory is taken for them. Colours are what
 * PIL's convert("RGB") gives: alpha is dropped, grey is repeated, CMYK of Adobe is inverted; except
 * that 16-bit grey keeps its high byte (PIL clips it to white). */
#ifndef THAW_ENGINE_DATA_IMAGE_H
#define THAW_ENGINE_DATA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define IMAGE_MAX_SIDE   65535
#define IMAGE_MAX_PIXELS 100000000ull /* the default limit: 100 megapixels */

/* Packs hold these numbers. */
enum image_format { IMAGE_JPEG, IMAGE_PNG, IMAGE_WEBP, N_IMAGE_FORMATS };

struct image_header {
    enum image_format format;
    int width, height; /* as stored */
    int orientation;   /* EXIF, 1..8; 1 = upright */
};

/* Part of a picture in stored coordinates. */
struct region {
    int x, y, width, height;
};

/* The same between pixels: (0,0) is the upper left corner of the first one. */
struct box {
    double left, top, right, bottom;
};

/* Pixels (height,width,3), reused from picture to picture. */
struct image {
    uint8_t *pixels; /* owned */
    size_t capacity;
    int width, height;
};

void image_init(struct image *image);
void image_deinit(struct image *image);
/* Room for width x height and one pixel more, for loops that read four bytes a pixel; what was
 * there is lost. E_NO_SPACE. */
enum status image_reserve(struct image *image, int width, int height, struct err *err);

const char *image_format_name(enum image_format format); /* "jpeg" */

/* Why the content, seen by its first IMAGE_SNIFF bytes, is no picture that is read here: a sentence
 * that says what it is instead. NULL when it may be one. */
const char *image_refusal(const void *bytes, size_t len);
#define IMAGE_SNIFF 16

/* Reads the header alone. E_INVALID: no known format, damaged, or more than max_pixels. */
enum status image_read_header(const void *bytes, size_t len, uint64_t max_pixels,
                              struct image_header *header, struct err *err);

/* Decodes every byte and keeps nothing: E_INVALID says what is damaged. */
enum status image_check(const void *bytes, size_t len, const struct image_header *header,
                        struct err *err);

/* Decodes `region` at 1/shrink of its size, shrink one of 1, 2, 4, 8 (only a JPEG takes more than
 * 1: ask image_best_shrink). `out` gets the pixels that cover the region, still as stored: output
 * pixel (i,j) covers stored pixels from ((x/shrink + i) * shrink, (y/shrink + j) * shrink) on. */
enum status image_decode(const void *bytes, size_t len, const struct image_header *header,
                         const struct region *region, int shrink, struct image *out,
                         struct err *err);

/* The largest shrink of this format that leaves a width x height part at least least_width x
 * least_height. */
int image_best_shrink(enum image_format format, int width, int height, int least_width,
                      int least_height);

/* Width and height as people see them. */
void image_turned_size(const struct image_header *header, int *width, int *height);
/* A region as people see it -> the same one as stored. */
struct region image_stored_region(const struct image_header *header, const struct region *seen);
/* Turns `in` (stored) upright into `out`; image_turn_box says where a box of it went. */
enum status image_turn(const struct image *in, int orientation, struct image *out, struct err *err);
struct box image_turn_box(const struct image *in, int orientation, struct box stored);

#endif
