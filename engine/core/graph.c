#include "engine/core/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct graph *graph_new(void)
{
    struct graph *graph = mem_alloc(sizeof *graph);
    graph->n_groups = 1;
    return graph;
}

static void param_free(struct param *param)
{
    for (int part = 0; part < N_PARAM_PARTS; part++)
        mem_free(param->parts[part]);
    mem_free(param->layout);
    mem_free(param);
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    for (int i = 0; i < graph->n_params; i++)
        param_free(graph->params[i]);
    mem_free(graph->params);
    mem_free(graph->nodes);
    mem_free(graph);
}

void graph_begin_group(struct graph *graph, int group)
{
    graph->group = group;
    if (group >= graph->n_groups)
        graph->n_groups = group + 1;
}

/* The next node; its name is `name`, or "OP:NUMBER" for nodes that have none of their own. */
static struct node *add_node(struct graph *graph, enum op_kind op, const char *name)
{
    graph->nodes = mem_realloc(graph->nodes, (size_t)(graph->n_nodes + 1) * sizeof *graph->nodes);
    struct node *node = &graph->nodes[graph->n_nodes];
    memset(node, 0, sizeof *node);
    node->op = op;
    node->group = graph->group;
    if (name)
        snprintf(node->name, sizeof node->name, "%s", name);
    else
        snprintf(node->name, sizeof node->name, "node %d", graph->n_nodes);
    graph->output = graph->n_nodes++;
    return node;
}

static void connect(struct graph *graph, struct node *node, int x)
{
    if (x < 0 || x >= graph->n_nodes - 1) {
        fprintf(stderr, "graph: %s reads node %d, which is not there\n", node->name, x);
        abort();
    }
    node->inputs[node->n_inputs++] = x;
    node->channels = graph->nodes[x].channels;
}

static int last(const struct graph *graph)
{
    return graph->n_nodes - 1;
}

/* Norms that change nothing, zeros for the rest: real values come from a file or param_init. */
static void make_value(struct param *param)
{
    struct err err;
    void *value = NULL;
    if (mem_try_aligned(param->n_stored, sizeof(float), param->name, &value, &err) != OK) {
        fprintf(stderr, "%s\n", err.detail);
        abort();
    }
    float *numbers = value;
    if (param->kind == PARAM_NORM_WEIGHT || param->kind == PARAM_RUNNING_VAR)
        for (size_t i = 0; i < param->n_stored; i++)
            numbers[i] = 1.f;
    param->parts[PARAM_VALUE] = numbers;
}

static void add_param(struct graph *graph, struct node *node, const char *suffix,
                      enum param_kind kind, int n_dims, const int64_t *dims)
{
    struct param *param = mem_alloc(sizeof *param);
    snprintf(param->name, sizeof param->name, "%s.%s", node->name, suffix);
    param->kind = kind;
    param->n_dims = n_dims;
    param->group = node->group;
    param->n_elements = 1;
    for (int i = 0; i < n_dims; i++) {
        param->dims[i] = dims[i];
        param->n_elements *= (size_t)dims[i];
    }
    param->n_stored = param->n_elements;
    make_value(param);
    graph->params =
        mem_realloc(graph->params, (size_t)(graph->n_params + 1) * sizeof(struct param *));
    graph->params[graph->n_params++] = param;
    node->params[node->n_params++] = param;
}

int graph_input(struct graph *graph, int64_t channels)
{
    add_node(graph, OP_INPUT, "input")->channels = channels;
    return last(graph);
}

int graph_conv(struct graph *graph, int x, const char *name, int64_t channels, int kernel,
               int stride, int padding, bool bias)
{
    struct node *node = add_node(graph, OP_CONV, name);
    connect(graph, node, x);
    int64_t dims[] = {channels, node->channels, kernel, kernel};
    node->channels = channels;
    node->u.conv.kernel = kernel;
    node->u.conv.stride = stride;
    node->u.conv.padding = padding;
    add_param(graph, node, "weight", PARAM_WEIGHT, 4, dims);
    if (bias)
        add_param(graph, node, "bias", PARAM_BIAS, 1, &channels);
    return last(graph);
}

