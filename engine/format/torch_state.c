/* torch_state.c -- finds the state dict, drops "module.", checks each view against its storage. */
#include "engine/format/torch_state.h"

#include <string.h>

#define MAX_NESTING     4
#define PARALLEL_PREFIX "module." /* what torch.nn.DataParallel puts in front of every name */

static bool holds_tensors(const struct pickle_value *dict)
{
    for (size_t i = 1; i < dict->u.items.n; i += 2) {
        if (dict->u.items.items[i]->type == PICKLE_TENSOR)
            return true;
    }
    return false;
}

/* The dict that holds the tensors: the root, or what it holds under one of the usual names. */
static const struct pickle_value *find_state_dict(const struct pickle_value *root)
{
    static const char *const keys[] = {"state_dict", "model", "model_state_dict"};
    const struct pickle_value *dict = root;
    for (int depth = 0; depth <= MAX_NESTING; depth++) {
        const struct pickle_value *inner = NULL;
        for (size_t i = 0; i < ARRAY_LEN(keys) && !inner; i++) {
            inner = pickle_get(dict, keys[i]);
            if (inner && inner->type != PICKLE_DICT)
                inner = NULL;
        }
        if (!inner)
            return dict->type == PICKLE_DICT && holds_tensors(dict) ? dict : NULL;
        dict = inner;
    }
    return NULL;
}

/* The tensor's part of its storage, and the room behind its first element. */
static enum status place(const char *name, const struct pickle_tensor *tensor, const uint8_t *data,
                         uint64_t n_bytes, struct tensor_view *view, uint64_t *room,
                         struct err *err)
{
    const struct pickle_storage *storage = tensor->storage;
    uint64_t size = dtype_size(storage->dtype);
    if ((uint64_t)storage->n_elements > n_bytes / size)
        return err_set(err, E_INVALID,
                       "The storage of the tensor %s should hold %lld elements, the file has only "
                       "%llu.",
                       name, (long long)storage->n_elements, (unsigned long long)(n_bytes / size));
    if (tensor->offset > storage->view_elements)
        return err_set(err, E_INVALID, "The tensor %s begins beyond its storage.", name);
    view->data = data + (uint64_t)(storage->view_offset + tensor->offset) * size;
    *room = (uint64_t)(storage->view_elements - tensor->offset) * size;
    return OK;
}

static enum status add_tensor(struct tensor_source *source, const struct torch_storages *storages,
                              struct pickle_text key, const struct pickle_tensor *tensor,
                              struct err *err)
{
    char name[TENSOR_MAX_NAME + 2];
    size_t skip = strlen(PARALLEL_PREFIX);
    if (key.len < skip || memcmp(key.text, PARALLEL_PREFIX, skip) != 0)
        skip = 0;
    if (key.len - skip >= sizeof name || memchr(key.text, '\0', key.len))
        return err_set(err, E_INVALID, "A tensor's name is longer than %d bytes, or holds a NUL.",
                       TENSOR_MAX_NAME);
    memcpy(name, key.text + skip, key.len - skip);
    name[key.len - skip] = '\0';

    struct tensor_view view = {
        .name = name, .dtype = tensor->storage->dtype, .n_dims = tensor->n_dims};
    memcpy(view.dims, tensor->dims, sizeof view.dims);
    memcpy(view.strides, tensor->strides, sizeof view.strides);
    const uint8_t *data = NULL;
    uint64_t n_bytes = 0, room = 0;
    enum status status = storages->find(storages->context, tensor->storage, &data, &n_bytes, err);
    if (status == OK)
        status = place(name, tensor, data, n_bytes, &view, &room, err);
    if (status == OK)
        status = tensor_source_add(source, &view, room, err);
    return status;
}

enum status torch_add_state_dict(struct tensor_source *source,
                                 const struct torch_storages *storages,
                                 const struct pickle_value *root, struct err *err)
{
    const struct pickle_value *dict = find_state_dict(root);
    if (!dict)
        return err_set(err, E_INVALID,
                       "The torch file holds no state dict: expected a dict of tensors, alone or "
                       "under \"state_dict\" or \"model\".");
    enum status status = OK;
    for (size_t i = 0; i + 1 < dict->u.items.n && status == OK; i += 2) {
        const struct pickle_value *key = dict->u.items.items[i];
        const struct pickle_value *value = dict->u.items.items[i + 1];
        if (key->type == PICKLE_STRING && value->type == PICKLE_TENSOR)
            status = add_tensor(source, storages, key->u.string, value->u.tensor, err);
    }
    return status;
}
