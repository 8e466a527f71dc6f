/* exif.h -- the one thing of EXIF that changes a picture: which way is up. */
#ifndef THAW_ENGINE_DATA_EXIF_H
#define THAW_ENGINE_DATA_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* The orientation 1..8 of a TIFF block (what follows "Exif\0\0" in a JPEG, or the content of a
 * PNG's eXIf). Whatever is absent or damaged means 1: upright. */
int exif_orientation(const uint8_t *tiff, size_t len);

#endif
