/* squeezenet.c -- SqueezeNet 1.1 (Iandola et al. 2016) as torchvision builds it.
 *
 * Names are torchvision's: features.0, features.3.squeeze, features.3.expand1x1, ..., classifier.1.
 * There is no batch norm; every convolution has a bias. Groups: features[:5], features[5:], the
 * classifier. */
#include <stddef.h>
#include <stdio.h>

#include "base/mem.h"
#include "engine/zoo/nets.h"

struct fire {
    int index;               /* in torchvision's `features` */
    int64_t squeeze, expand; /* channels; the output has twice `expand` */
};

static const struct fire fires_before[] = {{3, 16, 64}, {4, 16, 64}};
static const struct fire fires_middle[] = {{6, 32, 128}, {7, 32, 128}};
static const struct fire fires_after[] = {
    {9, 48, 192}, {10, 48, 192}, {11, 64, 256}, {12, 64, 256}};

static int conv_relu(struct graph *graph, int x, const struct fire *fire, const char *suffix,
                     int64_t channels, int kernel)
{
    char name[64];
    snprintf(name, sizeof name, "features.%d.%s", fire->index, suffix);
    return graph_relu(graph, graph_conv(graph, x, name, channels, kernel, 1, kernel / 2, true));
}

/* Squeeze by 1x1, expand by 1x1 and 3x3 side by side. */
static int fire_modules(struct graph *graph, int x, const struct fire *fires, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct fire *fire = &fires[i];
        int squeezed = conv_relu(graph, x, fire, "squeeze", fire->squeeze, 1);
        int one = conv_relu(graph, squeezed, fire, "expand1x1", fire->expand, 1);
        int three = conv_relu(graph, squeezed, fire, "expand3x3", fire->expand, 3);
        x = graph_concat(graph, one, three);
    }
    return x;
}

static int halve(struct graph *graph, int x)
{
    return graph_max_pool(graph, x, 3, 2, 0, true);
}

int squeezenet1_1_body(struct graph *graph, int x)
{
    x = graph_relu(graph, graph_conv(graph, x, "features.0", 64, 3, 2, 0, true));
    x = halve(graph, x);
    x = fire_modules(graph, x, fires_before, ARRAY_LEN(fires_before));
    graph_begin_group(graph, 1);
    x = halve(graph, x);
    x = fire_modules(graph, x, fires_middle, ARRAY_LEN(fires_middle));
    x = halve(graph, x);
    return fire_modules(graph, x, fires_after, ARRAY_LEN(fires_after));
}

int squeezenet_classifier(struct graph *graph, int x, int64_t classes)
{
    x = graph_dropout(graph, x, .5f);
    x = graph_relu(graph, graph_conv(graph, x, "classifier.1", classes, 1, 1, 0, true));
    return graph_global_average_pool(graph, x);
}
