/* fuzz_pickle.c -- a pickle is a bounded tree of values or a refusal with a sentence. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "engine/format/pickle.h"

/* Touches every text and dimension; containers may be cyclic, hence the depth. */
static uint64_t walk(const struct pickle_value *value, int depth)
{
    uint64_t sum = value->type;
    if (value->type == PICKLE_STRING) {
        for (size_t i = 0; i < value->u.string.len; i++)
            sum += (unsigned char)value->u.string.text[i];
    } else if (value->type == PICKLE_TENSOR) {
        const struct pickle_tensor *tensor = value->u.tensor;
        for (int i = 0; i < tensor->n_dims; i++)
            promise(tensor->dims[i] >= 0 && tensor->strides[i] >= 0);
        promise(tensor->offset >= 0 && tensor->storage->n_elements >= 0);
    } else if (depth > 0 && (value->type == PICKLE_TUPLE || value->type == PICKLE_LIST ||
                             value->type == PICKLE_DICT)) {
        for (size_t i = 0; i < value->u.items.n && i < 64; i++)
            sum += walk(value->u.items.items[i], depth - 1);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct pickle pickle = {0};
    struct err err = {0};
    arena_init(&arena);
    if (pickle_read(data, size, &arena, &pickle, &err) == OK) {
        promise(pickle.used <= size);
        walk(pickle.root, 4);
        pickle_get(pickle.root, "state_dict");
        for (size_t i = 0; i < pickle.storages.n; i++)
            walk(pickle.storages.items[i], 0);
    } else {
        promise(err.status == E_INVALID && err.detail[0]);
    }
    arena_deinit(&arena);
    return 0;
}
