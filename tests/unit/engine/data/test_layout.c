/* Layouts: which class and split a path belongs to, once all paths are known. */
#include "tests/unit/engine/data/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/layout.h"
#include "engine/data/member_name.h"

/* "train:ants", "unlabelled" or "rejected" for each path of a whole archive. */
struct expectation {
    const char *path, *want;
};

static void describe(const struct place *place, char *out, size_t size)
{
    static const char *const names[N_SPLITS] = {"train", "valid", "test", "unlabelled"};
    if (place->refusal)
        snprintf(out, size, "rejected");
    else if (!place->class_name)
        snprintf(out, size, "%s", names[place->split]);
    else
        snprintf(out, size, "%s:%.*s", names[place->split], (int)place->class_len,
                 place->class_name);
}

static void check(const struct expectation *all, size_t n)
{
    struct layout_finder finder;
    layout_finder_init(&finder);
    for (size_t i = 0; i < n; i++)
        layout_finder_offer(&finder, all[i].path);
    struct layout layout = layout_found(&finder);
    for (size_t i = 0; i < n; i++) {
        char got[64];
        struct place place = layout_place(&layout, all[i].path);
        describe(&place, got, sizeof got);
        assert_string_equal(got, all[i].want);
    }
}
#define CHECK(...)                                                                                 \
    check((const struct expectation[]){__VA_ARGS__},                                               \
          ARRAY_LEN(((const struct expectation[]){__VA_ARGS__})))

static void class_folders_alone_all_train(void **state)
{
    (void)state;
    CHECK({"ants/1.jpg", "train:ants"}, {"bees/2.jpg", "train:bees"});
}

static void split_folders_name_splits(void **state)
{
    (void)state;
    CHECK({"train/ants/1.jpg", "train:ants"}, {"val/ants/2.jpg", "valid:ants"},
          {"test/bees/3.jpg", "test:bees"});
    CHECK({"Train/ants/1.jpg", "train:ants"}, {"VALIDATION/ants/2.jpg", "valid:ants"});
    CHECK({"train/a/1.jpg", "train:a"}, {"valid/a/2.jpg", "valid:a"});
}

static void one_enclosing_folder_is_looked_through(void **state)
{
    (void)state;
    CHECK({"data/ants/1.jpg", "train:ants"}, {"data/bees/2.jpg", "train:bees"});
    CHECK({"data/train/ants/1.jpg", "train:ants"}, {"data/valid/ants/2.jpg", "valid:ants"});
    CHECK({"x/y/ants/1.jpg", "train:y"}, {"x/y/bees/2.jpg", "train:y"});
}

static void a_class_folder_around_everything_is_a_class(void **state)
{
    (void)state;
    CHECK({"ants/1.jpg", "train:ants"}, {"ants/2.jpg", "train:ants"});
    CHECK({"train/ants/1.jpg", "train:ants"}, {"train/bees/1.jpg", "train:bees"});
}

static void folders_below_a_class_are_the_classes(void **state)
{
    (void)state;
    CHECK({"train/ants/red/1.jpg", "train:ants"}, {"train/ants/2.jpg", "train:ants"});
    CHECK({"ants/red/1.jpg", "train:ants"}, {"bees/2.jpg", "train:bees"});
}

static void what_lies_elsewhere_is_rejected_and_breaks_nothing(void **state)
{
    (void)state;
    CHECK({"cover.jpg", "rejected"}, {"train/ants/1.jpg", "train:ants"},
          {"train/2.jpg", "rejected"}, {"other/ants/3.jpg", "rejected"});
    CHECK({"cover.jpg", "rejected"}, {"data/cover.jpg", "rejected"},
          {"data/ants/1.jpg", "train:ants"}, {"data/bees/1.jpg", "train:bees"});
    CHECK({"1.jpg", "rejected"}, {"2.jpg", "rejected"});
}

static void test_pictures_may_have_no_class(void **state)
{
    (void)state;
    CHECK({"train/ants/1.jpg", "train:ants"}, {"test/9.jpg", "unlabelled"},
          {"test/ants/8.jpg", "test:ants"});
}

/* --- Names ---------------------------------------------------------------------------------- */

static void good_names_are_tidied(void **state)
{
    (void)state;
    static const struct expectation names[] = {{"a/b.jpg", "a/b.jpg"},
                                               {"./a//b.jpg", "a/b.jpg"},
                                               {"a/./b/", "a/b"},
                                               {"..a/b..", "..a/b.."},
                                               {"a b/\xc3\xa4.jpg", "a b/\xc3\xa4.jpg"},
                                               {"\xe4.jpg", "\xc3\xa4.jpg"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char name[64];
        assert_null(member_name_clean(names[i].path, name, sizeof name));
        assert_string_equal(name, names[i].want);
    }
}

static void names_that_lead_elsewhere_are_refused_but_can_be_shown(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "../a.jpg",    "a/../b.jpg", "a/..", "/etc/passwd", "//a",      "C:\\a.jpg", "c:/a.jpg",
        "\\\\host\\a", "",           ".",    "./",          "a\nb.jpg", "a/\x7f",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char name[64];
        assert_non_null(member_name_clean(wrong[i], name, sizeof name));
        assert_null(strpbrk(name, "\n\x7f"));
    }
}

static void a_name_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    char name[9];
    assert_null(member_name_clean("abcd/fgh", name, sizeof name));
    assert_non_null(member_name_clean("abcd/fghi", name, sizeof name));
    assert_true(strlen(name) < sizeof name);
}

static void litter_is_known(void **state)
{
    (void)state;
    assert_true(member_name_is_litter("__MACOSX/a/._b.jpg"));
    assert_true(member_name_is_litter("a/.DS_Store"));
    assert_true(member_name_is_litter(".git/b.jpg"));
    assert_true(member_name_is_litter("a/thumbs.DB"));
    assert_false(member_name_is_litter("a/b.jpg"));
    assert_false(member_name_is_litter("a__MACOSX/b.jpg"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_folders_alone_all_train),
        cmocka_unit_test(split_folders_name_splits),
        cmocka_unit_test(one_enclosing_folder_is_looked_through),
        cmocka_unit_test(a_class_folder_around_everything_is_a_class),
        cmocka_unit_test(folders_below_a_class_are_the_classes),
        cmocka_unit_test(what_lies_elsewhere_is_rejected_and_breaks_nothing),
        cmocka_unit_test(test_pictures_may_have_no_class),
        cmocka_unit_test(good_names_are_tidied),
        cmocka_unit_test(names_that_lead_elsewhere_are_refused_but_can_be_shown),
        cmocka_unit_test(a_name_that_does_not_fit_is_refused),
        cmocka_unit_test(litter_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
