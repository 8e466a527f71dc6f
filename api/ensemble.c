#include "api/ensemble.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A class of one model. */
struct class
{
    const char *label; /* borrowed from the answer */
    double probability;
    size_t place; /* in the answer */
};

/* Of one model, sorted by label. */
struct classes {
    struct class *list; /* owned */
    size_t n;
};

static int by_label(const void *left, const void *right)
{
    const struct class *a = left, *b = right;
    return strcmp(a->label, b->label);
}

static int by_probability(const void *left, const void *right)
{
    const struct class *a = left, *b = right;
    if (a->probability != b->probability)
        return a->probability > b->probability ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static enum status check_twins(const struct classes *classes, const char *model, struct err *err)
{
    for (size_t i = 1; i < classes->n; i++)
        if (by_label(&classes->list[i - 1], &classes->list[i]) == 0)
            return err_set(err, E_INVALID,
                           "The model %s has two classes called \"%.100s\", so it cannot be "
                           "averaged with another one by name.",
                           model, classes->list[i].label);
    return OK;
}

static enum status read_classes(const struct ensemble_answer *given, struct classes *classes,
                                struct err *err)
{
    const struct json *predictions = json_get(given->answer, "predictions");
    if (json_type(predictions) != JSON_ARRAY)
        return err_set(err, E_INVALID,
                       "The model %s is a language model: it has no classes to be averaged.",
                       given->model);
    size_t n = json_len(predictions);
    int64_t all = json_integer(given->answer, "classes", (int64_t)n);
    if ((int64_t)n < all)
        return err_set(err, E_INVALID,
                       "The model %s has %lld classes, of which %zu fit an answer: an ensemble "
                       "needs them all. Let a job evaluate it.",
                       given->model, (long long)all, n);
    classes->list = mem_alloc((n + 1) * sizeof *classes->list);
    json_each(prediction, predictions)
    {
        classes->list[classes->n] =
            (struct class){json_string(prediction, "label", ""),
                           json_number(prediction, "probability", 0), classes->n};
        classes->n++;
    }
    qsort(classes->list, classes->n, sizeof *classes->list, by_label);
    return check_twins(classes, given->model, err);
}

/* The first label that only one of the two has. */
static enum status refuse(const struct ensemble_answer *first, const struct classes *ours,
                          const struct ensemble_answer *other, const struct classes *theirs,
                          struct err *err)
{
    size_t i = 0;
    while (i < ours->n && i < theirs->n && by_label(&ours->list[i], &theirs->list[i]) == 0)
        i++;
    bool lacks = i == theirs->n || (i < ours->n && by_label(&ours->list[i], &theirs->list[i]) < 0);
    return err_set(err, E_INVALID,
                   "The models %s (%zu classes) and %s (%zu) cannot be averaged: only %s has the "
                   "class \"%.100s\". An ensemble's models have the same classes.",
                   first->model, ours->n, other->model, theirs->n,
                   lacks ? first->model : other->model, (lacks ? ours : theirs)->list[i].label);
}

static enum status add_model(const struct ensemble_answer *first, struct classes *sum,
                             const struct ensemble_answer *other, struct err *err)
{
    struct classes theirs = {0};
    enum status status = read_classes(other, &theirs, err);
    bool same = sum->n == theirs.n;
    for (size_t i = 0; status == OK && same && i < sum->n; i++)
        same = by_label(&sum->list[i], &theirs.list[i]) == 0;
    if (status == OK && !same)
        status = refuse(first, sum, other, &theirs, err);
    for (size_t i = 0; status == OK && i < sum->n; i++)
        sum->list[i].probability += theirs.list[i].probability;
    mem_free(theirs.list);
    return status;
}

enum status ensemble_mean(const struct ensemble_answer *answers, size_t n, size_t top_k,
                          struct json **mean, struct err *err)
{
    struct classes sum = {0};
    enum status status = read_classes(&answers[0], &sum, err);
    for (size_t k = 1; status == OK && k < n; k++)
        status = add_model(&answers[0], &sum, &answers[k], err);
    if (status == OK) {
        qsort(sum.list, sum.n, sizeof *sum.list, by_probability);
        *mean = json_new_array();
        for (size_t i = 0; i < sum.n && i < top_k; i++) {
            struct json *prediction = json_add_object(*mean);
            json_set_string(prediction, "label", sum.list[i].label);
            json_set_number(prediction, "probability", sum.list[i].probability / (double)n);
        }
    }
    mem_free(sum.list);
    return status;
}
