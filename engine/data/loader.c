/* loader.c -- see loader.h.
 *
 * The unit of work is one item of one batch: `claim` hands them out in order, and a worker takes
 * the next one as soon as its batch's slot is free. Batch k of the epoch lives in slot
 * k % N_SLOTS, free once batch k - N_SLOTS was given back, and is ready when all of its items were
 * claimed and none is missing. A new epoch begins when no worker is decoding for the old one. */
#include "engine/data/loader.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/preprocess.h"

#define N_SLOTS     (LOADER_AHEAD + 1)
#define MAX_THREADS 256
#define MAX_BATCH   8192
#define MAX_VIEWS   64

struct slot {
    float *images;   /* owned; (batch_size,size,size,3) */
    int32_t *labels; /* owned; (batch_size) */
    uint32_t *items; /* owned; (batch_size) */
    int missing;     /* items that are not in yet; guarded by lock */
};

struct worker {
    struct loader *loader; /* borrowed */
    pthread_t thread;
    struct preprocess *preprocess; /* owned */
    uint8_t *bytes;                /* owned; an encoded item */
    size_t capacity;
};

struct loader {
    const struct pack *pack; /* borrowed */
    struct loader_options options;
    struct order *order; /* owned: how an epoch takes the items */
    uint32_t *items;     /* owned; as this epoch takes them */
    int64_t rows;        /* of one epoch: the items, or the items and their views */
    int64_t steps;
    uint32_t stage, epoch;

    pthread_mutex_t lock; /* a leaf; guards what follows, and slot.missing */
    pthread_cond_t work;  /* a slot became free, an epoch began, or closing */
    pthread_cond_t ready; /* a batch is complete, failed, or a worker became idle */
    int64_t claim_step;   /* `claim` hands out item claim_row of this batch; steps: none is left */
    int claim_row;
    int64_t lend_step; /* the batch that loader_next gives next */
    int64_t oldest;    /* the lowest batch whose slot is in use: lent out, or the next to be */
    int busy;          /* workers that are decoding */
    bool closing, failed;
    struct err err; /* why, when failed */

    struct slot slots[N_SLOTS];
    struct worker *workers; /* owned */
    int n_workers;          /* started */
};

static int count_of(const struct loader *loader, int64_t step)
{
    int64_t left = loader->rows - step * loader->options.batch_size;
    return left < loader->options.batch_size ? (int)left : loader->options.batch_size;
}

/* --- Workers ------------------------------------------------------------------------------- */

static enum status read_item(struct worker *worker, uint32_t item, struct err *err)
{
    const struct pack *pack = worker->loader->pack;
    size_t size = pack_item(pack, item)->size;
    if (size > worker->capacity) {
        void *larger;
        enum status status = mem_try_alloc(size, 1, "an encoded picture", &larger, err);
        if (status)
            return status;
        mem_free(worker->bytes);
        worker->bytes = larger;
        worker->capacity = size;
    }
    return pack_read(pack, item, worker->bytes, err);
}

/* `unique` names the draw of this item's augmentation; 0 with LOADER_VIEWS: the plain picture. */
static enum status decode_item(struct worker *worker, uint32_t item, uint64_t unique, float *out,
                               struct err *err)
{
    const struct loader *loader = worker->loader;
    const struct loader_options *options = &loader->options;
    struct image_header header = pack_item_header(loader->pack, item);
    size_t len = pack_item(loader->pack, item)->size;
    enum status status = read_item(worker, item, err);
    if (status)
        return status;
    bool plain = options->pass == LOADER_VALID || (options->pass == LOADER_VIEWS && unique == 0);
    if (plain || !options->augment.enabled)
        return preprocess_eval(worker->preprocess, worker->bytes, len, &header, options->size, out,
                               err);
    struct rng rng = rng_stream("augment", options->seed, unique, item);
    int width, height;
    image_turned_size(&header, &width, &height);
    struct augment augment = augment_draw(&options->augment, width, height, &rng);
    return preprocess_train(worker->preprocess, worker->bytes, len, &header, &augment,
                            options->size, out, err);
}

/* Called with the lock: the next item, once its slot is free. False when closing. */
static bool claim(struct loader *loader, int64_t *step, int *row)
{
    while (!loader->closing && (loader->failed || loader->claim_step >= loader->steps ||
                                loader->claim_step >= loader->oldest + N_SLOTS))
        pthread_cond_wait(&loader->work, &loader->lock);
    if (loader->closing)
        return false;
    *step = loader->claim_step;
    *row = loader->claim_row;
    int count = count_of(loader, *step);
    if (*row == 0)
        loader->slots[*step % N_SLOTS].missing = count;
    if (++loader->claim_row == count) {
        loader->claim_row = 0;
        loader->claim_step++;
    }
    return true;
}

