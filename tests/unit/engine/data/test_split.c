/* Splits: stratified, nested, content's own, and never the test split. */
#include "tests/unit/engine/data/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/split.h"

#define N 120 /* 80 of class 0, 30 of class 1, 10 of class 2 */

static int label_of(uint32_t i)
{
    return i < 80 ? 0 : i < 110 ? 1 : 2;
}

static struct pack *unsplit_pack(void **state)
{
    struct fixture_item items[N];
    for (uint32_t i = 0; i < N; i++)
        items[i] = (struct fixture_item){SPLIT_TRAIN, label_of(i)};
    return fixture_pack(state, items, N, 3, 16);
}

static struct split make(const struct pack *pack, double fraction, uint64_t seed)
{
    struct split split;
    struct err err = {0};
    if (split_make(pack, fraction, seed, &split, &err))
        fail_msg("%s", err.detail);
    return split;
}

static bool holds(const uint32_t *items, uint32_t n, uint32_t item)
{
    for (uint32_t i = 0; i < n; i++)
        if (items[i] == item)
            return true;
    return false;
}

static void every_class_gives_its_share_and_nothing_is_lost(void **state)
{
    struct pack *pack = unsplit_pack(state);
    struct split split = make(pack, 0.2, 0);
    int of_class[3] = {0};
    assert_int_equal(split.n_train + split.n_valid, N);
    for (uint32_t i = 0; i < split.n_valid; i++) {
        of_class[pack_item(pack, split.valid[i])->label]++;
        assert_false(holds(split.train, split.n_train, split.valid[i]));
        assert_true(i == 0 || split.valid[i] > split.valid[i - 1]);
    }
    assert_int_equal(of_class[0], 16);
    assert_int_equal(of_class[1], 6);
    assert_int_equal(of_class[2], 2);
    split_deinit(&split);
    pack_close(pack);
}

static void a_smaller_fraction_is_part_of_a_larger_one(void **state)
{
    struct pack *pack = unsplit_pack(state);
    struct split small = make(pack, 0.03, 5);
    for (double fraction = 0.05; fraction < 1; fraction += 0.07) {
        struct split large = make(pack, fraction, 5);
        assert_true(large.n_valid >= small.n_valid);
        for (uint32_t i = 0; i < small.n_valid; i++)
            assert_true(holds(large.valid, large.n_valid, small.valid[i]));
        split_deinit(&small);
        small = large;
    }
    assert_true(small.n_train >= 3); /* each class keeps one to train on */
    split_deinit(&small);
    pack_close(pack);
}

static void another_seed_is_another_split_and_the_same_the_same(void **state)
{
    struct pack *pack = unsplit_pack(state);
    struct split a = make(pack, 0.2, 0), b = make(pack, 0.2, 0), c = make(pack, 0.2, 1);
    assert_memory_equal(a.valid, b.valid, a.n_valid * sizeof *a.valid);
    assert_int_equal(a.n_valid, c.n_valid);
    assert_memory_not_equal(a.valid, c.valid, a.n_valid * sizeof *a.valid);
    split_deinit(&a);
    split_deinit(&b);
    split_deinit(&c);
    pack_close(pack);
}

