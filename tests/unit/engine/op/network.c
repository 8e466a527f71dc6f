#include "tests/unit/engine/op/network.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static int integer(const struct json *layer, const char *key)
{
    return (int)json_integer(layer, key, 0);
}

static int add_conv(struct graph *graph, const struct json *l)
{
    return graph_conv(graph, integer(l, "x"), json_string(l, "name", "conv"),
                      integer(l, "channels"), integer(l, "kernel"), integer(l, "stride"),
                      integer(l, "padding"), json_bool(l, "bias", false));
}

static int add_depthwise(struct graph *graph, const struct json *l)
{
    return graph_depthwise(graph, integer(l, "x"), json_string(l, "name", "depthwise"),
                           integer(l, "stride"));
}

static int add_max_pool(struct graph *graph, const struct json *l)
{
    return graph_max_pool(graph, integer(l, "x"), integer(l, "kernel"), integer(l, "stride"),
                          integer(l, "padding"), json_bool(l, "ceil", false));
}

static int add_linear(struct graph *graph, const struct json *l)
{
    return graph_linear(graph, integer(l, "x"), json_string(l, "name", "linear"),
                        integer(l, "channels"), json_bool(l, "bias", false));
}

static int add_batchnorm(struct graph *graph, const struct json *l)
{
    return graph_batchnorm(graph, integer(l, "x"), json_string(l, "name", "norm"));
}

static int add_input(struct graph *graph, const struct json *l)
{
    return graph_input(graph, integer(l, "channels"));
}

static int add_relu(struct graph *graph, const struct json *l)
{
    return graph_relu(graph, integer(l, "x"));
}

static int add_relu6(struct graph *graph, const struct json *l)
{
    return graph_relu6(graph, integer(l, "x"));
}

static int add_average(struct graph *graph, const struct json *l)
{
    return graph_global_average_pool(graph, integer(l, "x"));
}

static int add_concat_pool(struct graph *graph, const struct json *l)
{
    return graph_concat_pool(graph, integer(l, "x"));
}

static int add_add(struct graph *graph, const struct json *l)
{
    return graph_add(graph, integer(l, "x"), integer(l, "y"));
}

static int add_concat(struct graph *graph, const struct json *l)
{
    return graph_concat(graph, integer(l, "x"), integer(l, "y"));
}

static int add_dropout(struct graph *graph, const struct json *l)
{
    return graph_dropout(graph, integer(l, "x"), (float)json_number(l, "share", 0));
}

static const struct builder {
    const char *op;
    int (*add)(struct graph *graph, const struct json *layer);
} builders[] = {
    {"input", add_input},
    {"conv", add_conv},
    {"depthwise", add_depthwise},
    {"batchnorm", add_batchnorm},
    {"relu", add_relu},
    {"relu6", add_relu6},
    {"max_pool", add_max_pool},
    {"global_average_pool", add_average},
    {"concat_pool", add_concat_pool},
    {"add", add_add},
    {"concat", add_concat},
    {"dropout", add_dropout},
    {"linear", add_linear},
};

static const struct builder *find_builder(const char *op)
{
    for (size_t i = 0; i < ARRAY_LEN(builders); i++)
        if (strcmp(builders[i].op, op) == 0)
            return &builders[i];
    return NULL;
}

enum status network_build(const struct json *layers, struct graph **graph, struct err *err)
{
    struct graph *made = graph_new();
    json_each(layer, layers)
    {
        const struct builder *builder = find_builder(json_string(layer, "op", ""));
        if (!builder) {
            graph_free(made);
            return err_set(err, E_INVALID, "There is no layer \"%s\".",
                           json_string(layer, "op", ""));
        }
        if (json_get(layer, "group"))
            graph_begin_group(made, integer(layer, "group"));
        made->smooth = json_bool(layer, "smooth", false);
        graph_set_output(made, builder->add(made, layer));
    }
    *graph = made;
    return OK;
}

enum status network_read(const struct tensor_source *source, const char *name, size_t n, float *out,
                         struct err *err)
{
    const struct tensor_view *view = tensor_source_find(source, name);
    if (!view || view->n_elements != n)
        return err_set(err, E_INVALID, "The tensor %s should be there with %zu elements.", name, n);
    tensor_read(view, out);
    return OK;
}

static enum status load_param(struct param *param, const struct tensor_source *source,
                              const char *prefix, enum param_part part, struct err *err)
{
    char name[TENSOR_MAX_NAME];
    snprintf(name, sizeof name, "%s%s", prefix, param->name);
    const struct tensor_view *view = tensor_source_find(source, name);
    if (!view || !tensor_has_shape(view, param->n_dims, param->dims))
        return err_set(err, E_INVALID, "The tensor %s is missing or has another shape.", name);
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    tensor_read(view, plain);
    param_write(param, part, plain);
    mem_free(plain);
    return OK;
}

static enum status refuse_strangers(const struct graph *graph, const struct tensor_source *source,
                                    const char *prefix, struct err *err)
{
    size_t len = strlen(prefix);
    for (size_t i = 0; i < source->n_tensors; i++) {
        const char *name = source->tensors[i].name;
        if (strncmp(name, prefix, len) == 0 && !graph_find_param(graph, name + len))
            return err_set(err, E_INVALID, "The graph has no parameter for the tensor %s.", name);
    }
    return OK;
}

enum status network_load(struct graph *graph, const struct tensor_source *source,
                         const char *prefix, enum param_part part, struct err *err)
{
    enum status status = refuse_strangers(graph, source, prefix, err);
    for (int i = 0; i < graph->n_params && !status; i++) {
        bool has = part == PARAM_VALUE || graph->params[i]->trainable;
        if (has)
            status = load_param(graph->params[i], source, prefix, part, err);
    }
    return status;
}
