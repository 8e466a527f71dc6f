/* Answers of several models become one: by name, as the mean, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "api/ensemble.h"
#include "base/mem.h"

static struct err err;

/* Answers from JSON texts with ' for "; `wanted` is E_INVALID with a sentence, or the mean. */
static struct json *mean_of(const char *const *texts, size_t n, size_t top_k)
{
    static const char *const names[] = {"mdl_a", "mdl_b", "mdl_c"};
    struct ensemble_answer answers[3];
    struct json *parsed[3], *mean = NULL;
    err = (struct err){0};
    for (size_t k = 0; k < n; k++) {
        char *text = mem_strdup(texts[k]);
        for (char *c = text; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        assert_int_equal(json_parse(text, strlen(text), &parsed[k], &err), OK);
        answers[k] = (struct ensemble_answer){names[k], parsed[k]};
        mem_free(text);
    }
    enum status status = ensemble_mean(answers, n, top_k, &mean, &err);
    assert_int_equal(status == OK, mean != NULL);
    for (size_t k = 0; k < n; k++)
        json_free(parsed[k]); /* the mean has copies */
    return mean;
}

#define CLASS(name, p)  "{'label':'" name "','probability':" p "}"
#define ANSWER(n, list) "{'classes':" n ",'predictions':[" list "]}"

static void classes_are_met_by_name_and_come_by_probability(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ANSWER("3", CLASS("a", "0.7") "," CLASS("b", "0.2") "," CLASS("c", "0.1")),
        ANSWER("3", CLASS("c", "0.8") "," CLASS("a", "0.1") "," CLASS("b", "0.1")),
        ANSWER("3", CLASS("c", "0.6") "," CLASS("b", "0.3") "," CLASS("a", "0.1")),
    };
    static const struct {
        const char *label;
        double probability;
    } wanted[] = {{"c", 1.5 / 3}, {"a", .9 / 3}, {"b", .6 / 3}};
    struct json *mean = mean_of(texts, 3, 10);
    assert_int_equal(json_len(mean), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct json *class = json_at(mean, i);
        assert_string_equal(json_string(class, "label", ""), wanted[i].label);
        assert_true(fabs(json_number(class, "probability", 0) - wanted[i].probability) < 1e-15);
    }
    json_free(mean);
    mean = mean_of(texts, 3, 1);
    assert_int_equal(json_len(mean), 1);
    json_free(mean);
}

static void equals_stay_in_the_first_models_order(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ANSWER("2", CLASS("z", "0.5") "," CLASS("a", "0.5")),
        ANSWER("2", CLASS("a", "0.5") "," CLASS("z", "0.5")),
    };
    struct json *mean = mean_of(texts, 2, 2);
    assert_string_equal(json_string(json_first(mean), "label", ""), "z");
    json_free(mean);
}

static void what_cannot_be_averaged_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *texts[2], *said;
    } cases[] = {
        {{ANSWER("1", CLASS("a", "1")), ANSWER("1", CLASS("b", "1"))},
         "mdl_a (1 classes) and mdl_b (1) cannot be averaged: only mdl_a has the class \"a\""},
        {{ANSWER("1", CLASS("b", "1")), ANSWER("1", CLASS("a", "1"))}, "only mdl_b has the class"},
        {{ANSWER("1", CLASS("a", "1")), ANSWER("2", CLASS("a", "0.5") "," CLASS("b", "0.5"))},
         "only mdl_b has the class \"b\""},
        {{ANSWER("2", CLASS("a", "1") "," CLASS("b", "0")), ANSWER("1", CLASS("a", "1"))},
         "only mdl_a has the class \"b\""},
        {{ANSWER("2", CLASS("a", "1") "," CLASS("a", "0")), ANSWER("1", CLASS("a", "1"))},
         "mdl_a has two classes called \"a\""},
        {{ANSWER("1", CLASS("a", "1")), "{'perplexity':3}"}, "mdl_b is a language model"},
        {{ANSWER("1", CLASS("a", "1")), ANSWER("2000", CLASS("a", "1"))},
         "mdl_b has 2000 classes, of which 1 fit"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_null(mean_of(cases[i].texts, 2, 5));
        assert_int_equal(err.status, E_INVALID);
        if (!strstr(err.detail, cases[i].said))
            fail_msg("%s", err.detail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_met_by_name_and_come_by_probability),
        cmocka_unit_test(equals_stay_in_the_first_models_order),
        cmocka_unit_test(what_cannot_be_averaged_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
