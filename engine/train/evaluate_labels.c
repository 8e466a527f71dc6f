#include "engine/train/evaluate_labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/data/split.h"

#define SHOWN 4 /* names listed in a sentence */

/* --- Items ------------------------------------------------------------------------------------ */

static enum status copy_items(const uint32_t *from, uint32_t n, uint32_t **items, struct err *err)
{
    void *block;
    enum status status =
        mem_try_alloc((size_t)n + 1, sizeof **items, "the items of a split", &block, err);
    if (status != OK)
        return status;
    *items = block;
    memcpy(*items, from, (size_t)n * sizeof **items);
    return OK;
}

static enum status training_items(const struct pack *pack, const struct json *spec, bool train,
                                  uint32_t **items, uint32_t *n_items, struct err *err)
{
    struct split split;
    enum status status = split_make(pack, json_number(spec, "valid_fraction", .2),
                                    (uint64_t)json_integer(spec, "split_seed", 0), &split, err);
    if (status != OK)
        return status;
    *n_items = train ? split.n_train : split.n_valid;
    status = copy_items(train ? split.train : split.valid, *n_items, items, err);
    split_deinit(&split);
    return status;
}

static enum status packed_items(const struct pack *pack, bool test_only, bool unlabelled,
                                uint32_t **items, uint32_t *n_items, struct err *err)
{
    uint32_t n = pack_n_items(pack);
    void *block;
    enum status status =
        mem_try_alloc((size_t)n + 1, sizeof **items, "the items of a split", &block, err);
    if (status != OK)
        return status;
    *items = block;
    *n_items = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t split = pack_item(pack, i)->split;
        bool wanted = test_only ? split == SPLIT_TEST : split != SPLIT_UNLABELLED || unlabelled;
        if (wanted)
            (*items)[(*n_items)++] = i;
    }
    return OK;
}

enum status evaluate_items(const struct pack *pack, const struct json *spec, bool unlabelled,
                           uint32_t **items, uint32_t *n_items, struct err *err)
{
    const char *split = json_string(spec, "split", "valid");
    bool test = strcmp(split, "test") == 0, all = strcmp(split, "all") == 0;
    *items = NULL;
    enum status status =
        test || all ? packed_items(pack, test, unlabelled, items, n_items, err)
                    : training_items(pack, spec, strcmp(split, "train") == 0, items, n_items, err);
    if (status != OK || *n_items > 0)
        return status;
    mem_free(*items);
    *items = NULL;
    return err_at(err, E_INVALID, "/split",
                  "The data set has no %sitems%s%s%s: choose another split.",
                  unlabelled ? "" : "labelled ", all ? "" : " in the split \"", all ? "" : split,
                  all ? "" : "\"");
}

/* --- Classes ---------------------------------------------------------------------------------- */

struct name {
    const char *text;
    int32_t index;
};

static int compare_names(const void *left, const void *right)
{
    const struct name *a = left, *b = right;
    return strcmp(a->text, b->text);
}

/* Of an array of names, sorted; owned by the caller. */
static struct name *sort_names(const struct json *classes)
{
    int32_t i = 0;
    size_t n = json_len(classes);
    struct name *names = mem_alloc(n * sizeof *names);
    json_each(name, classes)
    {
        names[i] = (struct name){json_as_string(name, ""), i};
        i++;
    }
    qsort(names, n, sizeof *names, compare_names);
    return names;
}

/* Names as part of a sentence: the first few of those added. */
struct listing {
    struct buf text;
    int64_t n;
};

static void list_name(struct listing *listing, const char *name)
{
    if (listing->n < SHOWN)
        buf_printf(&listing->text, "%s\"%.60s\"", listing->n ? ", " : "", name);
    listing->n++;
}

static const char *list_end(struct listing *listing)
{
    if (listing->n > SHOWN)
        buf_printf(&listing->text, " and %lld more", (long long)listing->n - SHOWN);
    return listing->text.data;
}

static enum status refuse(struct listing *missing, const struct pack *pack,
                          const struct name *names, int64_t n, struct err *err)
{
    struct listing known = {0};
    buf_init(&known.text, 400);
    for (int64_t i = 0; i < n; i++)
        list_name(&known, names[i].text);
    err_at(err, E_INVALID, "/dataset",
           "%lld of the data set's %u classes are unknown to the model: %s. Its own %lld are %s. "
           "Name the data set's folders as the model names its classes, or use the task "
           "\"predict\", which needs no labels.",
           (long long)missing->n, pack_n_classes(pack), list_end(missing), (long long)n,
           list_end(&known));
    buf_deinit(&known.text);
    return E_INVALID;
}

static enum status refuse_twins(const char *name, struct err *err)
{
    return err_at(err, E_INVALID, "/model",
                  "The model has two classes called \"%.100s\", so labels cannot be matched by "
                  "name: import it with names that differ.",
                  name);
}

