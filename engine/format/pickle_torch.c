/* pickle_torch.c -- the globals that state dicts use, and what they mean here.
 *
 * Each function below stands for one of Python's and only builds a value (torch/_utils.py,
 * torch/serialization.py). */
#include <string.h>

#include "engine/format/pickle_machine.h"

static enum status malformed(const char *what, struct err *err)
{
    return err_set(err, E_INVALID, "The pickle in the weights file describes a malformed %s.",
                   what);
}

/* OrderedDict(), or OrderedDict([[key, value], ...]) as Python 2 wrote it. */
static enum status ordered_dict(struct pickle_machine *machine, const struct pickle_items *args,
                                struct pickle_value **result, struct err *err)
{
    enum status status = pickle_new(machine, PICKLE_DICT, result, err);
    if (status != OK || args->n == 0)
        return status;
    if (args->n != 1 || args->items[0]->type != PICKLE_LIST)
        return malformed("OrderedDict", err);
    const struct pickle_items *pairs = &args->items[0]->u.items;
    for (size_t i = 0; i < pairs->n && status == OK; i++) {
        const struct pickle_value *pair = pairs->items[i];
        if ((pair->type != PICKLE_LIST && pair->type != PICKLE_TUPLE) || pair->u.items.n != 2)
            return malformed("OrderedDict", err);
        status = pickle_append(machine, &(*result)->u.items, pair->u.items.items[0], err);
        if (status == OK)
            status = pickle_append(machine, &(*result)->u.items, pair->u.items.items[1], err);
    }
    return status;
}

static bool read_integers(const struct pickle_value *tuple, int64_t *out, int *n)
{
    if (tuple->type != PICKLE_TUPLE || tuple->u.items.n > TENSOR_MAX_DIMS)
        return false;
    *n = (int)tuple->u.items.n;
    for (int i = 0; i < *n; i++) {
        const struct pickle_value *item = tuple->u.items.items[i];
        if (item->type != PICKLE_INT || item->u.integer < 0)
            return false;
        out[i] = item->u.integer;
    }
    return true;
}

/* _rebuild_tensor(storage, offset, size, stride); _rebuild_tensor_v2 has requires_grad,
 * backward_hooks and metadata after them, which are no weights. */
static enum status rebuild_tensor(struct pickle_machine *machine, const struct pickle_items *args,
                                  struct pickle_value **result, struct err *err)
{
    int n_strides;
    struct pickle_tensor *tensor = arena_alloc(machine->arena, sizeof *tensor);
    if (args->n < 4 || args->items[0]->type != PICKLE_STORAGE ||
        args->items[1]->type != PICKLE_INT || args->items[1]->u.integer < 0 ||
        !read_integers(args->items[2], tensor->dims, &tensor->n_dims) ||
        !read_integers(args->items[3], tensor->strides, &n_strides) || n_strides != tensor->n_dims)
        return malformed("tensor", err);
    tensor->storage = args->items[0]->u.storage;
    tensor->offset = args->items[1]->u.integer;
    enum status status = pickle_new(machine, PICKLE_TENSOR, result, err);
    if (status == OK)
        (*result)->u.tensor = tensor;
    return status;
}

/* _rebuild_parameter(tensor, requires_grad, hooks): the tensor. */
static enum status rebuild_parameter(struct pickle_machine *machine,
                                     const struct pickle_items *args, struct pickle_value **result,
                                     struct err *err)
{
    (void)machine;
    if (args->n < 1 || args->items[0]->type != PICKLE_TENSOR)
        return malformed("parameter", err);
    *result = args->items[0];
    return OK;
}

/* What an optimiser keeps beside weights, and no weight depends on: nothing is made of it. */
static enum status leave_out(struct pickle_machine *machine, const struct pickle_items *args,
                             struct pickle_value **result, struct err *err)
{
    (void)args;
    return pickle_new(machine, PICKLE_NONE, result, err);
}

