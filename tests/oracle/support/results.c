#include "tests/oracle/support/results.h"

#include <string.h>

#include "base/mem.h"
#include "engine/format/safetensors.h"

float *results_add(struct results *results, char *name, int n_dims, const int64_t *dims,
                   const float *data)
{
    results->at = mem_realloc(results->at, (results->n + 1) * sizeof *results->at);
    struct result *result = &results->at[results->n++];
    *result = (struct result){.name = name, .n_dims = n_dims, .n = 1};
    for (int i = 0; i < n_dims; i++) {
        result->dims[i] = dims[i];
        result->n *= (size_t)dims[i];
    }
    result->data = mem_alloc(result->n * sizeof(float));
    if (data)
        memcpy(result->data, data, result->n * sizeof(float));
    return result->data;
}

static void fill_result(void *context, size_t item, float *plain)
{
    const struct result *result = &((const struct results *)context)->at[item];
    memcpy(plain, result->data, result->n * sizeof(float));
}

enum status results_write(struct results *results, const char *path, struct err *err)
{
    struct safetensors_item *items = mem_alloc((results->n + 1) * sizeof *items);
    for (size_t i = 0; i < results->n; i++)
        items[i] = (struct safetensors_item){results->at[i].name, results->at[i].n_dims,
                                             results->at[i].dims};
    struct safetensors_content content = {
        .items = items, .n_items = results->n, .fill = fill_result, .context = results};
    enum status status = safetensors_write(path, &content, NULL, err);
    mem_free(items);
    return status;
}

void results_deinit(struct results *results)
{
    for (size_t i = 0; i < results->n; i++) {
        mem_free(results->at[i].name);
        mem_free(results->at[i].data);
    }
    mem_free(results->at);
}
