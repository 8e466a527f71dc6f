/* Weights of words by their formula; scikit-learn's are asked in tests/text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "engine/text/tfidf.h"

static struct tfidf *fitted(const struct tfidf_options *options, const char *const *texts, size_t n)
{
    struct tfidf *tfidf = tfidf_new(options);
    for (size_t i = 0; i < n; i++)
        tfidf_add(tfidf, texts[i], strlen(texts[i]));
    tfidf_finish(tfidf);
    return tfidf;
}

/* "cat" is in one of two texts, "dog" in both: ln(3/2) + 1 against ln(3/3) + 1. */
static void weights_are_those_of_the_formula(void **state)
{
    (void)state;
    static const char *const texts[] = {"Cat cat DOG x", "dog, a!"};
    struct tfidf *tfidf = fitted(
        &(struct tfidf_options){.n_grams = 1, .min_documents = 1, .max_terms = 10}, texts, 2);
    double cat = 2 * (log(1.5) + 1), dog = 1, length = sqrt(cat * cat + dog * dog);
    const struct sparse_rows *rows = tfidf_row(tfidf, "dog cat cat bird", 16);
    assert_int_equal(tfidf_n_terms(tfidf), 2);
    assert_int_equal(rows->n_rows, 1);
    assert_int_equal(rows->begins[1], 2);
    assert_int_equal(rows->columns[0], 0);
    assert_true(fabs(rows->values[0] - cat / length) < 1e-15);
    assert_true(fabs(rows->values[1] - dog / length) < 1e-15);
    tfidf_free(tfidf);
}

static void pairs_count_where_two_texts_have_them(void **state)
{
    (void)state;
    static const char *const texts[] = {"not good at all", "it is not good", "good not"};
    struct tfidf *tfidf = fitted(
        &(struct tfidf_options){.n_grams = 2, .min_documents = 2, .max_terms = 10}, texts, 3);
    assert_int_equal(tfidf_n_terms(tfidf), 3); /* not, not good, good */
    assert_int_equal(tfidf_row(tfidf, "not so good", 11)->begins[1], 2);
    assert_int_equal(tfidf_row(tfidf, "NOT good", 8)->begins[1], 3);
    assert_int_equal(tfidf_row(tfidf, "", 0)->begins[1], 0);
    assert_int_equal(tfidf_row(tfidf, "\xff\x1f", 2)->begins[1], 0);
    tfidf_free(tfidf);
}

static void the_rarest_terms_go_first(void **state)
{
    (void)state;
    static const char *const texts[] = {"aa bb cc", "aa bb dd", "aa ee"};
    struct tfidf *tfidf =
        fitted(&(struct tfidf_options){.n_grams = 1, .min_documents = 1, .max_terms = 3}, texts, 3);
    assert_int_equal(tfidf_n_terms(tfidf), 2); /* cc, dd and ee are equally rare */
    tfidf_free(tfidf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_those_of_the_formula),
        cmocka_unit_test(pairs_count_where_two_texts_have_them),
        cmocka_unit_test(the_rarest_terms_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