/* The item that stands at `at` of the epoch, and the number of its draw. */
static uint32_t item_at(const struct loader *loader, int64_t at, uint64_t *unique)
{
    int64_t copies = loader->options.pass == LOADER_VIEWS ? 1 + loader->options.views : 1;
    *unique = copies > 1 ? (uint64_t)(at % copies) : (uint64_t)loader->stage << 32 | loader->epoch;
    return loader->items[at / copies];
}

/* Called without the lock: decodes item `row` of batch `step` into its slot. */
static enum status fill(struct worker *worker, int64_t step, int row, struct err *err)
{
    struct loader *loader = worker->loader;
    struct slot *slot = &loader->slots[step % N_SLOTS];
    uint64_t unique;
    uint32_t item = item_at(loader, step * loader->options.batch_size + row, &unique);
    size_t values = (size_t)loader->options.size * (size_t)loader->options.size * 3;
    slot->items[row] = item;
    slot->labels[row] = pack_item(loader->pack, item)->label;
    enum status status =
        decode_item(worker, item, unique, slot->images + (size_t)row * values, err);
    if (status)
        err_prefix(err, "Item %s of the data set: ", pack_item_path(loader->pack, item));
    return status;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct loader *loader = worker->loader;
    int64_t step;
    int row;
    pthread_mutex_lock(&loader->lock);
    while (claim(loader, &step, &row)) {
        loader->busy++;
        pthread_mutex_unlock(&loader->lock);

        struct err err = {0};
        enum status status = fill(worker, step, row, &err);

        pthread_mutex_lock(&loader->lock);
        loader->busy--;
        loader->slots[step % N_SLOTS].missing--;
        if (status && !loader->failed) {
            loader->failed = true;
            loader->err = err;
        }
        pthread_cond_signal(&loader->ready);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* --- Opening and closing -------------------------------------------------------------------- */

static enum status check_options(const struct pack *pack, const struct loader_options *options,
                                 struct err *err)
{
    if (options->n_items == 0)
        return err_set(err, E_INVALID, "There are no items to load.");
    if (options->batch_size < 1 || options->batch_size > MAX_BATCH)
        return err_set(err, E_INVALID, "The batch size is %d; it must be from 1 to %d.",
                       options->batch_size, MAX_BATCH);
    if (options->size < PREPROCESS_MIN_SIZE || options->size > PREPROCESS_MAX_SIZE)
        return err_set(err, E_INVALID, "The image size is %d; it must be from %d to %d.",
                       options->size, PREPROCESS_MIN_SIZE, PREPROCESS_MAX_SIZE);
    if (options->threads < 1 || options->threads > MAX_THREADS)
        return err_set(err, E_INVALID, "%d loader threads were asked for; from 1 to %d are run.",
                       options->threads, MAX_THREADS);
    if (options->pass == LOADER_VIEWS && (options->views < 1 || options->views > MAX_VIEWS))
        return err_set(err, E_INVALID, "%d views of a picture were asked for; it can be 1 to %d.",
                       options->views, MAX_VIEWS);
    for (uint32_t i = 0; i < options->n_items; i++)
        if (options->items[i] >= pack_n_items(pack))
            return err_set(err, E_INTERNAL, "Item %u of a pack of %u cannot be loaded.",
                           options->items[i], pack_n_items(pack));
    return OK;
}

static enum status slot_init(struct slot *slot, const struct loader_options *options,
                             struct err *err)
{
    size_t n = (size_t)options->batch_size;
    void *images = NULL;
    enum status status = mem_try_aligned(n * (size_t)options->size * (size_t)options->size,
                                         3 * sizeof(float), "the loader's batches", &images, err);
    if (status)
        return status;
    slot->images = images;
    slot->labels = mem_alloc(n * sizeof *slot->labels);
    slot->items = mem_alloc(n * sizeof *slot->items);
    return OK;
}

static enum status make_order(struct loader *loader, const uint32_t *items, struct err *err)
{
    const struct loader_options *options = &loader->options;
    enum sampler sampler = options->pass == LOADER_TRAIN ? options->sampler : SAMPLER_IN_ORDER;
    void *drawn;
    enum status status = mem_try_alloc(options->n_items, sizeof *loader->items,
                                       "the order of an epoch", &drawn, err);
    if (status)
        return status;
    loader->items = drawn;
    return order_new(loader->pack, items, options->n_items, sampler, options->seed, &loader->order,
                     err);
}

static enum status start_workers(struct loader *loader, struct err *err)
{
    int n = loader->options.threads;
    loader->workers = mem_alloc((size_t)n * sizeof *loader->workers);
    for (int i = 0; i < n; i++) {
        struct worker *worker = &loader->workers[i];
        worker->loader = loader;
        worker->preprocess = preprocess_new();
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            preprocess_free(worker->preprocess);
            return err_set(err, E_NO_SPACE, "Loader thread %d of %d cannot be started.", i + 1, n);
        }
        loader->n_workers++;
    }
    return OK;
}

enum status loader_open(const struct pack *pack, const struct loader_options *options,
                        struct loader **out, struct err *err)
{
    enum status status = check_options(pack, options, err);
    if (status)
        return status;
    struct loader *loader = mem_alloc(sizeof *loader);
    loader->pack = pack;
    loader->options = *options;
    loader->options.items = NULL;
    int64_t n = options->n_items;
    if (options->pass == LOADER_VIEWS)
        n *= 1 + options->views;
    if (options->batch_size > n)
        loader->options.batch_size = (int)n;
    int64_t batch = loader->options.batch_size;
    loader->rows = n;
    loader->steps = options->pass == LOADER_TRAIN ? n / batch : (n + batch - 1) / batch;
    loader->claim_step = loader->lend_step = loader->steps; /* nothing before loader_begin */
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->ready, NULL);
    status = make_order(loader, options->items, err);
    for (int i = 0; i < N_SLOTS && !status; i++)
        status = slot_init(&loader->slots[i], &loader->options, err);
    if (!status)
        status = start_workers(loader, err);
    if (status)
        loader_close(loader);
    else
        *out = loader;
    return status;
}

