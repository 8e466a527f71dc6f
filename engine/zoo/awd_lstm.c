#include "engine/zoo/awd_lstm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

#define HEAD_FEATURES 50
#define HEAD_DROPOUT  .1f

static const struct awd_lstm_dropouts published[] = {
    [AWD_LSTM_LANGUAGE_MODEL] =
        {.output = .1, .hidden = .15, .input = .25, .embedding = .02, .weight = .2},
    [AWD_LSTM_CLASSIFIER] =
        {.output = .4, .hidden = .3, .input = .4, .embedding = .05, .weight = .5},
};

struct awd_lstm_options awd_lstm_defaults(enum awd_lstm_kind kind, double dropout_factor)
{
    struct awd_lstm_dropouts d = published[kind];
    d.output *= dropout_factor;
    d.hidden *= dropout_factor;
    d.input *= dropout_factor;
    d.embedding *= dropout_factor;
    d.weight *= dropout_factor;
    return (struct awd_lstm_options){.kind = kind,
                                     .embedding = 400,
                                     .hidden = 1152,
                                     .layers = 3,
                                     .dropouts = d,
                                     .alpha = 2,
                                     .beta = 1};
}

/* The last LSTM; *embedding is the node that a decoder is tied to. */
static int build_encoder(struct graph *graph, const struct awd_lstm_options *o, int *embedding)
{
    bool classifier = o->kind == AWD_LSTM_CLASSIFIER;
    int x = graph_tokens(graph);
    graph_begin_group(graph, classifier ? 0 : o->layers);
    x = *embedding = graph_embedding(graph, x, "encoder", o->vocabulary, o->embedding,
                                     (float)o->dropouts.embedding, AWD_LSTM_PADDING);
    x = graph_locked_dropout(graph, x, (float)o->dropouts.input);
    for (int l = 0; l < o->layers; l++) {
        char name[32];
        snprintf(name, sizeof name, "rnns.%d", l);
        graph_begin_group(graph, classifier ? l + 1 : l);
        x = graph_lstm(graph, x, name, l == o->layers - 1 ? o->embedding : o->hidden,
                       (float)o->dropouts.weight);
        if (l < o->layers - 1)
            x = graph_locked_dropout(graph, x, (float)o->dropouts.hidden);
    }
    return x;
}

static int build_head(struct graph *graph, const struct awd_lstm_options *o, int x)
{
    x = graph_penalty(graph, x, (float)o->alpha, (float)o->beta);
    x = graph_sequence_pool(graph, x);
    x = graph_batchnorm(graph, x, "head.0");
    x = graph_dropout(graph, x, (float)o->dropouts.output);
    x = graph_linear(graph, x, "head.2", HEAD_FEATURES, o->head_bias);
    x = graph_relu(graph, x);
    x = graph_batchnorm(graph, x, "head.4");
    x = graph_dropout(graph, x, HEAD_DROPOUT);
    return graph_linear(graph, x, "head.6", o->classes, o->head_bias);
}

/* TAR on what the last LSTM yields, AR on that after dropout. */
static int build_decoder(struct graph *graph, const struct awd_lstm_options *o, int x,
                         int embedding)
{
    x = graph_penalty(graph, x, 0.f, (float)o->beta);
    x = graph_locked_dropout(graph, x, (float)o->dropouts.output);
    x = graph_penalty(graph, x, (float)o->alpha, 0.f);
    return graph_decoder_loss(graph, x, "decoder", embedding);
}

struct graph *awd_lstm_build(const struct awd_lstm_options *options)
{
    struct graph *graph = graph_new();
    int embedding, x = build_encoder(graph, options, &embedding);
    bool classifier = options->kind == AWD_LSTM_CLASSIFIER;
    graph_begin_group(graph, classifier ? options->layers + 1 : options->layers);
    graph_set_output(graph, classifier ? build_head(graph, options, x)
                                       : build_decoder(graph, options, x, embedding));
    return graph;
}

int awd_lstm_encoder_output(const struct graph *graph)
{
    int found = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].op == OP_LSTM)
            found = i;
    return found;
}

/* --- starting values -------------------------------------------------------------------------- */

static void fill_uniform(struct param *param, double bound, uint64_t seed)
{
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    struct rng rng = rng_stream(param->name, seed, 0, 0);
    for (size_t i = 0; i < param->n_elements; i++)
        plain[i] = (float)rng_uniform(&rng, -bound, bound);
    param_write(param, PARAM_VALUE, plain);
    mem_free(plain);
}

static void fill(struct param *param, float value)
{
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    for (size_t i = 0; i < param->n_elements; i++)
        plain[i] = value;
    param_write(param, PARAM_VALUE, plain);
    mem_free(plain);
}

static void init_node(const struct node *node, float norm_bias, uint64_t seed)
{
    double inputs = node->op == OP_LINEAR ? (double)node->params[0]->dims[1] : 0;
    if (node->op == OP_EMBEDDING)
        fill_uniform(node->params[0], .1, seed);
    if (node->op == OP_DECODER_LOSS)
        fill(node->params[1], 0.f);
    for (int k = 0; k < node->n_params; k++) {
        if (node->op == OP_LSTM)
            fill_uniform(node->params[k], 1 / sqrt((double)node->channels), seed);
        else if (node->op == OP_LINEAR)
            fill_uniform(node->params[k], 1 / sqrt(inputs), seed);
        else if (node->op == OP_BATCHNORM && node->params[k]->kind == PARAM_NORM_BIAS)
            fill(node->params[k], norm_bias);
        else if (node->op == OP_BATCHNORM)
            param_init(node->params[k], seed);
    }
}

static void init(struct graph *graph, uint64_t seed, bool head_only)
{
    const struct node *linear = &graph->nodes[graph->output];
    float norm_bias = linear->op == OP_LINEAR && linear->n_params > 1 ? 0.f : 1e-3f;
    for (int i = 0; i < graph->n_nodes; i++)
        if (!head_only || i > awd_lstm_encoder_output(graph))
            init_node(&graph->nodes[i], norm_bias, seed);
}

void awd_lstm_init(struct graph *graph, uint64_t seed)
{
    init(graph, seed, false);
}

void awd_lstm_init_head(struct graph *graph, uint64_t seed)
{
    init(graph, seed, true);
}

bool awd_lstm_is_encoder_param(const struct param *param)
{
    return strncmp(param->name, "encoder.", 8) == 0 || strncmp(param->name, "rnns.", 5) == 0;
}

void awd_lstm_group_name(const struct awd_lstm_options *options, int group, char *name, size_t size)
{
    bool classifier = options->kind == AWD_LSTM_CLASSIFIER;
    if (classifier && group == 0)
        snprintf(name, size, "embedding");
    else if (group - classifier < options->layers)
        snprintf(name, size, "rnn%d", group - classifier + 1);
    else
        snprintf(name, size, classifier ? "head" : "encoder+decoder");
}
