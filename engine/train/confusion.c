#include "engine/train/confusion.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define FIRST_SLOTS 1024u
#define MAX_PAIRS   (1u << 20)

enum status confusion_init(struct confusion *confusion, int64_t classes, struct err *err)
{
    *confusion = (struct confusion){.classes = classes, .n_slots = FIRST_SLOTS};
    void *block;
    enum status status = mem_try_alloc((size_t)classes, sizeof *confusion->per_class,
                                       "the counts of classes", &block, err);
    if (status != OK)
        return status;
    confusion->per_class = block;
    confusion->slots = mem_alloc(confusion->n_slots * sizeof *confusion->slots);
    return OK;
}

void confusion_deinit(struct confusion *confusion)
{
    mem_free(confusion->per_class);
    mem_free(confusion->slots);
    *confusion = (struct confusion){0};
}

/* --- The table of wrong pairs ----------------------------------------------------------------- */

/* The slot of a pair, or the free one where it belongs. */
static struct pair_count *find_slot(const struct confusion *confusion, int32_t actual,
                                    int32_t predicted)
{
    uint64_t key = (uint64_t)(uint32_t)actual << 32 | (uint32_t)predicted;
    size_t mask = confusion->n_slots - 1;
    size_t at = (size_t)((key * 0x9E3779B97F4A7C15u) >> 32) & mask; /* Fibonacci hashing */
    for (;; at = (at + 1) & mask) {
        struct pair_count *slot = &confusion->slots[at];
        if (slot->count == 0 || (slot->actual == actual && slot->predicted == predicted))
            return slot;
    }
}

static void grow(struct confusion *confusion)
{
    struct pair_count *old = confusion->slots;
    size_t n = confusion->n_slots;
    confusion->n_slots = 2 * n;
    confusion->slots = mem_alloc(confusion->n_slots * sizeof *confusion->slots);
    for (size_t i = 0; i < n; i++)
        if (old[i].count > 0)
            *find_slot(confusion, old[i].actual, old[i].predicted) = old[i];
    mem_free(old);
}

static void add_pair(struct confusion *confusion, int32_t actual, int32_t predicted)
{
    struct pair_count *slot = find_slot(confusion, actual, predicted);
    if (slot->count == 0) {
        if (confusion->n_pairs == MAX_PAIRS)
            return;
        if (2 * (confusion->n_pairs + 1) > confusion->n_slots) {
            grow(confusion);
            slot = find_slot(confusion, actual, predicted);
        }
        confusion->n_pairs++;
        slot->actual = actual;
        slot->predicted = predicted;
    }
    slot->count++;
}

void confusion_add(struct confusion *confusion, int32_t actual, int32_t predicted)
{
    confusion->n++;
    confusion->per_class[actual].actual++;
    confusion->per_class[predicted].predicted++;
    if (actual == predicted) {
        confusion->right++;
        confusion->per_class[actual].right++;
    } else {
        add_pair(confusion, actual, predicted);
    }
}

int64_t confusion_count(const struct confusion *confusion, int32_t actual, int32_t predicted)
{
    if (actual == predicted)
        return confusion->per_class[actual].right;
    return find_slot(confusion, actual, predicted)->count;
}

static int compare_pairs(const struct pair_count *a, const struct pair_count *b)
{
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    if (a->actual != b->actual)
        return a->actual < b->actual ? -1 : 1;
    return a->predicted < b->predicted ? -1 : a->predicted > b->predicted;
}

size_t confusion_worst(const struct confusion *confusion, struct pair_count *worst, size_t max)
{
    size_t n = 0; /* chosen so far, in order: insertion into a short list */
    for (size_t i = 0; i < confusion->n_slots; i++) {
        const struct pair_count *pair = &confusion->slots[i];
        if (pair->count == 0 || (n == max && compare_pairs(pair, &worst[n - 1]) >= 0))
            continue;
        size_t at = n < max ? n++ : n - 1;
        for (; at > 0 && compare_pairs(pair, &worst[at - 1]) < 0; at--)
            worst[at] = worst[at - 1];
        worst[at] = *pair;
    }
    return n;
}

/* --- Scores ----------------------------------------------------------------------------------- */

static double ratio(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NAN;
}

double class_precision(const struct class_count *count)
{
    return ratio(count->right, count->predicted);
}

double class_recall(const struct class_count *count)
{
    return ratio(count->right, count->actual);
}

double class_f1(const struct class_count *count)
{
    return ratio(2 * count->right, count->actual + count->predicted);
}

/* The mean of what is a number. */
static double mean_over_classes(const struct class_count *counts, int64_t classes,
                                double (*score)(const struct class_count *))
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < classes; i++) {
        double value = score(&counts[i]);
        if (isnan(value))
            continue;
        sum += value;
        n++;
    }
    return n > 0 ? sum / (double)n : NAN;
}

double confusion_accuracy(const struct confusion *confusion)
{
    return ratio(confusion->right, confusion->n);
}

double confusion_majority_rate(const struct confusion *confusion)
{
    int64_t most = 0;
    for (int64_t i = 0; i < confusion->classes; i++)
        if (confusion->per_class[i].actual > most)
            most = confusion->per_class[i].actual;
    return ratio(most, confusion->n);
}

double confusion_balanced_accuracy(const struct confusion *confusion)
{
    return mean_over_classes(confusion->per_class, confusion->classes, class_recall);
}

double class_macro_f1(const struct class_count *counts, int64_t classes)
{
    return mean_over_classes(counts, classes, class_f1);
}
