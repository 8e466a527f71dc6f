/* png.h -- PNG by libpng (the library is known to png.c alone). Called through image.h. */
#ifndef THAW_ENGINE_DATA_PNG_H
#define THAW_ENGINE_DATA_PNG_H

#include "base/buf.h"
#include "engine/data/image.h"

enum status image_png_header(const uint8_t *bytes, size_t len, struct image_header *header,
                             struct err *err);
enum status image_png_check(const uint8_t *bytes, size_t len, const struct image_header *header,
                            struct err *err);
enum status image_png_decode(const uint8_t *bytes, size_t len, const struct image_header *header,
                             const struct region *region, int shrink, struct image *out,
                             struct err *err);
/* RGB (height,width,3) -> a file, appended to *out. */
enum status image_png_encode(const uint8_t *pixels, int width, int height, struct buf *out,
                             struct err *err);

#endif
