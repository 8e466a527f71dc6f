#include "engine/zoo/head.h"

int head_build(struct graph *graph, int body, int64_t classes, bool bias)
{
    int x = graph_concat_pool(graph, body);
    x = graph_batchnorm(graph, x, "head.2");
    x = graph_dropout(graph, x, .25f);
    x = graph_linear(graph, x, "head.4", HEAD_HIDDEN, bias);
    x = graph_relu(graph, x);
    x = graph_batchnorm(graph, x, "head.6");
    x = graph_dropout(graph, x, .5f);
    return graph_linear(graph, x, "head.8", classes, bias);
}
