#include "engine/text/tfidf.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/character.h"
#include "engine/text/word_hash.h"

#define LEFT_OUT UINT32_MAX
#define MIN_WORD 2 /* characters */

struct term {
    size_t offset, len; /* in the text of all terms */
    uint32_t hash;
    uint32_t documents;    /* that have it */
    uint32_t last_row, at; /* where it is counted in the row under way */
    uint32_t column;       /* LEFT_OUT of those that were not chosen */
    double weight;         /* inverse document frequency */
};

struct growing_rows {
    struct sparse_rows rows;
    size_t n, capacity, rows_capacity;
};

struct tfidf {
    struct tfidf_options options;
    struct term *terms; /* owned */
    uint32_t n_terms, terms_capacity, n_chosen;
    uint32_t *slots; /* owned; 1 + the number of a term */
    uint32_t n_slots;
    char *text; /* owned; all terms */
    size_t text_len, text_capacity;
    struct growing_rows training, other; /* owned; columns of training: terms, until finished */
    char *small;                         /* owned; the document under way, in small letters */
    size_t small_capacity;
    char *pair; /* owned; two words */
    size_t pair_capacity;
    uint32_t row; /* counts rows of both kinds, from 1 */
    bool is_finished;
};

struct tfidf *tfidf_new(const struct tfidf_options *options)
{
    struct tfidf *tfidf = mem_alloc(sizeof *tfidf);
    tfidf->options = *options;
    tfidf->n_slots = 4096;
    tfidf->slots = mem_alloc(tfidf->n_slots * sizeof *tfidf->slots);
    return tfidf;
}

static void rows_free(struct growing_rows *growing)
{
    mem_free(growing->rows.begins);
    mem_free(growing->rows.columns);
    mem_free(growing->rows.values);
}

void tfidf_free(struct tfidf *tfidf)
{
    if (!tfidf)
        return;
    rows_free(&tfidf->training);
    rows_free(&tfidf->other);
    mem_free(tfidf->terms);
    mem_free(tfidf->slots);
    mem_free(tfidf->text);
    mem_free(tfidf->small);
    mem_free(tfidf->pair);
    mem_free(tfidf);
}

/* At least `bytes` in *block; what was there stays. */
static void reserve(char **block, size_t *capacity, size_t bytes)
{
    if (bytes <= *capacity)
        return;
    *capacity = 2 * bytes + 256;
    *block = mem_realloc(*block, *capacity);
}

/* --- terms ------------------------------------------------------------------------------------ */

static uint32_t find_slot(const struct tfidf *tfidf, const char *word, size_t len, uint32_t hash)
{
    uint32_t slot = hash & (tfidf->n_slots - 1);
    for (; tfidf->slots[slot] != 0; slot = (slot + 1) & (tfidf->n_slots - 1)) {
        const struct term *term = &tfidf->terms[tfidf->slots[slot] - 1];
        if (term->hash == hash && term->len == len &&
            memcmp(tfidf->text + term->offset, word, len) == 0)
            break;
    }
    return slot;
}

static void double_slots(struct tfidf *tfidf)
{
    mem_free(tfidf->slots);
    tfidf->n_slots *= 2;
    tfidf->slots = mem_alloc((size_t)tfidf->n_slots * sizeof *tfidf->slots);
    for (uint32_t i = 0; i < tfidf->n_terms; i++) {
        uint32_t slot = tfidf->terms[i].hash & (tfidf->n_slots - 1);
        while (tfidf->slots[slot] != 0)
            slot = (slot + 1) & (tfidf->n_slots - 1);
        tfidf->slots[slot] = i + 1;
    }
}

