/* arrange.c -- see arrange.h. */
#include "engine/data/arrange.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct arranging {
    struct pack_writer *writer;
    label_table_rejected *rejected;
    void *context;
    uint32_t *order; /* owned; items by path, without those whose name came before */
    uint32_t n;
    struct labelling *labelling; /* borrowed */
    struct arrangement *result;
    uint32_t capacity; /* of class_names */
};

static int compare_paths(const void *a, const void *b, void *context)
{
    const struct pack_writer *writer = context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = strcmp(pack_writer_path(writer, x), pack_writer_path(writer, y));
    return order ? order : x < y ? -1 : x > y; /* the archive's first of two equal ones */
}

static void reject(struct arranging *arranging, uint32_t item, const char *reason)
{
    pack_writer_item(arranging->writer, item)->split = N_SPLITS;
    arranging->rejected(arranging->context, pack_writer_path(arranging->writer, item), reason);
}

static enum status sort_items(struct arranging *arranging, struct err *err)
{
    struct pack_writer *writer = arranging->writer;
    uint32_t all = pack_writer_n_items(writer);
    void *block;
    enum status status =
        mem_try_alloc((size_t)all + 1, sizeof(uint32_t), "sorting the items", &block, err);
    if (status)
        return status;
    uint32_t *order = arranging->order = block;
    for (uint32_t i = 0; i < all; i++)
        order[i] = i;
    qsort_r(order, all, sizeof *order, compare_paths, writer);
    for (uint32_t i = 0; i < all; i++) {
        const char *path = pack_writer_path(writer, order[i]);
        if (arranging->n > 0 &&
            strcmp(pack_writer_path(writer, order[arranging->n - 1]), path) == 0)
            reject(arranging, order[i], "Another member before it has the same name.");
        else
            order[arranging->n++] = order[i];
    }
    return OK;
}

static enum status begin_labelling(struct arranging *arranging, struct err *err)
{
    struct layout_finder finder;
    layout_finder_init(&finder);
    for (uint32_t i = 0; i < arranging->n; i++)
        layout_finder_offer(&finder, pack_writer_path(arranging->writer, arranging->order[i]));
    return labelling_begin(arranging->labelling, layout_found(&finder), arranging->rejected,
                           arranging->context, err);
}

/* --- Classes -------------------------------------------------------------------------------- */

