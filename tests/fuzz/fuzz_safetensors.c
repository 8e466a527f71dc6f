/* fuzz_safetensors.c -- the input is the JSON header; 64 bytes of data follow it. */
#include "tests/fuzz/fuzz_weights.h"

#define DATA 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t length = size;
    uint8_t *file = mem_alloc(sizeof length + size + DATA);
    memcpy(file, &length, sizeof length);
    if (size > 0)
        memcpy(file + sizeof length, data, size);
    fuzz_weights(file, sizeof length + size + DATA);
    mem_free(file);
    return 0;
}
