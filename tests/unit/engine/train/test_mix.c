/* MixUp and CutMix: fastai's pictures and targets for given draws, and draws as they should be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/train/mix.h"
#include "tests/unit/engine/train/golden.h"
#include "tests/unit/engine/train/tiny_pack.h"

#define ROWS    4
#define SIDE    6
#define CLASSES 3
#define VALUES  (ROWS * SIDE * SIDE * 3)

struct fixture {
    struct pack *pack;
    struct loss loss;
    struct mix mix;
    float images[VALUES], input[VALUES];
    int32_t labels[ROWS];
    struct batch batch;
};

static const uint32_t items[ROWS] = {0, 1, 2, 3};

static void fixture_init(struct fixture *f, const int *labels, struct mix_options options)
{
    struct err err = {0};
    struct loss_options plain = {.kind = LOSS_CROSS_ENTROPY};
    memset(f, 0, sizeof *f);
    f->pack = tiny_pack(labels, ROWS, CLASSES);
    for (int i = 0; i < VALUES; i++)
        f->images[i] = (float)(i % 23) - 11;
    for (int i = 0; i < ROWS; i++)
        f->labels[i] = labels[i];
    f->batch = (struct batch){.images = f->images,
                              .row_floats = VALUES / ROWS,
                              .labels = f->labels,
                              .items = items,
                              .count = ROWS};
    assert_int_equal(loss_init(&f->loss, &plain, f->pack, items, ROWS, &err), OK);
    assert_int_equal(mix_init(&f->mix, &options, 7, ROWS, CLASSES, &err), OK);
}

static void fixture_deinit(struct fixture *f)
{
    mix_deinit(&f->mix);
    loss_deinit(&f->loss);
    pack_close(f->pack);
}

static const int labels0[ROWS] = {0, 1, 2, 1};

static void expect_numbers(const float *is, const struct json *expected, double within)
{
    int i = 0;
    json_each(item, expected) assert_float_equal(is[i++], json_as_number(item, NAN), within);
}

static void take_draw(struct mix *mix, const struct json *golden)
{
    int i = 0;
    json_each(other, json_get(golden, "others")) mix->others[i++] =
        (uint32_t)json_as_number(other, 0);
    i = 0;
    json_each(share, json_get(golden, "shares")) mix->shares[i++] = (float)json_as_number(share, 0);
    mix->cuts = strcmp(json_string(golden, "kind", ""), "cutmix") == 0;
    if (!mix->cuts)
        return;
    const struct json *box = json_get(golden, "box");
    mix->box = mix_box_around((float)json_number(golden, "lam", NAN), json_integer(golden, "x", 0),
                              json_integer(golden, "y", 0), SIDE);
    assert_int_equal(mix->box.left, json_as_number(json_at(box, 0), -1));
    assert_int_equal(mix->box.top, json_as_number(json_at(box, 1), -1));
    assert_int_equal(mix->box.right, json_as_number(json_at(box, 2), -1));
    assert_int_equal(mix->box.bottom, json_as_number(json_at(box, 3), -1));
}

static void mixed_batches_are_fastais_for_the_same_draws(void **state)
{
    (void)state;
    struct json *cases = golden_read("mix.json");
    assert_int_equal(json_len(cases), 7);
    json_each(golden, cases)
    {
        struct fixture f;
        int labels[ROWS], i = 0;
        json_each(label, json_get(golden, "labels")) labels[i++] = (int)json_as_number(label, 0);
        fixture_init(&f, labels, (struct mix_options){.4, 0});
        i = 0;
        json_each(value, json_get(golden, "images")) f.images[i++] =
            (float)json_as_number(value, NAN);
        assert_int_equal(i, VALUES);
        take_draw(&f.mix, golden);
        const float *targets = mix_apply(&f.mix, &f.loss, &f.batch, SIDE, f.input);
        expect_numbers(f.input, json_get(golden, "mixed"), 1e-6);
        expect_numbers(targets, json_get(golden, "targets"), 1e-7);
        fixture_deinit(&f);
    }
    json_free(cases);
}

static void a_step_repeats_itself_and_differs_from_the_next(void **state)
{
    (void)state;
    float first[VALUES], targets[ROWS * CLASSES];
    struct fixture f;
    fixture_init(&f, labels0, (struct mix_options){.4, 0});
    memcpy(targets, mix_batch(&f.mix, &f.loss, &f.batch, SIDE, 5, f.input), sizeof targets);
    memcpy(first, f.input, sizeof first);
    mix_batch(&f.mix, &f.loss, &f.batch, SIDE, 6, f.input);
    assert_memory_not_equal(first, f.input, sizeof first);
    assert_memory_equal(targets, mix_batch(&f.mix, &f.loss, &f.batch, SIDE, 5, f.input),
                        sizeof targets);
    assert_memory_equal(first, f.input, sizeof first);
    fixture_deinit(&f);
}

static void without_alphas_the_batch_is_copied_and_labels_stay(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, labels0, (struct mix_options){0, 0});
    assert_null(mix_batch(&f.mix, &f.loss, &f.batch, SIDE, 1, f.input));
    assert_memory_equal(f.input, f.images, sizeof f.images);
    fixture_deinit(&f);
}

/* b ~ Beta(.4, .4) has mean 1/2 and variance 1/(4(2*.4+1)) = .1389, so E max(b, 1-b) = .5 +
 * E|b-.5|; E|b-.5| = .3398 (sampled). 40000 draws: the mean is known to .0008. */
