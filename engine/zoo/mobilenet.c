/* mobilenet.c -- MobileNetV2 (Sandler et al. 2018) as torchvision builds it.
 *
 * Names are torchvision's: features.0 is the stem, features.1 to features.17 are inverted residuals
 * (widen by 1x1, filter each channel by 3x3, narrow by 1x1 without activation; the narrow ends are
 * added where shapes allow), features.18 widens to 1280. Groups: the body; the classifier. */
#include <stdio.h>

#include "base/mem.h"
#include "engine/zoo/nets.h"

/* Rows of the paper's table 2. */
static const struct blocks {
    int widening; /* inner channels over input channels */
    int64_t channels;
    int n, stride; /* the stride is the first block's */
} rows[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
            {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

#define STEM_CHANNELS 32
#define LAST_CHANNELS 1280

struct name {
    char text[80];
};

/* BLOCK.INDEX */
static struct name part(const char *block, int index)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%.60s.%d", block, index);
    return name;
}

/* Convolution, batch norm and ReLU6, as torchvision's Conv2dNormActivation: BLOCK.0, BLOCK.1. */
static int conv_norm_relu(struct graph *graph, int x, const char *block, int64_t channels,
                          int kernel, int stride)
{
    x = graph_conv(graph, x, part(block, 0).text, channels, kernel, stride, kernel / 2, false);
    return graph_relu6(graph, graph_batchnorm(graph, x, part(block, 1).text));
}

static int depthwise_norm_relu(struct graph *graph, int x, const char *block, int stride)
{
    x = graph_depthwise(graph, x, part(block, 0).text, stride);
    return graph_relu6(graph, graph_batchnorm(graph, x, part(block, 1).text));
}

static int inverted_residual(struct graph *graph, int x, const char *block, int widening,
                             int64_t channels, int stride)
{
    int64_t inputs = graph->nodes[x].channels;
    int y = x, index = 0;
    if (widening > 1)
        y = conv_norm_relu(graph, y, part(block, index++).text, inputs * widening, 1, 1);
    y = depthwise_norm_relu(graph, y, part(block, index++).text, stride);
    y = graph_conv(graph, y, part(block, index++).text, channels, 1, 1, 0, false);
    y = graph_batchnorm(graph, y, part(block, index).text);
    return stride == 1 && inputs == channels ? graph_add(graph, x, y) : y;
}

int mobilenet_v2_body(struct graph *graph, int x)
{
    char block[40];
    int index = 1;
    x = conv_norm_relu(graph, x, "features.0", STEM_CHANNELS, 3, 2);
    for (size_t r = 0; r < ARRAY_LEN(rows); r++)
        for (int i = 0; i < rows[r].n; i++) {
            snprintf(block, sizeof block, "features.%d.conv", index++);
            x = inverted_residual(graph, x, block, rows[r].widening, rows[r].channels,
                                  i == 0 ? rows[r].stride : 1);
        }
    return conv_norm_relu(graph, x, "features.18", LAST_CHANNELS, 1, 1);
}

int mobilenet_classifier(struct graph *graph, int x, int64_t classes)
{
    x = graph_dropout(graph, graph_global_average_pool(graph, x), .2f);
    return graph_linear(graph, x, "classifier.1", classes, true);
}
