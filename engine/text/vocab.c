#include "engine/text/vocab.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/text/word_counts.h"
#include "engine/text/word_hash.h"

#define FAKE     "xxfake"
#define MULTIPLE 8

static const char *const special_names[N_SPECIALS] = {
    [SPECIAL_UNK] = "xxunk",   [SPECIAL_PAD] = "xxpad", [SPECIAL_BOS] = "xxbos",
    [SPECIAL_EOS] = "xxeos",   [SPECIAL_FLD] = "xxfld", [SPECIAL_REP] = "xxrep",
    [SPECIAL_WREP] = "xxwrep", [SPECIAL_UP] = "xxup",   [SPECIAL_MAJ] = "xxmaj",
};

struct vocab {
    char **words;   /* owned, in the arena */
    uint8_t *lens;  /* owned */
    int32_t *slots; /* owned; the number of a word, VOCAB_NONE where free */
    uint32_t n_words, n_slots;
    uint32_t specials[N_SPECIALS];
    struct arena arena;
};

const char *special_name(enum special special)
{
    return special_names[special];
}

/* The slot of the word, or the free one where it belongs. */
static uint32_t find_slot(const struct vocab *vocab, const char *word, size_t len)
{
    uint32_t slot = word_hash(word, len) & (vocab->n_slots - 1);
    for (; vocab->slots[slot] != VOCAB_NONE; slot = (slot + 1) & (vocab->n_slots - 1)) {
        int32_t id = vocab->slots[slot];
        if (vocab->lens[id] == len && memcmp(vocab->words[id], word, len) == 0)
            break;
    }
    return slot;
}

static struct vocab *vocab_new(uint32_t max_words)
{
    struct vocab *vocab = mem_alloc(sizeof *vocab);
    vocab->n_slots = 16;
    while (vocab->n_slots < 2 * max_words)
        vocab->n_slots *= 2;
    vocab->words = mem_alloc(max_words * sizeof *vocab->words);
    vocab->lens = mem_alloc(max_words);
    vocab->slots = mem_alloc(vocab->n_slots * sizeof *vocab->slots);
    for (uint32_t i = 0; i < vocab->n_slots; i++)
        vocab->slots[i] = VOCAB_NONE;
    arena_init(&vocab->arena);
    return vocab;
}

void vocab_free(struct vocab *vocab)
{
    if (!vocab)
        return;
    mem_free(vocab->words);
    mem_free(vocab->lens);
    mem_free(vocab->slots);
    arena_deinit(&vocab->arena);
    mem_free(vocab);
}

/* Of a word that is there twice, the first is found. */
static void append(struct vocab *vocab, const char *word)
{
    size_t len = strlen(word);
    uint32_t id = vocab->n_words++;
    vocab->words[id] = arena_strndup(&vocab->arena, word, len);
    vocab->lens[id] = (uint8_t)len;
    uint32_t slot = find_slot(vocab, word, len);
    if (vocab->slots[slot] == VOCAB_NONE && strcmp(word, FAKE) != 0)
        vocab->slots[slot] = (int32_t)id;
}

static void find_specials(struct vocab *vocab)
{
    for (int s = 0; s < N_SPECIALS; s++) {
        int32_t id = vocab_find(vocab, special_names[s], strlen(special_names[s]));
        vocab->specials[s] = id != VOCAB_NONE ? (uint32_t)id : vocab->specials[SPECIAL_UNK];
    }
}

static bool is_reserved(const char *word)
{
    for (int s = 0; s < N_SPECIALS; s++)
        if (strcmp(word, special_names[s]) == 0)
            return true;
    return strcmp(word, FAKE) == 0;
}

