/* Letters: repeatable, varied, plain sentences, and about what their class says. */
#include "tests/unit/engine/data/fixture.h"

#include <string.h>

#include "base/mem.h"
#include "engine/data/synth_letter.h"

static void write(struct buf *letter, size_t label, uint64_t seed, uint64_t number)
{
    buf_clear(letter);
    synth_letter_write(label, seed, number, letter);
    buf_append(letter, "", 1);
}

static void a_letter_is_written_the_same_again_and_every_number_differs(void **state)
{
    struct buf first, other;
    (void)state;
    buf_init(&first, SYNTH_LETTER_MAX);
    buf_init(&other, SYNTH_LETTER_MAX);
    for (size_t label = 0; label < synth_letter_n_classes(); label++) {
        write(&first, label, 3, 8);
        write(&other, label, 3, 8);
        assert_string_equal(first.data, other.data);
        write(&other, label, 3, 9);
        assert_string_not_equal(first.data, other.data);
        write(&other, label, 4, 8);
        assert_string_not_equal(first.data, other.data);
    }
    buf_deinit(&first);
    buf_deinit(&other);
}

static void a_letter_is_a_line_of_sentences_that_fits(void **state)
{
    struct buf letter;
    (void)state;
    buf_init(&letter, SYNTH_LETTER_MAX);
    for (uint64_t number = 0; number < 4000; number++) {
        write(&letter, number % synth_letter_n_classes(), 1, number);
        assert_in_range(letter.len, 40, SYNTH_LETTER_MAX / 2);
        assert_null(strpbrk(letter.data, "{}\n\t"));
        assert_null(strstr(letter.data, "  "));
        assert_null(strstr(letter.data, ". a "));
        assert_int_equal(letter.data[letter.len - 2], '.');
        for (const char *at = letter.data; *at; at++)
            assert_in_range(*at, ' ', '~');
    }
    buf_deinit(&letter);
}

/* How many of 500 letters of the class have the word. */
static int n_with(size_t label, const char *word)
{
    struct buf letter;
    int n = 0;
    buf_init(&letter, SYNTH_LETTER_MAX);
    for (uint64_t number = 0; number < 500; number++) {
        write(&letter, label, 2, number);
        n += strstr(letter.data, word) != NULL;
    }
    buf_deinit(&letter);
    return n;
}

static void a_word_of_a_class_is_seldom_in_letters_of_another(void **state)
{
    static const char *const words[] = {"login page", "courier", "invoice", "hinge"};
    (void)state;
    assert_int_equal(synth_letter_n_classes(), ARRAY_LEN(words));
    for (size_t word = 0; word < ARRAY_LEN(words); word++)
        for (size_t label = 0; label < ARRAY_LEN(words); label++) {
            int n = n_with(label, words[word]);
            if (label == word)
                assert_in_range(n, 40, 120);
            else
                assert_in_range(n, 0, 15);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_is_written_the_same_again_and_every_number_differs),
        cmocka_unit_test(a_letter_is_a_line_of_sentences_that_fits),
        cmocka_unit_test(a_word_of_a_class_is_seldom_in_letters_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
