#include "engine/infer/tta.h"

struct augment tta_view(int width, int height, int view)
{
    struct augment_options options = augment_full();
    struct rng rng = rng_stream("tta", 0, (uint64_t)view, 0);
    return augment_draw(&options, width, height, &rng);
}

void tta_mix(float *plain, const float *sum, int n_views, int64_t n)
{
    if (n_views < 1)
        return;
    float weight = (float)((1 - TTA_BETA) / n_views), beta = (float)TTA_BETA;
    for (int64_t i = 0; i < n; i++)
        plain[i] = weight * sum[i] + beta * plain[i];
}
