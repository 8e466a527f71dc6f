/* onnx_ops.h -- inside onnx.c's file: the nodes of its GraphProto.
 *
 * To add an operation: a function, and its row in write_op of onnx_ops.c. */
#ifndef THAW_ENGINE_FORMAT_ONNX_OPS_H
#define THAW_ENGINE_FORMAT_ONNX_OPS_H

#include "base/buf.h"
#include "base/status.h"
#include "engine/core/graph.h"

/* Appends the graph's nodes, and the constants that they read beside the parameters: fields of
 * GraphProto both. What does not fit is the buffers' `overflow`. */
enum status onnx_write_nodes(const struct graph *graph, struct buf *nodes, struct buf *constants,
                             struct err *err);

#endif
