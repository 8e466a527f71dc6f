/* What a user is told of before the first step, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "engine/train/warnings.h"
#include "tests/unit/engine/train/tiny_pack.h"

#define N 100

/* The first n_train of N items train, the rest validate. */
static struct split split_at(uint32_t n_train)
{
    static uint32_t items[N];
    for (uint32_t i = 0; i < N; i++)
        items[i] = i;
    return (struct split){items, items + n_train, n_train, N - n_train};
}

static struct warnings warn(const int *labels, uint32_t n_train, double flip, bool remedied)
{
    struct pack *pack = tiny_pack(labels, N, 2);
    struct split split = split_at(n_train);
    struct warnings warnings = {0};
    warnings_before(&warnings, pack, &split, flip, remedied);
    pack_close(pack);
    return warnings;
}

static const char *code(const struct warnings *warnings, int index)
{
    return index < warnings->n ? warnings->list[index].code : "";
}

static void balanced_data_that_is_validated_is_not_warned_of(void **state)
{
    (void)state;
    int labels[N];
    for (int i = 0; i < N; i++)
        labels[i] = i % 2;
    struct warnings warnings = warn(labels, 80, 0, false);
    assert_int_equal(warnings.n, 0);
}

static void a_class_twenty_times_rarer_is_named_unless_something_is_done_about_it(void **state)
{
    (void)state;
    int labels[N] = {0};
    labels[3] = labels[90] = labels[7] = labels[11] = 1; /* 3 train, 1 validates */
    assert_int_equal(warn(labels, 63, 0, false).n, 0);   /* 60 to 3 is not above 20 times */
    struct warnings warnings = warn(labels, 64, 0, false);
    assert_string_equal(code(&warnings, 0), "unbalanced_classes");
    assert_non_null(strstr(warnings.list[0].detail, "\"b\" only 3"));
    assert_int_equal(warn(labels, 64, 0, true).n, 0);
}

static void a_class_that_nothing_validates_is_named(void **state)
{
    (void)state;
    int labels[N];
    for (int i = 0; i < N; i++)
        labels[i] = i < 50;
    struct warnings warnings = warn(labels, 80, 0, false);
    assert_int_equal(warnings.n, 1);
    assert_string_equal(code(&warnings, 0), "class_without_validation");
    assert_non_null(strstr(warnings.list[0].detail, "\"b\""));
    assert_int_equal(warn(labels, N, 0, false).n, 0); /* without a validation split, no news */
}

static void characters_that_are_mirrored_are_warned_of(void **state)
{
    (void)state;
    int labels[N];
    for (int i = 0; i < N; i++)
        labels[i] = i % 2;
    struct warnings warnings = warn(labels, 80, .5, false); /* the classes are "a" and "b" */
    assert_int_equal(warnings.n, 1);
    assert_string_equal(code(&warnings, 0), "flip_mirrors_characters");
}

static void more_warnings_than_there_is_room_for_are_dropped(void **state)
{
    (void)state;
    struct warnings warnings = {0};
    for (int i = 0; i < 2 * WARNINGS_MAX; i++)
        warnings_add(&warnings, "code", "Number %d.", i);
    assert_int_equal(warnings.n, WARNINGS_MAX);
    assert_string_equal(warnings.list[WARNINGS_MAX - 1].detail, "Number 7.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(balanced_data_that_is_validated_is_not_warned_of),
        cmocka_unit_test(a_class_twenty_times_rarer_is_named_unless_something_is_done_about_it),
        cmocka_unit_test(a_class_that_nothing_validates_is_named),
        cmocka_unit_test(characters_that_are_mirrored_are_warned_of),
        cmocka_unit_test(more_warnings_than_there_is_room_for_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
