/* The loader: the same batches whatever the threads, from any step on, in both passes. */
#include "tests/unit/engine/data/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/loader.h"
#include "engine/data/preprocess.h"

#define N    23
#define SIZE 16

static struct pack *make_pack(void **state)
{
    struct fixture_item items[N];
    for (uint32_t i = 0; i < N; i++)
        items[i] = (struct fixture_item){SPLIT_TRAIN, (int)(i % 3)};
    return fixture_pack(state, items, N, 3, 32);
}

static const uint32_t all_items[N] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                      12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22};

static struct loader_options options(enum loader_pass pass, int batch_size, int threads)
{
    return (struct loader_options){.pass = pass,
                                   .items = all_items,
                                   .n_items = N,
                                   .batch_size = batch_size,
                                   .size = SIZE,
                                   .threads = threads,
                                   .seed = 11,
                                   .augment = augment_default()};
}

static struct loader *open_loader(const struct pack *pack, struct loader_options with)
{
    struct loader *loader = NULL;
    struct err err = {0};
    if (loader_open(pack, &with, &loader, &err))
        fail_msg("%s", err.detail);
    return loader;
}

/* An epoch as one piece: what every batch held, in order. */
struct epoch {
    float images[N][SIZE * SIZE * 3];
    int32_t labels[N];
    uint32_t items[N];
    int n, batches, last_count;
};

static void read_epoch(struct loader *loader, uint32_t stage, uint32_t number, int64_t first,
                       struct epoch *epoch)
{
    struct batch batch;
    struct err err = {0};
    memset(epoch, 0, sizeof *epoch);
    loader_begin(loader, stage, number, first);
    for (;;) {
        assert_int_equal(loader_next(loader, &batch, &err), OK);
        if (batch.count == 0)
            break;
        for (int i = 0; i < batch.count; i++, epoch->n++) {
            memcpy(epoch->images[epoch->n], batch.images + i * SIZE * SIZE * 3,
                   sizeof epoch->images[0]);
            epoch->labels[epoch->n] = batch.labels[i];
            epoch->items[epoch->n] = batch.items[i];
        }
        epoch->batches++;
        epoch->last_count = batch.count;
    }
    assert_int_equal(loader_next(loader, &batch, &err), OK); /* and stays at its end */
    assert_int_equal(batch.count, 0);
}

static struct epoch *one_epoch(const struct pack *pack, struct loader_options with, uint32_t number)
{
    struct epoch *epoch = mem_alloc(sizeof *epoch);
    struct loader *loader = open_loader(pack, with);
    read_epoch(loader, 0, number, 0, epoch);
    loader_close(loader);
    return epoch;
}

static void an_epoch_is_the_same_with_any_number_of_threads(void **state)
{
    struct pack *pack = make_pack(state);
    for (int pass = LOADER_TRAIN; pass <= LOADER_VALID; pass++) {
        struct epoch *one = one_epoch(pack, options((enum loader_pass)pass, 4, 1), 0);
        for (int threads = 2; threads <= 7; threads += 5) {
            struct epoch *many = one_epoch(pack, options((enum loader_pass)pass, 4, threads), 0);
            assert_memory_equal(one, many, sizeof *one);
            mem_free(many);
        }
        mem_free(one);
    }
    pack_close(pack);
}

static void training_takes_every_item_once_but_the_last_short_batch(void **state)
{
    struct pack *pack = make_pack(state);
    struct epoch *epoch = one_epoch(pack, options(LOADER_TRAIN, 4, 2), 0);
    bool seen[N] = {false};
    assert_int_equal(epoch->batches, 5);
    assert_int_equal(epoch->n, 20);
    for (int i = 0; i < epoch->n; i++) {
        assert_false(seen[epoch->items[i]]);
        seen[epoch->items[i]] = true;
        assert_int_equal(epoch->labels[i], pack_item(pack, epoch->items[i])->label);
    }
    mem_free(epoch);
    pack_close(pack);
}

