/* From bytes to a network's input. Equality with torchvision is tests/oracle/images.py's. */
#include "tests/unit/engine/data/fixture.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/png.h"
#include "engine/data/preprocess.h"

static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};

static float normal(int value, int channel)
{
    return ((float)value / 255 - mean[channel]) / deviation[channel];
}

/* A PNG, width x height, of which the left half is black and the right half (200, 100, 50). */
static struct image_header half_and_half(struct buf *png, int width, int height)
{
    struct err err = {0};
    struct image_header header;
    uint8_t *pixels = mem_alloc((size_t)width * (size_t)height * 3);
    for (int i = 0; i < width * height; i++)
        if (i % width >= width / 2)
            memcpy(pixels + i * 3, (uint8_t[]){200, 100, 50}, 3);
    buf_init(png, 1 << 24);
    assert_int_equal(image_png_encode(pixels, width, height, png, &err), OK);
    assert_int_equal(image_read_header(png->data, png->len, IMAGE_MAX_PIXELS, &header, &err), OK);
    mem_free(pixels);
    return header;
}

static float at(const float *out, int size, int x, int y, int channel)
{
    return out[(y * size + x) * 3 + channel];
}

static void values_are_normalised_as_imagenets(void **state)
{
    (void)state;
    static const int colour[3] = {200, 100, 50};
    struct buf png;
    struct err err = {0};
    float out[16 * 16 * 3];
    struct preprocess *preprocess = preprocess_new();
    struct image_header header = half_and_half(&png, 64, 40);
    assert_int_equal(preprocess_eval(preprocess, png.data, png.len, &header, 16, out, &err), OK);
    for (int y = 0; y < 16; y++)
        for (int c = 0; c < 3; c++) {
            assert_true(fabsf(at(out, 16, 0, y, c) - normal(0, c)) < 1e-6f);
            assert_true(fabsf(at(out, 16, 15, y, c) - normal(colour[c], c)) < 1e-6f);
        }
    preprocess_free(preprocess);
    buf_deinit(&png);
}

static struct augment crop_of(int x, int y, int width, int height)
{
    struct augment augment = augment_none(0, 0);
    augment.crop = (struct region){x, y, width, height};
    return augment;
}

static void a_flip_mirrors_and_a_crop_takes_its_part(void **state)
{
    (void)state;
    struct buf png;
    struct err err = {0};
    float plain[16 * 16 * 3], flipped[16 * 16 * 3];
    struct preprocess *preprocess = preprocess_new();
    struct image_header header = half_and_half(&png, 64, 40);
    struct augment augment = crop_of(20, 4, 30, 30);
    assert_int_equal(
        preprocess_train(preprocess, png.data, png.len, &header, &augment, 16, plain, &err), OK);
    augment.turn = 1;
    assert_int_equal(
        preprocess_train(preprocess, png.data, png.len, &header, &augment, 16, flipped, &err), OK);
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 16; x++)
            for (int c = 0; c < 3; c++)
                assert_true(at(plain, 16, x, y, c) == at(flipped, 16, 15 - x, y, c));
    assert_true(at(plain, 16, 0, 8, 0) == normal(0, 0) && at(plain, 16, 15, 8, 0) > 1);
    augment = crop_of(33, 0, 31, 40); /* all of it beyond the edge */
    assert_int_equal(
        preprocess_train(preprocess, png.data, png.len, &header, &augment, 16, plain, &err), OK);
    for (int x = 0; x < 16; x++)
        assert_true(at(plain, 16, x, 3, 0) == normal(200, 0));
    preprocess_free(preprocess);
    buf_deinit(&png);
}

/* A picture stored turned, with the tag that says so, equals the upright one. */
static void a_turned_jpeg_is_seen_upright(void **state)
{
    (void)state;
    struct buf jpeg;
    struct err err = {0};
    float plain[24 * 24 * 3], turned[24 * 24 * 3];
    struct preprocess *preprocess = preprocess_new();
    struct image_header header;
    struct augment augment = crop_of(10, 20, 60, 40);
    fixture_jpeg(&jpeg, 7, 0, 96);
    assert_int_equal(image_read_header(jpeg.data, jpeg.len, IMAGE_MAX_PIXELS, &header, &err), OK);
    /* Seen from (10,20) after a half turn is stored from (96-10-60, 96-20-40). */
    struct augment opposite = crop_of(26, 36, 60, 40);
    assert_int_equal(
        preprocess_train(preprocess, jpeg.data, jpeg.len, &header, &opposite, 24, plain, &err), OK);
    fixture_turn_jpeg(&jpeg, 3);
    assert_int_equal(image_read_header(jpeg.data, jpeg.len, IMAGE_MAX_PIXELS, &header, &err), OK);
    assert_int_equal(
        preprocess_train(preprocess, jpeg.data, jpeg.len, &header, &augment, 24, turned, &err), OK);
    for (int y = 0; y < 24; y++)
        for (int x = 0; x < 24; x++)
            for (int c = 0; c < 3; c++) /* weights are rounded one by one: one level apart */
                assert_true(fabsf(at(plain, 24, 23 - x, 23 - y, c) - at(turned, 24, x, y, c)) <
                            0.02f);
    preprocess_free(preprocess);
    buf_deinit(&jpeg);
}

static void pictures_of_one_row_or_column_can_be_used(void **state)
{
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 300}, {300, 1}, {2, 9000}, {9000, 2}};
    struct preprocess *preprocess = preprocess_new();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf png;
        struct err err = {0};
        float out[32 * 32 * 3];
        struct image_header header = half_and_half(&png, sizes[i][0], sizes[i][1]);
        assert_int_equal(preprocess_eval(preprocess, png.data, png.len, &header, 32, out, &err),
                         OK);
        for (size_t k = 0; k < ARRAY_LEN(out); k++)
            assert_true(isfinite(out[k]));
        buf_deinit(&png);
    }
    preprocess_free(preprocess);
}

static void the_short_side_is_rounded_as_python_rounds(void **state)
{
    (void)state;
    assert_int_equal(preprocess_resize_side(224), 256);
    assert_int_equal(preprocess_resize_side(64), 73);
    assert_int_equal(preprocess_resize_side(500), 572); /* 571.5: to even */
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct buf png;
    struct err err = {0};
    float out[1];
    struct preprocess *preprocess = preprocess_new();
    struct image_header header = half_and_half(&png, 8, 8);
    struct augment augment = crop_of(0, 0, 8, 8);
    assert_int_equal(preprocess_eval(preprocess, png.data, png.len, &header, 7, out, &err),
                     E_INVALID);
    assert_int_equal(
        preprocess_train(preprocess, png.data, png.len, &header, &augment, 2049, out, &err),
        E_INVALID);
    preprocess_free(preprocess);
    buf_deinit(&png);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_normalised_as_imagenets),
        cmocka_unit_test(a_flip_mirrors_and_a_crop_takes_its_part),
        cmocka_unit_test(a_turned_jpeg_is_seen_upright),
        cmocka_unit_test(pictures_of_one_row_or_column_can_be_used),
        cmocka_unit_test(the_short_side_is_rounded_as_python_rounds),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