int graph_depthwise(struct graph *graph, int x, const char *name, int stride)
{
    struct node *node = add_node(graph, OP_DEPTHWISE, name);
    connect(graph, node, x);
    int64_t dims[] = {node->channels, 1, 3, 3};
    node->u.conv.kernel = 3;
    node->u.conv.stride = stride;
    node->u.conv.padding = 1;
    add_param(graph, node, "weight", PARAM_WEIGHT, 4, dims);
    return last(graph);
}

int graph_batchnorm(struct graph *graph, int x, const char *name)
{
    struct node *node = add_node(graph, OP_BATCHNORM, name);
    connect(graph, node, x);
    node->u.norm.epsilon = 1e-5f;
    node->u.norm.momentum = .1f;
    add_param(graph, node, "weight", PARAM_NORM_WEIGHT, 1, &node->channels);
    add_param(graph, node, "bias", PARAM_NORM_BIAS, 1, &node->channels);
    add_param(graph, node, "running_mean", PARAM_RUNNING_MEAN, 1, &node->channels);
    add_param(graph, node, "running_var", PARAM_RUNNING_VAR, 1, &node->channels);
    return last(graph);
}

static int add_activation(struct graph *graph, int x, enum activation activation)
{
    struct node *node = add_node(graph, OP_ACTIVATION, NULL);
    connect(graph, node, x);
    node->u.activation = graph->smooth ? ACTIVATION_SILU : activation;
    return last(graph);
}

int graph_relu(struct graph *graph, int x)
{
    return add_activation(graph, x, ACTIVATION_RELU);
}

int graph_relu6(struct graph *graph, int x)
{
    return add_activation(graph, x, ACTIVATION_RELU6);
}

int graph_max_pool(struct graph *graph, int x, int kernel, int stride, int padding, bool ceil)
{
    struct node *node = add_node(graph, OP_POOL, NULL);
    connect(graph, node, x);
    node->u.pool.kind = graph->smooth ? POOL_AVERAGE : POOL_MAX;
    node->u.pool.kernel = kernel;
    node->u.pool.stride = stride;
    node->u.pool.padding = padding;
    node->u.pool.ceil = ceil;
    return last(graph);
}

int graph_global_average_pool(struct graph *graph, int x)
{
    connect(graph, add_node(graph, OP_GLOBAL_POOL, NULL), x);
    return last(graph);
}

int graph_concat_pool(struct graph *graph, int x)
{
    if (graph->smooth) {
        int average = graph_global_average_pool(graph, x);
        return graph_concat(graph, average, average);
    }
    struct node *node = add_node(graph, OP_CONCAT_POOL, NULL);
    connect(graph, node, x);
    node->channels *= 2;
    return last(graph);
}

int graph_add(struct graph *graph, int a, int b)
{
    struct node *node = add_node(graph, OP_ADD, NULL);
    connect(graph, node, a);
    connect(graph, node, b);
    return last(graph);
}

int graph_concat(struct graph *graph, int a, int b)
{
    struct node *node = add_node(graph, OP_CONCAT, NULL);
    connect(graph, node, a);
    connect(graph, node, b);
    node->channels = graph->nodes[a].channels + graph->nodes[b].channels;
    return last(graph);
}

int graph_dropout(struct graph *graph, int x, float share)
{
    struct node *node = add_node(graph, OP_DROPOUT, NULL);
    connect(graph, node, x);
    node->u.dropout = share;
    return last(graph);
}

int graph_linear(struct graph *graph, int x, const char *name, int64_t channels, bool bias)
{
    struct node *node = add_node(graph, OP_LINEAR, name);
    connect(graph, node, x);
    int64_t dims[] = {channels, node->channels};
    node->channels = channels;
    add_param(graph, node, "weight", PARAM_WEIGHT, 2, dims);
    if (bias)
        add_param(graph, node, "bias", PARAM_BIAS, 1, &channels);
    return last(graph);
}

