/* Drawn sets: repeatable, varied, and with no class in common. */
#include "tests/unit/engine/data/fixture.h"

#include <math.h>
#include <string.h>

#include "engine/data/synth.h"

#define SIZE  32
#define BYTES (SIZE * SIZE * 3)

static void a_picture_is_drawn_the_same_again_and_every_number_differs(void **state)
{
    (void)state;
    const struct synth_set *set = synth_find_set("a");
    uint8_t first[BYTES], again[BYTES], other[BYTES];
    for (size_t label = 0; label < synth_n_classes(set); label++) {
        synth_draw(set, label, 5, 9, SIZE, first);
        synth_draw(set, label, 5, 9, SIZE, again);
        assert_memory_equal(first, again, BYTES);
        synth_draw(set, label, 5, 10, SIZE, other);
        assert_memory_not_equal(first, other, BYTES);
        synth_draw(set, label, 6, 9, SIZE, other);
        assert_memory_not_equal(first, other, BYTES);
    }
}

static void every_picture_has_something_in_it(void **state)
{
    (void)state;
    for (size_t s = 0; s < synth_n_sets(); s++) {
        const struct synth_set *set = synth_set_at(s);
        for (size_t label = 0; label < synth_n_classes(set); label++) {
            uint8_t pixels[BYTES];
            double sum = 0, squares = 0;
            synth_draw(set, label, 1, label, SIZE, pixels);
            for (int i = 0; i < BYTES; i++) {
                sum += pixels[i];
                squares += pixels[i] * pixels[i];
            }
            assert_true(sqrt(squares / BYTES - sum / BYTES * sum / BYTES) > 8);
        }
    }
}

static void the_set_forms_holds_many_classes_and_none_of_b(void **state)
{
    (void)state;
    const struct synth_set *forms = synth_find_set("forms"), *b = synth_find_set("b");
    assert_int_equal(synth_n_classes(forms), 120);
    for (size_t i = 0; i < synth_n_classes(forms); i++)
        for (size_t k = 0; k < synth_n_classes(b); k++)
            assert_string_not_equal(synth_class_name(forms, i).text, synth_class_name(b, k).text);
    assert_string_equal(synth_class_name(forms, 13).text, "arrow");
    assert_string_equal(synth_class_name(forms, 14).text, "outline-00");
    assert_string_equal(synth_class_name(forms, 119).text, "palette-25");
}

static void the_sets_a_and_b_share_no_class(void **state)
{
    (void)state;
    const struct synth_set *a = synth_find_set("a"), *b = synth_find_set("b");
    assert_int_equal(synth_n_classes(a), 14);
    assert_int_equal(synth_n_classes(b), 6);
    for (size_t i = 0; i < synth_n_classes(a); i++)
        for (size_t k = 0; k < synth_n_classes(b); k++)
            assert_string_not_equal(synth_class_name(a, i).text, synth_class_name(b, k).text);
    assert_null(synth_find_set("c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_is_drawn_the_same_again_and_every_number_differs),
        cmocka_unit_test(every_picture_has_something_in_it),
        cmocka_unit_test(the_set_forms_holds_many_classes_and_none_of_b),
        cmocka_unit_test(the_sets_a_and_b_share_no_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
