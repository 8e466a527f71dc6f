/* onnx_ops.c -- nodes by a table, one row an operation. */
#include "engine/format/onnx_ops.h"

#include <stdio.h>

#include "base/mem.h"
#include "engine/format/onnx.h"
#include "engine/format/protobuf.h"

#define MAX_NODE 4096 /* bytes of one node */

enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, ELEMENT_FLOAT = 1 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_FLOAT = 2, ATTRIBUTE_INT = 3, ATTRIBUTE_INTS = 8 };
enum { ATTRIBUTE_TYPE = 20, TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_INTS = 7 };
enum { TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9 };

struct value_name {
    char text[96];
};

struct writer {
    const struct graph *graph;
    struct value_name *values; /* owned; by node: what its output is called in the file */
    struct buf *nodes;         /* borrowed */
    struct buf *constants;     /* borrowed */
    bool has_six;              /* the constant of ReLU6 is there */
};

/* --- The parts of one node -------------------------------------------------------------------- */

static struct buf begin_node(const char *op, const char *output)
{
    struct buf node;
    buf_init(&node, MAX_NODE);
    protobuf_text(&node, NODE_NAME, output);
    protobuf_text(&node, NODE_OP, op);
    protobuf_text(&node, NODE_OUTPUT, output);
    return node;
}

static void end_node(struct writer *writer, struct buf *node)
{
    writer->nodes->overflow |= node->overflow;
    protobuf_message(writer->nodes, GRAPH_NODE, node);
    buf_deinit(node);
}

static void add_input(struct buf *node, const char *value)
{
    protobuf_text(node, NODE_INPUT, value);
}

static void add_params(struct buf *node, const struct node *from)
{
    for (int i = 0; i < from->n_params; i++)
        add_input(node, from->params[i]->name);
}

static void set_attribute(struct buf *node, const char *name, int type, const struct buf *value)
{
    struct buf attribute;
    buf_init(&attribute, MAX_NODE);
    protobuf_text(&attribute, ATTRIBUTE_NAME, name);
    buf_append(&attribute, value->data, value->len);
    protobuf_integer(&attribute, ATTRIBUTE_TYPE, (uint64_t)type);
    protobuf_message(node, NODE_ATTRIBUTE, &attribute);
    buf_deinit(&attribute);
}

static void set_float(struct buf *node, const char *name, float number)
{
    struct buf value;
    buf_init(&value, MAX_NODE);
    protobuf_float(&value, ATTRIBUTE_FLOAT, number);
    set_attribute(node, name, TYPE_FLOAT, &value);
    buf_deinit(&value);
}

static void set_int(struct buf *node, const char *name, int64_t number)
{
    struct buf value;
    buf_init(&value, MAX_NODE);
    protobuf_integer(&value, ATTRIBUTE_INT, (uint64_t)number);
    set_attribute(node, name, TYPE_INT, &value);
    buf_deinit(&value);
}

/* The same number `n` times: our windows are square. */
static void set_ints(struct buf *node, const char *name, int64_t number, int n)
{
    struct buf value;
    buf_init(&value, MAX_NODE);
    for (int i = 0; i < n; i++)
        protobuf_integer(&value, ATTRIBUTE_INTS, (uint64_t)number);
    set_attribute(node, name, TYPE_INTS, &value);
    buf_deinit(&value);
}

static void set_window(struct buf *node, int kernel, int stride, int padding)
{
    set_ints(node, "kernel_shape", kernel, 2);
    set_ints(node, "strides", stride, 2);
    set_ints(node, "pads", padding, 4);
}

/* --- Operations ------------------------------------------------------------------------------- */

static const char *input_of(const struct writer *writer, const struct node *node, int i)
{
    return writer->values[node->inputs[i]].text;
}

static void write_input(struct writer *writer, const struct node *node, struct value_name *out)
{
    (void)writer;
    (void)node;
    snprintf(out->text, sizeof out->text, "%s", ONNX_INPUT);
}

