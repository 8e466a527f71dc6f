/* graph.h -- a network as nodes and named parameters: no memory for activations, no batch size.
 *
 * A node is named by its index; builders take the node(s) they read and return the new one. All
 * image activations are (N,H,W,C); rows are (N,C). A graph knows channels, a plan (plan.h) adds
 * batch and image size. Parameter names are torchvision's; names of nodes are for people.
 * Builders cannot fail: a broken network is a programming error and aborts with the node's name. */
#ifndef THAW_ENGINE_CORE_GRAPH_H
#define THAW_ENGINE_CORE_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/param.h"

enum op_kind {
    OP_INPUT,
    OP_CONV,
    OP_DEPTHWISE, /* a 3x3 convolution of each channel by itself: groups = channels */
    OP_BATCHNORM, /* over C of (N,H,W,C) or (N,C) */
    OP_ACTIVATION,
    OP_POOL,        /* max or average, window */
    OP_GLOBAL_POOL, /* (N,H,W,C) -> (N,C) average */
    OP_CONCAT_POOL, /* (N,H,W,C) -> (N,2C): max, then average (fastai's AdaptiveConcatPool2d) */
    OP_ADD,
    OP_CONCAT, /* along C */
    OP_DROPOUT,
    OP_LINEAR,
    N_OPS
};

enum activation {
    ACTIVATION_RELU,
    ACTIVATION_RELU6, /* min(max(x, 0), 6) */
    ACTIVATION_SILU   /* the smooth twin of tests */
};
enum pool { POOL_MAX, POOL_AVERAGE /* the padding is not counted */ };

#define NODE_MAX_INPUTS 2
#define NODE_MAX_PARAMS 4

struct node {
    enum op_kind op;
    char name[64];
    int inputs[NODE_MAX_INPUTS], n_inputs;
    struct param
        *params[NODE_MAX_PARAMS]; /* owned by the graph; order as in the builder's comment */
    int n_params;
    int64_t channels; /* of the output */
    int group;        /* layer group, for learning rates and freezing */
    union {
        struct {
            int kernel, stride, padding;
        } conv; /* OP_CONV and OP_DEPTHWISE */
        struct {
            enum pool kind;
            int kernel, stride, padding;
            bool ceil; /* round the output size up, as torch's ceil_mode */
        } pool;
        struct {
            float epsilon, momentum; /* torch's: running = (1-momentum)*running + momentum*batch */
        } norm;
        enum activation activation;
        float dropout; /* the share that is zeroed */
    } u;
};

struct graph {
    struct node *nodes; /* owned */
    int n_nodes;
    struct param **params; /* owned, in the order they were made */
    int n_params;
    int n_groups;
    int output;  /* the node that yields the logits */
    bool smooth; /* tests only: SiLU for ReLU, averages for maxima, so that nothing has a kink */
};

struct graph *graph_new(void);
void graph_free(struct graph *graph);

/* Nodes made from now on belong to this layer group; starts at 0, may only grow. */
void graph_begin_group(struct graph *graph, int group);

int graph_input(struct graph *graph, int64_t channels);
/* NAME.weight (O,I,kh,kw), and NAME.bias (O) if asked for. */
int graph_conv(struct graph *graph, int x, const char *name, int64_t channels, int kernel,
               int stride, int padding, bool bias);
/* 3x3, padding 1, without bias: NAME.weight (C,1,3,3). */
int graph_depthwise(struct graph *graph, int x, const char *name, int stride);
/* NAME.weight, NAME.bias, NAME.running_mean, NAME.running_var, each (C). eps 1e-5, momentum .1. */
int graph_batchnorm(struct graph *graph, int x, const char *name);
int graph_relu(struct graph *graph, int x);
int graph_relu6(struct graph *graph, int x);
int graph_max_pool(struct graph *graph, int x, int kernel, int stride, int padding, bool ceil);
int graph_global_average_pool(struct graph *graph, int x);
int graph_concat_pool(struct graph *graph, int x);
int graph_add(struct graph *graph, int a, int b);
int graph_concat(struct graph *graph, int a, int b);
int graph_dropout(struct graph *graph, int x, float share);
/* (N,C) -> (N,channels): NAME.weight (O,I), NAME.bias (O) if asked for. */
int graph_linear(struct graph *graph, int x, const char *name, int64_t channels, bool bias);
void graph_set_output(struct graph *graph, int node);

/* The first parameter or statistic that is not finite (param_is_finite); NULL if all are. Reads
 * every weight once: some milliseconds, worth it once an epoch. */
const struct param *graph_find_not_finite(const struct graph *graph);

struct param *graph_find_param(const struct graph *graph, const char *name); /* NULL if none */
int64_t graph_count_parameters(const struct graph *graph); /* learnable numbers, no statistics */

#endif
