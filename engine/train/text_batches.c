#include "engine/train/text_batches.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

#define POOL_BATCHES 50 /* fastai's */

struct place {
    int64_t words;
    uint32_t item, rank; /* rank: among equally long ones */
};

struct text_batches {
    struct text_batches_options options;
    struct order *order; /* owned; training */
    uint32_t *items;     /* owned; (n_items) as this epoch takes them */
    struct place *pool;  /* owned; (n_items) */
    int32_t *labels;     /* owned; (batch) */
    int64_t steps, step;
};

static int by_length(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    if (a->words != b->words)
        return a->words > b->words ? -1 : 1;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

enum status text_batches_open(const struct text_batches_options *options, struct text_batches **out,
                              struct err *err)
{
    struct text_batches *batches = mem_alloc(sizeof *batches);
    int64_t n = options->n_items, batch = options->batch < n ? options->batch : n;
    void *items = NULL, *pool = NULL;
    *batches = (struct text_batches){.options = *options};
    batches->options.batch = batch;
    batches->steps = batch == 0 ? 0 : options->train ? n / batch : (n + batch - 1) / batch;
    batches->step = batches->steps;
    batches->labels = mem_alloc((size_t)(batch + 1) * sizeof *batches->labels);
    enum status status =
        mem_try_alloc((size_t)n + 1, sizeof *batches->items, "the order of an epoch", &items, err);
    if (status == OK)
        status =
            mem_try_alloc((size_t)n + 1, sizeof *batches->pool, "the lengths of texts", &pool, err);
    batches->items = items;
    batches->pool = pool;
    enum sampler sampler = options->balanced ? SAMPLER_BALANCED : SAMPLER_SHUFFLED;
    if (status == OK && options->train)
        status = order_new(options->pack, options->items, options->n_items, sampler, options->seed,
                           &batches->order, err);
    if (status == OK)
        *out = batches;
    else
        text_batches_close(batches);
    return status;
}

void text_batches_close(struct text_batches *batches)
{
    if (!batches)
        return;
    order_free(batches->order);
    mem_free(batches->items);
    mem_free(batches->pool);
    mem_free(batches->labels);
    mem_free(batches);
}

/* Sorts items[from..to) by length; equal ones stay in their order. */
static void sort_pool(struct text_batches *batches, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        batches->pool[i] = (struct place){
            text_corpus_words(batches->options.corpus,
                              text_corpus_find(batches->options.corpus, batches->items[i])),
            batches->items[i], i};
    qsort(batches->pool + from, to - from, sizeof *batches->pool, by_length);
    for (uint32_t i = from; i < to; i++)
        batches->items[i] = batches->pool[i].item;
}

/* The longest text of the epoch to the front. */
static void longest_first(struct text_batches *batches)
{
    uint32_t longest = 0;
    int64_t most = -1;
    for (uint32_t i = 0; i < batches->options.n_items; i++) {
        uint32_t document = text_corpus_find(batches->options.corpus, batches->items[i]);
        int64_t words = text_corpus_words(batches->options.corpus, document);
        if (words > most) {
            most = words;
            longest = i;
        }
    }
    uint32_t first = batches->items[0];
    batches->items[0] = batches->items[longest];
    batches->items[longest] = first;
}

/* The batches between the first and the last change places, as wholes. */
static void shuffle_batches(struct text_batches *batches, uint32_t stage, uint32_t epoch)
{
    struct rng rng = rng_stream("batches", batches->options.seed, stage, epoch);
    size_t size = (size_t)batches->options.batch;
    for (int64_t i = batches->steps - 2; i > 1; i--) {
        int64_t j = 1 + rng_below(&rng, (uint32_t)i);
        for (size_t k = 0; k < size; k++) {
            uint32_t *a = &batches->items[(size_t)i * size + k];
            uint32_t *b = &batches->items[(size_t)j * size + k];
            uint32_t kept = *a;
            *a = *b;
            *b = kept;
        }
    }
}

void text_batches_begin(struct text_batches *batches, uint32_t stage, uint32_t epoch,
                        int64_t first_step)
{
    const struct text_batches_options *o = &batches->options;
    batches->step = first_step < batches->steps ? first_step : batches->steps;
    if (!o->train) {
        memcpy(batches->items, o->items, o->n_items * sizeof *batches->items);
        sort_pool(batches, 0, o->n_items);
        return;
    }
    order_draw(batches->order, stage, epoch, batches->items);
    longest_first(batches);
    uint32_t pool = (uint32_t)(o->batch * POOL_BATCHES);
    for (uint32_t from = 0; from < o->n_items; from += pool)
        sort_pool(batches, from, o->n_items - from < pool ? o->n_items : from + pool);
    shuffle_batches(batches, stage, epoch);
}

void text_batches_next(struct text_batches *batches, struct batch *batch)
{
    *batch = (struct batch){0};
    if (batches->step == batches->steps)
        return;
    int64_t size = batches->options.batch, from = batches->step++ * size;
    int64_t left = batches->options.n_items - from;
    batch->items = batches->items + from;
    batch->count = (int)(left < size ? left : size);
    batch->labels = batches->labels;
    for (int i = 0; i < batch->count; i++)
        batches->labels[i] = pack_item(batches->options.pack, batch->items[i])->label;
}
