/* onnx.c -- the file: what describes the network, and its weights, streamed.
 *
 * Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). A
 * message is preceded by its length, so everything but the weights is built in memory first, and
 * the weights' share of the length is computed. */
#include "engine/format/onnx.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/version.h"
#include "engine/format/onnx_ops.h"
#include "engine/format/protobuf.h"

#define IR_VERSION 7 /* the one that goes with opset 13 */
#define MAX_BYTES  ((uint64_t)INT32_MAX)
#define MAX_TEXT   (64u << 20) /* of all but the weights: class names are the most of it */
#define MAX_NODE   4096        /* of one message that holds no others of size */

/* Fields, by message. */
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_PRODUCER_VERSION = 3, MODEL_GRAPH = 7 };
enum { MODEL_OPSET = 8, MODEL_METADATA = 14, OPSET_VERSION = 2, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { GRAPH_NAME = 2, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { TENSOR_DIM = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9, ELEMENT_FLOAT = 1 };
enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1, TYPE_ELEMENT = 1, TYPE_SHAPE = 2 };
enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_NAME = 2 };

struct writer {
    const struct graph *graph;
    struct buf nodes; /* GraphProto's fields before the weights */
    struct buf rest;  /* and behind them: constants, input and output */
};

/* --- Input, output, metadata ------------------------------------------------------------------ */

/* A float tensor of (N, dims...), where N may be anything. */
static void add_value(struct buf *out, int field, const char *name, const int64_t *dims, int n_dims)
{
    struct buf dim, shape, tensor, type, value;
    struct buf *const all[] = {&dim, &shape, &tensor, &type, &value};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_init(all[i], MAX_NODE);
    protobuf_text(&dim, DIM_NAME, "N");
    protobuf_message(&shape, SHAPE_DIM, &dim);
    for (int i = 0; i < n_dims; i++) {
        buf_clear(&dim);
        protobuf_integer(&dim, DIM_VALUE, (uint64_t)dims[i]);
        protobuf_message(&shape, SHAPE_DIM, &dim);
    }
    protobuf_integer(&tensor, TYPE_ELEMENT, ELEMENT_FLOAT);
    protobuf_message(&tensor, TYPE_SHAPE, &shape);
    protobuf_message(&type, TYPE_TENSOR, &tensor);
    protobuf_text(&value, VALUE_NAME, name);
    protobuf_message(&value, VALUE_TYPE, &type);
    protobuf_message(out, field, &value);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_deinit(all[i]);
}

static void add_ends(struct writer *writer, const struct model_info *info)
{
    const struct node *logits = &writer->graph->nodes[writer->graph->output];
    const int64_t picture[] = {3, info->image_size, info->image_size};
    add_value(&writer->rest, GRAPH_INPUT, ONNX_INPUT, picture, 3);
    add_value(&writer->rest, GRAPH_OUTPUT, ONNX_OUTPUT, &logits->channels, 1);
}

/* ModelProto's fields before the graph. */
static void add_model(struct buf *out, const struct model_info *info)
{
    struct buf part;
    struct json *metadata = model_info_metadata(info);
    buf_init(&part, MAX_TEXT);
    protobuf_integer(out, MODEL_IR, IR_VERSION);
    protobuf_text(out, MODEL_PRODUCER, "thaw");
    protobuf_text(out, MODEL_PRODUCER_VERSION, THAW_VERSION);
    protobuf_integer(&part, OPSET_VERSION, ONNX_OPSET);
    protobuf_message(out, MODEL_OPSET, &part);
    json_each(entry, metadata)
    {
        buf_clear(&part);
        protobuf_text(&part, ENTRY_KEY, json_key(entry));
        protobuf_text(&part, ENTRY_VALUE, json_as_string(entry, ""));
        protobuf_message(out, MODEL_METADATA, &part);
    }
    out->overflow |= part.overflow;
    buf_deinit(&part);
    json_free(metadata);
}

/* --- Weights and file ------------------------------------------------------------------------- */

static uint64_t raw_bytes(const struct param *param)
{
    return (uint64_t)param->n_elements * sizeof(float);
}