/* The split follows the bytes: the same pictures in another order divide the same way. */
static void order_does_not_matter(void **state)
{
    struct pack *pack = unsplit_pack(state);
    struct split split = make(pack, 0.2, 0);
    uint8_t(*valid)[32] = mem_alloc(split.n_valid * sizeof *valid);
    for (uint32_t i = 0; i < split.n_valid; i++)
        memcpy(valid[i], pack_item(pack, split.valid[i])->sha256, 32);
    uint32_t n = split.n_valid, found = 0;
    split_deinit(&split);
    pack_close(pack);

    struct fixture_item items[N + 1]; /* the test item sorts first: all numbers move */
    for (uint32_t i = 0; i < N; i++)
        items[i] = (struct fixture_item){SPLIT_TRAIN, label_of(i)};
    items[N] = (struct fixture_item){SPLIT_TEST, 0};
    pack = fixture_pack(state, items, N + 1, 3, 16);
    split = make(pack, 0.2, 0);
    assert_int_equal(split.n_valid, n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            found += memcmp(pack_item(pack, split.valid[i])->sha256, valid[k], 32) == 0;
    assert_int_equal(found, n);
    mem_free(valid);
    split_deinit(&split);
    pack_close(pack);
}

static void a_validation_split_that_is_there_is_kept_and_test_is_never_used(void **state)
{
    static const struct fixture_item with_valid[] = {
        {SPLIT_TRAIN, 0}, {SPLIT_VALID, 0}, {SPLIT_TRAIN, 1}, {SPLIT_TEST, 1}, {SPLIT_VALID, 1}};
    static const struct fixture_item without[] = {{SPLIT_TRAIN, 0}, {SPLIT_TRAIN, 0},
                                                  {SPLIT_TRAIN, 1}, {SPLIT_TRAIN, 1},
                                                  {SPLIT_TEST, 0},  {SPLIT_UNLABELLED, -1}};
    struct pack *pack = fixture_pack(state, with_valid, 5, 2, 16);
    struct split split = make(pack, 0.5, 0);
    assert_int_equal(split.n_train, 2);
    assert_int_equal(split.n_valid, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(pack_item(pack, split.valid[i])->split, SPLIT_VALID);
    split_deinit(&split);
    pack_close(pack);

    pack = fixture_pack(state, without, 6, 2, 16);
    split = make(pack, 0.2, 0);
    assert_int_equal(split.n_train, 2);
    assert_int_equal(split.n_valid, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(pack_item(pack, split.valid[i])->split, SPLIT_TRAIN);
    split_deinit(&split);
    pack_close(pack);
}

static void fractions_out_of_range_are_refused_and_zero_validates_nothing(void **state)
{
    static const double wrong[] = {-0.1, 1, 7, 0.0 / 0.0};
    struct pack *pack = unsplit_pack(state);
    struct split split;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err = {0};
        assert_int_equal(split_make(pack, wrong[i], 0, &split, &err), E_INVALID);
    }
    split = make(pack, 0, 0);
    assert_int_equal(split.n_valid, 0);
    assert_int_equal(split.n_train, N);
    split_deinit(&split);
    pack_close(pack);
}

static void a_pack_without_training_items_is_refused(void **state)
{
    static const struct fixture_item items[] = {{SPLIT_VALID, 0}, {SPLIT_VALID, 1}};
    struct pack *pack = fixture_pack(state, items, 2, 2, 16);
    struct split split;
    struct err err = {0};
    assert_int_equal(split_make(pack, 0.2, 0, &split, &err), E_INVALID);
    pack_close(pack);
}

/* --- samples ---------------------------------------------------------------------------------- */

static enum status try_sample(const struct pack *pack, const struct split *all, double fraction,
                              uint32_t min_per_class, struct split *sample, struct err *err)
{
    struct sample_options options = {fraction, min_per_class, true};
    return split_sample(pack, all, &options, 7, sample, err);
}

static struct split sampled(const struct pack *pack, const struct split *all, double fraction,
                            uint32_t min_per_class)
{
    struct split sample;
    struct err err = {0};
    if (try_sample(pack, all, fraction, min_per_class, &sample, &err))
        fail_msg("%s", err.detail);
    return sample;
}

static void count_classes(const struct pack *pack, const uint32_t *items, uint32_t n,
                          uint32_t counts[3])
{
    memset(counts, 0, 3 * sizeof *counts);
    for (uint32_t i = 0; i < n; i++) {
        counts[pack_item(pack, items[i])->label]++;
        assert_true(i == 0 || items[i] > items[i - 1]);
    }
}

static void a_sample_takes_its_share_of_every_class_and_the_least_where_that_is_more(void **state)
{
    struct pack *pack = unsplit_pack(state);
    struct split all = make(pack, 0.2, 0); /* trains on 64, 24, 8; validates on 16, 6, 2 */
    struct split sample = sampled(pack, &all, .25, 4);
    uint32_t counts[3];
    count_classes(pack, sample.train, sample.n_train, counts);
    assert_int_equal(counts[0], 16);
    assert_int_equal(counts[1], 6);
    assert_int_equal(counts[2], 4);
    count_classes(pack, sample.valid, sample.n_valid, counts);
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1], 4);
    assert_int_equal(counts[2], 2);
    for (uint32_t i = 0; i < sample.n_train; i++)
        assert_true(holds(all.train, all.n_train, sample.train[i]));
    split_deinit(&sample);
    split_deinit(&all);
    pack_close(pack);
}

