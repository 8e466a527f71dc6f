/* webp.h -- WebP by libwebp (the library is known to webp.c alone). Called through image.h.
 *
 * Lossy and lossless still pictures. An animation is refused: nobody said which of its frames has
 * the label. */
#ifndef THAW_ENGINE_DATA_WEBP_H
#define THAW_ENGINE_DATA_WEBP_H

#include "engine/data/image.h"

enum status image_webp_header(const uint8_t *bytes, size_t len, struct image_header *header,
                              struct err *err);
enum status image_webp_check(const uint8_t *bytes, size_t len, const struct image_header *header,
                             struct err *err);
enum status image_webp_decode(const uint8_t *bytes, size_t len, const struct image_header *header,
                              const struct region *region, int shrink, struct image *out,
                              struct err *err);

#endif
