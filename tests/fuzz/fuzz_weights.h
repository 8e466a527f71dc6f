/* fuzz_weights.h -- opens bytes as a weights file and reads what it holds. */
#ifndef THAW_TESTS_FUZZ_FUZZ_WEIGHTS_H
#define THAW_TESTS_FUZZ_FUZZ_WEIGHTS_H

#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "engine/format/tensor_source.h"

#define FUZZ_MAX_ELEMENTS 65536

static inline void fuzz_weights(const uint8_t *bytes, size_t size)
{
    struct tensor_source source;
    struct err err = {0};
    if (tensor_source_from_bytes(bytes, size, &source, &err) != OK) {
        promise(err.detail[0] && (err.status == E_INVALID || err.status == E_NO_SPACE));
        return;
    }
    for (size_t i = 0; i < source.n_tensors; i++) {
        const struct tensor_view *view = &source.tensors[i];
        promise(tensor_source_find(&source, view->name) == view);
        if (view->n_elements > FUZZ_MAX_ELEMENTS)
            continue;
        float *values = mem_alloc(view->n_elements * sizeof *values);
        uint8_t *raw = mem_alloc(view->n_elements * dtype_size(view->dtype));
        tensor_read_raw(view, raw);
        if (tensor_read_finite(view, values, &err) != OK)
            promise(err.detail[0]);
        mem_free(values);
        mem_free(raw);
    }
    tensor_source_close(&source);
}

#endif