struct vocab *vocab_from_counts(const struct word_counts *counts,
                                const struct vocab_options *options)
{
    uint32_t max = options->max_words < VOCAB_MAX_WORDS - MULTIPLE ? options->max_words
                                                                   : VOCAB_MAX_WORDS - MULTIPLE;
    size_t n;
    struct word_count *sorted = word_counts_sorted(counts, &n);
    struct vocab *vocab = vocab_new((max > N_SPECIALS ? max : N_SPECIALS) + MULTIPLE);
    for (int s = 0; s < N_SPECIALS; s++)
        append(vocab, special_names[s]);
    for (size_t i = 0; i < n && vocab->n_words < max; i++)
        if (sorted[i].count >= options->min_count && !is_reserved(sorted[i].word))
            append(vocab, sorted[i].word);
    for (uint32_t fakes = MULTIPLE - vocab->n_words % MULTIPLE; fakes > 0; fakes--)
        append(vocab, FAKE);
    mem_free(sorted);
    find_specials(vocab);
    return vocab;
}

static enum status check_word(const char *word, size_t at, struct err *err)
{
    size_t len = strlen(word);
    if (len > 0 && len <= VOCAB_MAX_WORD && utf8_is_valid(word, len))
        return OK;
    return err_set(err, E_INVALID,
                   "Word %zu of the vocabulary cannot be used: words are UTF-8 of 1 to %d bytes.",
                   at, VOCAB_MAX_WORD);
}

enum status vocab_from_words(const char *const *words, size_t n, struct vocab **out,
                             struct err *err)
{
    static const enum special needed[] = {SPECIAL_UNK, SPECIAL_PAD, SPECIAL_BOS};
    if (n == 0 || n > VOCAB_MAX_WORDS)
        return err_set(err, E_INVALID, "The vocabulary has %zu words; 1 to %u are expected.", n,
                       VOCAB_MAX_WORDS);
    for (size_t i = 0; i < n; i++)
        if (check_word(words[i], i, err) != OK)
            return err->status;
    struct vocab *vocab = vocab_new((uint32_t)n);
    for (size_t i = 0; i < n; i++)
        append(vocab, words[i]);
    find_specials(vocab);
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        const char *name = special_names[needed[i]];
        if (vocab_find(vocab, name, strlen(name)) != VOCAB_NONE)
            continue;
        vocab_free(vocab);
        return err_set(err, E_INVALID,
                       "The vocabulary lacks %s: it is not one of fastai's, whose special tokens "
                       "(xxunk, xxpad, xxbos, ...) the texts are marked with.",
                       name);
    }
    *out = vocab;
    return OK;
}

uint32_t vocab_n_words(const struct vocab *vocab)
{
    return vocab->n_words;
}

const char *vocab_word(const struct vocab *vocab, uint32_t id)
{
    return vocab->words[id];
}

int32_t vocab_find(const struct vocab *vocab, const char *word, size_t len)
{
    return len > VOCAB_MAX_WORD ? VOCAB_NONE : vocab->slots[find_slot(vocab, word, len)];
}

uint32_t vocab_id(const struct vocab *vocab, const char *word, size_t len)
{
    int32_t id = vocab_find(vocab, word, len);
    return id != VOCAB_NONE ? (uint32_t)id : vocab->specials[SPECIAL_UNK];
}

uint32_t vocab_special(const struct vocab *vocab, enum special special)
{
    return vocab->specials[special];
}

void vocab_digest(const struct vocab *vocab, uint8_t out[SHA256_BYTES])
{
    struct sha256 *digest = sha256_new();
    for (uint32_t i = 0; i < vocab->n_words; i++)
        sha256_update(digest, vocab->words[i], vocab->lens[i] + (size_t)1);
    sha256_finish(digest, out);
    sha256_free(digest);
}

uint32_t vocab_match(const struct vocab *vocab, const struct vocab *old, int32_t *rows)
{
    uint32_t common = 0;
    for (uint32_t i = 0; i < vocab->n_words; i++) {
        rows[i] = vocab_find(old, vocab->words[i], vocab->lens[i]);
        common += rows[i] != VOCAB_NONE;
    }
    return common;
}
