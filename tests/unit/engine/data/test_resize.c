/* Resizing equals PIL's, bit for bit (tests/golden/resize.py made the expectations). */
#include "tests/unit/engine/data/fixture.h"

#include "base/json.h"
#include "base/mem.h"
#include "engine/data/resize.h"

static uint8_t value(uint32_t i)
{
    return (uint8_t)((i * i * 7 + i * 29 + 5) / 3 % 256);
}

static double number(const struct json *array, size_t index)
{
    return json_as_number(json_at(array, index), -1);
}

static void draw(struct image *image, int width, int height)
{
    struct err err = {0};
    image_init(image);
    assert_int_equal(image_reserve(image, width, height, &err), OK);
    for (uint32_t i = 0; i < (uint32_t)(width * height * 3); i++)
        image->pixels[i] = value(i);
}

static struct resize whole_window(const struct json *box, const struct json *target)
{
    int width = (int)number(target, 0), height = (int)number(target, 1);
    return (struct resize){.box = {number(box, 0), number(box, 1), number(box, 2), number(box, 3)},
                           .width = width,
                           .height = height,
                           .window = {0, 0, width, height}};
}

static void check_case(struct resize_scratch *scratch, const struct json *test)
{
    struct err err = {0};
    struct image in, out;
    const struct json *source = json_get(test, "source"), *pixels = json_get(test, "pixels");
    draw(&in, (int)number(source, 0), (int)number(source, 1));
    image_init(&out);
    struct resize resize = whole_window(json_get(test, "box"), json_get(test, "target"));
    assert_int_equal(resize_bilinear(scratch, &in, &resize, &out, &err), OK);
    size_t i = 0;
    json_each(pixel, pixels) assert_int_equal(out.pixels[i++], (int)json_as_number(pixel, -1));
    assert_int_equal(i, out.width * out.height * 3);
    image_deinit(&in);
    image_deinit(&out);
}

static void every_golden_case_is_equal_to_pil(void **state)
{
    (void)state;
    struct buf text;
    struct err err = {0};
    struct json *golden;
    fixture_read("tests/golden/resize.json", &text);
    assert_int_equal(json_parse(text.data, text.len, &golden, &err), OK);
    assert_true(json_len(json_get(golden, "cases")) >= 6);
    struct resize_scratch *scratch = resize_scratch_new(); /* reused: sizes grow and shrink */
    json_each(test, json_get(golden, "cases")) check_case(scratch, test);
    resize_scratch_free(scratch);
    json_free(golden);
    buf_deinit(&text);
}

static void a_window_is_the_same_part_of_the_whole(void **state)
{
    (void)state;
    struct err err = {0};
    struct image in, whole, part;
    struct resize_scratch *scratch = resize_scratch_new();
    draw(&in, 37, 23);
    image_init(&whole);
    image_init(&part);
    struct resize resize = {
        .box = {0, 0, 37, 23}, .width = 14, .height = 11, .window = {0, 0, 14, 11}};
    assert_int_equal(resize_bilinear(scratch, &in, &resize, &whole, &err), OK);
    resize.window = (struct region){3, 2, 9, 8};
    assert_int_equal(resize_bilinear(scratch, &in, &resize, &part, &err), OK);
    for (int y = 0; y < 8; y++)
        assert_memory_equal(part.pixels + y * 9 * 3, whole.pixels + ((y + 2) * 14 + 3) * 3, 9 * 3);
    image_deinit(&in);
    image_deinit(&whole);
    image_deinit(&part);
    resize_scratch_free(scratch);
}

static void a_box_or_window_outside_is_refused(void **state)
{
    (void)state;
    static const struct resize wrong[] = {
        {{0, 0, 9, 8}, 4, 4, {0, 0, 4, 4}},  {{-1, 0, 8, 8}, 4, 4, {0, 0, 4, 4}},
        {{4, 0, 4, 8}, 4, 4, {0, 0, 4, 4}},  {{0, 0, 8, 8}, 4, 4, {1, 0, 4, 4}},
        {{0, 0, 8, 8}, 4, 4, {0, 0, 4, 0}},  {{0, 0, 8, 8}, 0, 4, {0, 0, 1, 1}},
        {{0, 0, 8, 8}, 4, 4, {0, -1, 4, 4}},
    };
    struct image in, out;
    struct resize_scratch *scratch = resize_scratch_new();
    draw(&in, 8, 8);
    image_init(&out);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err = {0};
        assert_int_equal(resize_bilinear(scratch, &in, &wrong[i], &out, &err), E_INTERNAL);
    }
    image_deinit(&in);
    image_deinit(&out);
    resize_scratch_free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_case_is_equal_to_pil),
        cmocka_unit_test(a_window_is_the_same_part_of_the_whole),
        cmocka_unit_test(a_box_or_window_outside_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