static void a_batch_larger_than_the_items_is_lowered_to_them(void **state)
{
    struct pack *pack = make_pack(state);
    struct loader *loader = open_loader(pack, options(LOADER_TRAIN, 500, 2));
    struct epoch *epoch = mem_alloc(sizeof *epoch);
    assert_int_equal(loader_batch_size(loader), N);
    assert_int_equal(loader_steps(loader), 1);
    read_epoch(loader, 0, 0, 0, epoch);
    assert_int_equal(epoch->n, N);
    assert_int_equal(epoch->batches, 1);
    loader_close(loader);
    mem_free(epoch);
    pack_close(pack);
}

static void validation_is_in_order_and_ends_with_a_short_batch(void **state)
{
    struct pack *pack = make_pack(state);
    struct epoch *epoch = one_epoch(pack, options(LOADER_VALID, 4, 2), 0);
    assert_int_equal(epoch->n, N);
    assert_int_equal(epoch->batches, 6);
    assert_int_equal(epoch->last_count, 3);
    assert_memory_equal(epoch->items, all_items, sizeof all_items);
    mem_free(epoch);
    pack_close(pack);
}

static void every_view_follows_its_plain_picture_and_draws_for_itself(void **state)
{
    enum { VIEWS = 3, PICTURES = 5, ROWS = PICTURES * (1 + VIEWS), VALUES = SIZE * SIZE * 3 };
    struct pack *pack = make_pack(state);
    struct epoch *plain = one_epoch(pack, options(LOADER_VALID, 4, 2), 0);
    struct epoch *epochs[2];
    for (int i = 0; i < 2; i++) {
        struct loader_options with = options(LOADER_VIEWS, 6 + i, 1 + i);
        with.views = VIEWS;
        with.n_items = PICTURES;
        epochs[i] = one_epoch(pack, with, 0);
        assert_int_equal(epochs[i]->n, ROWS);
    }
    assert_memory_equal(epochs[0]->images, epochs[1]->images, sizeof epochs[0]->images);
    for (int row = 0; row < ROWS; row++) {
        int item = row / (1 + VIEWS), view = row % (1 + VIEWS);
        assert_int_equal(epochs[0]->items[row], item);
        assert_int_equal(epochs[0]->labels[row], pack_item(pack, (uint32_t)item)->label);
        bool same =
            memcmp(epochs[0]->images[row], plain->images[item], VALUES * sizeof(float)) == 0;
        assert_int_equal(same, view == 0);
        if (view > 1)
            assert_memory_not_equal(epochs[0]->images[row], epochs[0]->images[row - 1],
                                    VALUES * sizeof(float));
    }
    mem_free(epochs[0]);
    mem_free(epochs[1]);
    mem_free(plain);
    pack_close(pack);
}

static void an_augmented_pass_has_the_pictures_of_the_training_epoch_in_order(void **state)
{
    struct pack *pack = make_pack(state);
    struct loader *loader = open_loader(pack, options(LOADER_AUGMENTED, 5, 2));
    struct epoch *train = mem_alloc(sizeof *train), *all = mem_alloc(sizeof *all);
    struct loader *trainer = open_loader(pack, options(LOADER_TRAIN, 4, 2));
    read_epoch(trainer, 2, 3, 0, train);
    read_epoch(loader, 2, 3, 0, all);
    assert_int_equal(all->n, N);
    assert_memory_equal(all->items, all_items, sizeof all_items);
    for (int i = 0; i < train->n; i++)
        assert_memory_equal(train->images[i], all->images[train->items[i]],
                            sizeof train->images[i]);
    loader_close(trainer);
    loader_close(loader);
    mem_free(train);
    mem_free(all);
    pack_close(pack);
}

static void a_balanced_epoch_keeps_its_length_and_repeats_itself(void **state)
{
    struct pack *pack = make_pack(state);
    struct loader_options with = options(LOADER_TRAIN, 4, 3);
    with.sampler = SAMPLER_BALANCED;
    struct epoch *one = one_epoch(pack, with, 0), *next = one_epoch(pack, with, 1);
    with.threads = 1;
    struct epoch *again = one_epoch(pack, with, 0);
    assert_int_equal(one->n, 20);
    assert_memory_equal(one, again, sizeof *one);
    assert_memory_not_equal(one->items, next->items, sizeof one->items);
    mem_free(one);
    mem_free(next);
    mem_free(again);
    pack_close(pack);
}

