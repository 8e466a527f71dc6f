/* split.c -- see split.h. */
#include "engine/data/split.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* An item's place in its class: by score, and among equal scores (copies of one picture) by
 * number. */
struct rank {
    int32_t label;
    uint32_t item;
    uint64_t score;
};

static uint64_t score_of(const char *purpose, const uint8_t sha256[32], uint64_t seed)
{
    uint64_t words[2];
    memcpy(words, sha256, sizeof words);
    struct rng rng = rng_stream(purpose, seed, words[0], words[1]);
    return rng_u64(&rng);
}

static int compare_ranks(const void *left, const void *right)
{
    const struct rank *a = left, *b = right;
    if (a->label != b->label)
        return a->label < b->label ? -1 : 1;
    if (a->score != b->score)
        return a->score < b->score ? -1 : 1;
    return a->item < b->item ? -1 : a->item > b->item;
}

static int compare_items(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Behind the last rank of the class that begins at `first`. */
static uint32_t class_end(const struct rank *ranks, uint32_t n, uint32_t first)
{
    uint32_t end = first;
    while (end < n && ranks[end].label == ranks[first].label)
        end++;
    return end;
}

/* How many of one class, sorted by rank, validate. Grows with the fraction, never shrinks. */
static uint32_t n_validating(const struct rank *ranks, uint32_t n, double fraction)
{
    if (n < 2 || fraction <= 0)
        return 0;
    uint32_t count = (uint32_t)rint(fraction * n);
    if (count < 1)
        count = 1;
    if (count > n - 1)
        count = n - 1;
    uint32_t whole = count; /* copies stay together, unless that leaves nothing to train on */
    while (whole < n && ranks[whole].score == ranks[whole - 1].score)
        whole++;
    return whole < n ? whole : count;
}

static void divide_class(struct split *split, const struct rank *ranks, uint32_t n, double fraction)
{
    uint32_t n_valid = n_validating(ranks, n, fraction);
    for (uint32_t i = 0; i < n; i++) {
        if (i < n_valid)
            split->valid[split->n_valid++] = ranks[i].item;
        else
            split->train[split->n_train++] = ranks[i].item;
    }
}

static enum status divide(const struct pack *pack, double fraction, uint64_t split_seed,
                          struct split *split, struct err *err)
{
    void *block;
    uint32_t n = 0;
    enum status status = mem_try_alloc((size_t)pack_n_items(pack) + 1, sizeof(struct rank),
                                       "dividing the data set", &block, err);
    if (status)
        return status;
    struct rank *ranks = block;
    for (uint32_t i = 0; i < pack_n_items(pack); i++) {
        const struct pack_record *item = pack_item(pack, i);
        if (item->split == SPLIT_TRAIN)
            ranks[n++] = (struct rank){item->label, i, score_of("split", item->sha256, split_seed)};
    }
    qsort(ranks, n, sizeof *ranks, compare_ranks);
    for (uint32_t first = 0, end; first < n; first = end) {
        end = class_end(ranks, n, first);
        divide_class(split, ranks + first, end - first, fraction);
    }
    mem_free(ranks);
    qsort(split->train, split->n_train, sizeof *split->train, compare_items);
    qsort(split->valid, split->n_valid, sizeof *split->valid, compare_items);
    return OK;
}

/* A group's score, or that of an item which belongs to none. */
static uint64_t group_score(const struct pack *pack, uint32_t item, uint64_t seed)
{
    uint64_t group = pack_group(pack, item);
    if (group == 0)
        return score_of("split", pack_item(pack, item)->sha256, seed);
    struct rng rng = rng_stream("split_group", seed, group, 0);
    return rng_u64(&rng);
}

/* Whole groups with a score up to `last` validate. */
static void divide_at(const struct pack *pack, uint64_t last, uint64_t split_seed,
                      struct split *split)
{
    for (uint32_t i = 0; i < pack_n_items(pack); i++) {
        if (pack_item(pack, i)->split != SPLIT_TRAIN)
            continue;
        if (group_score(pack, i, split_seed) <= last)
            split->valid[split->n_valid++] = i;
        else
            split->train[split->n_train++] = i;
    }
}

/* At least the first group validates, and at least the last one does not. 0 < fraction < 1. */
static enum status divide_groups(const struct pack *pack, double fraction, uint64_t split_seed,
                                 struct split *split, struct err *err)
{
    uint64_t lowest = UINT64_MAX, highest = 0, below_highest = 0;
    uint64_t last = (uint64_t)(fraction * 0x1p64);
    for (uint32_t i = 0; i < pack_n_items(pack); i++) {
        if (pack_item(pack, i)->split != SPLIT_TRAIN)
            continue;
        uint64_t score = group_score(pack, i, split_seed);
        lowest = score < lowest ? score : lowest;
        if (score > highest) {
            below_highest = highest;
            highest = score;
        } else if (score < highest && score > below_highest) {
            below_highest = score;
        }
    }
    if (lowest == highest)
        return err_set(err, E_INVALID,
                       "All items belong to one group, so none can be kept for validation: give "
                       "the groups, a validation split of your own, or valid_fraction 0.");
    last = last < lowest ? lowest : last < highest ? last : below_highest;
    divide_at(pack, last, split_seed, split);
    return OK;
}

static void keep(const struct pack *pack, struct split *split)
{
    for (uint32_t i = 0; i < pack_n_items(pack); i++) {
        uint8_t of = pack_item(pack, i)->split;
        if (of == SPLIT_TRAIN)
            split->train[split->n_train++] = i;
        else if (of == SPLIT_VALID)
            split->valid[split->n_valid++] = i;
    }
}

static enum status nothing_to_train(const struct pack *pack, struct err *err)
{
    bool unlabelled = false;
    for (uint32_t i = 0; i < pack_n_items(pack) && !unlabelled; i++)
        unlabelled = pack_item(pack, i)->split == SPLIT_UNLABELLED;
    return err_set(err, E_INVALID,
                   unlabelled ? "The data set has no item with a label to train a classifier on: "
                                "label some, or say \"task\": \"language_model\"."
                              : "The data set has no item to train on.");
}

enum status split_make(const struct pack *pack, double valid_fraction, uint64_t split_seed,
                       struct split *split, struct err *err)
{
    struct split made = {0};
    void *train = NULL, *valid = NULL;
    enum status status;
    bool brings_valid = false;
    if (!(valid_fraction >= 0 && valid_fraction < 1))
        return err_set(err, E_INVALID, "valid_fraction is %g; it must be at least 0 and below 1.",
                       valid_fraction);
    for (uint32_t i = 0; i < pack_n_items(pack) && !brings_valid; i++)
        brings_valid = pack_item(pack, i)->split == SPLIT_VALID;

    size_t n = (size_t)pack_n_items(pack) + 1;
    if (!(status = mem_try_alloc(n, sizeof *made.train, "the training items", &train, err)))
        status = mem_try_alloc(n, sizeof *made.valid, "the validation items", &valid, err);
    made.train = train;
    made.valid = valid;
    if (!status && brings_valid)
        keep(pack, &made);
    else if (!status && pack_has_groups(pack) && valid_fraction > 0)
        status = divide_groups(pack, valid_fraction, split_seed, &made, err);
    else if (!status)
        status = divide(pack, valid_fraction, split_seed, &made, err);
    if (!status && made.n_train == 0)
        status = nothing_to_train(pack, err);
    if (status)
        split_deinit(&made);
    else
        *split = made;
    return status;
}

/* --- samples ---------------------------------------------------------------------------------- */

static enum status too_small(const struct pack *pack, int32_t label, uint32_t n,
                             const struct sample_options *options, struct err *err)
{
    if (label == PACK_NO_LABEL)
        return err_at(err, E_INVALID, "/sample/fraction",
                      "A sample of %g %% leaves none of the %u items without labels: ask for a "
                      "larger fraction, or for sample.min_per_class 1 or more.",
                      100 * options->fraction, n);
    return err_at(err, E_INVALID, "/sample/fraction",
                  "A sample of %g %% leaves no item of class \"%.100s\", which has %u to train on: "
                  "ask for a fraction of %.3g or more, or for sample.min_per_class 1 or more.",
                  100 * options->fraction, pack_class_name(pack, (uint32_t)label), n,
                  .51 / (double)n);
}

/* How many of a class of n are taken; never shrinks when the fraction or min_per_class grows. */
static uint32_t n_sampled(uint32_t n, const struct sample_options *options)
{
    uint32_t count = (uint32_t)rint(options->fraction * n);
    if (count < options->min_per_class)
        count = options->min_per_class;
    return count < n ? count : n;
}

/* Takes the sample of `items` into `kept`, which has room for all; `least` of every class. */
static enum status take_sample(const struct pack *pack, const uint32_t *items, uint32_t n_items,
                               const struct sample_options *options, uint64_t seed, uint32_t least,
                               uint32_t *kept, uint32_t *n_kept, struct err *err)
{
    void *block;
    enum status status = mem_try_alloc((size_t)n_items + 1, sizeof(struct rank),
                                       "sampling the data set", &block, err);
    if (status)
        return status;
    struct rank *ranks = block;
    for (uint32_t i = 0; i < n_items; i++) {
        const struct pack_record *item = pack_item(pack, items[i]);
        ranks[i] = (struct rank){item->label, items[i], score_of("sample", item->sha256, seed)};
    }
    qsort(ranks, n_items, sizeof *ranks, compare_ranks);
    *n_kept = 0;
    for (uint32_t first = 0, end; !status && first < n_items; first = end) {
        end = class_end(ranks, n_items, first);
        uint32_t count = n_sampled(end - first, options);
        count = count > least ? count : least;
        if (count == 0)
            status = too_small(pack, ranks[first].label, end - first, options, err);
        for (uint32_t i = 0; i < count; i++)
            kept[(*n_kept)++] = ranks[first + i].item;
    }
    mem_free(ranks);
    qsort(kept, *n_kept, sizeof *kept, compare_items);
    return status;
}

enum status split_sample(const struct pack *pack, const struct split *all,
                         const struct sample_options *options, uint64_t seed, struct split *sample,
                         struct err *err)
{
    if (!(options->fraction > 0 && options->fraction <= 1))
        return err_at(err, E_INVALID, "/sample/fraction",
                      "The sample's fraction is %g; it must be above 0 and at most 1.",
                      options->fraction);
    struct sample_options valid = *options;
    valid.fraction = options->sample_valid ? options->fraction : 1;
    struct split made = {0};
    void *items = NULL;
    enum status status = mem_try_alloc((size_t)all->n_train + 1, sizeof *made.train,
                                       "the training items", &items, err);
    made.train = items;
    items = NULL;
    if (!status)
        status = mem_try_alloc((size_t)all->n_valid + 1, sizeof *made.valid, "the validation items",
                               &items, err);
    made.valid = items;
    if (!status)
        status = take_sample(pack, all->train, all->n_train, options, seed, 0, made.train,
                             &made.n_train, err);
    if (!status)
        status = take_sample(pack, all->valid, all->n_valid, &valid, seed, 1, made.valid,
                             &made.n_valid, err);
    if (status)
        split_deinit(&made);
    else
        *sample = made;
    return status;
}

void split_deinit(struct split *split)
{
    mem_free(split->train);
    mem_free(split->valid);
    memset(split, 0, sizeof *split);
}
