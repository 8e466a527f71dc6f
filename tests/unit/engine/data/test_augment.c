/* What is drawn: inside its bounds, as often as asked, the same for a stream. */
#include "tests/unit/engine/data/fixture.h"

#include <math.h>
#include <string.h>

#include "engine/data/augment.h"
#include "engine/data/erase.h"

#define DRAWS 4000

static struct rng stream(uint64_t item)
{
    return rng_stream("augment", 7, 1, item);
}

static void crops_lie_inside_and_keep_area_and_shape(void **state)
{
    (void)state;
    struct augment_options options = augment_default();
    double least = 1, most = 0, narrow = 9, wide = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct rng rng = stream(i);
        struct augment augment = augment_draw(&options, 500, 375, &rng);
        const struct region *crop = &augment.crop;
        assert_true(crop->x >= 0 && crop->y >= 0 && crop->width > 0 && crop->height > 0);
        assert_true(crop->x + crop->width <= 500 && crop->y + crop->height <= 375);
        double area = (double)crop->width * crop->height / (500 * 375);
        double ratio = (double)crop->width / crop->height;
        least = fmin(least, area);
        most = fmax(most, area);
        narrow = fmin(narrow, ratio);
        wide = fmax(wide, ratio);
    }
    assert_true(least > 0.345 && least < 0.37 && most > 0.95 && most <= 1);
    assert_true(narrow > 0.745 && narrow < 0.78 && wide < 1.342 && wide > 1.3);
}

static void crops_reach_every_edge(void **state)
{
    (void)state;
    struct augment_options options = augment_default();
    bool left = false, right = false, top = false, bottom = false;
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct rng rng = stream(i);
        struct region crop = augment_draw(&options, 40, 40, &rng).crop;
        left |= crop.x == 0;
        top |= crop.y == 0;
        right |= crop.x + crop.width == 40;
        bottom |= crop.y + crop.height == 40;
    }
    assert_true(left && right && top && bottom);
}

static void half_of_the_pictures_are_flipped_or_none(void **state)
{
    (void)state;
    struct augment_options options = augment_default();
    int flips = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct rng rng = stream(i);
        flips += augment_draw(&options, 64, 64, &rng).turn == 1;
    }
    assert_in_range(flips, DRAWS / 2 - 130, DRAWS / 2 + 130);
    options.flip = 0;
    for (uint64_t i = 0; i < 100; i++) {
        struct rng rng = stream(i);
        assert_int_equal(augment_draw(&options, 64, 64, &rng).turn, 0);
    }
}

static void a_stream_draws_the_same_crop_again_and_another_item_another(void **state)
{
    (void)state;
    struct augment_options options = augment_default();
    struct rng first = stream(3), again = stream(3), other = stream(4);
    struct augment a = augment_draw(&options, 500, 375, &first);
    struct augment b = augment_draw(&options, 500, 375, &again);
    struct augment c = augment_draw(&options, 500, 375, &other);
    assert_memory_equal(&a.crop, &b.crop, sizeof a.crop);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a.crop, &c.crop, sizeof a.crop);
}

static void a_picture_too_long_for_any_crop_gets_the_centre(void **state)
{
    (void)state;
    static const struct {
        int width, height;
        struct region want;
    } cases[] = {{1000, 30, {480, 0, 40, 30}},
                 {30, 1000, {0, 480, 30, 40}},
                 {1, 1, {0, 0, 1, 1}},
                 {1, 500, {0, 249, 1, 1}}};
    struct augment_options options = augment_default();
    options.min_scale = options.max_scale = 0.99;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rng rng = stream(0);
        struct region crop = augment_draw(&options, cases[i].width, cases[i].height, &rng).crop;
        assert_memory_equal(&crop, &cases[i].want, sizeof crop);
    }
}

static void at_scale_one_the_crop_is_the_largest_square_anywhere(void **state)
{
    (void)state;
    struct augment_options options = augment_full();
    int least = 125, most = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct rng rng = stream(i);
        struct region crop = augment_draw(&options, 500, 375, &rng).crop;
        assert_true(crop.width == 375 && crop.height == 375 && crop.y == 0);
        least = crop.x < least ? crop.x : least;
        most = crop.x > most ? crop.x : most;
    }
    assert_true(least == 0 && most == 125);
}