static void a_smaller_sample_is_part_of_a_larger_one(void **state)
{
    static const double fractions[] = {.01, .05, .1, .3, .5, .77, 1};
    struct pack *pack = unsplit_pack(state);
    struct split all = make(pack, 0.2, 0);
    struct split small = sampled(pack, &all, fractions[0], 2);
    for (size_t k = 1; k < ARRAY_LEN(fractions); k++) {
        struct split large = sampled(pack, &all, fractions[k], 2);
        for (uint32_t i = 0; i < small.n_train; i++)
            assert_true(holds(large.train, large.n_train, small.train[i]));
        for (uint32_t i = 0; i < small.n_valid; i++)
            assert_true(holds(large.valid, large.n_valid, small.valid[i]));
        split_deinit(&small);
        small = large;
    }
    assert_int_equal(small.n_train, all.n_train);
    assert_int_equal(small.n_valid, all.n_valid);
    split_deinit(&small);
    split_deinit(&all);
    pack_close(pack);
}

static void another_seed_is_another_sample(void **state)
{
    struct pack *pack = unsplit_pack(state);
    struct split all = make(pack, 0.2, 0), a = sampled(pack, &all, .25, 1), b;
    struct sample_options options = {.25, 1, true};
    struct err err = {0};
    assert_int_equal(split_sample(pack, &all, &options, 8, &b, &err), OK);
    assert_int_equal(a.n_train, b.n_train);
    assert_memory_not_equal(a.train, b.train, a.n_train * sizeof *a.train);
    split_deinit(&a);
    split_deinit(&b);
    split_deinit(&all);
    pack_close(pack);
}

static void validation_is_sampled_only_when_asked(void **state)
{
    struct pack *pack = unsplit_pack(state);
    struct split all = make(pack, 0.2, 0), sample;
    struct sample_options options = {.1, 1, false};
    struct err err = {0};
    assert_int_equal(split_sample(pack, &all, &options, 7, &sample, &err), OK);
    assert_int_equal(sample.n_valid, all.n_valid);
    assert_memory_equal(sample.valid, all.valid, all.n_valid * sizeof *all.valid);
    assert_true(sample.n_train < all.n_train);
    split_deinit(&sample);
    split_deinit(&all);
    pack_close(pack);
}

static void a_sample_without_an_item_of_a_class_is_refused_by_its_name(void **state)
{
    static const double wrong[] = {0, -1, 1.5, 0.0 / 0.0};
    struct pack *pack = unsplit_pack(state);
    struct split all = make(pack, 0.2, 0), sample;
    struct err err = {0};
    assert_int_equal(try_sample(pack, &all, .05, 0, &sample, &err), E_INVALID);
    assert_string_equal(err.pointer, "/sample/fraction");
    assert_non_null(strstr(err.detail, pack_class_name(pack, 2)));
    assert_non_null(strstr(err.detail, "a fraction of 0.0638 or more"));
    sample = sampled(pack, &all, .0638, 0);
    split_deinit(&sample);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(try_sample(pack, &all, wrong[i], 5, &sample, &err), E_INVALID);
    split_deinit(&all);
    pack_close(pack);
}

/* Item i of class i % 2 is in group i / 4 + 1, so every group has both classes; the last ten items
 * belong to nothing. */
