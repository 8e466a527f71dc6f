/* Documents to numbers and back to what people read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/text/reader.h"
#include "engine/text/word_counts.h"

/* A vocabulary of all words of the text. */
static struct vocab *vocab_of(struct reader *reader, const char *text)
{
    struct word_counts *counts = word_counts_new(0);
    reader_each(reader, text, strlen(text), (void (*)(void *, const char *, size_t))word_counts_add,
                counts);
    struct vocab *vocab =
        vocab_from_counts(counts, &(struct vocab_options){.min_count = 1, .max_words = 60000});
    word_counts_free(counts);
    return vocab;
}

static void check(const char *text, const char *expected)
{
    struct reader *reader = reader_new();
    struct vocab *vocab = vocab_of(reader, text);
    struct err err = {0};
    const int32_t *ids;
    size_t n;
    struct buf out;
    buf_init(&out, 65536);
    assert_int_equal(reader_ids(reader, vocab, text, strlen(text), &ids, &n, &err), OK);
    assert_true(n > 0 && ids[0] == SPECIAL_BOS);
    text_decode(vocab, ids, n, &out);
    assert_string_equal(out.data, expected);
    buf_deinit(&out);
    vocab_free(vocab);
    reader_free(reader);
}

static void a_text_comes_back_as_it_was(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "The cat doesn't see John's dog, does it?",
        "She said \"no\" (twice); NASA didn't. It cost $5.",
        "Wow!!! So well-known.",
        "no no no no way",
        "Élan, “yes” isn’t 50%.",
        "日本語の本。",
        "one line\ntwo lines\n\nthree",
        "",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *expected =
            strcmp(texts[i], "Élan, “yes” isn’t 50%.") == 0 ? "élan, “yes” isn’t 50%." : texts[i];
        check(texts[i], expected);
    }
}

/* Where the rules part a word, or forget a capital, nobody can tell any more. */
static void what_was_lost_stays_lost(void **state)
{
    (void)state;
    check("A soooo McNice - dash ...", "a s oooo mcnice-dash…");
}

static void fields_stand_on_lines_of_their_own(void **state)
{
    (void)state;
    check("My title\x1f"
          "the text",
          "My title\nthe text");
}

static void what_a_model_dreams_is_bounded(void **state)
{
    (void)state;
    static const char *const words[] = {"xxunk", "xxpad", "xxbos", "xxrep", "1000000",
                                        "a",     "xxmaj", "b",     "xxfake"};
    static const int32_t ids[] = {2, 3, 4, 5, 7, -1, 99, 1, 8, 0, 6, 3, 7, 5, 3, 4};
    struct vocab *vocab = NULL;
    struct err err = {0};
    struct buf out;
    buf_init(&out, 65536);
    assert_int_equal(vocab_from_words(words, ARRAY_LEN(words), &vocab, &err), OK);
    text_decode(vocab, ids, ARRAY_LEN(ids), &out);
    assert_int_equal(out.len, 100 + strlen(" b xxunk B a"));
    assert_string_equal(out.data + 100, " b xxunk B a");
    buf_deinit(&out);
    vocab_free(vocab);
}

static void an_unknown_word_is_xxunk(void **state)
{
    (void)state;
    static const char *const words[] = {"xxunk", "xxpad", "xxbos", "the", "xxmaj"};
    static const int32_t expected[] = {2, 4, 3, 0, 3};
    struct reader *reader = reader_new();
    struct vocab *vocab = NULL;
    struct err err = {0};
    const int32_t *ids;
    size_t n;
    assert_int_equal(vocab_from_words(words, ARRAY_LEN(words), &vocab, &err), OK);
    assert_int_equal(reader_ids(reader, vocab, "The cat the", 11, &ids, &n, &err), OK);
    assert_int_equal(n, 5);
    assert_memory_equal(ids, expected, sizeof expected);
    vocab_free(vocab);
    reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_comes_back_as_it_was),
        cmocka_unit_test(what_was_lost_stays_lost),
        cmocka_unit_test(fields_stand_on_lines_of_their_own),
        cmocka_unit_test(what_a_model_dreams_is_bounded),
        cmocka_unit_test(an_unknown_word_is_xxunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
