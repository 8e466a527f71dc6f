/* bundle.h -- a model as one zip that works without us: the network as ONNX and as safetensors,
 * class names, how to prepare a picture, and a short program that does it all. */
#ifndef THAW_ENGINE_WORKER_BUNDLE_H
#define THAW_ENGINE_WORKER_BUNDLE_H

#include "base/status.h"
#include "engine/format/model_file.h"
#include "engine/format/tensor_source.h"

/* Writes the zip at `path` from the ONNX file at `onnx` and the open model. The same model gives
 * the same bytes. */
enum status bundle_write(const char *path, const char *onnx, const struct tensor_source *source,
                         const struct model_info *info, struct err *err);

#endif
