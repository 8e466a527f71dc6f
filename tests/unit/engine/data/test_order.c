/* Orders of an epoch: every item once, or every class as often. */
#include "tests/unit/engine/data/fixture.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/data/order.h"

#define N 40

/* Class 0 has 30 items, class 1 has 8, class 2 has 2; class 3 none. */
static struct pack *uneven_pack(void **state)
{
    struct fixture_item items[N];
    for (uint32_t i = 0; i < N; i++)
        items[i] = (struct fixture_item){SPLIT_TRAIN, i < 30 ? 0 : i < 38 ? 1 : 2};
    return fixture_pack(state, items, N, 4, 16);
}

static struct order *new_order(const struct pack *pack, enum sampler sampler)
{
    uint32_t items[N];
    struct order *order = NULL;
    struct err err = {0};
    for (uint32_t i = 0; i < pack_n_items(pack); i++)
        items[i] = i;
    assert_int_equal(order_new(pack, items, pack_n_items(pack), sampler, 9, &order, &err), OK);
    return order;
}

static void a_shuffled_epoch_has_every_item_once_in_the_streams_order(void **state)
{
    struct pack *pack = uneven_pack(state);
    struct order *order = new_order(pack, SAMPLER_SHUFFLED);
    uint32_t drawn[N], expected[N];
    for (uint32_t i = 0; i < N; i++)
        expected[i] = i;
    struct rng rng = rng_stream("order", 9, 1, 2);
    rng_shuffle(&rng, expected, N);
    order_draw(order, 1, 2, drawn);
    assert_memory_equal(drawn, expected, sizeof drawn);
    order_free(order);
    pack_close(pack);
}

static void in_order_is_as_given(void **state)
{
    struct pack *pack = uneven_pack(state);
    struct order *order = new_order(pack, SAMPLER_IN_ORDER);
    uint32_t drawn[N];
    order_draw(order, 0, 5, drawn);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(drawn[i], i);
    order_free(order);
    pack_close(pack);
}

/* 200 epochs of 40: each of the three classes is expected 2667 times (deviation 42), each item of
 * class 2 1333 times (35), each of class 0 89 times (9.4). */
static void a_balanced_epoch_draws_classes_equally_and_their_items_too(void **state)
{
    struct pack *pack = uneven_pack(state);
    struct order *order = new_order(pack, SAMPLER_BALANCED);
    uint32_t drawn[N], classes[4] = {0}, items[N] = {0};
    for (uint32_t epoch = 0; epoch < 200; epoch++) {
        order_draw(order, 0, epoch, drawn);
        for (uint32_t i = 0; i < N; i++) {
            classes[pack_item(pack, drawn[i])->label]++;
            items[drawn[i]]++;
        }
    }
    for (int c = 0; c < 3; c++)
        assert_in_range(classes[c], 2500, 2834);
    assert_int_equal(classes[3], 0);
    for (uint32_t i = 0; i < 30; i++)
        assert_in_range(items[i], 45, 140);
    assert_in_range(items[39], 1190, 1480);
    order_free(order);
    pack_close(pack);
}

static void epochs_stages_and_repetitions_of_a_balanced_order(void **state)
{
    struct pack *pack = uneven_pack(state);
    struct order *order = new_order(pack, SAMPLER_BALANCED);
    uint32_t one[N], again[N], other[N];
    order_draw(order, 0, 3, one);
    order_draw(order, 0, 3, again);
    assert_memory_equal(one, again, sizeof one);
    order_draw(order, 0, 4, other);
    assert_memory_not_equal(one, other, sizeof one);
    order_draw(order, 1, 3, other);
    assert_memory_not_equal(one, other, sizeof one);
    order_free(order);
    pack_close(pack);
}

/* Label 0 stands on 9 items, label 1 on one, and one item has none: three classes. */
static void items_of_several_labels_stand_in_each_of_their_classes(void **state)
{
    static const uint32_t sets[] = {1, 1, 1, 1, 1, 1, 1, 1, 3, 0};
    struct pack *pack = fixture_multilabel_pack(state, sets, 10, 2, 16);
    struct order *order = new_order(pack, SAMPLER_BALANCED);
    uint32_t drawn[10], both = 0, none = 0;
    for (uint32_t epoch = 0; epoch < 900; epoch++) {
        order_draw(order, 0, epoch, drawn);
        for (uint32_t i = 0; i < 10; i++) {
            both += drawn[i] == 8;
            none += drawn[i] == 9;
        }
    }
    assert_in_range(none, 2800, 3200); /* 3000, deviation 45 */
    assert_in_range(both, 3130, 3540); /* 3000 and a ninth of 3000 */
    order_free(order);
    pack_close(pack);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_make, fixture_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(a_shuffled_epoch_has_every_item_once_in_the_streams_order),
        IN_A_FOLDER(in_order_is_as_given),
        IN_A_FOLDER(a_balanced_epoch_draws_classes_equally_and_their_items_too),
        IN_A_FOLDER(epochs_stages_and_repetitions_of_a_balanced_order),
        IN_A_FOLDER(items_of_several_labels_stand_in_each_of_their_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