/* The weights say how many groups there are: (O, I / groups, kh, kw). */
static void write_conv(struct writer *writer, const struct node *node, struct value_name *out)
{
    struct buf made = begin_node("Conv", out->text);
    int64_t channels = writer->graph->nodes[node->inputs[0]].channels;
    add_input(&made, input_of(writer, node, 0));
    add_params(&made, node);
    set_window(&made, node->u.conv.kernel, node->u.conv.stride, node->u.conv.padding);
    set_int(&made, "group", channels / node->params[0]->dims[1]);
    end_node(writer, &made);
}

static void write_batchnorm(struct writer *writer, const struct node *node, struct value_name *out)
{
    struct buf made = begin_node("BatchNormalization", out->text);
    add_input(&made, input_of(writer, node, 0));
    add_params(&made, node);
    set_float(&made, "epsilon", node->u.norm.epsilon);
    end_node(writer, &made);
}

static void add_constant(struct writer *writer, const char *name, float number)
{
    struct buf tensor;
    buf_init(&tensor, MAX_NODE);
    protobuf_integer(&tensor, TENSOR_TYPE, ELEMENT_FLOAT);
    protobuf_text(&tensor, TENSOR_NAME, name);
    protobuf_bytes(&tensor, TENSOR_RAW, &number, sizeof number);
    protobuf_message(writer->constants, GRAPH_INITIALIZER, &tensor);
    buf_deinit(&tensor);
}

/* NAME.SUFFIX: a value between the nodes that one of ours becomes. */
static struct value_name between(const struct value_name *out, const char *suffix)
{
    struct value_name value;
    snprintf(value.text, sizeof value.text, "%.80s.%s", out->text, suffix);
    return value;
}

static void write_pair(struct writer *writer, const char *op, const char *a, const char *b,
                       const struct value_name *out)
{
    struct buf made = begin_node(op, out->text);
    add_input(&made, a);
    if (b)
        add_input(&made, b);
    end_node(writer, &made);
}

/* min(max(x, 0), 6) as relu(x) - relu(x - 6) (onnx.h says why): the same number up to 12, where
 * x - 6 is exact, and within a rounding of x beyond. */
static void write_relu6(struct writer *writer, const struct node *node, struct value_name *out)
{
    struct value_name low = between(out, "low"), shifted = between(out, "shifted");
    struct value_name high = between(out, "high");
    const char *x = input_of(writer, node, 0);
    if (!writer->has_six)
        add_constant(writer, "six", 6);
    writer->has_six = true;
    write_pair(writer, "Relu", x, NULL, &low);
    write_pair(writer, "Sub", x, "six", &shifted);
    write_pair(writer, "Relu", shifted.text, NULL, &high);
    write_pair(writer, "Sub", low.text, high.text, out);
}

/* x * sigmoid(x): the smooth twin's. */
static void write_silu(struct writer *writer, const struct node *node, struct value_name *out)
{
    struct value_name gate = between(out, "gate");
    const char *x = input_of(writer, node, 0);
    write_pair(writer, "Sigmoid", x, NULL, &gate);
    write_pair(writer, "Mul", x, gate.text, out);
}

static void write_activation(struct writer *writer, const struct node *node, struct value_name *out)
{
    switch (node->u.activation) {
    case ACTIVATION_RELU:
        write_pair(writer, "Relu", input_of(writer, node, 0), NULL, out);
        return;
    case ACTIVATION_RELU6:
        write_relu6(writer, node, out);
        return;
    case ACTIVATION_SILU:
        write_silu(writer, node, out);
        return;
    }
}

/* ONNX's averages leave out the padding as ours do, unless told otherwise. */
static void write_pool(struct writer *writer, const struct node *node, struct value_name *out)
{
    struct buf made =
        begin_node(node->u.pool.kind == POOL_MAX ? "MaxPool" : "AveragePool", out->text);
    add_input(&made, input_of(writer, node, 0));
    set_window(&made, node->u.pool.kernel, node->u.pool.stride, node->u.pool.padding);
    set_int(&made, "ceil_mode", node->u.pool.ceil);
    end_node(writer, &made);
}

