/* Maps and light equal PyTorch's for given parameters (tests/golden/augment.py made the
 * expectations), and stay finite and inside whatever is drawn. */
#include "tests/unit/engine/data/fixture.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/data/lighting.h"
#include "engine/data/png.h"
#include "engine/data/preprocess.h"
#include "engine/data/warp.h"

#define MAX_SIDE 64

static uint8_t value(uint32_t i)
{
    return i % 5 == 0 ? (i % 7 % 2 ? 255 : 0) : (uint8_t)((i * i * 7 + i * 29 + 5) / 3 % 256);
}

static void draw_png(struct buf *png, int width, int height)
{
    struct err err = {0};
    size_t n = (size_t)width * (size_t)height * 3;
    uint8_t *pixels = mem_alloc(n);
    for (uint32_t i = 0; i < n; i++)
        pixels[i] = value(i);
    buf_init(png, 1u << 24);
    assert_int_equal(image_png_encode(pixels, width, height, png, &err), OK);
    mem_free(pixels);
}

static void apply(const struct buf *png, const struct augment *augment, int size, float *out)
{
    struct err err = {0};
    struct image_header header;
    struct preprocess *preprocess = preprocess_new();
    assert_int_equal(image_read_header(png->data, png->len, IMAGE_MAX_PIXELS, &header, &err), OK);
    if (preprocess_train(preprocess, png->data, png->len, &header, augment, size, out, &err))
        fail_msg("%s", err.detail);
    preprocess_free(preprocess);
}

static struct augment augment_of(const struct json *test)
{
    int side = (int)json_integer(test, "presize", 0);
    struct augment augment = augment_none(side, side);
    augment.presize = side;
    augment.turn = (int)json_integer(test, "turn", -1);
    augment.angle = json_number(test, "angle", NAN);
    augment.zoom = json_number(test, "zoom", NAN);
    augment.zoom_x = json_number(test, "zoom_x", NAN);
    augment.zoom_y = json_number(test, "zoom_y", NAN);
    augment.warp_x = json_number(test, "warp_x", NAN);
    augment.warp_y = json_number(test, "warp_y", NAN);
    augment.brightness = json_number(test, "brightness", NAN);
    augment.contrast = json_number(test, "contrast", NAN);
    return augment;
}

static void every_golden_case_is_equal_to_grid_sample(void **state)
{
    (void)state;
    struct buf text, png;
    struct err err = {0};
    struct json *golden;
    float out[MAX_SIDE * MAX_SIDE * 3];
    fixture_read("tests/golden/augment.json", &text);
    assert_int_equal(json_parse(text.data, text.len, &golden, &err), OK);
    assert_true(json_len(json_get(golden, "cases")) >= 12);
    json_each(test, json_get(golden, "cases"))
    {
        struct augment augment = augment_of(test);
        int size = (int)json_integer(test, "size", 0);
        draw_png(&png, augment.presize, augment.presize);
        apply(&png, &augment, size, out);
        const struct json *values = json_get(test, "values");
        assert_int_equal(json_len(values), size * size * 3);
        size_t i = 0;
        json_each(wanted, values)
            assert_true(fabs((double)out[i++] - json_as_number(wanted, NAN)) < 1e-4);
        buf_deinit(&png);
    }
    json_free(golden);
    buf_deinit(&text);
}

static void an_unchanged_picture_is_sampled_where_it_is(void **state)
{
    (void)state;
    uint8_t pixels[9 * 9 * 3 + 3];
    float row[9 * 3];
    struct augment none = augment_none(9, 9);
    struct warp warp = warp_compose(&none);
    assert_true(warp_is_plain(&none));
    for (uint32_t i = 0; i < sizeof pixels; i++)
        pixels[i] = value(i);
    for (int y = 0; y < 9; y++) {
        warp_row(&warp, pixels, 9, 9, y, row);
        for (int i = 0; i < 9 * 3; i++)
            assert_true(fabsf(row[i] - (float)pixels[y * 9 * 3 + i]) < 1e-3f);
    }
}

/* A sample lies between its pixels: of a picture of one colour every map gives that colour. */
static void one_colour_stays_one_colour_under_any_map(void **state)
{
    (void)state;
    uint8_t pixels[16 * 16 * 3 + 3];
    float row[20 * 3];
    memset(pixels, 77, sizeof pixels);
    for (uint64_t i = 0; i < 500; i++) {
        struct rng rng = rng_stream("augment", 5, 0, i);
        struct augment_options options = augment_full();
        options.rotate = 180;
        options.zoom = 8;
        options.warp = 1e9; /* held at AUGMENT_MAX_WARP */
        struct augment augment = augment_draw(&options, 100, 60, &rng);
        struct warp warp = warp_compose(&augment);
        for (int y = 0; y < 20; y++) {
            warp_row(&warp, pixels, 16, 20, y, row);
            for (int x = 0; x < 20 * 3; x++)
                assert_true(row[x] == 77);
        }
    }
}