/* Within the options' bounds, as often as they say: three of four times, and one by one. */
static void maps_and_light_are_drawn_within_their_bounds_and_as_often(void **state)
{
    (void)state;
    struct augment_options options = augment_full();
    int n[6] = {0}, both = 0, flips = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct rng rng = stream(i);
        struct augment a = augment_draw(&options, 64, 64, &rng);
        assert_true(fabs(a.angle) <= 10 && a.zoom >= 1 && a.zoom <= 1.1);
        assert_true(fabs(a.warp_x) <= 0.2 && fabs(a.warp_y) <= 0.2);
        assert_true(a.brightness >= 0.4 && a.brightness <= 0.6);
        assert_true(a.contrast >= 0.8 - 1e-9 && a.contrast <= 1.25 + 1e-9);
        const bool drawn[6] = {a.angle != 0,  a.zoom != 1,         a.warp_x != 0,
                               a.warp_y != 0, a.brightness != 0.5, a.contrast != 1};
        for (int k = 0; k < 6; k++)
            n[k] += drawn[k];
        both += drawn[0] && drawn[1];
        flips += a.turn == 1;
        assert_true(a.hole_width == 0 && a.presize == 0);
    }
    for (int k = 0; k < 6; k++)
        assert_in_range(n[k], DRAWS * 3 / 4 - 110, DRAWS * 3 / 4 + 110);
    assert_in_range(both, DRAWS * 9 / 16 - 130, DRAWS * 9 / 16 + 130);
    assert_in_range(flips, DRAWS / 2 - 130, DRAWS / 2 + 130);
}

static void turns_are_the_eight_of_a_square_where_flips_may_be_vertical(void **state)
{
    (void)state;
    struct augment_options options = augment_default();
    int n[8] = {0};
    options.flip_vertical = true;
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct rng rng = stream(i);
        n[augment_draw(&options, 64, 64, &rng).turn]++;
    }
    assert_in_range(n[0], DRAWS / 2 + DRAWS / 16 - 130, DRAWS / 2 + DRAWS / 16 + 130);
    for (int k = 1; k < 8; k++)
        assert_in_range(n[k], DRAWS / 16 - 65, DRAWS / 16 + 65);
}

static void what_is_off_draws_nothing(void **state)
{
    (void)state;
    struct augment_options options = augment_default();
    struct rng rng = stream(9), same = stream(9);
    struct augment plain = augment_draw(&options, 500, 375, &rng);
    options.erase = 1;
    struct augment holed = augment_draw(&options, 500, 375, &same);
    assert_true(holed.hole_width > 0 && plain.hole_width == 0);
    assert_memory_equal(&plain.crop, &holed.crop, sizeof plain.crop);
    assert_int_equal(plain.turn, holed.turn);
    assert_true(plain.zoom == 1 && plain.angle == 0 && plain.contrast == 1);
}

static void a_hole_is_noise_inside_its_rectangle_alone(void **state)
{
    (void)state;
    enum { SIDE = 40 };
    float values[SIDE * SIDE * 3];
    struct augment_options options = augment_default();
    options.erase = 1;
    for (uint64_t i = 0; i < 300; i++) {
        struct rng rng = stream(i);
        struct augment augment = augment_draw(&options, 64, 64, &rng);
        struct region hole = erase_region(&augment, SIDE);
        assert_true(hole.x >= 0 && hole.y >= 0 && hole.x + hole.width <= SIDE &&
                    hole.y + hole.height <= SIDE);
        assert_true(hole.width * hole.height <= SIDE * SIDE * 0.3 + SIDE);
        memset(values, 0, sizeof values);
        erase_apply(&augment, SIDE, values);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                bool inside = x >= hole.x && x < hole.x + hole.width && y >= hole.y &&
                              y < hole.y + hole.height;
                assert_int_equal(values[(y * SIDE + x) * 3] != 0, inside);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_lie_inside_and_keep_area_and_shape),
        cmocka_unit_test(crops_reach_every_edge),
        cmocka_unit_test(half_of_the_pictures_are_flipped_or_none),
        cmocka_unit_test(a_stream_draws_the_same_crop_again_and_another_item_another),
        cmocka_unit_test(a_picture_too_long_for_any_crop_gets_the_centre),
        cmocka_unit_test(at_scale_one_the_crop_is_the_largest_square_anywhere),
        cmocka_unit_test(maps_and_light_are_drawn_within_their_bounds_and_as_often),
        cmocka_unit_test(turns_are_the_eight_of_a_square_where_flips_may_be_vertical),
        cmocka_unit_test(what_is_off_draws_nothing),
        cmocka_unit_test(a_hole_is_noise_inside_its_rectangle_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
