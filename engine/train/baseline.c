#include "engine/train/baseline.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/tfidf.h"
#include "engine/train/logistic.h"

#define MAX_STEPS    2000
#define FULL_CLASSES 32 /* beyond so many, fewer texts: time is texts times classes */

struct baseline {
    struct baseline_options options;
    struct tfidf *tfidf;   /* owned */
    struct logistic model; /* owned */
    uint32_t *classes;     /* owned; of the pack, those that train, ascending */
    uint32_t n_classes, n_all_classes, n_used, majority;
    double *scores; /* owned; n_classes */
};

static enum status ask(const struct baseline_options *options, struct err *err)
{
    return !options->go_on || options->go_on(options->context)
               ? OK
               : err_set(err, E_CANCELLED, "The baseline was told to stop.");
}

/* The item's first BASELINE_MAX_TEXT bytes; *text is owned by the caller. */
static enum status read_text(const struct pack *pack, uint32_t item, char **text, size_t *len,
                             struct err *err)
{
    void *bytes = NULL;
    size_t size = pack_item(pack, item)->size;
    if (mem_try_alloc(size + 1, 1, "a text", &bytes, err) != OK)
        return err->status;
    *text = bytes;
    *len = size < BASELINE_MAX_TEXT ? size : BASELINE_MAX_TEXT;
    return size > 0 ? pack_read(pack, item, bytes, err) : OK;
}

/* --- learning --------------------------------------------------------------------------------- */

/* The classes that train, and the most frequent of them. */
static enum status find_classes(struct baseline *baseline, const struct pack *pack,
                                const uint32_t *items, uint32_t n, struct err *err)
{
    baseline->n_all_classes = pack_n_classes(pack);
    uint32_t *counts = mem_alloc((baseline->n_all_classes + (size_t)1) * sizeof *counts);
    baseline->classes = mem_alloc((baseline->n_all_classes + (size_t)1) * sizeof *counts);
    for (uint32_t i = 0; i < n; i++)
        if (pack_item(pack, items[i])->label != PACK_NO_LABEL)
            counts[pack_item(pack, items[i])->label]++;
    for (uint32_t c = 0; c < baseline->n_all_classes; c++) {
        if (counts[c] > 0)
            baseline->classes[baseline->n_classes++] = c;
        if (counts[c] > counts[baseline->majority])
            baseline->majority = c;
    }
    mem_free(counts);
    if (baseline->n_classes < 2)
        return err_set(err, E_INVALID,
                       "A baseline needs training texts of two classes at least; there %s.",
                       baseline->n_classes == 1 ? "is one" : "are none");
    return OK;
}

