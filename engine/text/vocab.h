/* vocab.h -- a vocabulary: words by number and numbers by word.
 *
 * The special tokens come first, in fastai's order; then words, the most frequent first, of two
 * equally frequent the one seen first; then "xxfake" until the number is a multiple of 8 (8 more
 * where it already is one). A vocabulary that was imported keeps the order it has. Numbers of words
 * never change: they are rows of an embedding. */
#ifndef THAW_ENGINE_TEXT_VOCAB_H
#define THAW_ENGINE_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/status.h"

#define VOCAB_MAX_WORDS (1u << 20)
#define VOCAB_MAX_WORD  255 /* bytes; a longer word is unknown */
#define VOCAB_NONE      (-1)

enum special {
    SPECIAL_UNK,
    SPECIAL_PAD,
    SPECIAL_BOS,
    SPECIAL_EOS,
    SPECIAL_FLD,
    SPECIAL_REP,
    SPECIAL_WREP,
    SPECIAL_UP,
    SPECIAL_MAJ,
    N_SPECIALS
};
const char *special_name(enum special special); /* "xxunk" */

struct vocab_options {
    uint64_t min_count; /* a word is taken if it was seen so often */
    uint32_t max_words; /* special tokens included, "xxfake" not */
};
#define VOCAB_DEFAULTS                                                                             \
    {                                                                                              \
        .min_count = 3, .max_words = 60000                                                         \
    }

struct vocab; /* owns its words; read by any number of threads */
struct word_counts;

struct vocab *vocab_from_counts(const struct word_counts *counts,
                                const struct vocab_options *options);
/* A list from a file, kept as it is; to save one, vocab_word in order. E_INVALID: none, too many, a
 * word that is empty, too long or no UTF-8, no xxunk, xxpad or xxbos. */
enum status vocab_from_words(const char *const *words, size_t n, struct vocab **vocab,
                             struct err *err);
void vocab_free(struct vocab *vocab); /* NULL is fine */

uint32_t vocab_n_words(const struct vocab *vocab);
const char *vocab_word(const struct vocab *vocab, uint32_t id); /* borrowed, terminated */
/* VOCAB_NONE when the word is not there; "xxfake" never is. */
int32_t vocab_find(const struct vocab *vocab, const char *word, size_t len);
uint32_t vocab_id(const struct vocab *vocab, const char *word, size_t len); /* or that of xxunk */
/* The number of a special token; that of xxunk where the vocabulary lacks it. */
uint32_t vocab_special(const struct vocab *vocab, enum special special);
void vocab_digest(const struct vocab *vocab, uint8_t out[SHA256_BYTES]); /* of words and order */

/* For each word of `vocab` its number in `old`, VOCAB_NONE if it has none: rows[vocab_n_words]. How
 * many words both have ("xxfake" is none). */
uint32_t vocab_match(const struct vocab *vocab, const struct vocab *old, int32_t *rows);

#endif