static struct pack *grouped_pack(void **state)
{
    struct fixture_item items[N];
    uint64_t groups[N];
    for (uint32_t i = 0; i < N; i++) {
        items[i] = (struct fixture_item){SPLIT_TRAIN, (int)i % 2};
        groups[i] = i < N - 10 ? i / 4 + 1 : 0;
    }
    return fixture_grouped_pack(state, items, groups, N, 2, 16);
}

static void a_group_is_never_divided(void **state)
{
    struct pack *pack = grouped_pack(state);
    assert_true(pack_has_groups(pack));
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct split split = make(pack, .3, seed), larger = make(pack, .5, seed);
        assert_int_equal(split.n_train + split.n_valid, N);
        assert_true(split.n_valid > 0 && split.n_train > 0);
        for (uint32_t i = 0; i < split.n_valid; i++) {
            uint64_t group = pack_group(pack, split.valid[i]);
            for (uint32_t k = 0; group && k < split.n_train; k++)
                assert_true(pack_group(pack, split.train[k]) != group);
            assert_true(holds(larger.valid, larger.n_valid, split.valid[i]));
        }
        split_deinit(&split);
        split_deinit(&larger);
    }
    pack_close(pack);
}

static void groups_meet_the_fraction_on_average(void **state)
{
    struct pack *pack = grouped_pack(state);
    double sum = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct split split = make(pack, .25, seed);
        sum += split.n_valid;
        split_deinit(&split);
    }
    assert_true(sum / 200 > .22 * N && sum / 200 < .28 * N);
    pack_close(pack);
}

static void one_group_alone_cannot_be_divided_and_two_always_are(void **state)
{
    struct fixture_item items[6];
    uint64_t groups[6];
    struct split split;
    struct err err = {0};
    for (int i = 0; i < 6; i++) {
        items[i] = (struct fixture_item){SPLIT_TRAIN, i % 2};
        groups[i] = 7;
    }
    struct pack *pack = fixture_grouped_pack(state, items, groups, 6, 2, 16);
    assert_int_equal(split_make(pack, .2, 0, &split, &err), E_INVALID);
    split = make(pack, 0, 0);
    assert_int_equal(split.n_valid, 0);
    split_deinit(&split);
    pack_close(pack);
    groups[5] = 8;
    pack = fixture_grouped_pack(state, items, groups, 6, 2, 16);
    for (uint64_t seed = 0; seed < 20; seed++) {
        static const double fractions[] = {.01, .5, .99};
        split = make(pack, fractions[seed % 3], seed);
        assert_true(split.n_valid > 0 && split.n_train > 0);
        split_deinit(&split);
    }
    pack_close(pack);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_make, fixture_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(every_class_gives_its_share_and_nothing_is_lost),
        IN_A_FOLDER(a_smaller_fraction_is_part_of_a_larger_one),
        IN_A_FOLDER(another_seed_is_another_split_and_the_same_the_same),
        IN_A_FOLDER(order_does_not_matter),
        IN_A_FOLDER(a_validation_split_that_is_there_is_kept_and_test_is_never_used),
        IN_A_FOLDER(fractions_out_of_range_are_refused_and_zero_validates_nothing),
        IN_A_FOLDER(a_pack_without_training_items_is_refused),
        IN_A_FOLDER(a_sample_takes_its_share_of_every_class_and_the_least_where_that_is_more),
        IN_A_FOLDER(a_smaller_sample_is_part_of_a_larger_one),
        IN_A_FOLDER(another_seed_is_another_sample),
        IN_A_FOLDER(validation_is_sampled_only_when_asked),
        IN_A_FOLDER(a_sample_without_an_item_of_a_class_is_refused_by_its_name),
        IN_A_FOLDER(a_group_is_never_divided),
        IN_A_FOLDER(groups_meet_the_fraction_on_average),
        IN_A_FOLDER(one_group_alone_cannot_be_divided_and_two_always_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
