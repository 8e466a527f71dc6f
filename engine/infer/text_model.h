/* text_model.h -- inside engine/infer: a model of text in memory, and a text as its words. */
#ifndef THAW_ENGINE_INFER_TEXT_MODEL_H
#define THAW_ENGINE_INFER_TEXT_MODEL_H

#include "engine/core/graph.h"
#include "engine/format/model_file.h"
#include "engine/infer/text.h"
#include "engine/text/reader.h"
#include "engine/text/vocab.h"

struct text_model {
    struct model_info info; /* owned */
    struct vocab *vocab;    /* owned */
    struct reader *reader;  /* owned */
    struct graph *graph;    /* owned */
};

enum status text_model_open(const char *weights, struct text_model *model, struct err *err);
void text_model_close(struct text_model *model);

/* The words' numbers in the order in which the model reads; owned by the caller. xxbos is the first
 * one that was written, and so the last one that is read backwards. E_INVALID when there is no word
 * but xxbos. */
enum status text_model_words(struct text_model *model, const char *text, size_t len,
                             int32_t **words, int64_t *n, struct err *err);

/* Classifies: logits are in plans for 1 and for 8 texts. */
struct text_classifier; /* borrows the model */
enum status text_classifier_new(struct text_model *model, struct text_classifier **classifier,
                                struct err *err);
void text_classifier_free(struct text_classifier *classifier); /* NULL is fine */
void text_classifier_hash(const struct text_classifier *classifier, char hex[65]);
void text_classifier_run(struct text_classifier *classifier, struct text_item *items, size_t n);

/* Reads and goes on. */
struct text_generator; /* borrows the model */
enum status text_generator_new(struct text_model *model, struct text_generator **generator,
                               struct err *err);
void text_generator_free(struct text_generator *generator); /* NULL is fine */
void text_generator_hash(const struct text_generator *generator, char hex[65]);
void text_generator_run(struct text_generator *generator, struct text_item *item);

#endif
