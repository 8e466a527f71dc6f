#include "engine/text/word_counts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/word_hash.h"

#define MAX_TEXT (128u << 20) /* bytes of all words */

struct entry {
    uint64_t count, slack; /* slack: how often it may have been seen and forgotten before */
    uint32_t offset, hash; /* of the word in the text */
    uint32_t len;
};

struct word_counts {
    struct entry *entries; /* owned; in the order in which they were first seen */
    uint32_t n, max, capacity;
    char *text; /* owned; words, each followed by a NUL */
    size_t text_len, text_capacity;
    uint32_t *slots;  /* owned; 1 + the number of an entry; 0: free */
    uint32_t n_slots; /* a power of 2, at least twice the entries */
    uint64_t total, floor;
};

struct word_counts *word_counts_new(uint32_t max_words)
{
    struct word_counts *counts = mem_alloc(sizeof *counts);
    counts->max = max_words == 0 || max_words > WORD_COUNTS_MAX ? WORD_COUNTS_MAX : max_words;
    counts->n_slots = 1024;
    counts->slots = mem_alloc(counts->n_slots * sizeof *counts->slots);
    return counts;
}

void word_counts_free(struct word_counts *counts)
{
    if (!counts)
        return;
    mem_free(counts->entries);
    mem_free(counts->text);
    mem_free(counts->slots);
    mem_free(counts);
}

/* The slot of the word, or the free one where it belongs. */
static uint32_t find_slot(const struct word_counts *counts, const char *word, size_t len,
                          uint32_t hash)
{
    uint32_t slot = hash & (counts->n_slots - 1);
    for (; counts->slots[slot] != 0; slot = (slot + 1) & (counts->n_slots - 1)) {
        const struct entry *entry = &counts->entries[counts->slots[slot] - 1];
        if (entry->hash == hash && entry->len == len &&
            memcmp(counts->text + entry->offset, word, len) == 0)
            break;
    }
    return slot;
}

static void fill_slots(struct word_counts *counts, uint32_t n_slots)
{
    mem_free(counts->slots);
    counts->n_slots = n_slots;
    counts->slots = mem_alloc((size_t)n_slots * sizeof *counts->slots);
    for (uint32_t i = 0; i < counts->n; i++) {
        uint32_t slot = counts->entries[i].hash & (n_slots - 1);
        while (counts->slots[slot] != 0)
            slot = (slot + 1) & (n_slots - 1);
        counts->slots[slot] = i + 1;
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

/* The floor that a quarter of the words are not above. */
static uint64_t next_floor(const struct word_counts *counts)
{
    uint64_t *most = mem_alloc(counts->n * sizeof *most);
    for (uint32_t i = 0; i < counts->n; i++)
        most[i] = counts->entries[i].count + counts->entries[i].slack;
    qsort(most, counts->n, sizeof *most, by_size);
    uint64_t floor = most[counts->n / 4];
    mem_free(most);
    return floor > counts->floor ? floor : counts->floor + 1;
}

static void forget_rare(struct word_counts *counts)
{
    uint32_t kept = 0;
    size_t text_len = 0;
    counts->floor = next_floor(counts);
    for (uint32_t i = 0; i < counts->n; i++) {
        struct entry entry = counts->entries[i];
        if (entry.count + entry.slack <= counts->floor)
            continue;
        memmove(counts->text + text_len, counts->text + entry.offset, entry.len + 1);
        entry.offset = (uint32_t)text_len;
        text_len += entry.len + 1;
        counts->entries[kept++] = entry;
    }
    counts->n = kept;
    counts->text_len = text_len;
    fill_slots(counts, counts->n_slots);
}

static void append(struct word_counts *counts, const char *word, size_t len, uint32_t hash)
{
    if (counts->n == counts->capacity) {
        counts->capacity = 2 * counts->capacity + 1024;
        counts->entries = mem_realloc(counts->entries, counts->capacity * sizeof *counts->entries);
    }
    if (counts->text_len + len + 1 > counts->text_capacity) {
        counts->text_capacity = 2 * counts->text_capacity + 16384;
        counts->text = mem_realloc(counts->text, counts->text_capacity);
    }
    memcpy(counts->text + counts->text_len, word, len);
    counts->text[counts->text_len + len] = '\0';
    counts->entries[counts->n++] = (struct entry){.count = 1,
                                                  .slack = counts->floor,
                                                  .offset = (uint32_t)counts->text_len,
                                                  .hash = hash,
                                                  .len = (uint32_t)len};
    counts->text_len += len + 1;
}

void word_counts_add(struct word_counts *counts, const char *word, size_t len)
{
    counts->total++;
    if (len == 0 || len > VOCAB_MAX_WORD || memchr(word, '\0', len))
        return;
    uint32_t hash = word_hash(word, len), slot = find_slot(counts, word, len, hash);
    if (counts->slots[slot] != 0) {
        counts->entries[counts->slots[slot] - 1].count++;
        return;
    }
    while (counts->n >= counts->max || counts->text_len + len + 1 > MAX_TEXT)
        forget_rare(counts);
    append(counts, word, len, hash);
    if (2 * counts->n > counts->n_slots)
        fill_slots(counts, 2 * counts->n_slots);
    else
        counts->slots[find_slot(counts, word, len, hash)] = counts->n;
}

uint64_t word_counts_total(const struct word_counts *counts)
{
    return counts->total;
}

uint64_t word_counts_floor(const struct word_counts *counts)
{
    return counts->floor;
}

/* Words of equal counts stand in the text in the order in which they were first seen. */
static int by_count(const void *a, const void *b)
{
    const struct word_count *one = a, *other = b;
    if (one->count != other->count)
        return one->count < other->count ? 1 : -1;
    return (one->word > other->word) - (one->word < other->word);
}

struct word_count *word_counts_sorted(const struct word_counts *counts, size_t *n)
{
    struct word_count *sorted = mem_alloc((counts->n + (size_t)1) * sizeof *sorted);
    for (uint32_t i = 0; i < counts->n; i++)
        sorted[i] =
            (struct word_count){counts->text + counts->entries[i].offset, counts->entries[i].count};
    qsort(sorted, counts->n, sizeof *sorted, by_count);
    *n = counts->n;
    return sorted;
}

double word_counts_known(const struct word_counts *counts, const struct vocab *vocab)
{
    uint64_t known = 0;
    for (uint32_t i = 0; i < counts->n; i++) {
        const struct entry *entry = &counts->entries[i];
        if (vocab_find(vocab, counts->text + entry->offset, entry->len) != VOCAB_NONE)
            known += entry->count;
    }
    return counts->total > 0 ? (double)known / (double)counts->total : 1;
}
