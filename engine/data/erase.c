#include "engine/data/erase.h"

#include <math.h>
#include <stddef.h>

/* fastai's _slice: `length` of the side, at one of the places where it fits; cut off at the end
 * where it is longer than the side. */
static void cut(double length, double place, int size, int *at, int *n)
{
    int bound = (int)rint(length * size), room = bound < size ? size - bound : 0;
    *at = (int)fmin(floor(place * (room + 1)), room);
    *n = bound < size ? bound : size;
}

struct region erase_region(const struct augment *augment, int size)
{
    struct region hole = {0};
    if (augment->hole_width <= 0 || augment->hole_height <= 0)
        return hole;
    cut(augment->hole_width, augment->hole_x, size, &hole.x, &hole.width);
    cut(augment->hole_height, augment->hole_y, size, &hole.y, &hole.height);
    return hole;
}

void erase_apply(const struct augment *augment, int size, float *values)
{
    struct region hole = erase_region(augment, size);
    if (hole.width <= 0 || hole.height <= 0)
        return;
    struct rng rng = rng_stream("erase", augment->noise, 0, 0);
    for (int y = hole.y; y < hole.y + hole.height; y++) {
        float *row = values + ((size_t)y * (size_t)size + (size_t)hole.x) * 3;
        for (int i = 0; i < hole.width * 3; i++)
            row[i] = (float)rng_normal(&rng);
    }
}
