/* jpeg.h -- JPEG by libjpeg-turbo (the library is known to jpeg.c alone). Called through image.h.
 *
 * libjpeg's own interface is used, not TurboJPEG's: partial decoding, the scan limit and CMYK need
 * it. Decoding is PIL's: accurate integer DCT, fancy upsampling, Adobe's inverted CMYK. Data that
 * ends early or holds broken codes is an error, not a grey area in the picture. */
#ifndef THAW_ENGINE_DATA_JPEG_H
#define THAW_ENGINE_DATA_JPEG_H

#include "base/buf.h"
#include "engine/data/image.h"

#define JPEG_MAX_SCANS 100 /* of a progressive file: each costs a pass over the whole picture */

enum status image_jpeg_header(const uint8_t *bytes, size_t len, struct image_header *header,
                              struct err *err);
enum status image_jpeg_check(const uint8_t *bytes, size_t len, const struct image_header *header,
                             struct err *err);
enum status image_jpeg_decode(const uint8_t *bytes, size_t len, const struct image_header *header,
                              const struct region *region, int shrink, struct image *out,
                              struct err *err);
/* RGB (height,width,3) -> a baseline file, 4:2:0, appended to *out. For drawn pictures. */
enum status image_jpeg_encode(const uint8_t *pixels, int width, int height, int quality,
                              struct buf *out, struct err *err);

#endif