/* The number of the term; a new one, unless the terms are chosen: then LEFT_OUT. */
static uint32_t find_term(struct tfidf *tfidf, const char *word, size_t len)
{
    uint32_t hash = word_hash(word, len), slot = find_slot(tfidf, word, len, hash);
    if (tfidf->slots[slot] != 0)
        return tfidf->slots[slot] - 1;
    if (tfidf->is_finished)
        return LEFT_OUT;
    if (tfidf->n_terms == tfidf->terms_capacity) {
        tfidf->terms_capacity = 2 * tfidf->terms_capacity + 1024;
        tfidf->terms = mem_realloc(tfidf->terms, tfidf->terms_capacity * sizeof *tfidf->terms);
    }
    reserve(&tfidf->text, &tfidf->text_capacity, tfidf->text_len + len);
    memcpy(tfidf->text + tfidf->text_len, word, len);
    tfidf->terms[tfidf->n_terms++] =
        (struct term){.offset = tfidf->text_len, .len = len, .hash = hash};
    tfidf->text_len += len;
    tfidf->slots[slot] = tfidf->n_terms;
    if (2 * tfidf->n_terms > tfidf->n_slots)
        double_slots(tfidf);
    return tfidf->n_terms - 1;
}

/* --- rows of counts --------------------------------------------------------------------------- */

static void begin_row(struct tfidf *tfidf, struct growing_rows *growing)
{
    struct sparse_rows *rows = &growing->rows;
    tfidf->row++;
    if (rows->n_rows + 2 > growing->rows_capacity) {
        growing->rows_capacity = 2 * growing->rows_capacity + 64;
        rows->begins = mem_realloc(rows->begins, growing->rows_capacity * sizeof *rows->begins);
    }
    rows->begins[rows->n_rows++] = growing->n;
    rows->begins[rows->n_rows] = growing->n;
}

static void count_term(struct tfidf *tfidf, struct growing_rows *growing, const char *word,
                       size_t len)
{
    struct sparse_rows *rows = &growing->rows;
    uint32_t number = find_term(tfidf, word, len);
    if (number == LEFT_OUT || (tfidf->is_finished && tfidf->terms[number].column == LEFT_OUT))
        return;
    struct term *term = &tfidf->terms[number];
    if (term->last_row == tfidf->row) {
        rows->values[rows->begins[rows->n_rows - 1] + term->at]++;
        return;
    }
    if (growing->n == growing->capacity) {
        growing->capacity = 2 * growing->capacity + 1024;
        rows->columns = mem_realloc(rows->columns, growing->capacity * sizeof *rows->columns);
        rows->values = mem_realloc(rows->values, growing->capacity * sizeof *rows->values);
    }
    term->last_row = tfidf->row;
    term->at = (uint32_t)(growing->n - rows->begins[rows->n_rows - 1]);
    term->documents += !tfidf->is_finished;
    rows->columns[growing->n] = number;
    rows->values[growing->n++] = 1;
    rows->begins[rows->n_rows] = growing->n;
}

static void count_pair(struct tfidf *tfidf, struct growing_rows *growing, const char *first,
                       size_t first_len, const char *second, size_t second_len)
{
    reserve(&tfidf->pair, &tfidf->pair_capacity, first_len + second_len + 1);
    memcpy(tfidf->pair, first, first_len);
    tfidf->pair[first_len] = ' ';
    memcpy(tfidf->pair + first_len + 1, second, second_len);
    count_term(tfidf, growing, tfidf->pair, first_len + second_len + 1);
}

/* The next \b\w\w+\b at or behind *at: its length, and *at where it begins; 0 at the end. */
static size_t next_word(const char *text, size_t len, size_t *at)
{
    size_t start = *at, character_len;
    while (start < len) {
        size_t end = start;
        int characters = 0;
        while (end < len && char_is_word(char_read(text + end, &character_len))) {
            end += character_len;
            characters++;
        }
        *at = start;
        if (characters >= MIN_WORD)
            return end - start;
        if (end < len)
            char_read(text + end, &character_len);
        start = end + (end < len ? character_len : 0);
    }
    *at = len;
    return 0;
}

static void count_document(struct tfidf *tfidf, struct growing_rows *growing, const char *document,
                           size_t len)
{
    char *repaired = mem_alloc(3 * len + 1);
    size_t n = text_repair(document, len, repaired);
    reserve(&tfidf->small, &tfidf->small_capacity, 2 * n + 8);
    size_t small_len = text_lower(repaired, n, tfidf->small), at = 0, word_len;
    const char *last = NULL;
    size_t last_len = 0;
    mem_free(repaired);
    begin_row(tfidf, growing);
    while ((word_len = next_word(tfidf->small, small_len, &at)) > 0) {
        const char *word = tfidf->small + at;
        count_term(tfidf, growing, word, word_len);
        if (last && tfidf->options.n_grams > 1)
            count_pair(tfidf, growing, last, last_len, word, word_len);
        last = word;
        last_len = word_len;
        at += word_len;
    }
}

