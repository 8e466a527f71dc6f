/* torch_state.h -- inside the torch readers: from a pickled object to the tensors of its state
 * dict.
 */
#ifndef THAW_ENGINE_FORMAT_TORCH_STATE_H
#define THAW_ENGINE_FORMAT_TORCH_STATE_H

#include "engine/format/pickle.h"
#include "engine/format/tensor_source.h"

/* Where the bytes of a storage are: each file format's own way. */
struct torch_storages {
    /* E_INVALID when the file lacks that storage. */
    enum status (*find)(const void *context, const struct pickle_storage *storage,
                        const uint8_t **data, uint64_t *n_bytes, struct err *err);
    const void *context;
};

/* Adds every tensor of the state dict that `root` is or holds. */
enum status torch_add_state_dict(struct tensor_source *source,
                                 const struct torch_storages *storages,
                                 const struct pickle_value *root, struct err *err);

#endif
