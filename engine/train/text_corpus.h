/* text_corpus.h -- a run's documents as words: what engine/text keeps, by the pack's items. */
#ifndef THAW_ENGINE_TRAIN_TEXT_CORPUS_H
#define THAW_ENGINE_TRAIN_TEXT_CORPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/data/pack.h"
#include "engine/text/vocab.h"
#include "engine/text/word_counts.h"

/* Asked now and then; false stops with E_CANCELLED. May be NULL. */
struct text_corpus_work {
    bool (*go_on)(void *context, int64_t done, int64_t all);
    void *context;
};

/* Counts the words of some items. Owned by the caller. */
enum status text_corpus_count(const struct pack *pack, const uint32_t *items, uint32_t n,
                              const struct text_corpus_work *work, struct word_counts **counts,
                              struct err *err);

struct text_corpus; /* owns a mapped file of words (engine/text/corpus.h) and the list of items */

#define TEXT_CORPUS_FILE "words.tokens" /* of a training run, in its folder */

/* All words of the items, which ascend, in the file `path`: one that is there already and was made
 * of the same is taken as it is. */
enum status text_corpus_open(const struct pack *pack, const uint32_t *items, uint32_t n,
                             const struct vocab *vocab, const char *path,
                             const struct text_corpus_work *work, struct text_corpus **corpus,
                             struct err *err);
void text_corpus_close(struct text_corpus *corpus); /* NULL is fine */

bool text_corpus_has(const struct text_corpus *corpus, uint32_t item);
/* The document of an item that the corpus has. */
uint32_t text_corpus_find(const struct text_corpus *corpus, uint32_t item);
uint32_t *text_corpus_find_all(const struct text_corpus *corpus, const uint32_t *items, uint32_t n);

int64_t text_corpus_words(const struct text_corpus *corpus, uint32_t document);
/* The share of all words that the vocabulary has; 1 of none. */
double text_corpus_known(const struct text_corpus *corpus);
const int32_t *text_corpus_document(const struct text_corpus *corpus, uint32_t document,
                                    uint32_t *n);

#endif
