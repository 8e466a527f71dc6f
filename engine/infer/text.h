/* text.h -- a model of text that is loaded and answers.
 *
 * A classifier says how probable each class is. A language model says how well it would have
 * guessed the text (perplexity), and goes on with it, word by word, each drawn from what it holds
 * probable. A model that reads backwards goes on in front of the text.
 * One thread uses a predictor. */
#ifndef THAW_ENGINE_INFER_TEXT_H
#define THAW_ENGINE_INFER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define TEXT_MAX_BATCH       16
#define TEXT_READS           4
#define TEXT_MAX_WORDS       8192       /* tokens that a language model reads at once */
#define TEXT_MAX_NEXT        500        /* words that a language model goes on for */
#define TEXT_MAX_WRITTEN     (24 << 10) /* bytes of them: WIRE_MAX_WRITTEN */
#define TEXT_MAX_TEMPERATURE 10.0

struct text_predictor;

enum status text_predictor_open(const char *weights, struct text_predictor **predictor,
                                struct err *err);
void text_predictor_close(struct text_predictor *predictor); /* NULL is fine */

bool text_predictor_is_classifier(const struct text_predictor *predictor);
bool text_predictor_is_backwards(const struct text_predictor *predictor);
int64_t text_predictor_n_classes(const struct text_predictor *predictor); /* 0: language model */
const char *text_predictor_class(const struct text_predictor *predictor, int64_t index);
const char *text_predictor_plan_hash(const struct text_predictor *predictor); /* 64 hex digits */

struct text_item {
    const char *text; /* bytes of a document, fields parted by 0x1f; borrowed. Of one beyond bounds
                         a classifier reads the last TEXT_READS * max_len tokens: what stands before
                         has left no trace in the state. A language model refuses it */
    size_t len;
    float *probabilities; /* classifier: (classes), filled where status is OK; borrowed */

    /* Of a language model: */
    int next;           /* words to go on for, 0..TEXT_MAX_NEXT */
    double temperature; /* below 1 bolder words are rarer; 0: always the most probable one */
    uint64_t seed;      /* of what is drawn */
    struct buf written; /* initialised by the caller: the words, with the space between, if any */
    double perplexity;

    int64_t n_words; /* tokens of the text, xxbos included */
    enum status status;
    struct err err; /* why this text cannot be answered; the others go on */
};

/* Answers up to TEXT_MAX_BATCH texts. An answer does not depend on what it is batched with, but for
 * rounding between plans. */
void text_predictor_run(struct text_predictor *predictor, struct text_item *items, size_t n);

#endif