/* (N,C,H,W) -> (N,C,1,1) */
static struct value_name write_global(struct writer *writer, const struct node *node,
                                      const char *op, const char *suffix,
                                      const struct value_name *out)
{
    struct value_name pooled = between(out, suffix);
    write_pair(writer, op, input_of(writer, node, 0), NULL, &pooled);
    return pooled;
}

/* (N,C,1,1) -> (N,C) */
static void write_flatten(struct writer *writer, const char *pooled, struct value_name *out)
{
    struct buf made = begin_node("Flatten", out->text);
    add_input(&made, pooled);
    set_int(&made, "axis", 1);
    end_node(writer, &made);
}

static void write_global_pool(struct writer *writer, const struct node *node,
                              struct value_name *out)
{
    struct value_name pooled = write_global(writer, node, "GlobalAveragePool", "pooled", out);
    write_flatten(writer, pooled.text, out);
}

static void write_concat_pool(struct writer *writer, const struct node *node,
                              struct value_name *out)
{
    struct value_name joined = between(out, "joined");
    struct value_name largest = write_global(writer, node, "GlobalMaxPool", "max", out);
    struct value_name mean = write_global(writer, node, "GlobalAveragePool", "mean", out);
    struct buf made = begin_node("Concat", joined.text);
    add_input(&made, largest.text);
    add_input(&made, mean.text);
    set_int(&made, "axis", 1);
    end_node(writer, &made);
    write_flatten(writer, joined.text, out);
}

static void write_add(struct writer *writer, const struct node *node, struct value_name *out)
{
    write_pair(writer, "Add", input_of(writer, node, 0), input_of(writer, node, 1), out);
}

static void write_concat(struct writer *writer, const struct node *node, struct value_name *out)
{
    struct buf made = begin_node("Concat", out->text);
    for (int i = 0; i < node->n_inputs; i++)
        add_input(&made, input_of(writer, node, i));
    set_int(&made, "axis", 1);
    end_node(writer, &made);
}

/* Nothing: what reads it reads what it read. */
static void write_dropout(struct writer *writer, const struct node *node, struct value_name *out)
{
    *out = writer->values[node->inputs[0]];
}

static void write_linear(struct writer *writer, const struct node *node, struct value_name *out)
{
    struct buf made = begin_node("Gemm", out->text);
    add_input(&made, input_of(writer, node, 0));
    add_params(&made, node);
    set_int(&made, "transB", 1); /* the weight is (O,I) */
    end_node(writer, &made);
}

/* Each adds its nodes to the file; the last of them yields the value named `out`. */
static void (*const write_op[N_OPS])(struct writer *writer, const struct node *node,
                                     struct value_name *out) = {
    [OP_INPUT] = write_input,
    [OP_CONV] = write_conv,
    [OP_DEPTHWISE] = write_conv,
    [OP_BATCHNORM] = write_batchnorm,
    [OP_ACTIVATION] = write_activation,
    [OP_POOL] = write_pool,
    [OP_GLOBAL_POOL] = write_global_pool,
    [OP_CONCAT_POOL] = write_concat_pool,
    [OP_ADD] = write_add,
    [OP_CONCAT] = write_concat,
    [OP_DROPOUT] = write_dropout,
    [OP_LINEAR] = write_linear,
};

enum status onnx_write_nodes(const struct graph *graph, struct buf *nodes, struct buf *constants,
                             struct err *err)
{
    struct writer writer = {.graph = graph, .nodes = nodes, .constants = constants};
    enum status status = OK;
    writer.values = mem_alloc((size_t)graph->n_nodes * sizeof *writer.values);
    for (int i = 0; i < graph->n_nodes && status == OK; i++) {
        const struct node *node = &graph->nodes[i];
        struct value_name *out = &writer.values[i];
        snprintf(out->text, sizeof out->text, "%s", i == graph->output ? ONNX_OUTPUT : node->name);
        if (write_op[node->op])
            write_op[node->op](&writer, node, out);
        else
            status =
                err_set(err, E_INTERNAL, "The operation of %s has no form in ONNX.", node->name);
    }
    mem_free(writer.values);
    return status;
}
