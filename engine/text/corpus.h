/* corpus.h -- the documents of a data set as numbers of words, in a file that is mapped.
 *
 * One pass over the pack counts words for a vocabulary, another writes every document's tokens into
 * a file (corpus_file.h), which later runs take as it is if it was made of the same documents by
 * the same vocabulary. Memory does not grow with the number of documents, but for the longest of
 * them. The tokens of two documents that follow each other follow each other in memory. */
#ifndef THAW_ENGINE_TEXT_CORPUS_H
#define THAW_ENGINE_TEXT_CORPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/data/pack.h"
#include "engine/text/vocab.h"
#include "engine/text/word_counts.h"

/* Asked now and then while documents are read: false ends the work with E_CANCELLED. */
struct corpus_watch {
    bool (*go_on)(void *context, uint64_t documents, uint64_t of);
    void *context;
};

/* Which items of the pack, in which order. */
struct corpus_items {
    const struct pack *pack;
    const uint32_t *items;
    uint32_t n;
};

struct corpus; /* owns the mapping; read by any number of threads */

/* Adds every word of the documents to `counts`. watch may be NULL. */
enum status corpus_count(const struct corpus_items *items, const struct corpus_watch *watch,
                         struct word_counts *counts, struct err *err);

/* Opens the file at `path` if it is good and made of these documents and this vocabulary, else
 * makes it: beside it first, so that it is either whole or not there. E_NO_SPACE: the disk is full.
 * Document i is items[i]. */
enum status corpus_open(const struct corpus_items *items, const struct vocab *vocab,
                        const char *path, const struct corpus_watch *watch, struct corpus **corpus,
                        struct err *err);
void corpus_close(struct corpus *corpus); /* NULL is fine */

bool corpus_was_there(const struct corpus *corpus); /* it was taken as it was */
uint32_t corpus_n_documents(const struct corpus *corpus);
uint64_t corpus_n_tokens(const struct corpus *corpus);
uint64_t corpus_n_unknown(const struct corpus *corpus); /* tokens that the vocabulary lacks */
/* The document's tokens, xxbos first: *n of them, borrowed. */
const int32_t *corpus_document(const struct corpus *corpus, uint32_t document, uint32_t *n);

#endif
