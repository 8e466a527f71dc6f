#include "engine/train/text_items.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

#define LEAST_TEXTS 100 /* of a sample */

/* A number in [0,1) that is the item's own. */
static double score_of(const struct pack *pack, uint32_t item, const char *purpose, uint64_t seed)
{
    uint64_t words[2];
    memcpy(words, pack_item(pack, item)->sha256, sizeof words);
    struct rng rng = rng_stream(purpose, seed, words[0], words[1]);
    return rng_uniform(&rng, 0, 1);
}

enum use { USE_NONE, USE_TRAIN, USE_VALID };

static void mark(uint8_t *uses, const uint32_t *items, uint32_t n, enum use use)
{
    for (uint32_t i = 0; i < n; i++)
        uses[items[i]] = (uint8_t)use;
}

/* What each item is for, before its validation part and its sample are chosen. */
static void mark_items(const struct text_items_options *o, uint8_t *uses)
{
    for (uint32_t i = 0; i < pack_n_items(o->pack); i++) {
        enum pack_split split = (enum pack_split)pack_item(o->pack, i)->split;
        uses[i] = split == SPLIT_UNLABELLED || (!o->split && split == SPLIT_TRAIN) ? USE_TRAIN
                  : !o->split && split == SPLIT_VALID                              ? USE_VALID
                                                                                   : USE_NONE;
    }
    if (!o->split)
        return;
    mark(uses, o->split->train, o->split->n_train, USE_TRAIN);
    if (o->on_valid)
        mark(uses, o->split->valid, o->split->n_valid, USE_TRAIN);
}

static uint32_t count(const uint8_t *uses, uint32_t n, enum use use)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++)
        found += uses[i] == use;
    return found;
}

/* A share of the training items validates: one at least, but not all. */
static void choose_valid(const struct text_items_options *o, uint8_t *uses, uint32_t n)
{
    uint32_t least = n, most = n;
    double lowest = 2, highest = -1;
    if (count(uses, n, USE_VALID) > 0 || count(uses, n, USE_TRAIN) < 2 || o->valid_fraction <= 0)
        return;
    for (uint32_t i = 0; i < n; i++) {
        if (uses[i] != USE_TRAIN)
            continue;
        double score = score_of(o->pack, i, "language-model-valid", 0);
        if (score < lowest) {
            lowest = score;
            least = i;
        }
        if (score > highest) {
            highest = score;
            most = i;
        }
        if (score < o->valid_fraction)
            uses[i] = USE_VALID;
    }
    if (count(uses, n, USE_VALID) == 0)
        uses[least] = USE_VALID;
    if (count(uses, n, USE_TRAIN) == 0)
        uses[most] = USE_TRAIN;
}

static void take_sample(const struct text_items_options *o, uint8_t *uses, uint32_t n)
{
    for (enum use use = USE_TRAIN; use <= USE_VALID; use++) {
        double all = count(uses, n, use), share = o->sample;
        if (all * share < LEAST_TEXTS)
            share = all > 0 ? LEAST_TEXTS / all : 1;
        for (uint32_t i = 0; i < n && share < 1; i++)
            if (uses[i] == use && score_of(o->pack, i, "language-model-sample", o->seed) >= share)
                uses[i] = USE_NONE;
    }
}

static uint32_t *list(const uint8_t *uses, uint32_t n, enum use use, uint32_t *found)
{
    uint32_t *items = mem_alloc(((size_t)count(uses, n, use) + 1) * sizeof *items);
    *found = 0;
    for (uint32_t i = 0; i < n; i++)
        if (uses[i] == use)
            items[(*found)++] = i;
    return items;
}

enum status text_items(const struct text_items_options *options, struct split *items,
                       struct err *err)
{
    uint32_t n = pack_n_items(options->pack);
    void *memory;
    enum status status = mem_try_alloc((size_t)n + 1, 1, "the list of texts", &memory, err);
    if (status != OK)
        return status;
    uint8_t *uses = memory;
    mark_items(options, uses);
    choose_valid(options, uses, n);
    if (options->sample < 1)
        take_sample(options, uses, n);
    *items = (struct split){0};
    items->train = list(uses, n, USE_TRAIN, &items->n_train);
    items->valid = list(uses, n, USE_VALID, &items->n_valid);
    mem_free(uses);
    if (items->n_train > 0)
        return OK;
    split_deinit(items);
    return err_set(err, E_INVALID,
                   "The data set has no texts that a language model could learn from: it needs "
                   "training texts, or texts without a label.");
}