void tfidf_add(struct tfidf *tfidf, const char *document, size_t len)
{
    count_document(tfidf, &tfidf->training, document, len);
}

/* --- weights ---------------------------------------------------------------------------------- */

static int by_documents(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one < other) - (one > other);
}

/* The fewest documents that a term must have, so that at most max_terms have them. */
static uint32_t fewest_documents(const struct tfidf *tfidf)
{
    uint32_t fewest = tfidf->options.min_documents;
    if (tfidf->n_terms <= tfidf->options.max_terms)
        return fewest;
    uint32_t *documents = mem_alloc(tfidf->n_terms * sizeof *documents);
    for (uint32_t i = 0; i < tfidf->n_terms; i++)
        documents[i] = tfidf->terms[i].documents;
    qsort(documents, tfidf->n_terms, sizeof *documents, by_documents);
    uint32_t first_left_out = documents[tfidf->options.max_terms];
    mem_free(documents);
    return first_left_out + 1 > fewest ? first_left_out + 1 : fewest;
}

static void choose_terms(struct tfidf *tfidf)
{
    uint32_t fewest = fewest_documents(tfidf);
    double n = tfidf->training.rows.n_rows;
    for (uint32_t i = 0; i < tfidf->n_terms; i++) {
        struct term *term = &tfidf->terms[i];
        term->column = term->documents >= fewest ? tfidf->n_chosen++ : LEFT_OUT;
        term->weight = log((1 + n) / (1 + term->documents)) + 1;
    }
}

struct cell {
    uint32_t column;
    double value;
};

static int by_column(const void *a, const void *b)
{
    uint32_t one = ((const struct cell *)a)->column, other = ((const struct cell *)b)->column;
    return (one > other) - (one < other);
}

/* Counts become weights, terms columns; what was left out is taken out. */
static void weigh_rows(const struct tfidf *tfidf, struct growing_rows *growing)
{
    struct sparse_rows *rows = &growing->rows;
    struct cell *cells = mem_alloc((growing->n + 1) * sizeof *cells);
    size_t kept = 0;
    for (uint32_t r = 0; r < rows->n_rows; r++) {
        size_t n = 0;
        double squares = 0;
        for (size_t i = rows->begins[r]; i < rows->begins[r + 1]; i++) {
            const struct term *term = &tfidf->terms[rows->columns[i]];
            double value = rows->values[i] * term->weight;
            if (term->column == LEFT_OUT)
                continue;
            cells[n++] = (struct cell){term->column, value};
            squares += value * value;
        }
        qsort(cells, n, sizeof *cells, by_column);
        rows->begins[r] = kept;
        for (size_t i = 0; i < n; i++, kept++) {
            rows->columns[kept] = cells[i].column;
            rows->values[kept] = cells[i].value / sqrt(squares);
        }
    }
    if (rows->n_rows > 0)
        rows->begins[rows->n_rows] = kept;
    rows->n_columns = tfidf->n_chosen;
    growing->n = kept;
    mem_free(cells);
}

const struct sparse_rows *tfidf_finish(struct tfidf *tfidf)
{
    choose_terms(tfidf);
    weigh_rows(tfidf, &tfidf->training);
    tfidf->is_finished = true;
    return &tfidf->training.rows;
}

uint32_t tfidf_n_terms(const struct tfidf *tfidf)
{
    return tfidf->n_chosen;
}

const struct sparse_rows *tfidf_row(struct tfidf *tfidf, const char *document, size_t len)
{
    tfidf->other.n = 0;
    tfidf->other.rows.n_rows = 0;
    count_document(tfidf, &tfidf->other, document, len);
    weigh_rows(tfidf, &tfidf->other);
    return &tfidf->other.rows;
}
