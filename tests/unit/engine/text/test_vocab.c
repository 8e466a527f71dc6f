/* A vocabulary's order and its numbers; counts in bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/text/vocab.h"
#include "engine/text/word_counts.h"

static void add_times(struct word_counts *counts, const char *word, int times)
{
    for (int i = 0; i < times; i++)
        word_counts_add(counts, word, strlen(word));
}

static void assert_words(const struct vocab *vocab, const char *const *words, size_t n)
{
    assert_int_equal(vocab_n_words(vocab), n);
    for (uint32_t i = 0; i < n; i++)
        assert_string_equal(vocab_word(vocab, i), words[i]);
}

static struct word_counts *some_counts(void)
{
    struct word_counts *counts = word_counts_new(0);
    add_times(counts, "rare", 2);
    add_times(counts, "late", 3);
    add_times(counts, "xxmaj", 50);
    add_times(counts, "the", 9);
    add_times(counts, "later", 3);
    add_times(counts, "xxfake", 9);
    return counts;
}

static void specials_come_first_then_words_by_count_then_fakes(void **state)
{
    (void)state;
    static const char *const words[] = {"xxunk",  "xxpad",  "xxbos",  "xxeos", "xxfld", "xxrep",
                                        "xxwrep", "xxup",   "xxmaj",  "the",   "late",  "later",
                                        "xxfake", "xxfake", "xxfake", "xxfake"};
    struct word_counts *counts = some_counts();
    struct vocab *vocab = vocab_from_counts(counts, &(struct vocab_options)VOCAB_DEFAULTS);
    assert_words(vocab, words, 16);
    assert_int_equal(vocab_find(vocab, "the", 3), 9);
    assert_int_equal(vocab_find(vocab, "rare", 4), VOCAB_NONE);
    assert_int_equal(vocab_find(vocab, "xxfake", 6), VOCAB_NONE);
    assert_int_equal(vocab_find(vocab, "th", 2), VOCAB_NONE);
    assert_int_equal(vocab_id(vocab, "rare", 4), SPECIAL_UNK);
    for (int s = 0; s < N_SPECIALS; s++)
        assert_int_equal(vocab_special(vocab, s), s);
    vocab_free(vocab);
    word_counts_free(counts);
}

static void a_multiple_of_eight_gets_eight_more_and_the_most_is_kept(void **state)
{
    (void)state;
    struct word_counts *counts = word_counts_new(0);
    char word[8];
    for (int i = 0; i < 40; i++) {
        snprintf(word, sizeof word, "w%d", i);
        add_times(counts, word, 40 - i);
    }
    struct vocab *vocab =
        vocab_from_counts(counts, &(struct vocab_options){.min_count = 1, .max_words = 16});
    assert_int_equal(vocab_n_words(vocab), 24);
    assert_string_equal(vocab_word(vocab, 15), "w6");
    assert_string_equal(vocab_word(vocab, 16), "xxfake");
    vocab_free(vocab);
    vocab = vocab_from_counts(counts, &(struct vocab_options){.min_count = 38, .max_words = 60000});
    assert_int_equal(vocab_n_words(vocab), 16); /* 9 + 3 words, 4 fakes */
    vocab_free(vocab);
    word_counts_free(counts);
}

static void a_list_comes_back_as_it_was(void **state)
{
    (void)state;
    static const char *const words[] = {"the",  "xxunk", "xxpad",  "xxbos",
                                        "\n\n", "é",     "xxfake", "xxfake"};
    struct vocab *vocab = NULL;
    struct err err = {0};
    assert_int_equal(vocab_from_words(words, 8, &vocab, &err), OK);
    assert_words(vocab, words, 8);
    assert_int_equal(vocab_special(vocab, SPECIAL_UNK), 1);
    assert_int_equal(vocab_special(vocab, SPECIAL_MAJ), 1);
    assert_int_equal(vocab_id(vocab, "no", 2), 1);
    assert_int_equal(vocab_id(vocab, "é", 2), 5);
    vocab_free(vocab);
}

static void assert_refused(const char *const *words, size_t n, const char *why)
{
    struct vocab *vocab = NULL;
    struct err err = {0};
    assert_int_equal(vocab_from_words(words, n, &vocab, &err), E_INVALID);
    assert_null(vocab);
    assert_non_null(strstr(err.detail, why));
}

