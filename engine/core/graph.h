/* graph.h -- a network as nodes and named parameters: no memory for activations, no batch size.
 *
 * A node is named by its index; builders take the node(s) they read and return the new one. All
 * image activations are (N,H,W,C); rows are (N,C); sequences are time-major, (T,B,C). A graph knows
 * channels, a plan (plan.h) adds batch, image size and time steps. Parameter names are
 * torchvision's; names of nodes are for people. Builders cannot fail: a broken network is a
 * programming error and aborts with the node's name. */
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
    OP_TOKENS,         /* the input of a network over text: words (T,B), int32 */
    OP_EMBEDDING,      /* (T,B) -> (T,B,C): a row of the matrix for each word */
    OP_LOCKED_DROPOUT, /* one mask (B,C) for all time steps */
    OP_LSTM,           /* (T,B,I) -> (T,B,H), state carried from one run to the next */
    OP_PENALTY,        /* the identity; adds activation penalties to the gradient */
    OP_DECODER_LOSS,   /* (T,B,E) -> (T,B): what predicting each target word costs */
    OP_SEQUENCE_POOL,  /* (T,B,C) -> (B,3C): last, maximum, mean (fastai's masked_concat_pool) */
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
        float dropout; /* the share that is zeroed; OP_LSTM: of the hidden-to-hidden weights */
        struct {
            float dropout; /* the share of words whose rows are zeroed */
            int padding;   /* the word whose row gets no gradient from here; -1 = none */
        } embedding;
        struct {
            float activation, slope; /* fastai's alpha (AR) and beta (TAR) */
        } penalty;
    } u;
};

struct graph {
    struct node *nodes; /* owned */
    int n_nodes;
    struct param **params; /* owned, in the order they were made */
    int n_params;
    int n_groups;
    int group;   /* that nodes made now belong to */
    int output;  /* the node that yields the logits */
    bool smooth; /* tests only: SiLU for ReLU, averages for maxima, so that nothing has a kink */
};

struct graph *graph_new(void);
void graph_free(struct graph *graph);

/* Nodes made from now on belong to this layer group; starts at 0. It may go back: a language
 * model's embedding is its first node and in its last group. */
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

/* --- sequences: node values are (T,B,C) ------------------------------------------------------- */

int graph_tokens(struct graph *graph);
/* NAME.weight (V,channels). `dropout` drops words: whole rows of the matrix, the rest scaled. The
 * row of `padding` gets no gradient from here, as torch's padding_idx; -1 = no such word. */
int graph_embedding(struct graph *graph, int x, const char *name, int64_t vocabulary,
                    int64_t channels, float dropout, int padding);
int graph_locked_dropout(struct graph *graph, int x, float share);
/* torch's nn.LSTM of one layer: NAME.weight_ih_l0 (4H,I), NAME.weight_hh_l0 (4H,H),
 * NAME.bias_ih_l0 (4H), NAME.bias_hh_l0 (4H); gates i, f, g, o. `weight_dropout` of weight_hh_l0,
 * drawn anew at each forward of training. */
int graph_lstm(struct graph *graph, int x, const char *name, int64_t hidden, float weight_dropout);
/* fastai's RNNRegularizer: training adds the gradients of activation * mean(y^2) and of
 * slope * mean((y[t] - y[t-1])^2) here. The loss that is reported has them not. */
int graph_penalty(struct graph *graph, int x, float activation, float slope);
/* Softmax cross-entropy of x W' + b against target words (plan_targets): the value is each target's
 * loss, (T,B). W is the weight of the node `embedding` (tied), b is NAME.bias (V). */
int graph_decoder_loss(struct graph *graph, int x, const char *name, int embedding);
/* Over the steps [begin,end) of each row (plan_begins, plan_ends). */
int graph_sequence_pool(struct graph *graph, int x);

void graph_set_output(struct graph *graph, int node);

/* The first parameter or statistic that is not finite (param_is_finite); NULL if all are. Reads
 * every weight once: some milliseconds, worth it once an epoch. */
const struct param *graph_find_not_finite(const struct graph *graph);

struct param *graph_find_param(const struct graph *graph, const char *name); /* NULL if none */
int64_t graph_count_parameters(const struct graph *graph); /* learnable numbers, no statistics */

#endif
