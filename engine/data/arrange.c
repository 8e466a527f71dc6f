/* arrange.c -- see arrange.h. */
#include "engine/data/arrange.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/layout.h"

struct arranging {
    struct pack_writer *writer;
    arrange_rejected *rejected;
    void *context;
    uint32_t *order; /* owned; items by path, without those whose name came before */
    uint32_t n;
    struct layout layout;
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

static void find_layout(struct arranging *arranging)
{
    struct layout_finder finder;
    layout_finder_init(&finder);
    for (uint32_t i = 0; i < arranging->n; i++)
        layout_finder_offer(&finder, pack_writer_path(arranging->writer, arranging->order[i]));
    arranging->layout = layout_found(&finder);
}

static enum status add_class(struct arranging *arranging, const struct place *place,
                             struct err *err)
{
    struct arrangement *result = arranging->result;
    if (result->n_classes > 0) { /* items are sorted, so a class's mostly stand together */
        const char *last = result->class_names[result->n_classes - 1];
        if (strlen(last) == place->class_len &&
            memcmp(last, place->class_name, place->class_len) == 0)
            return OK;
    }
    if (result->n_classes == PACK_MAX_CLASSES) {
        err_set(err, E_TOO_LARGE, "The archive has more than %d class folders.", PACK_MAX_CLASSES);
        err_name(err, "archive_limit", NULL);
        return E_TOO_LARGE;
    }
    if (result->n_classes == arranging->capacity) {
        arranging->capacity = arranging->capacity ? arranging->capacity * 2 : 64;
        result->class_names =
            mem_realloc(result->class_names, arranging->capacity * sizeof *result->class_names);
    }
    result->class_names[result->n_classes++] =
        mem_printf("%.*s", (int)place->class_len, place->class_name);
    return OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The classes of the training items, sorted, each once. */
static enum status collect_classes(struct arranging *arranging, struct err *err)
{
    struct arrangement *result = arranging->result;
    enum status status = OK;
    for (uint32_t i = 0; i < arranging->n && !status; i++) {
        struct place place = layout_place(&arranging->layout,
                                          pack_writer_path(arranging->writer, arranging->order[i]));
        if (!place.refusal && place.split == SPLIT_TRAIN)
            status = add_class(arranging, &place, err);
    }
    if (status || result->n_classes == 0)
        return status;
    qsort(result->class_names, result->n_classes, sizeof(char *), compare_names);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < result->n_classes; i++) {
        if (strcmp(result->class_names[i], result->class_names[kept - 1]) == 0)
            mem_free(result->class_names[i]);
        else
            result->class_names[kept++] = result->class_names[i];
    }
    result->n_classes = kept;
    return OK;
}

/* The number of a class, or PACK_NO_LABEL. */
static int32_t find_class(const struct arrangement *result, const char *name)
{
    char *const *found =
        result->n_classes == 0
            ? NULL
            : bsearch(&name, result->class_names, result->n_classes, sizeof(char *), compare_names);
    return found ? (int32_t)(found - result->class_names) : PACK_NO_LABEL;
}

static void place_item(struct arranging *arranging, uint32_t item)
{
    struct arrangement *result = arranging->result;
    struct pack_record *record = pack_writer_item(arranging->writer, item);
    struct place place =
        layout_place(&arranging->layout, pack_writer_path(arranging->writer, item));
    record->label = PACK_NO_LABEL;
    if (!place.refusal && place.split != SPLIT_UNLABELLED) {
        char name[PACK_MAX_NAME + 1];
        snprintf(name, sizeof name, "%.*s", (int)place.class_len, place.class_name);
        record->label = find_class(result, name);
        if (record->label == PACK_NO_LABEL)
            place.refusal = "Its class has no training picture.";
        else
            result->class_items[record->label]++;
    }
    if (place.refusal) {
        reject(arranging, item, place.refusal);
        return;
    }
    record->split = (uint8_t)place.split;
    result->split_items[place.split]++;
}

#define EXPECTED                                                                                   \
    "Expected are CLASS/FILE, or train/CLASS/FILE with valid/CLASS/FILE, with two classes or "     \
    "more."

static enum status check_result(const struct arrangement *result, struct err *err)
{
    if (result->n_classes >= 2)
        return OK;
    if (result->n_classes == 1) {
        err_set(err, E_INVALID,
                "The archive has one class only, \"%.200s\"; at least two are needed.",
                result->class_names[0]);
        err_name(err, "one_class", EXPECTED);
    } else {
        err_set(err, E_INVALID, "No picture of the archive lies in a class folder to train on.");
        err_name(err, "no_training_images", EXPECTED);
    }
    return E_INVALID;
}

enum status arrange(struct pack_writer *writer, arrange_rejected *rejected, void *context,
                    struct arrangement *arrangement, struct err *err)
{
    struct arranging arranging = {
        .writer = writer, .rejected = rejected, .context = context, .result = arrangement};
    memset(arrangement, 0, sizeof *arrangement);
    enum status status = sort_items(&arranging, err);
    if (status)
        goto done;
    find_layout(&arranging);
    if ((status = collect_classes(&arranging, err)))
        goto done;
    arrangement->class_items =
        mem_alloc(((size_t)arrangement->n_classes + 1) * sizeof *arrangement->class_items);
    for (uint32_t i = 0; i < arranging.n; i++)
        place_item(&arranging, arranging.order[i]);
    status = check_result(arrangement, err);
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