/* GraphProto's field for one parameter up to the elements themselves; returns its whole length. */
static uint64_t add_tensor_head(struct buf *out, const struct param *param)
{
    struct buf tensor;
    buf_init(&tensor, MAX_NODE);
    for (int i = 0; i < param->n_dims; i++)
        protobuf_integer(&tensor, TENSOR_DIM, (uint64_t)param->dims[i]);
    protobuf_integer(&tensor, TENSOR_TYPE, ELEMENT_FLOAT);
    protobuf_text(&tensor, TENSOR_NAME, param->name);
    protobuf_begin(&tensor, TENSOR_RAW, raw_bytes(param));
    size_t before = out->len;
    protobuf_begin(out, GRAPH_INITIALIZER, tensor.len + raw_bytes(param));
    buf_append(out, tensor.data, tensor.len);
    buf_deinit(&tensor);
    return out->len - before + raw_bytes(param);
}

/* Of all tensors' fields; `largest` is the most elements that one has. */
static uint64_t measure_tensors(const struct graph *graph, size_t *largest)
{
    uint64_t total = 0;
    struct buf head;
    buf_init(&head, MAX_NODE);
    *largest = 1;
    for (int i = 0; i < graph->n_params; i++) {
        buf_clear(&head);
        total += add_tensor_head(&head, graph->params[i]);
        if (graph->params[i]->n_elements > *largest)
            *largest = graph->params[i]->n_elements;
    }
    buf_deinit(&head);
    return total;
}

static enum status write_tensors(int fd, const struct graph *graph, size_t largest, struct err *err)
{
    struct buf head;
    void *plain = NULL;
    enum status status =
        mem_try_alloc(largest, sizeof(float), "writing the largest tensor", &plain, err);
    buf_init(&head, MAX_NODE);
    for (int i = 0; i < graph->n_params && status == OK; i++) {
        const struct param *param = graph->params[i];
        buf_clear(&head);
        add_tensor_head(&head, param);
        param_read(param, PARAM_VALUE, plain);
        status = fs_write_all(fd, head.data, head.len, err);
        if (status == OK)
            status = fs_write_all(fd, plain, raw_bytes(param), err);
    }
    buf_deinit(&head);
    mem_free(plain);
    return status;
}

static enum status write_file(const char *path, const struct writer *writer, const struct buf *head,
                              size_t largest, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "Creating %s failed", path);
    enum status status = fs_write_all(fd, head->data, head->len, err);
    if (status == OK)
        status = write_tensors(fd, writer->graph, largest, err);
    if (status == OK)
        status = fs_write_all(fd, writer->rest.data, writer->rest.len, err);
    if (close(fd) != 0 && status == OK)
        status = err_errno(err, "Writing %s failed", path);
    return status;
}

/* All that stands before the weights; *largest as measure_tensors. */
static enum status make_head(struct writer *writer, const struct model_info *info, struct buf *head,
                             size_t *largest, struct err *err)
{
    protobuf_text(&writer->nodes, GRAPH_NAME, info->architecture);
    enum status status = onnx_write_nodes(writer->graph, &writer->nodes, &writer->rest, err);
    if (status != OK)
        return status;
    add_ends(writer, info);
    uint64_t graph = writer->nodes.len + measure_tensors(writer->graph, largest) + writer->rest.len;
    add_model(head, info);
    protobuf_begin(head, MODEL_GRAPH, graph);
    buf_append(head, writer->nodes.data, writer->nodes.len);
    if (head->overflow || writer->nodes.overflow || writer->rest.overflow)
        return err_set(err, E_INVALID, "The model's class names do not fit into an ONNX file.");
    if (head->len + graph > MAX_BYTES)
        return err_set(err, E_INVALID,
                       "The model has 2 GiB or more, which an ONNX file in one piece cannot hold: "
                       "take the safetensors file.");
    return OK;
}

enum status onnx_write(const char *path, const struct graph *graph, const struct model_info *info,
                       struct err *err)
{
    char temporary[PATH_MAX];
    if (!info->classes)
        return err_set(err, E_INVALID,
                       "The model has no classifier, so there are no logits to export: train one "
                       "on it first, or take the safetensors file.");
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >= sizeof temporary)
        return err_set(err, E_INVALID, "The path %.64s... is too long.", path);
    struct writer writer = {.graph = graph};
    struct buf head;
    size_t largest = 1;
    buf_init(&writer.nodes, MAX_TEXT);
    buf_init(&writer.rest, MAX_TEXT);
    buf_init(&head, MAX_TEXT);
    enum status status = make_head(&writer, info, &head, &largest, err);
    if (status == OK) {
        status = write_file(temporary, &writer, &head, largest, err);
        if (status == OK)
            status = fs_commit(temporary, path, err);
        if (status != OK)
            unlink(temporary);
    }
    buf_deinit(&head);
    buf_deinit(&writer.rest);
    buf_deinit(&writer.nodes);
    return status;
}
