/* text_set.c -- see text_set.h. */
#include "engine/data/text_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/text_writer.h"

#define MAX_LABELS (4 * PACK_MAX_CLASSES) /* before it is known which of them train */

struct label {
    const char *name; /* in the arena */
    size_t len;
    uint32_t number; /* as it came */
    uint64_t items[N_SPLITS];
};

struct text_set {
    struct text_writer *writer; /* owned */
    enum pack_split split;      /* of the present file */
    struct arena arena;         /* of the labels' names */
    struct label *labels;       /* owned */
    uint32_t n, capacity;
    uint32_t *slots; /* owned; 1 + a label's number, by hash; a power of two, at most half full */
    uint32_t n_slots;
    uint64_t unlabelled[N_SPLITS];
};

struct text_set *text_set_new(int pack_fd, int index_fd)
{
    struct text_set *set = mem_alloc(sizeof *set);
    set->writer = text_writer_new(pack_fd, index_fd);
    arena_init(&set->arena);
    return set;
}

void text_set_free(struct text_set *set)
{
    if (!set)
        return;
    text_writer_free(set->writer);
    arena_deinit(&set->arena);
    mem_free(set->labels);
    mem_free(set->slots);
    mem_free(set);
}

uint32_t text_set_n_items(const struct text_set *set)
{
    return text_writer_n_items(set->writer);
}

uint64_t text_set_bytes(const struct text_set *set)
{
    return text_writer_bytes(set->writer);
}

enum status text_set_file(struct text_set *set, const char *path, enum pack_split split,
                          struct err *err)
{
    set->split = split;
    return text_writer_file(set->writer, path, err);
}

/* --- Labels ----------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *name, size_t len)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)name[i]) * 1099511628211u;
    return (uint32_t)(hash ^ hash >> 32);
}

/* The slot of a label, or the free one where it belongs. */
static uint32_t *slot_of(const struct text_set *set, const char *name, size_t len)
{
    uint32_t at = hash_of(name, len) & (set->n_slots - 1);
    for (; set->slots[at]; at = (at + 1) & (set->n_slots - 1)) {
        const struct label *label = &set->labels[set->slots[at] - 1];
        if (label->len == len && memcmp(label->name, name, len) == 0)
            break;
    }
    return &set->slots[at];
}

static void grow(struct text_set *set)
{
    set->capacity = set->capacity ? 2 * set->capacity : 64;
    set->labels = mem_realloc(set->labels, set->capacity * sizeof *set->labels);
    mem_free(set->slots);
    set->n_slots = 2 * set->capacity;
    set->slots = mem_alloc(set->n_slots * sizeof *set->slots);
    for (uint32_t i = 0; i < set->n; i++)
        *slot_of(set, set->labels[i].name, set->labels[i].len) = i + 1;
}

static enum status find_label(struct text_set *set, const char *name, size_t len,
                              struct label **label, struct err *err)
{
    if (set->n == set->capacity)
        grow(set);
    uint32_t *slot = slot_of(set, name, len);
    if (!*slot) {
        if (set->n == MAX_LABELS) {
            err_set(err, E_TOO_LARGE,
                    "The upload has more than %u different labels: a data set has at most %d "
                    "classes. Is the right column the label_column?",
                    MAX_LABELS, PACK_MAX_CLASSES);
            err_name(err, "too_many_classes", NULL);
            return E_TOO_LARGE;
        }
        set->labels[set->n] = (struct label){
            .name = arena_strndup(&set->arena, name, len), .len = len, .number = set->n};
        *slot = ++set->n;
    }
    *label = &set->labels[*slot - 1];
    return OK;
}

enum status text_set_add(struct text_set *set, const struct text_row *row, struct err *err)
{
    struct label *label = NULL;
    enum status status = OK;
    struct text_item item = {.text = row->text,
                             .len = row->len,
                             .label = PACK_NO_LABEL,
                             .split = row->split == N_SPLITS ? set->split : row->split,
                             .line = (uint32_t)row->line};
    if (row->line > UINT32_MAX)
        return err_set(err, E_TOO_LARGE, "The upload has more than %u lines.", UINT32_MAX);
    if (row->label && item.split != SPLIT_UNLABELLED)
        status = find_label(set, row->label, row->label_len, &label, err);
    if (status)
        return status;
    if (label)
        item.label = (int32_t)label->number;
    if (row->group)
        item.group = labelling_group(row->group, row->group_len);
    (label ? label->items : set->unlabelled)[item.split]++;
    return text_writer_add(set->writer, &item, err);
}

