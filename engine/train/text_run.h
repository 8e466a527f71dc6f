/* text_run.h -- what a run on texts has beside what every run has: options, vocabulary, words.
 *
 * The vocabulary is that of the model that the run starts from, unless the run trains a language
 * model: then it is made from the texts that that one learns from (text_items.h). Rows of the
 * embedding and of the decoder's bias that both vocabularies have are the old model's; a new word
 * gets the mean row, as in fastai. All documents that the run needs are kept as words in one file
 * of its folder. */
#ifndef THAW_ENGINE_TRAIN_TEXT_RUN_H
#define THAW_ENGINE_TRAIN_TEXT_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/data/pack.h"
#include "engine/data/split.h"
#include "engine/format/model_file.h"
#include "engine/text/vocab.h"
#include "engine/train/recipe.h"
#include "engine/train/text_chunks.h"
#include "engine/train/text_corpus.h"
#include "engine/train/text_options.h"

struct text_run {
    struct text_options options;
    const struct pack *pack;   /* borrowed */
    const struct split *split; /* of the classifier, borrowed; NULL: there is none */
    uint64_t seed;
    struct vocab *vocab;        /* owned */
    struct text_corpus *corpus; /* owned */
    int32_t *rows;              /* owned; (words) each one's row in the start's vocabulary, or
                                   VOCAB_NONE; NULL: it has the start's vocabulary, or no start */
    bool starts;                /* from a model */
    uint32_t n_known;           /* words that the start's vocabulary has */
    double words_a_byte;        /* of texts that were not read */
    double known; /* its share of the texts' words, repetitions counted; 1: no start */
};

struct text_run_options {
    const struct json *spec;        /* all borrowed */
    const struct model_info *start; /* NULL: from nothing */
    const struct pack *pack;
    const struct split *split;
    const char *folder;
    uint64_t most_bytes; /* of texts that are read, for an estimate: the rest is taken to be like
                            them; 0: all are read */
    /* Asked while texts are read; false stops it with E_CANCELLED. May be NULL. */
    bool (*go_on)(void *context, int64_t done, int64_t all);
    void *context;
};

enum status text_run_open(const struct text_run_options *options, struct text_run **text,
                          struct err *err);
void text_run_close(struct text_run *text); /* NULL is fine */

/* The texts of a stage of the language model. Owned by the caller. */
enum status text_run_items(const struct text_run *text, const struct recipe_stage *stage,
                           struct split *items, struct err *err);

/* What recipe_init_texts asks. */
struct recipe_texts text_run_recipe(struct text_run *text);

/* The classifier's plans in a stage. */
struct text_chunks_options text_run_chunks(const struct text_options *options,
                                           const struct recipe_stage *stage, enum plan_mode mode);

/* What a phase's model says of itself: vocabulary, sizes; `classes` for a classifier. */
struct model_info text_run_info(const struct text_run *text, enum recipe_phase phase,
                                const struct pack *pack);

/* The report's {words, matched_rows, known}: how many rows of the start's were kept, and what share
 * of the texts' words the start knows; null without a start. Owned by the caller. */
struct json *text_run_vocabulary(const struct text_run *text);

/* The graph's starting values: the start's where it has them, its rows matched; the rest drawn from
 * the seed. `source` NULL: all is drawn. `with_head`: a classifier's head is kept, too. */
enum status text_run_start(const struct text_run *text, struct graph *graph,
                           const struct tensor_source *source, bool with_head, struct err *err);

/* A classifier's encoder becomes the language model's; its head is drawn. */
void text_run_carry(const struct text_run *text, const struct graph *language_model,
                    struct graph *classifier);

#endif
