/* export_torch.h -- a model as PyTorch and fastai keep theirs. */
#ifndef THAW_ENGINE_WORKER_EXPORT_TORCH_H
#define THAW_ENGINE_WORKER_EXPORT_TORCH_H

#include <stdbool.h>

#include "engine/format/model_file.h"

/* A state dict that torch.load reads. Of pictures: the tensors' own names, torchvision's. Of text:
 * fastai's. A language model is what load_pretrained takes, a classifier what learn.load takes of
 * fastai v2 (of v1 where its head has biases). encoder_alone: what learn.load_encoder takes; only
 * of text. */
enum status export_torch(const char *path, const struct tensor_source *source,
                         const struct model_info *info, bool encoder_alone, struct err *err);

#endif
