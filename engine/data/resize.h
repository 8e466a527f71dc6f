/* resize.h -- antialiased bilinear, equal to PIL's Image.resize(..., BILINEAR, box) bit for bit.
 *
 * Two passes (rows, then columns) with 22-bit fixed-point weights and an 8-bit picture between
 * them, as in Pillow's Resample.c. Only a window of the output is computed, so a resize that is
 * followed by a crop costs what the crop needs. */
#ifndef THAW_ENGINE_DATA_RESIZE_H
#define THAW_ENGINE_DATA_RESIZE_H

#include "base/status.h"
#include "engine/data/image.h"

struct resize {
    struct box box;       /* the part of the source that is mapped ... */
    int width, height;    /* ... to this size, of which ... */
    struct region window; /* ... this part is computed */
};

struct resize_scratch; /* tables and the picture between the passes; one thread at a time */

struct resize_scratch *resize_scratch_new(void);
void resize_scratch_free(struct resize_scratch *scratch);

enum status resize_bilinear(struct resize_scratch *scratch, const struct image *in,
                            const struct resize *resize, struct image *out, struct err *err);

#endif