/* Fills the map; `used` (classes) tells which of the model's were met. */
static enum status match_all(const struct pack *pack, const struct name *names, int64_t n,
                             int32_t *map, bool *used, struct listing *missing, struct err *err)
{
    for (uint32_t i = 0; i < pack_n_classes(pack); i++) {
        struct name wanted = {pack_class_name(pack, i), 0};
        const struct name *found = bsearch(&wanted, names, (size_t)n, sizeof *names, compare_names);
        map[i] = found ? found->index : -1;
        if (!found) {
            list_name(missing, wanted.text);
            continue;
        }
        if ((found > names && compare_names(found - 1, found) == 0) ||
            (found + 1 < names + n && compare_names(found + 1, found) == 0))
            return refuse_twins(wanted.text, err);
        used[found->index] = true;
    }
    return OK;
}

static void warn_of_unused(const struct name *names, int64_t n, const bool *used,
                           struct warnings *warnings)
{
    struct listing unused = {0};
    buf_init(&unused.text, 400);
    for (int64_t i = 0; i < n; i++)
        if (!used[names[i].index])
            list_name(&unused, names[i].text);
    if (unused.n > 0)
        warnings_add(warnings, "classes_not_in_dataset",
                     "The data set lacks %lld of the model's %lld classes (%s): the scores say "
                     "nothing about them.",
                     (long long)unused.n, (long long)n, list_end(&unused));
    buf_deinit(&unused.text);
}

enum status evaluate_match(const struct pack *pack, const struct json *classes, bool all,
                           int32_t *map, struct warnings *warnings, struct err *err)
{
    int64_t n = (int64_t)json_len(classes);
    struct name *names = sort_names(classes);
    bool *used = mem_alloc((size_t)n * sizeof *used);
    struct listing missing = {0};
    buf_init(&missing.text, 400);
    enum status status = match_all(pack, names, n, map, used, &missing, err);
    if (status == OK && all && missing.n > 0)
        status = refuse(&missing, pack, names, n, err);
    else if (status == OK && all)
        warn_of_unused(names, n, used, warnings);
    buf_deinit(&missing.text);
    mem_free(used);
    mem_free(names);
    return status;
}

/* --- Classes of two models -------------------------------------------------------------------- */

/* The first of sorted names that another one follows with the same text, or NULL. */
static const char *find_twin(const struct name *names, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (compare_names(&names[i - 1], &names[i]) == 0)
            return names[i].text;
    return NULL;
}

/* Lists the names that only the one has. */
static void list_missing(struct listing *listing, const struct name *one, size_t n_one,
                         const struct name *other, size_t n_other)
{
    for (size_t i = 0; i < n_one; i++)
        if (!bsearch(&one[i], other, n_other, sizeof *other, compare_names))
            list_name(listing, one[i].text);
}

static enum status refuse_others(const struct name *names, size_t n, const struct name *others,
                                 size_t n_others, const char *name, struct err *err)
{
    struct listing lacks = {0}, has = {0};
    buf_init(&lacks.text, 400);
    buf_init(&has.text, 400);
    list_missing(&lacks, names, n, others, n_others);
    list_missing(&has, others, n_others, names, n);
    const char *lacking = list_end(&lacks), *having = list_end(&has);
    bool both = lacks.n > 0 && has.n > 0;
    err_set(err, E_INVALID,
            "It has %zu classes and %.80s %zu, but they must have the same: it %s%s%s%s%s.",
            n_others, name, n, lacks.n > 0 ? "lacks " : "", lacking, both ? ", and " : "",
            has.n > 0 ? "has beside those " : "", having);
    buf_deinit(&lacks.text);
    buf_deinit(&has.text);
    return E_INVALID;
}

static enum status place_all(const struct name *names, size_t n, const struct name *others,
                             size_t n_others, const char *name, int32_t *places, struct err *err)
{
    const char *twin = find_twin(names, n);
    twin = twin ? twin : find_twin(others, n_others);
    if (twin)
        return err_set(err, E_INVALID,
                       "It cannot be matched by name: two classes are called \"%.100s\".", twin);
    if (n != n_others)
        return refuse_others(names, n, others, n_others, name, err);
    for (size_t i = 0; i < n; i++) {
        if (compare_names(&names[i], &others[i]) != 0)
            return refuse_others(names, n, others, n_others, name, err);
        places[names[i].index] = others[i].index;
    }
    return OK;
}

enum status evaluate_places(const struct json *classes, const struct json *others, const char *name,
                            int32_t *places, struct err *err)
{
    struct name *one = sort_names(classes), *other = sort_names(others);
    enum status status =
        place_all(one, json_len(classes), other, json_len(others), name, places, err);
    mem_free(one);
    mem_free(other);
    return status;
}
