/* augment.h -- what is random about a training picture: a crop and a flip.
 *
 * The draw is torchvision's RandomResizedCrop.get_params (ten tries, then the largest centred crop
 * of an allowed shape) followed by a horizontal flip; it needs only the picture's size, so the
 * decoder can be told which part to decode. */
#ifndef THAW_ENGINE_DATA_AUGMENT_H
#define THAW_ENGINE_DATA_AUGMENT_H

#include <stdbool.h>

#include "base/rng.h"
#include "engine/data/image.h"

struct augment_options {
    bool enabled;     /* false: the centre crop of validation, for training too */
    double min_scale; /* the least share of the picture's area that a crop keeps */
    double max_scale; /* and the largest */
    double min_ratio; /* width / height of the crop, at least */
    double max_ratio; /* at most */
    double flip;      /* probability of a horizontal flip */
};

struct augment {
    struct region crop; /* as people see the picture */
    bool flip;
};

/* min_scale .35, max_scale 1, ratio 3/4..4/3, flip .5. */
struct augment_options augment_default(void);

struct augment augment_draw(const struct augment_options *options, int width, int height,
                            struct rng *rng);

#endif