/* --- Classes ---------------------------------------------------------------------------------- */

static int compare_labels(const void *left, const void *right)
{
    const struct label *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* Those labels that train become the arrangement's classes; class_of says which. */
static void make_classes(struct text_set *set, struct arrangement *arrangement, int32_t *class_of)
{
    uint32_t n = 0;
    if (set->n)
        qsort(set->labels, set->n, sizeof *set->labels, compare_labels);
    for (uint32_t i = 0; i < set->n; i++) {
        const struct label *label = &set->labels[i];
        class_of[label->number] = TEXT_WRITER_DROP;
        if (label->items[SPLIT_TRAIN] == 0)
            continue;
        class_of[label->number] = (int32_t)n;
        arrangement->class_names[n] = mem_strdup(label->name);
        for (int split = 0; split < N_SPLITS; split++) {
            arrangement->class_items[n] += label->items[split];
            arrangement->split_items[split] += label->items[split];
        }
        n++;
    }
    arrangement->n_classes = n;
    for (int split = 0; split < N_SPLITS; split++) {
        bool keeps = n == 0 && (split == SPLIT_VALID || split == SPLIT_TEST);
        arrangement->split_items[keeps ? split : SPLIT_UNLABELLED] += set->unlabelled[split];
    }
}

static enum status check_classes(const struct text_set *set, const struct arrangement *arrangement,
                                 struct err *err)
{
    if (arrangement->n_classes > PACK_MAX_CLASSES) {
        err_set(err, E_TOO_LARGE,
                "The upload has %u different labels; a data set has at most %d classes. Is the "
                "right column the label_column?",
                arrangement->n_classes, PACK_MAX_CLASSES);
        err_name(err, "too_many_classes", NULL);
        return E_TOO_LARGE;
    }
    if (arrangement->n_classes == 1) {
        err_set(err, E_INVALID,
                "The texts have one label only, \"%.200s\"; at least two are needed to tell apart.",
                arrangement->class_names[0]);
        err_name(err, "one_class",
                 "For a language model alone, say label_column=none or leave the labels out.");
        return E_INVALID;
    }
    if (arrangement->n_classes == 0 && set->n > 0) {
        err_set(err, E_INVALID,
                "No text with a label is to train on: all of them are for validation or testing.");
        err_name(err, "no_training_texts", NULL);
        return E_INVALID;
    }
    return OK;
}

/* --- The end ---------------------------------------------------------------------------------- */

static void on_dropped(void *context, const char *path, int64_t line)
{
    const struct text_set_ears *ears = context;
    ears->rejected(ears->context, path, line, "No text to train on has its label.");
}

enum status text_set_finish(struct text_set *set, const struct text_set_ears *ears,
                            struct arrangement *arrangement, struct err *err)
{
    struct text_set_ears mine = *ears;
    int32_t *class_of = mem_alloc(((size_t)set->n + 1) * sizeof *class_of);
    *arrangement = (struct arrangement){
        .class_names = mem_alloc(((size_t)set->n + 1) * sizeof(char *)),
        .class_items = mem_alloc(((size_t)set->n + 1) * sizeof(uint64_t)),
    };
    make_classes(set, arrangement, class_of);
    enum status status = check_classes(set, arrangement, err);
    struct text_classes classes = {.names = (const char *const *)arrangement->class_names,
                                   .n = arrangement->n_classes,
                                   .class_of = class_of,
                                   .dropped = on_dropped,
                                   .context = &mine};
    if (!status)
        status = text_writer_finish(set->writer, &classes, err);
    if (!status)
        text_set_compare_classes(arrangement->class_names, arrangement->n_classes, ears);
    else
        arrangement_deinit(arrangement);
    mem_free(class_of);
    return status;
}
