/* Random crops: inside, of the asked shapes, flipped as often as asked, the same for a stream. */
#include "tests/unit/engine/data/fixture.h"

#include <math.h>
#include <string.h>

#include "engine/data/augment.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_lie_inside_and_keep_area_and_shape),
        cmocka_unit_test(crops_reach_every_edge),
        cmocka_unit_test(half_of_the_pictures_are_flipped_or_none),
        cmocka_unit_test(a_stream_draws_the_same_crop_again_and_another_item_another),
        cmocka_unit_test(a_picture_too_long_for_any_crop_gets_the_centre),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
