/* warp.h -- one map from a square picture to another: turned, rotated, zoomed, in perspective.
 *
 * The coordinate maps of all that was drawn are multiplied into one 3 x 3 matrix, so the picture is
 * sampled once. Conventions are fastai's (v2, aug_transforms) and so PyTorch's: coordinates from
 * -1 to 1 lie at the centres of the outermost pixels (align_corners), bilinear, and what lies
 * outside is the picture reflected about those centres. */
#ifndef THAW_ENGINE_DATA_WARP_H
#define THAW_ENGINE_DATA_WARP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/data/augment.h"

#define WARP_MAX_SIDE 4096

struct warp {
    double map[3][3]; /* homogeneous: output (x, y, 1) -> where the picture is read */
};

struct warp warp_compose(const struct augment *augment);
/* Does it leave every pixel where it is, but for a horizontal flip? */
bool warp_is_plain(const struct augment *augment);

/* Row `y` of the output, `size` pixels wide and high, of a picture (side,side,3): `out` is
 * (size,3), from 0 to 255. size and side from 2 to WARP_MAX_SIDE; a byte can be read after the last
 * pixel (image_reserve sees to it). */
void warp_row(const struct warp *warp, const uint8_t *pixels, int side, int size, int y,
              float *out);

#endif