static void validation_pictures_are_those_that_predict_sees(void **state)
{
    struct pack *pack = make_pack(state);
    struct epoch *epoch = one_epoch(pack, options(LOADER_VALID, 5, 2), 0);
    struct preprocess *preprocess = preprocess_new();
    float *alone = mem_alloc(SIZE * SIZE * 3 * sizeof *alone);
    for (uint32_t i = 0; i < N; i++) {
        struct err err = {0};
        struct image_header header = pack_item_header(pack, i);
        size_t len = pack_item(pack, i)->size;
        void *bytes = mem_alloc(len);
        assert_int_equal(pack_read(pack, i, bytes, &err), OK);
        assert_int_equal(preprocess_eval(preprocess, bytes, len, &header, SIZE, alone, &err), OK);
        assert_memory_equal(epoch->images[i], alone, sizeof epoch->images[i]);
        mem_free(bytes);
    }
    mem_free(alone);
    preprocess_free(preprocess);
    mem_free(epoch);
    pack_close(pack);
}

static void epochs_and_seeds_differ_in_order_and_in_crops(void **state)
{
    struct pack *pack = make_pack(state);
    struct loader_options other = options(LOADER_TRAIN, 4, 2);
    other.seed = 12;
    struct epoch *first = one_epoch(pack, options(LOADER_TRAIN, 4, 2), 0);
    struct epoch *second = one_epoch(pack, options(LOADER_TRAIN, 4, 2), 1);
    struct epoch *seeded = one_epoch(pack, other, 0);
    assert_memory_not_equal(first->items, second->items, sizeof first->items);
    assert_memory_not_equal(first->items, seeded->items, sizeof first->items);
    int same = 0;
    for (int i = 0; i < first->n; i++)
        for (int k = 0; k < second->n; k++)
            if (first->items[i] == second->items[k])
                same += memcmp(first->images[i], second->images[k], sizeof first->images[i]) == 0;
    assert_true(same < 3); /* an item is cropped anew in every epoch */
    mem_free(first);
    mem_free(second);
    mem_free(seeded);
    pack_close(pack);
}

static void an_epoch_can_be_begun_at_any_step(void **state)
{
    struct pack *pack = make_pack(state);
    struct loader *loader = open_loader(pack, options(LOADER_TRAIN, 4, 3));
    struct epoch *whole = mem_alloc(sizeof *whole), *rest = mem_alloc(sizeof *rest);
    read_epoch(loader, 2, 7, 0, whole);
    for (int first = 0; first <= 5; first++) {
        read_epoch(loader, 2, 7, first, rest);
        assert_int_equal(rest->n, 20 - 4 * first);
        assert_memory_equal(rest->items, whole->items + 4 * first, (size_t)rest->n * 4);
        assert_memory_equal(rest->images, whole->images[4 * first],
                            (size_t)rest->n * sizeof whole->images[0]);
    }
    read_epoch(loader, 2, 7, 99, rest);
    assert_int_equal(rest->n, 0);
    loader_close(loader);
    mem_free(whole);
    mem_free(rest);
    pack_close(pack);
}

static void an_epoch_may_be_left_in_the_middle_again_and_again(void **state)
{
    struct pack *pack = make_pack(state);
    struct loader *loader = open_loader(pack, options(LOADER_TRAIN, 2, 4));
    struct epoch *fresh = one_epoch(pack, options(LOADER_TRAIN, 2, 1), 40);
    struct epoch *epoch = mem_alloc(sizeof *epoch);
    for (uint32_t i = 0; i < 40; i++) {
        struct batch batch;
        struct err err = {0};
        loader_begin(loader, 0, i, i % 5);
        for (uint32_t k = 0; k < i % 4; k++)
            assert_int_equal(loader_next(loader, &batch, &err), OK);
    }
    read_epoch(loader, 0, 40, 0, epoch);
    assert_memory_equal(epoch, fresh, sizeof *epoch);
    loader_begin(loader, 0, 41, 0); /* closing in mid-epoch must not hang either */
    loader_close(loader);
    mem_free(epoch);
    mem_free(fresh);
    pack_close(pack);
}