static void maps_that_are_no_numbers_read_inside_the_picture(void **state)
{
    (void)state;
    uint8_t pixels[16 * 16 * 3 + 3];
    float row[20 * 3];
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e300, -1e38, 1e9};
    memset(pixels, 50, sizeof pixels);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (int at = 0; at < 9; at++) {
            struct augment none = augment_none(9, 9);
            struct warp warp = warp_compose(&none);
            warp.map[at / 3][at % 3] = bad[i];
            for (int y = 0; y < 20; y++)
                warp_row(&warp, pixels, 16, 20, y, row);
        }
}

static void pictures_of_any_shape_give_finite_numbers(void **state)
{
    (void)state;
    static const int shapes[][2] = {{1, 1}, {1, 300}, {300, 1}, {2, 3}, {7, 900}, {1000, 9}};
    float *out = mem_alloc(MAX_SIDE * MAX_SIDE * 3 * sizeof *out);
    struct augment_options options = augment_full();
    options.lighting = 0.9;
    options.erase = 0.5;
    for (size_t i = 0; i < ARRAY_LEN(shapes) * 8; i++) {
        struct buf png;
        int width = shapes[i / 8][0], height = shapes[i / 8][1], size = i % 2 ? 33 : MAX_SIDE;
        struct rng rng = rng_stream("augment", 6, 0, i);
        options.presize = i % 3 ? 0 : 48;
        options.min_scale = i % 4 ? 1 : 0.08;
        options.flip_vertical = i % 2;
        struct augment augment = augment_draw(&options, width, height, &rng);
        draw_png(&png, width, height);
        apply(&png, &augment, size, out);
        for (int k = 0; k < size * size * 3; k++)
            assert_true(isfinite(out[k]) && fabsf(out[k]) < 6);
        buf_deinit(&png);
    }
    mem_free(out);
}

static void light_leaves_black_and_white_finite_and_grey_where_it_belongs(void **state)
{
    (void)state;
    struct augment augment = augment_none(1, 1);
    for (int strong = 0; strong < 2; strong++) {
        float values[] = {0, 1, 0.5f, 0.2f, 1e-20f};
        augment.brightness = strong ? 0.95 : 0.6;
        augment.contrast = strong ? 20 : 1;
        lighting_apply(&augment, values, ARRAY_LEN(values));
        for (size_t i = 0; i < ARRAY_LEN(values); i++)
            assert_true(values[i] >= 0 && values[i] <= 1);
        if (!strong)
            assert_true(fabsf(values[2] - 0.6f) < 1e-6f);
        assert_true(values[0] <= values[3] && values[3] <= values[2] && values[2] <= values[1]);
    }
}

/* The loop's own logarithm and exponential, against the C library's in double precision. */
static void light_is_right_to_a_part_in_a_million(void **state)
{
    (void)state;
    struct augment augment = augment_none(1, 1);
    for (int k = 0; k < 50; k++) {
        float values[1001];
        augment.brightness = 0.3 + 0.008 * k;
        augment.contrast = 0.5 + 0.04 * k;
        for (int i = 0; i <= 1000; i++)
            values[i] = (float)i / 1000;
        lighting_apply(&augment, values, 1001);
        for (int i = 0; i <= 1000; i++) {
            double v = fmin(fmax((float)i / 1000.0f, 1e-7f), 1 - 1e-7f), b = augment.brightness;
            double logit = log(v / (1 - v)) + log(b / (1 - b));
            assert_true(fabs((double)values[i] - 1 / (1 + exp(-augment.contrast * logit))) < 1e-6);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_case_is_equal_to_grid_sample),
        cmocka_unit_test(an_unchanged_picture_is_sampled_where_it_is),
        cmocka_unit_test(one_colour_stays_one_colour_under_any_map),
        cmocka_unit_test(maps_that_are_no_numbers_read_inside_the_picture),
        cmocka_unit_test(pictures_of_any_shape_give_finite_numbers),
        cmocka_unit_test(light_leaves_black_and_white_finite_and_grey_where_it_belongs),
        cmocka_unit_test(light_is_right_to_a_part_in_a_million),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
