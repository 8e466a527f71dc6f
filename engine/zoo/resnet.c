/* resnet.c -- ResNet 18, 34, 50 and 101 (He et al. 2015) and Wide ResNet 50-2 (Zagoruyko and
 * Komodakis 2016) as torchvision builds them.
 *
 * Names are torchvision's: conv1, bn1, layer1.0.conv1, ..., layer2.0.downsample.0, fc. The stride
 * of a bottleneck sits on its 3x3 convolution ("ResNet 1.5"). Groups: stem, layer1 and layer2;
 * layer3 and layer4; the classifier. */
#include <stdbool.h>
#include <stdio.h>

#include "engine/zoo/nets.h"

#define EXPANSION 4 /* a bottleneck's output channels over its inner ones */

struct resnet {
    bool bottleneck;
    int blocks[4];
    int width; /* of a bottleneck's inner channels, over ResNet's */
};

/* NAME.SUFFIX, where NAME is a block's prefix. */
struct name {
    char text[64];
};

static struct name in_block(const char *block, const char *suffix)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%s.%s", block, suffix);
    return name;
}

/* A convolution without bias, "same" padding, and its batch norm. */
static int conv_norm(struct graph *graph, int x, struct name conv, struct name norm,
                     int64_t channels, int kernel, int stride)
{
    x = graph_conv(graph, x, conv.text, channels, kernel, stride, kernel / 2, false);
    return graph_batchnorm(graph, x, norm.text);
}

/* The identity, or a strided 1x1 convolution where the block changes shape. */
static int shortcut(struct graph *graph, int x, const char *block, int64_t channels, int stride)
{
    if (stride == 1 && graph->nodes[x].channels == channels)
        return x;
    return conv_norm(graph, x, in_block(block, "downsample.0"), in_block(block, "downsample.1"),
                     channels, 1, stride);
}

static int basic_block(struct graph *graph, int x, const char *block, int64_t channels, int stride)
{
    int y =
        conv_norm(graph, x, in_block(block, "conv1"), in_block(block, "bn1"), channels, 3, stride);
    y = graph_relu(graph, y);
    y = conv_norm(graph, y, in_block(block, "conv2"), in_block(block, "bn2"), channels, 3, 1);
    return graph_relu(graph, graph_add(graph, y, shortcut(graph, x, block, channels, stride)));
}

static int bottleneck_block(struct graph *graph, int x, const char *block, int64_t channels,
                            int width, int stride)
{
    int64_t inner = channels / EXPANSION * width;
    int y = conv_norm(graph, x, in_block(block, "conv1"), in_block(block, "bn1"), inner, 1, 1);
    y = graph_relu(graph, y);
    y = conv_norm(graph, y, in_block(block, "conv2"), in_block(block, "bn2"), inner, 3, stride);
    y = graph_relu(graph, y);
    y = conv_norm(graph, y, in_block(block, "conv3"), in_block(block, "bn3"), channels, 1, 1);
    return graph_relu(graph, graph_add(graph, y, shortcut(graph, x, block, channels, stride)));
}

static int layer(struct graph *graph, int x, const struct resnet *net, int index)
{
    int64_t channels = (int64_t)64 << index;
    if (net->bottleneck)
        channels *= EXPANSION;
    for (int i = 0; i < net->blocks[index]; i++) {
        char block[32];
        snprintf(block, sizeof block, "layer%d.%d", index + 1, i);
        int stride = i == 0 && index > 0 ? 2 : 1;
        x = net->bottleneck ? bottleneck_block(graph, x, block, channels, net->width, stride)
                            : basic_block(graph, x, block, channels, stride);
    }
    return x;
}

static int body(struct graph *graph, int x, const struct resnet *net)
{
    x = graph_conv(graph, x, "conv1", 64, 7, 2, 3, false);
    x = graph_relu(graph, graph_batchnorm(graph, x, "bn1"));
    x = graph_max_pool(graph, x, 3, 2, 1, false);
    x = layer(graph, x, net, 0);
    x = layer(graph, x, net, 1);
    graph_begin_group(graph, 1);
    x = layer(graph, x, net, 2);
    return layer(graph, x, net, 3);
}

int resnet18_body(struct graph *graph, int input)
{
    return body(graph, input, &(const struct resnet){false, {2, 2, 2, 2}, 1});
}

int resnet34_body(struct graph *graph, int input)
{
    return body(graph, input, &(const struct resnet){false, {3, 4, 6, 3}, 1});
}

int resnet50_body(struct graph *graph, int input)
{
    return body(graph, input, &(const struct resnet){true, {3, 4, 6, 3}, 1});
}

int resnet101_body(struct graph *graph, int input)
{
    return body(graph, input, &(const struct resnet){true, {3, 4, 23, 3}, 1});
}

int wide_resnet50_2_body(struct graph *graph, int input)
{
    return body(graph, input, &(const struct resnet){true, {3, 4, 6, 3}, 2});
}

int resnet_classifier(struct graph *graph, int x, int64_t classes)
{
    return graph_linear(graph, graph_global_average_pool(graph, x), "fc", classes, true);
}