static void without_augmentation_training_sees_validations_pictures(void **state)
{
    struct pack *pack = make_pack(state);
    struct loader_options plain = options(LOADER_TRAIN, 4, 2);
    plain.augment.enabled = false;
    struct epoch *train = one_epoch(pack, plain, 0);
    struct epoch *valid = one_epoch(pack, options(LOADER_VALID, 4, 2), 0);
    for (int i = 0; i < train->n; i++)
        assert_memory_equal(train->images[i], valid->images[train->items[i]],
                            sizeof train->images[i]);
    mem_free(train);
    mem_free(valid);
    pack_close(pack);
}

static void an_item_that_cannot_be_decoded_ends_the_epoch_and_is_named(void **state)
{
    struct pack *pack = make_pack(state);
    struct loader *loader = open_loader(pack, options(LOADER_VALID, 4, 3));
    struct batch batch;
    struct err err = {0};
    char *path = fixture_path(state, "pack");
    FILE *file = fopen(path, "r+");
    fseek(file, (long)pack_item(pack, 9)->offset, SEEK_SET);
    fwrite("garbage, no picture", 1, 19, file);
    fclose(file);
    loader_begin(loader, 0, 0, 0);
    enum status status;
    while ((status = loader_next(loader, &batch, &err)) == OK && batch.count > 0)
        ;
    assert_int_equal(status, E_INVALID);
    assert_non_null(strstr(err.detail, pack_item_path(pack, 9)));
    assert_int_equal(loader_next(loader, &batch, &err), E_INVALID);
    loader_begin(loader, 0, 0, 3); /* and the next epoch is a new chance */
    assert_int_equal(loader_next(loader, &batch, &err), OK);
    loader_close(loader);
    mem_free(path);
    pack_close(pack);
}

static void impossible_options_are_refused(void **state)
{
    struct pack *pack = make_pack(state);
    static const uint32_t outside[] = {N};
    struct loader_options wrong[6];
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        wrong[i] = options(LOADER_TRAIN, 4, 1);
    wrong[0].n_items = 0;
    wrong[1].batch_size = 0;
    wrong[2].size = 7;
    wrong[3].threads = 0;
    wrong[4].size = 100000;
    wrong[5].items = outside;
    wrong[5].n_items = 1;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct loader *loader = NULL;
        struct err err = {0};
        assert_int_not_equal(loader_open(pack, &wrong[i], &loader, &err), OK);
        assert_null(loader);
    }
    pack_close(pack);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_make, fixture_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(an_epoch_is_the_same_with_any_number_of_threads),
        IN_A_FOLDER(training_takes_every_item_once_but_the_last_short_batch),
        IN_A_FOLDER(a_batch_larger_than_the_items_is_lowered_to_them),
        IN_A_FOLDER(validation_is_in_order_and_ends_with_a_short_batch),
        IN_A_FOLDER(every_view_follows_its_plain_picture_and_draws_for_itself),
        IN_A_FOLDER(an_augmented_pass_has_the_pictures_of_the_training_epoch_in_order),
        IN_A_FOLDER(a_balanced_epoch_keeps_its_length_and_repeats_itself),
        IN_A_FOLDER(validation_pictures_are_those_that_predict_sees),
        IN_A_FOLDER(epochs_and_seeds_differ_in_order_and_in_crops),
        IN_A_FOLDER(an_epoch_can_be_begun_at_any_step),
        IN_A_FOLDER(an_epoch_may_be_left_in_the_middle_again_and_again),
        IN_A_FOLDER(without_augmentation_training_sees_validations_pictures),
        IN_A_FOLDER(an_item_that_cannot_be_decoded_ends_the_epoch_and_is_named),
        IN_A_FOLDER(impossible_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
