/* torch_write.h -- a state dict as torch.save writes one (zip format), which torch.load reads.
 *
 * A pickle that makes an OrderedDict of float32 tensors, and their bytes beside it. Tensors may
 * share their numbers, as tied weights do in PyTorch: a storage is written once. */
#ifndef THAW_ENGINE_FORMAT_TORCH_WRITE_H
#define THAW_ENGINE_FORMAT_TORCH_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct torch_item {
    const char *name; /* borrowed */
    int n_dims;
    const int64_t *dims; /* borrowed; row-major */
    size_t storage;      /* whose numbers: 0..n_storages-1 */
};

struct torch_content {
    const struct torch_item *items; /* borrowed; in the dict's order, unique names */
    size_t n_items, n_storages;
    /* Writes a storage's elements, as many as its items have, into `plain`. Called once a storage,
     * in order. */
    void (*fill)(void *context, size_t storage, float *plain);
    void *context;
};

enum status torch_write(const char *path, const struct torch_content *content, struct err *err);

#endif
