/* export_torch.c -- import_text_names.c the other way round. Tensors that torch keeps twice (the
 * embedding in its dropout, the tied decoder) share one storage here as well. */
#include "engine/worker/export_torch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/format/torch_write.h"

#define MOST_NAMES 3 /* of one tensor */
#define HEAD       "head."

struct exporter {
    const struct tensor_source *source; /* borrowed */
    const char *front;                  /* of the encoder's names; NULL: names stay */
    bool copies_hidden; /* the hidden weights once more, as fastai v1 wants and v2 passes over */
    bool encoder_alone;
    bool flat_head;           /* v1: one list of layers */
    struct torch_item *items; /* owned */
    char **names;             /* owned, and the names */
    size_t *tensors;          /* owned; of each storage, its place in the source */
    size_t n_items, n_storages;
};

static void add(struct exporter *e, size_t tensor, char *name)
{
    const struct tensor_view *view = &e->source->tensors[tensor];
    if (e->n_storages == 0 || e->tensors[e->n_storages - 1] != tensor)
        e->tensors[e->n_storages++] = tensor;
    e->items[e->n_items] = (struct torch_item){name, view->n_dims, view->dims, e->n_storages - 1};
    e->names[e->n_items++] = name;
}

static void add_lstm(struct exporter *e, size_t tensor, const char *name)
{
    const char *inner = strrchr(name, '.') + 1;
    int layer = (int)(inner - 1 - name);
    bool hidden = strcmp(inner, "weight_hh_l0") == 0;
    if (hidden)
        add(e, tensor, mem_printf("%s%.*s.%s_raw", e->front, layer, name, inner));
    if (!hidden || e->copies_hidden)
        add(e, tensor, mem_printf("%s%.*s.module.%s", e->front, layer, name, inner));
}

/* head.N.x, where N counts norm, dropout, linear, ReLU and again. */
static void add_head(struct exporter *e, size_t tensor, const char *name)
{
    char *rest = NULL;
    long layer = strtol(name + strlen(HEAD), &rest, 10);
    if (e->flat_head)
        add(e, tensor, mem_printf("1.layers.%ld%s", layer, rest));
    else
        add(e, tensor, mem_printf("1.layers.%ld.%ld%s", layer / 4, layer % 4, rest));
}

static void add_tensor(struct exporter *e, size_t tensor)
{
    const char *name = e->source->tensors[tensor].name;
    bool is_head = strncmp(name, HEAD, strlen(HEAD)) == 0;
    bool is_bias = strcmp(name, "decoder.bias") == 0;
    if (!e->front) {
        add(e, tensor, mem_strdup(name));
    } else if (strcmp(name, "encoder.weight") == 0) {
        add(e, tensor, mem_printf("%s%s", e->front, name));
        add(e, tensor, mem_printf("%sencoder_dp.emb.weight", e->front));
        if (!e->encoder_alone && tensor_source_find(e->source, "decoder.bias"))
            add(e, tensor, mem_strdup("1.decoder.weight"));
    } else if (strncmp(name, "rnns.", 5) == 0) {
        add_lstm(e, tensor, name);
    } else if (is_bias && !e->encoder_alone) {
        add(e, tensor, mem_strdup("1.decoder.bias"));
    } else if (is_head && !e->encoder_alone) {
        add_head(e, tensor, name);
    }
}

static void fill(void *context, size_t storage, float *plain)
{
    const struct exporter *e = context;
    tensor_read(&e->source->tensors[e->tensors[storage]], plain);
}

static const char *front_of(const struct model_info *info, bool encoder_alone)
{
    if (!model_info_is_text(info))
        return NULL;
    if (encoder_alone || strcmp(info->head, MODEL_HEAD_NONE) == 0)
        return "";
    return strcmp(info->head, MODEL_HEAD_DECODER) == 0 ? "0." : "0.module.";
}

enum status export_torch(const char *path, const struct tensor_source *source,
                         const struct model_info *info, bool encoder_alone, struct err *err)
{
    size_t most = source->n_tensors * MOST_NAMES + 1;
    if (encoder_alone && !model_info_is_text(info))
        return err_set(err, E_INVALID,
                       "The model is one of pictures: its weights are had as pth, not as encoder.");
    struct exporter e = {
        .source = source,
        .front = front_of(info, encoder_alone),
        .copies_hidden = encoder_alone || !model_info_has_classes(info),
        .encoder_alone = encoder_alone,
        .flat_head = tensor_source_find(source, "head.2.bias") != NULL,
        .items = mem_alloc(most * sizeof *e.items),
        .names = mem_alloc(most * sizeof *e.names),
        .tensors = mem_alloc(most * sizeof *e.tensors),
    };
    for (size_t i = 0; i < source->n_tensors; i++)
        add_tensor(&e, i);
    struct torch_content content = {.items = e.items,
                                    .n_items = e.n_items,
                                    .n_storages = e.n_storages,
                                    .fill = fill,
                                    .context = &e};
    enum status status = torch_write(path, &content, err);
    for (size_t i = 0; i < e.n_items; i++)
        mem_free(e.names[i]);
    mem_free(e.items);
    mem_free(e.names);
    mem_free(e.tensors);
    return status;
}
