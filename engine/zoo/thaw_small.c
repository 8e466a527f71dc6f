/* thaw_small.c -- thaw-small: a residual network of our own, made to learn fast on two CPU cores.
 *
 *   stem    3x3, stride 2, 32     64 px -> 32x32x32
 *   down1   3x3, stride 2, 64              16x16x64    residual block res1
 *   down2   3x3, stride 2, 128              8x8x128
 *   down3   3x3, stride 2, 256              4x4x256    residual block res3
 *   fc      global average pool, linear
 *
 * Why this shape: in a minute a network sees few images, so it should be shallow enough for each
 * step to teach every layer (seven 3x3 convolutions deep, two of them inside residual blocks whose
 * shortcut is the identity), wide where it is cheap (channels double as the area falls, so each
 * level costs about the same), and normalised after every convolution, which allows large learning
 * rates from the first step. The layout is that of the 9-layer residual network known from fast
 * CIFAR-10 training (Page 2018), with strides in place of convolution plus max pool: a quarter of
 * the work in each transition. Channels are multiples of 16 for vector code; 1.6 million
 * parameters, 54 million multiply-adds at 64 px. Groups: stem, down1 and res1; down2, down3 and
 * res3; the classifier. */
#include <stdio.h>

#include "engine/zoo/nets.h"

/* 3x3 convolution, batch norm, ReLU: NAME.conv, NAME.bn. */
static int unit(struct graph *graph, int x, const char *name, int64_t channels, int stride)
{
    char conv[64], norm[64];
    snprintf(conv, sizeof conv, "%s.conv", name);
    snprintf(norm, sizeof norm, "%s.bn", name);
    x = graph_conv(graph, x, conv, channels, 3, stride, 1, false);
    return graph_relu(graph, graph_batchnorm(graph, x, norm));
}

int thaw_small_body(struct graph *graph, int x)
{
    x = unit(graph, x, "stem", 32, 2);
    x = unit(graph, x, "down1", 64, 2);
    x = graph_add(graph, x, unit(graph, unit(graph, x, "res1.0", 64, 1), "res1.1", 64, 1));
    graph_begin_group(graph, 1);
    x = unit(graph, x, "down2", 128, 2);
    x = unit(graph, x, "down3", 256, 2);
    return graph_add(graph, x, unit(graph, unit(graph, x, "res3.0", 256, 1), "res3.1", 256, 1));
}

int thaw_small_classifier(struct graph *graph, int x, int64_t classes)
{
    return graph_linear(graph, graph_global_average_pool(graph, x), "fc", classes, true);
}