static const struct pickle_global globals[] = {
    {"collections", "OrderedDict", .call = ordered_dict},
    {"torch._utils", "_rebuild_tensor", .call = rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", .call = rebuild_tensor},
    {"torch._utils", "_rebuild_parameter", .call = rebuild_parameter},
    {"torch", "DoubleStorage", .is_storage = true, .dtype = DTYPE_F64},
    {"torch", "FloatStorage", .is_storage = true, .dtype = DTYPE_F32},
    {"torch", "HalfStorage", .is_storage = true, .dtype = DTYPE_F16},
    {"torch", "BFloat16Storage", .is_storage = true, .dtype = DTYPE_BF16},
    {"torch", "LongStorage", .is_storage = true, .dtype = DTYPE_I64},
    {"torch", "IntStorage", .is_storage = true, .dtype = DTYPE_I32},
    {"torch", "ShortStorage", .is_storage = true, .dtype = DTYPE_I16},
    {"torch", "CharStorage", .is_storage = true, .dtype = DTYPE_I8},
    {"torch", "ByteStorage", .is_storage = true, .dtype = DTYPE_U8},
    {"torch", "BoolStorage", .is_storage = true, .dtype = DTYPE_BOOL},
    {"fastcore.foundation", "L", .call = leave_out}, /* fastai's lists of settings, and in them */
    {"numpy.core.multiarray", "scalar", .call = leave_out}, /* learning rates: a number, */
    {"numpy._core.multiarray", "scalar", .call = leave_out},
    {"numpy", "dtype", .call = leave_out},    /* its type, */
    {"_codecs", "encode", .call = leave_out}, /* and its bytes as text */
};

const struct pickle_global *pickle_find_global(struct pickle_text module, struct pickle_text name)
{
    for (size_t i = 0; i < ARRAY_LEN(globals); i++) {
        if (pickle_text_is(module, globals[i].module) && pickle_text_is(name, globals[i].name))
            return &globals[i];
    }
    return NULL;
}

/* view: None, or (key of the view, offset, elements), which the legacy format may have. */
static bool read_view(const struct pickle_value *view, struct pickle_storage *storage)
{
    if (view->type == PICKLE_NONE)
        return true;
    if (view->type != PICKLE_TUPLE || view->u.items.n != 3)
        return false;
    const struct pickle_value *offset = view->u.items.items[1], *n = view->u.items.items[2];
    if (offset->type != PICKLE_INT || n->type != PICKLE_INT || offset->u.integer < 0 ||
        n->u.integer < 0 || offset->u.integer > storage->n_elements ||
        n->u.integer > storage->n_elements - offset->u.integer)
        return false;
    storage->view_offset = offset->u.integer;
    storage->view_elements = n->u.integer;
    return true;
}

enum status pickle_load_persistent(struct pickle_machine *machine, const struct pickle_value *id,
                                   struct pickle_value **result, struct err *err)
{
    const struct pickle_items *parts = &id->u.items;
    if (id->type != PICKLE_TUPLE || (parts->n != 5 && parts->n != 6) ||
        parts->items[0]->type != PICKLE_STRING ||
        !pickle_text_is(parts->items[0]->u.string, "storage") ||
        parts->items[1]->type != PICKLE_GLOBAL || !parts->items[1]->u.global->is_storage ||
        parts->items[2]->type != PICKLE_STRING || parts->items[4]->type != PICKLE_INT ||
        parts->items[4]->u.integer < 0)
        return malformed("storage", err);
    struct pickle_storage *storage = arena_alloc(machine->arena, sizeof *storage);
    *storage = (struct pickle_storage){.dtype = parts->items[1]->u.global->dtype,
                                       .key = parts->items[2]->u.string,
                                       .n_elements = parts->items[4]->u.integer,
                                       .view_elements = parts->items[4]->u.integer};
    if (parts->n == 6 && !read_view(parts->items[5], storage))
        return malformed("view of a storage", err);
    enum status status = pickle_new(machine, PICKLE_STORAGE, result, err);
    if (status != OK)
        return status;
    (*result)->u.storage = storage;
    return pickle_append(machine, &machine->storages, *result, err);
}