/* The number of a pack's class among those that train. */
static uint32_t find_class(const struct baseline *baseline, uint32_t label)
{
    uint32_t low = 0, high = baseline->n_classes;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (baseline->classes[middle] <= label)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Which share of the labelled texts is learned from: all where they are few. */
static double share_of(const struct baseline *baseline, const struct pack *pack,
                       const uint32_t *items, uint32_t n)
{
    double bytes = 0, texts = 0, most = BASELINE_MAX_BYTES;
    for (uint32_t i = 0; i < n; i++) {
        const struct pack_record *item = pack_item(pack, items[i]);
        if (item->label == PACK_NO_LABEL)
            continue;
        bytes += item->size < BASELINE_MAX_TEXT ? item->size : BASELINE_MAX_TEXT;
        texts++;
    }
    if (baseline->n_classes > FULL_CLASSES)
        most *= FULL_CLASSES / (double)baseline->n_classes;
    return bytes <= most ? 1 : fmax(most / bytes, 1 / texts);
}

/* Text number k of the labelled ones is taken when k * share passes a whole number.
 * labels[baseline->n_used] is filled. */
static enum status add_texts(struct baseline *baseline, const struct pack *pack,
                             const uint32_t *items, uint32_t n, uint32_t *labels, struct err *err)
{
    double share = share_of(baseline, pack, items, n), passed = 0;
    enum status status = OK;
    for (uint32_t i = 0; i < n && status == OK; i++) {
        char *text = NULL;
        size_t len = 0;
        int32_t label = pack_item(pack, items[i])->label;
        if (label == PACK_NO_LABEL)
            continue;
        passed += share;
        if (passed < 1)
            continue;
        passed -= 1;
        status = ask(&baseline->options, err);
        if (status == OK)
            status = read_text(pack, items[i], &text, &len, err);
        if (status == OK) {
            tfidf_add(baseline->tfidf, text, len);
            labels[baseline->n_used++] = find_class(baseline, (uint32_t)label);
        }
        mem_free(text);
    }
    if (status == OK && baseline->n_used == 0)
        return err_set(err, E_INTERNAL, "The baseline was given no text.");
    return status;
}

static enum status fit(struct baseline *baseline, const struct pack *pack, const uint32_t *items,
                       uint32_t n, struct err *err)
{
    const struct baseline_options *options = &baseline->options;
    struct logistic_options how = {.c = options->c,
                                   .max_steps = MAX_STEPS,
                                   .go_on = options->go_on,
                                   .context = options->context};
    enum status status = find_classes(baseline, pack, items, n, err);
    if (status != OK)
        return status;
    uint32_t *labels = mem_alloc((n + (size_t)1) * sizeof *labels);
    baseline->tfidf =
        tfidf_new(&(struct tfidf_options){.n_grams = options->n_grams,
                                          .min_documents = options->min_documents,
                                          .max_terms = BASELINE_MAX_WEIGHTS / baseline->n_classes});
    status = add_texts(baseline, pack, items, n, labels, err);
    if (status == OK)
        status = logistic_fit(tfidf_finish(baseline->tfidf), labels, baseline->n_classes, &how,
                              &baseline->model, err);
    mem_free(labels);
    return status;
}

enum status baseline_fit(const struct pack *pack, const uint32_t *items, uint32_t n,
                         const struct baseline_options *options, struct baseline **out,
                         struct err *err)
{
    struct baseline *baseline = mem_alloc(sizeof *baseline);
    baseline->options = *options;
    enum status status = fit(baseline, pack, items, n, err);
    if (status != OK) {
        baseline_free(baseline);
        return status;
    }
    baseline->scores = mem_alloc(baseline->n_classes * sizeof *baseline->scores);
    *out = baseline;
    return OK;
}

void baseline_free(struct baseline *baseline)
{
    if (!baseline)
        return;
    tfidf_free(baseline->tfidf);
    logistic_deinit(&baseline->model);
    mem_free(baseline->classes);
    mem_free(baseline->scores);
    mem_free(baseline);
}

uint32_t baseline_n_used(const struct baseline *baseline)
{
    return baseline->n_used;
}

uint32_t baseline_n_terms(const struct baseline *baseline)
{
    return tfidf_n_terms(baseline->tfidf);
}

/* --- answering -------------------------------------------------------------------------------- */

void baseline_scores(struct baseline *baseline, const char *text, size_t len, double *scores)
{
    for (uint32_t c = 0; c < baseline->n_all_classes; c++)
        scores[c] = -INFINITY;
    logistic_scores(&baseline->model, tfidf_row(baseline->tfidf, text, len), 0, baseline->scores);
    for (uint32_t c = 0; c < baseline->n_classes; c++)
        scores[baseline->classes[c]] = baseline->scores[c];
}

/* By class of the pack: how many items have it, were said to have it, and both. */
struct tally {
    uint32_t are, said, hit;
};

static double macro_f1(const struct tally *tallies, uint32_t n)
{
    double sum = 0, classes = 0;
    for (uint32_t c = 0; c < n; c++) {
        if (tallies[c].are == 0)
            continue;
        sum += 2.0 * tallies[c].hit / (tallies[c].are + tallies[c].said);
        classes++;
    }
    return classes > 0 ? sum / classes : 0;
}

static enum status tally_item(struct baseline *baseline, const struct pack *pack, uint32_t item,
                              struct tally *tallies, double *scores, struct err *err)
{
    char *text = NULL;
    size_t len = 0;
    uint32_t best = 0, label = (uint32_t)pack_item(pack, item)->label;
    enum status status = ask(&baseline->options, err);
    if (status == OK)
        status = read_text(pack, item, &text, &len, err);
    if (status == OK) {
        baseline_scores(baseline, text, len, scores);
        for (uint32_t c = 1; c < baseline->n_all_classes; c++)
            best = scores[c] > scores[best] ? c : best;
        tallies[label].are++;
        tallies[best].said++;
        tallies[label].hit += best == label;
    }
    mem_free(text);
    return status;
}

enum status baseline_score(struct baseline *baseline, const struct pack *pack,
                           const uint32_t *items, uint32_t n, struct baseline_result *result,
                           struct err *err)
{
    uint32_t n_classes = baseline->n_all_classes, hits = 0;
    struct tally *tallies = mem_alloc(n_classes * sizeof *tallies);
    double *scores = mem_alloc(n_classes * sizeof *scores);
    enum status status = OK;
    *result = (struct baseline_result){0};
    for (uint32_t i = 0; i < n && status == OK; i++) {
        if (pack_item(pack, items[i])->label == PACK_NO_LABEL)
            continue;
        status = tally_item(baseline, pack, items[i], tallies, scores, err);
        result->n_items++;
    }
    for (uint32_t c = 0; c < n_classes; c++)
        hits += tallies[c].hit;
    if (status == OK && result->n_items > 0) {
        result->accuracy = (double)hits / result->n_items;
        result->majority = (double)tallies[baseline->majority].are / result->n_items;
        result->macro_f1 = macro_f1(tallies, n_classes);
    }
    mem_free(tallies);
    mem_free(scores);
    return status;
}
