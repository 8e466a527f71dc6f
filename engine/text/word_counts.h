/* word_counts.h -- how often each word was seen, in bounded memory.
 *
 * Lossy counting (Manku & Motwani 2002): when the table is full, words seen no more often than a
 * floor are forgotten, and the floor rises. So a word that is kept was seen at least as often as is
 * said, and at most word_counts_floor more; a word that was forgotten was seen at most that often.
 * Nothing is forgotten before WORD_COUNTS_MAX different words. The result depends on the order of
 * the words alone. */
#ifndef THAW_ENGINE_TEXT_WORD_COUNTS_H
#define THAW_ENGINE_TEXT_WORD_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/text/vocab.h"

#define WORD_COUNTS_MAX (1u << 21) /* different words at a time */

struct word_count {
    const char *word; /* borrowed, terminated */
    uint64_t count;
};

struct word_counts; /* owns the words */

struct word_counts *word_counts_new(uint32_t max_words); /* at most WORD_COUNTS_MAX; 0: that */
void word_counts_free(struct word_counts *counts);       /* NULL is fine */

void word_counts_add(struct word_counts *counts, const char *word, size_t len);
uint64_t word_counts_total(const struct word_counts *counts); /* words added */
uint64_t word_counts_floor(const struct word_counts *counts); /* 0: nothing was forgotten */

/* All words, the most frequent first, then in the order they were first seen; *n of them. Owned by
 * the caller (mem_free), the words borrowed until the next word_counts_add. */
struct word_count *word_counts_sorted(const struct word_counts *counts, size_t *n);

/* The share of the words added, repetitions counted, that `vocab` knows; 1 if none were added. */
double word_counts_known(const struct word_counts *counts, const struct vocab *vocab);

#endif
