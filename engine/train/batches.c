#include "engine/train/batches.h"

#include "base/mem.h"

/* A reader of cached features. */
struct reader {
    const struct feature_cache *cache; /* borrowed */
    const struct pack *pack;           /* borrowed */
    enum loader_pass pass;
    struct order *order; /* owned */
    uint32_t *items;     /* owned; as this epoch takes them */
    int64_t n_items, steps, step;
    uint32_t epoch;
    int batch_size;
    float *rows;     /* owned; (batch_size, row) */
    int32_t *labels; /* owned; (batch_size) */
};

struct batches {
    struct loader *loader; /* owned; NULL: read from a cache */
    struct reader reader;
};

enum status batches_open(const struct pack *pack, const struct loader_options *options,
                         struct batches **out, struct err *err)
{
    struct loader *loader = NULL;
    enum status status = loader_open(pack, options, &loader, err);
    if (status != OK)
        return status;
    *out = mem_alloc(sizeof **out);
    (*out)->loader = loader;
    return OK;
}

static enum status open_reader(struct reader *r, const struct loader_options *options,
                               struct err *err)
{
    bool train = r->pass == LOADER_TRAIN;
    enum sampler sampler = train ? options->sampler : SAMPLER_IN_ORDER;
    void *rows = NULL, *items = NULL;
    r->batch_size =
        (int64_t)options->batch_size < r->n_items ? options->batch_size : (int)r->n_items;
    r->steps = (r->n_items + (train ? 0 : r->batch_size - 1)) / r->batch_size;
    r->step = r->steps; /* nothing before batches_begin */
    size_t batch = (size_t)r->batch_size;
    enum status status = mem_try_aligned(batch * feature_cache_row(r->cache), sizeof *r->rows,
                                         "a batch of features", &rows, err);
    if (status == OK)
        status = mem_try_alloc((size_t)r->n_items, sizeof *r->items, "the order of an epoch",
                               &items, err);
    r->rows = rows;
    r->items = items;
    r->labels = mem_alloc(batch * sizeof *r->labels);
    if (status == OK)
        status = order_new(r->pack, options->items, options->n_items, sampler, options->seed,
                           &r->order, err);
    return status;
}

enum status batches_open_cached(const struct feature_cache *cache, const struct pack *pack,
                                const struct loader_options *options, struct batches **out,
                                struct err *err)
{
    if (options->n_items == 0 || options->batch_size < 1)
        return err_set(err, E_INVALID, "There are no items to load.");
    struct batches *batches = mem_alloc(sizeof *batches);
    batches->reader = (struct reader){
        .cache = cache, .pack = pack, .pass = options->pass, .n_items = options->n_items};
    enum status status = open_reader(&batches->reader, options, err);
    if (status == OK)
        *out = batches;
    else
        batches_close(batches);
    return status;
}

void batches_close(struct batches *batches)
{
    if (!batches)
        return;
    loader_close(batches->loader);
    order_free(batches->reader.order);
    mem_free(batches->reader.items);
    mem_free(batches->reader.rows);
    mem_free(batches->reader.labels);
    mem_free(batches);
}

int64_t batches_steps(const struct batches *batches)
{
    return batches->loader ? loader_steps(batches->loader) : batches->reader.steps;
}

void batches_begin(struct batches *batches, uint32_t stage, uint32_t epoch, int64_t first_step)
{
    struct reader *r = &batches->reader;
    if (batches->loader) {
        loader_begin(batches->loader, stage, epoch, first_step);
        return;
    }
    order_draw(r->order, stage, epoch, r->items);
    r->epoch = epoch;
    r->step = first_step < r->steps ? first_step : r->steps;
}

static enum status read_batch(struct reader *r, struct batch *batch, struct err *err)
{
    *batch = (struct batch){0};
    if (r->step == r->steps)
        return OK;
    const uint32_t *items = r->items + r->step * r->batch_size;
    int64_t left = r->n_items - r->step * r->batch_size;
    int count = left < r->batch_size ? (int)left : r->batch_size;
    size_t row = feature_cache_row(r->cache);
    for (int i = 0; i < count; i++) {
        r->labels[i] = pack_item(r->pack, items[i])->label;
        enum status status = feature_cache_read(r->cache, r->pass, items[i], r->epoch,
                                                r->rows + (size_t)i * row, err);
        if (status != OK)
            return status;
    }
    *batch = (struct batch){r->rows, row, r->labels, items, count};
    r->step++;
    return OK;
}

enum status batches_next(struct batches *batches, struct batch *batch, struct err *err)
{
    return batches->loader ? loader_next(batches->loader, batch, err)
                           : read_batch(&batches->reader, batch, err);
}