static void a_list_that_is_no_vocabulary_is_refused(void **state)
{
    (void)state;
    char long_word[VOCAB_MAX_WORD + 2];
    memset(long_word, 'a', sizeof long_word - 1);
    long_word[VOCAB_MAX_WORD + 1] = '\0';
    assert_refused(NULL, 0, "has 0 words");
    assert_refused((const char *const[]){"xxunk", "xxpad", "the"}, 3, "lacks xxbos");
    assert_refused((const char *const[]){"_unk_", "_pad_", "the"}, 3, "lacks xxunk");
    assert_refused((const char *const[]){"xxunk", "xxpad", "xxbos", ""}, 4, "Word 3");
    assert_refused((const char *const[]){"xxunk", "\xff", "xxbos"}, 3, "Word 1");
    assert_refused((const char *const[]){long_word, "\xff", "xxbos"}, 3, "Word 0");
}

static void words_of_two_vocabularies_are_matched(void **state)
{
    (void)state;
    static const char *const old_words[] = {"xxbos", "xxunk", "xxpad", "one", "two", "xxfake"};
    static const char *const new_words[] = {"xxunk", "xxpad", "xxbos", "two", "three", "xxfake"};
    static const int32_t expected[] = {1, 2, 0, 4, VOCAB_NONE, VOCAB_NONE};
    struct vocab *old = NULL, *new = NULL;
    struct err err = {0};
    int32_t rows[6];
    assert_int_equal(vocab_from_words(old_words, 6, &old, &err), OK);
    assert_int_equal(vocab_from_words(new_words, 6, &new, &err), OK);
    assert_int_equal(vocab_match(new, old, rows), 4);
    assert_memory_equal(rows, expected, sizeof rows);
    uint8_t one[SHA256_BYTES], other[SHA256_BYTES];
    vocab_digest(old, one);
    vocab_digest(new, other);
    assert_memory_not_equal(one, other, sizeof one);
    vocab_free(old);
    vocab_free(new);
}

static void the_known_share_counts_repetitions(void **state)
{
    (void)state;
    static const char *const words[] = {"xxunk", "xxpad", "xxbos", "the"};
    struct word_counts *counts = word_counts_new(0);
    struct vocab *vocab = NULL;
    struct err err = {0};
    assert_int_equal(vocab_from_words(words, 4, &vocab, &err), OK);
    assert_true(word_counts_known(counts, vocab) == 1);
    add_times(counts, "the", 3);
    add_times(counts, "cat", 1);
    assert_true(word_counts_known(counts, vocab) == .75);
    vocab_free(vocab);
    word_counts_free(counts);
}

/* Word k of 3000 is seen about 200000 / k times, in a table for 400: what is kept is never said to
 * have been seen more often than it was, nor less often by more than the floor. */
static void counts_in_little_memory_keep_their_promise(void **state)
{
    (void)state;
    enum { WORDS = 3000, DRAWS = 200000 };
    uint64_t *seen = mem_alloc(WORDS * sizeof *seen);
    struct word_counts *counts = word_counts_new(400);
    struct rng rng = rng_stream("words", 1, 0, 0);
    char word[16];
    for (int i = 0; i < DRAWS; i++) {
        double u = rng_uniform(&rng, 0, 1);
        uint32_t k = (uint32_t)(1 / (u * (1 - 1.0 / WORDS) + 1.0 / WORDS)) - 1;
        snprintf(word, sizeof word, "%u", k);
        word_counts_add(counts, word, strlen(word));
        seen[k]++;
    }
    size_t n, kept = 0;
    struct word_count *sorted = word_counts_sorted(counts, &n);
    uint64_t floor = word_counts_floor(counts);
    assert_in_range(n, 200, 400);
    assert_int_equal(word_counts_total(counts), DRAWS);
    assert_true(floor > 0 && floor < DRAWS / 100);
    for (size_t i = 0; i < n; i++) {
        uint64_t truth = seen[strtoul(sorted[i].word, NULL, 10)];
        assert_in_range(sorted[i].count, truth > floor ? truth - floor : 1, truth);
        assert_true(i == 0 || sorted[i].count <= sorted[i - 1].count);
        kept += truth > floor;
    }
    size_t frequent = 0;
    for (int k = 0; k < WORDS; k++)
        frequent += seen[k] > floor;
    assert_int_equal(kept, frequent);
    mem_free(sorted);
    mem_free(seen);
    word_counts_free(counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specials_come_first_then_words_by_count_then_fakes),
        cmocka_unit_test(a_multiple_of_eight_gets_eight_more_and_the_most_is_kept),
        cmocka_unit_test(a_list_comes_back_as_it_was),
        cmocka_unit_test(a_list_that_is_no_vocabulary_is_refused),
        cmocka_unit_test(words_of_two_vocabularies_are_matched),
        cmocka_unit_test(the_known_share_counts_repetitions),
        cmocka_unit_test(counts_in_little_memory_keep_their_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