void loader_close(struct loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->closing = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->n_workers; i++) {
        pthread_join(loader->workers[i].thread, NULL);
        preprocess_free(loader->workers[i].preprocess);
        mem_free(loader->workers[i].bytes);
    }
    for (int i = 0; i < N_SLOTS; i++) {
        mem_free(loader->slots[i].images);
        mem_free(loader->slots[i].labels);
        mem_free(loader->slots[i].items);
    }
    pthread_cond_destroy(&loader->ready);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->lock);
    mem_free(loader->workers);
    mem_free(loader->items);
    order_free(loader->order);
    mem_free(loader);
}

int loader_batch_size(const struct loader *loader)
{
    return loader->options.batch_size;
}

int64_t loader_steps(const struct loader *loader)
{
    return loader->steps;
}

/* --- The consumer's side -------------------------------------------------------------------- */

void loader_begin(struct loader *loader, uint32_t stage, uint32_t epoch, int64_t first_step)
{
    pthread_mutex_lock(&loader->lock);
    loader->claim_step = loader->steps; /* hands out nothing while workers finish */
    while (loader->busy > 0)
        pthread_cond_wait(&loader->ready, &loader->lock);
    loader->stage = stage;
    loader->epoch = epoch;
    order_draw(loader->order, stage, epoch, loader->items); /* no worker is decoding */
    loader->failed = false;
    loader->claim_row = 0;
    loader->claim_step = first_step < loader->steps ? first_step : loader->steps;
    loader->lend_step = loader->oldest = loader->claim_step;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
}

/* Called with the lock. */
static bool is_ready(const struct loader *loader, int64_t step)
{
    return loader->claim_step > step && loader->slots[step % N_SLOTS].missing == 0;
}

enum status loader_next(struct loader *loader, struct batch *batch, struct err *err)
{
    enum status status = OK;
    memset(batch, 0, sizeof *batch);
    pthread_mutex_lock(&loader->lock);
    int64_t step = loader->lend_step;
    loader->oldest = step; /* gives back the batch before */
    pthread_cond_broadcast(&loader->work);
    if (step < loader->steps) {
        while (!loader->failed && !is_ready(loader, step))
            pthread_cond_wait(&loader->ready, &loader->lock);
        if (loader->failed) {
            *err = loader->err;
            status = err->status;
        } else {
            const struct slot *slot = &loader->slots[step % N_SLOTS];
            size_t side = (size_t)loader->options.size;
            *batch = (struct batch){slot->images, side * side * 3, slot->labels, slot->items,
                                    count_of(loader, step)};
            loader->lend_step++;
        }
    }
    pthread_mutex_unlock(&loader->lock);
    return status;
}