static void shares_of_mixup_are_those_of_the_beta_distribution(void **state)
{
    (void)state;
    struct fixture f;
    double sum = 0, squares = 0;
    enum { STEPS = 10000 };
    fixture_init(&f, labels0, (struct mix_options){.4, 0});
    for (uint64_t step = 0; step < STEPS; step++) {
        mix_draw(&f.mix, ROWS, SIDE, step);
        assert_false(f.mix.cuts);
        for (int i = 0; i < ROWS; i++) {
            double share = f.mix.shares[i];
            assert_true(share >= .5 && share <= 1);
            sum += share;
            squares += (share - .5) * (share - .5);
        }
    }
    assert_float_equal(sum / (STEPS * ROWS), .8398, .004);
    assert_float_equal(squares / (STEPS * ROWS), .1389, .003);
    fixture_deinit(&f);
}

static void a_share_of_cutmix_is_what_its_box_leaves(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, labels0, (struct mix_options){0, 1});
    for (uint64_t step = 0; step < 200; step++) {
        const float *targets = mix_batch(&f.mix, &f.loss, &f.batch, SIDE, step, f.input);
        int own = 0;
        for (int i = 0; i < SIDE * SIDE; i++) {
            bool inside = i % SIDE >= f.mix.box.left && i % SIDE < f.mix.box.right &&
                          i / SIDE >= f.mix.box.top && i / SIDE < f.mix.box.bottom;
            uint32_t from = inside ? f.mix.others[0] : 0;
            assert_true(f.input[3 * i] == f.images[from * (VALUES / ROWS) + 3 * (uint32_t)i]);
            own += !inside;
        }
        assert_float_equal(f.mix.shares[0], own / (double)(SIDE * SIDE), 1e-6);
        float total = targets[0] + targets[1] + targets[2];
        assert_float_equal(total, 1, 1e-6);
    }
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_batches_are_fastais_for_the_same_draws),
        cmocka_unit_test(a_step_repeats_itself_and_differs_from_the_next),
        cmocka_unit_test(without_alphas_the_batch_is_copied_and_labels_stay),
        cmocka_unit_test(shares_of_mixup_are_those_of_the_beta_distribution),
        cmocka_unit_test(a_share_of_cutmix_is_what_its_box_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
