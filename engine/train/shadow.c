/* shadow.c -- see shadow.h. */
#include "engine/train/shadow.h"

#include <string.h>

#include "base/mem.h"

static enum status allocate(struct shadow *shadow, const struct graph *graph, struct err *err)
{
    shadow->values = mem_alloc((size_t)(graph->n_params + 1) * sizeof *shadow->values);
    shadow->n_params = graph->n_params;
    for (int i = 0; i < graph->n_params; i++) {
        void *block;
        enum status status = mem_try_aligned(graph->params[i]->n_stored, sizeof(float),
                                             "a second copy of the weights", &block, err);
        if (status != OK) {
            shadow_deinit(shadow);
            return status;
        }
        shadow->values[i] = block;
    }
    return OK;
}

enum status shadow_take(struct shadow *shadow, const struct graph *graph, struct err *err)
{
    enum status status = shadow->values ? OK : allocate(shadow, graph, err);
    for (int i = 0; i < graph->n_params && status == OK; i++)
        memcpy(shadow->values[i], graph->params[i]->parts[PARAM_VALUE],
               graph->params[i]->n_stored * sizeof(float));
    return status;
}

void shadow_restore(const struct shadow *shadow, struct graph *graph)
{
    for (int i = 0; i < shadow->n_params; i++)
        memcpy(graph->params[i]->parts[PARAM_VALUE], shadow->values[i],
               graph->params[i]->n_stored * sizeof(float));
}

void shadow_swap(struct shadow *shadow, struct graph *graph)
{
    for (int i = 0; i < shadow->n_params; i++) {
        float *value = graph->params[i]->parts[PARAM_VALUE];
        graph->params[i]->parts[PARAM_VALUE] = shadow->values[i];
        shadow->values[i] = value;
    }
}

void shadow_deinit(struct shadow *shadow)
{
    for (int i = 0; i < shadow->n_params; i++)
        mem_free(shadow->values[i]);
    mem_free(shadow->values);
    *shadow = (struct shadow){0};
}