/* --- sequences -------------------------------------------------------------------------------- */

int graph_tokens(struct graph *graph)
{
    add_node(graph, OP_TOKENS, "tokens")->channels = 1;
    return last(graph);
}

int graph_embedding(struct graph *graph, int x, const char *name, int64_t vocabulary,
                    int64_t channels, float dropout, int padding)
{
    struct node *node = add_node(graph, OP_EMBEDDING, name);
    connect(graph, node, x);
    int64_t dims[] = {vocabulary, channels};
    node->channels = channels;
    node->u.embedding.dropout = dropout;
    node->u.embedding.padding = padding;
    add_param(graph, node, "weight", PARAM_WEIGHT, 2, dims);
    return last(graph);
}

int graph_locked_dropout(struct graph *graph, int x, float share)
{
    struct node *node = add_node(graph, OP_LOCKED_DROPOUT, NULL);
    connect(graph, node, x);
    node->u.dropout = share;
    return last(graph);
}

int graph_lstm(struct graph *graph, int x, const char *name, int64_t hidden, float weight_dropout)
{
    struct node *node = add_node(graph, OP_LSTM, name);
    connect(graph, node, x);
    int64_t gates = 4 * hidden, ih[] = {gates, node->channels}, hh[] = {gates, hidden};
    node->channels = hidden;
    node->u.dropout = weight_dropout;
    add_param(graph, node, "weight_ih_l0", PARAM_WEIGHT, 2, ih);
    add_param(graph, node, "weight_hh_l0", PARAM_WEIGHT, 2, hh);
    add_param(graph, node, "bias_ih_l0", PARAM_BIAS, 1, &gates);
    add_param(graph, node, "bias_hh_l0", PARAM_BIAS, 1, &gates);
    return last(graph);
}

int graph_penalty(struct graph *graph, int x, float activation, float slope)
{
    struct node *node = add_node(graph, OP_PENALTY, NULL);
    connect(graph, node, x);
    node->u.penalty.activation = activation;
    node->u.penalty.slope = slope;
    return last(graph);
}

int graph_decoder_loss(struct graph *graph, int x, const char *name, int embedding)
{
    struct node *node = add_node(graph, OP_DECODER_LOSS, name);
    connect(graph, node, x);
    struct param *weight = graph->nodes[embedding].params[0];
    if (graph->nodes[embedding].op != OP_EMBEDDING || weight->dims[1] != node->channels) {
        fprintf(stderr, "graph: %s cannot be tied to node %d\n", node->name, embedding);
        abort();
    }
    node->channels = 1;
    node->params[node->n_params++] = weight;
    add_param(graph, node, "bias", PARAM_BIAS, 1, &weight->dims[0]);
    return last(graph);
}

int graph_sequence_pool(struct graph *graph, int x)
{
    struct node *node = add_node(graph, OP_SEQUENCE_POOL, NULL);
    connect(graph, node, x);
    node->channels *= 3;
    return last(graph);
}

void graph_set_output(struct graph *graph, int node)
{
    graph->output = node;
}

const struct param *graph_find_not_finite(const struct graph *graph)
{
    for (int i = 0; i < graph->n_params; i++)
        if (!param_is_finite(graph->params[i]))
            return graph->params[i];
    return NULL;
}

struct param *graph_find_param(const struct graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_params; i++)
        if (strcmp(graph->params[i]->name, name) == 0)
            return graph->params[i];
    return NULL;
}

int64_t graph_count_parameters(const struct graph *graph)
{
    int64_t n = 0;
    for (int i = 0; i < graph->n_params; i++)
        if (!param_is_statistic(graph->params[i]))
            n += (int64_t)graph->params[i]->n_elements;
    return n;
}
