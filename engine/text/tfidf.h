/* tfidf.h -- documents as weights of their words and pairs of words: term frequency times inverse
 * document frequency.
 *
 * As scikit-learn's TfidfVectorizer does by default: small letters, words of two word characters or
 * more (\b\w\w+\b), weight tf (ln((1 + n) / (1 + df)) + 1), each row of length 1. Pairs of
 * neighbours count as terms too where n_grams is 2. Terms of fewer than min_documents training
 * documents are left out; so are, beyond max_terms, those of the fewest. */
#ifndef THAW_ENGINE_TEXT_TFIDF_H
#define THAW_ENGINE_TEXT_TFIDF_H

#include <stddef.h>
#include <stdint.h>

#include "engine/text/sparse.h"

struct tfidf_options {
    int n_grams; /* 1 or 2 */
    uint32_t min_documents, max_terms;
};

struct tfidf; /* owns the terms */

struct tfidf *tfidf_new(const struct tfidf_options *options);
void tfidf_free(struct tfidf *tfidf); /* NULL is fine */

/* A training document: any bytes (what is no UTF-8 parts words). */
void tfidf_add(struct tfidf *tfidf, const char *document, size_t len);
/* Once all are added: chooses the terms. Their rows, in order, borrowed from tfidf. */
const struct sparse_rows *tfidf_finish(struct tfidf *tfidf);
uint32_t tfidf_n_terms(const struct tfidf *tfidf);

/* Another document by the same terms: one row, borrowed until the next call. */
const struct sparse_rows *tfidf_row(struct tfidf *tfidf, const char *document, size_t len);

#endif
