/* onnx.h -- a network as an ONNX file: for runtimes that are not ours.
 *
 * Opset 13. Input `input`, float (N,3,S,S), normalised, with any N and the S of the model; output
 * `logits`, float (N,classes). The file's metadata are the model's own (model_file.h): class names,
 * normalisation, lineage, each as text. Initialisers have torchvision's names.
 *
 * What the graph knows is written, nothing is folded or fused: a runtime does that better for its
 * machine, and a reader finds the layers that were trained. Dropout does nothing outside training
 * and is left out. Our activations are (N,H,W,C) and ONNX's (N,C,H,W), which only matters where
 * pixels become rows: there the pooled (N,C,1,1) are flattened.
 *
 * ReLU6 is relu(x) - relu(x - 6): ONNX has Clip for it, but OpenCV read Clip's opset 11 form,
 * bounds as inputs, only after the version that Debian 12 has.
 *
 * Why no protobuf library: writing takes two kinds of field (protobuf.h), and this way weights go
 * from the parameters to the file one tensor at a time, while generated code would hold a second
 * copy of the model. What comes out is checked with the onnx package and OpenCV (tests/export). */
#ifndef THAW_ENGINE_FORMAT_ONNX_H
#define THAW_ENGINE_FORMAT_ONNX_H

#include "engine/core/graph.h"
#include "engine/format/model_file.h"

#define ONNX_INPUT  "input"
#define ONNX_OUTPUT "logits"
#define ONNX_OPSET  13

/* Writes the graph with its weights, atomically. E_INVALID for a model without a classifier, or one
 * of 2 GiB and more, which no reader of Protocol Buffers takes. */
enum status onnx_write(const char *path, const struct graph *graph, const struct model_info *info,
                       struct err *err);

#endif