static enum status add_class(struct arranging *arranging, const char *name, size_t len,
                             struct err *err)
{
    struct arrangement *result = arranging->result;
    if (len > PACK_MAX_NAME)
        return err_set(err, E_INVALID, "A class's name has more than %d bytes: \"%.60s...\".",
                       PACK_MAX_NAME, name);
    if (result->n_classes == arranging->capacity) {
        arranging->capacity = arranging->capacity ? arranging->capacity * 2 : 64;
        result->class_names =
            mem_realloc(result->class_names, arranging->capacity * sizeof *result->class_names);
    }
    result->class_names[result->n_classes++] = mem_printf("%.*s", (int)len, name);
    return OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the names and drops those that are there twice. */
static void sort_classes(struct arrangement *result)
{
    uint32_t kept = 0;
    if (result->n_classes)
        qsort(result->class_names, result->n_classes, sizeof(char *), compare_names);
    for (uint32_t i = 0; i < result->n_classes; i++) {
        if (kept > 0 && strcmp(result->class_names[i], result->class_names[kept - 1]) == 0)
            mem_free(result->class_names[i]);
        else
            result->class_names[kept++] = result->class_names[i];
    }
    result->n_classes = kept;
}

/* The number of a class, or PACK_NO_LABEL. The classes are sorted. */
static int32_t find_class(const struct arrangement *result, const char *name, size_t len)
{
    char *key = mem_printf("%.*s", (int)len, name);
    char *const *found =
        result->n_classes == 0
            ? NULL
            : bsearch(&key, result->class_names, result->n_classes, sizeof(char *), compare_names);
    mem_free(key);
    return found ? (int32_t)(found - result->class_names) : PACK_NO_LABEL;
}

/* The classes of a training item, as far as they are new; sorted now and then, so that a million
 * items of ten classes take ten names. */
static enum status collect_item(struct arranging *arranging, uint32_t item, uint32_t *sorted,
                                struct err *err)
{
    struct arrangement *result = arranging->result;
    struct place place;
    uint64_t group;
    enum status status = labelling_place(
        arranging->labelling, pack_writer_path(arranging->writer, item), &place, &group, err);
    size_t at = 0, len;
    const char *name;
    while (!status && !place.refusal && place.split == SPLIT_TRAIN &&
           labelling_next(arranging->labelling, &place, &at, &name, &len))
        status = add_class(arranging, name, len, err);
    if (status || result->n_classes < 2 * *sorted + 1024)
        return status;
    sort_classes(result);
    *sorted = result->n_classes;
    return OK;
}

static enum status collect_classes(struct arranging *arranging, struct err *err)
{
    struct arrangement *result = arranging->result;
    enum status status = OK;
    uint32_t sorted = 0;
    for (uint32_t i = 0; i < arranging->n && !status; i++)
        status = collect_item(arranging, arranging->order[i], &sorted, err);
    if (status)
        return status;
    sort_classes(result);
    if (result->n_classes <= PACK_MAX_CLASSES)
        return OK;
    err_set(err, E_TOO_LARGE, "The archive has %u classes; a data set has at most %d.",
            result->n_classes, PACK_MAX_CLASSES);
    err_name(err, "archive_limit", NULL);
    return E_TOO_LARGE;
}

/* --- Items ---------------------------------------------------------------------------------- */

/* The labels of a place as numbers, ascending and different; those that no training item has are
 * left out. */
static uint32_t find_labels(const struct arranging *arranging, const struct place *place,
                            uint32_t *labels)
{
    size_t at = 0, len;
    const char *name;
    uint32_t n = 0;
    while (n < PACK_MAX_LABELS && labelling_next(arranging->labelling, place, &at, &name, &len)) {
        int32_t label = find_class(arranging->result, name, len);
        uint32_t k = n;
        if (label == PACK_NO_LABEL)
            continue;
        while (k > 0 && labels[k - 1] > (uint32_t)label)
            k--;
        if (k > 0 && labels[k - 1] == (uint32_t)label)
            continue;
        memmove(labels + k + 1, labels + k, (n - k) * sizeof *labels);
        labels[k] = (uint32_t)label;
        n++;
    }
    return n;
}

static enum status label_item(struct arranging *arranging, uint32_t item, struct place *place,
                              struct err *err)
{
    uint32_t labels[PACK_MAX_LABELS + 1];
    struct pack_record *record = pack_writer_item(arranging->writer, item);
    record->label = PACK_NO_LABEL;
    if (place->refusal || place->split == SPLIT_UNLABELLED)
        return OK;
    uint32_t n = find_labels(arranging, place, labels);
    for (uint32_t i = 0; i < n; i++)
        arranging->result->class_items[labels[i]]++;
    if (arranging->labelling->several)
        return pack_writer_set_labels(arranging->writer, item, labels, n, err);
    if (n > 0)
        record->label = (int32_t)labels[0];
    else
        place->refusal = arranging->labelling->text ? "No text to train on has its label."
                                                    : "Its class has no training picture.";
    return OK;
}

static enum status place_item(struct arranging *arranging, uint32_t item, struct err *err)
{
    const char *path = pack_writer_path(arranging->writer, item);
    struct place place;
    uint64_t group;
    enum status status = labelling_place(arranging->labelling, path, &place, &group, err);
    if (!status)
        status = label_item(arranging, item, &place, err);
    if (!status && place.refusal) {
        reject(arranging, item, place.refusal);
        return OK;
    }
    if (!status && group != 0)
        status = pack_writer_set_group(arranging->writer, item, group, err);
    pack_writer_item(arranging->writer, item)->split = (uint8_t)place.split;
    arranging->result->split_items[place.split]++;
    return status;
}

#define EXPECTED                                                                                   \
    "Expected are CLASS/FILE, or train/CLASS/FILE with valid/CLASS/FILE, with two classes or "     \
    "more."

static enum status check_result(const struct arrangement *result, bool text, struct err *err)
{
    bool unlabelled = text && result->n_classes == 0 && result->split_items[SPLIT_UNLABELLED] > 0;
    if (result->n_classes >= 2 || unlabelled)
        return OK;
    if (result->n_classes == 1) {
        err_set(err, E_INVALID,
                "The archive has one class only, \"%.200s\"; at least two are needed.",
                result->class_names[0]);
        err_name(err, "one_class", EXPECTED);
    } else {
        err_set(err, E_INVALID, "No %s of the archive lies in a class folder to train on.",
                text ? "text" : "picture");
        err_name(err, text ? "no_training_texts" : "no_training_images", EXPECTED);
    }
    return E_INVALID;
}

enum status arrange(struct pack_writer *writer, struct labelling *labelling,
                    label_table_rejected *rejected, void *context, struct arrangement *arrangement,
                    struct err *err)
{
    struct arranging arranging = {.writer = writer,
                                  .labelling = labelling,
                                  .rejected = rejected,
                                  .context = context,
                                  .result = arrangement};
    memset(arrangement, 0, sizeof *arrangement);
    enum status status = sort_items(&arranging, err);
    if (status)
        goto done;
    if ((status = begin_labelling(&arranging, err)) || (status = collect_classes(&arranging, err)))
        goto done;
    arrangement->class_items =
        mem_alloc(((size_t)arrangement->n_classes + 1) * sizeof *arrangement->class_items);
    for (uint32_t i = 0; i < arranging.n && !status; i++)
        status = place_item(&arranging, arranging.order[i], err);
    if (status)
        goto done;
    labelling_end(labelling, rejected, context);
    status = check_result(arrangement, labelling->text, err);
done:
    if (status)
        arrangement_deinit(arrangement);
    mem_free(arranging.order);
    return status;
}

void arrangement_deinit(struct arrangement *arrangement)
{
    for (uint32_t i = 0; i < arrangement->n_classes; i++)
        mem_free(arrangement->class_names[i]);
    mem_free(arrangement->class_names);
    mem_free(arrangement->class_items);
    memset(arrangement, 0, sizeof *arrangement);
}
