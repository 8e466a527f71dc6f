/* baseline.h -- what TF-IDF and logistic regression reach on the same texts, in seconds.
 *
 * Every text job reports it beside its own result: a network below it is not worth its time. Words
 * and pairs of words that two training texts have, C = 1000 (the figures on shared sets, and
 * scikit-learn's beside them: tests/text). A large set is learned from in part: evenly chosen texts
 * of at most BASELINE_MAX_BYTES, of each the first BASELINE_MAX_TEXT bytes. */
#ifndef THAW_ENGINE_TRAIN_BASELINE_H
#define THAW_ENGINE_TRAIN_BASELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/data/pack.h"

#define BASELINE_MAX_BYTES   (16u << 20)
#define BASELINE_MAX_TEXT    (1u << 20)
#define BASELINE_MAX_WEIGHTS (2u << 20) /* terms times classes: some 400 MB while it learns */

struct baseline_options {
    double c;
    int n_grams;
    uint32_t min_documents;
    bool (*go_on)(void *context); /* NULL, or asked now and then: false ends with E_CANCELLED */
    void *context;
};
#define BASELINE_DEFAULTS .c = 1000, .n_grams = 2, .min_documents = 2

struct baseline; /* owns terms and weights */

/* Learns from the items that have a label. E_INVALID: none, or of one class only. */
enum status baseline_fit(const struct pack *pack, const uint32_t *items, uint32_t n,
                         const struct baseline_options *options, struct baseline **baseline,
                         struct err *err);
void baseline_free(struct baseline *baseline); /* NULL is fine */

uint32_t baseline_n_used(const struct baseline *baseline); /* texts that it learned from */
uint32_t baseline_n_terms(const struct baseline *baseline);

/* scores[pack_n_classes]: -INFINITY of a class that no training text had. */
void baseline_scores(struct baseline *baseline, const char *text, size_t len, double *scores);

struct baseline_result {
    double accuracy;
    double majority;  /* accuracy of always saying the class that most training texts have */
    double macro_f1;  /* mean over the classes that the validation items have */
    uint32_t n_items; /* that it was asked of: those with a label */
};

enum status baseline_score(struct baseline *baseline, const struct pack *pack,
                           const uint32_t *items, uint32_t n, struct baseline_result *result,
                           struct err *err);

#endif
