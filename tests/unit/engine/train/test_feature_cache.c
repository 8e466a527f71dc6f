/* The feature cache: what it holds, in which order, and that training from it changes nothing. */
#include <string.h>

#include "base/mem.h"
#include "engine/op/xent.h"
#include "engine/train/batches.h"
#include "engine/train/optim.h"
#include "engine/zoo/zoo.h"
#include "tests/unit/engine/train/feature_world.h"

/* --- what it holds ---------------------------------------------------------------------------- */

static void one_view_is_the_plain_one_whatever_the_augmentation(void **state)
{
    struct world *w = *state;
    struct feature_cache *cache = world_filled(w);
    for (uint32_t epoch = 0; epoch < 3; epoch++)
        world_expect(w, cache, LOADER_VALID, w->items, WORLD_TRAIN, 0, LOADER_TRAIN, epoch);
    world_expect(w, cache, LOADER_VALID, w->items + WORLD_TRAIN, WORLD_N - WORLD_TRAIN, 0,
                 LOADER_VALID, 0);
    struct feature_cache_stats stats = feature_cache_stats(cache);
    assert_int_equal(stats.views, 1);
    assert_int_equal(stats.computed, WORLD_N);
    assert_true(stats.bytes > WORLD_N * feature_cache_row(cache) * sizeof(float));
    assert_true(stats.seconds > 0);
    assert_float_equal(feature_cache_saved(cache, 10), 9 * stats.seconds, 1e-9 * stats.seconds);
    feature_cache_close(cache);
}

static void several_views_are_those_of_as_many_epochs_in_turn(void **state)
{
    struct world *w = *state;
    w->options.views = 3;
    struct feature_cache *cache = world_filled(w);
    for (uint32_t epoch = 0; epoch < 7; epoch++)
        world_expect(w, cache, LOADER_AUGMENTED, w->items, WORLD_TRAIN, epoch % 3, LOADER_TRAIN,
                     epoch);
    world_expect(w, cache, LOADER_VALID, w->items + WORLD_TRAIN, WORLD_N - WORLD_TRAIN, 0,
                 LOADER_VALID, 4);
    assert_int_equal(feature_cache_stats(cache).computed, 3 * WORLD_TRAIN + WORLD_N - WORLD_TRAIN);
    feature_cache_close(cache);
}

static void without_augmentation_all_views_are_one(void **state)
{
    struct world *w = *state;
    w->options.views = 3;
    w->options.augment.enabled = false;
    struct feature_cache *cache = world_filled(w);
    assert_int_equal(feature_cache_stats(cache).views, 1);
    assert_int_equal(feature_cache_stats(cache).computed, WORLD_N);
    feature_cache_close(cache);
}

static void mixed_pictures_have_no_features(void **state)
{
    struct world *w = *state;
    const char *why = NULL;
    struct plan_options train = w->train;
    train.input_node = 0;
    struct mix_options mix = {.mixup = .4};
    assert_int_equal(feature_cache_cut(w->graph, &train, &mix, &why), NODE_NONE);
    assert_non_null(strstr(why, "MixUp"));
}

/* --- the order -------------------------------------------------------------------------------- */

static void compare_orders(struct batches *cached, struct batches *loaded, uint32_t epoch,
                           int64_t first)
{
    struct batch a, b;
    struct err err = {0};
    assert_int_equal(batches_steps(cached), batches_steps(loaded));
    batches_begin(cached, 1, epoch, first);
    batches_begin(loaded, 1, epoch, first);
    do {
        assert_int_equal(batches_next(cached, &a, &err), OK);
        assert_int_equal(batches_next(loaded, &b, &err), OK);
        assert_int_equal(a.count, b.count);
        if (a.count == 0)
            break;
        assert_memory_equal(a.items, b.items, (size_t)a.count * sizeof *a.items);
        assert_memory_equal(a.labels, b.labels, (size_t)a.count * sizeof *a.labels);
    } while (true);
    assert_int_equal(batches_next(cached, &a, &err), OK); /* and stays at its end */
    assert_int_equal(a.count, 0);
}

static void batches_come_in_the_loaders_order_from_any_step_on(void **state)
{
    static const struct {
        enum loader_pass pass;
        enum sampler sampler;
        int batch;
    } cases[] = {{LOADER_TRAIN, SAMPLER_SHUFFLED, WORLD_BATCH},
                 {LOADER_TRAIN, SAMPLER_BALANCED, WORLD_BATCH},
                 {LOADER_TRAIN, SAMPLER_SHUFFLED, 500},
                 {LOADER_VALID, SAMPLER_SHUFFLED, WORLD_BATCH}};
    struct world *w = *state;
    struct feature_cache *cache = world_filled(w);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct loader_options options = {.pass = cases[i].pass,
                                         .items = w->items,
                                         .n_items = WORLD_TRAIN,
                                         .batch_size = cases[i].batch,
                                         .size = WORLD_SIZE,
                                         .threads = 2,
                                         .seed = 5,
                                         .sampler = cases[i].sampler};
        struct batches *cached = NULL, *loaded = NULL;
        struct err err = {0};
        assert_int_equal(batches_open_cached(cache, w->pack, &options, &cached, &err), OK);
        assert_int_equal(batches_open(w->pack, &options, &loaded, &err), OK);
        for (uint32_t epoch = 0; epoch < 3; epoch++)
            compare_orders(cached, loaded, epoch, epoch);
        batches_close(cached);
        batches_close(loaded);
    }
    feature_cache_close(cache);
}

/* --- training from it ------------------------------------------------------------------------- */

/* Two epochs of AdamW on the head; the head's values, one after the other. */
static float *train_head(struct graph *graph, struct plan *plan, struct batches *batches, size_t *n)
{
    static const double rates[ZOO_MAX_GROUPS] = {1e-2, 1e-2, 1e-2, 1e-2};
    struct optim_options options = optim_defaults(FORM_V2);
    struct optim optim;
    struct batch batch;
    struct err err = {0};
    uint64_t step = 0;
    optim_init(&optim, &options);
    optim_reset(&optim, graph);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        batches_begin(batches, 0, epoch, 0);
        while (batches_next(batches, &batch, &err) == OK && batch.count > 0) {
            memcpy(plan_input(plan), batch.images,
                   (size_t)batch.count * batch.row_floats * sizeof(float));
            plan_forward(plan, 5, step++);
            xent_loss(plan_output(plan), batch.labels, batch.count, 2, plan_output_gradient(plan),
                      NULL);
            plan_backward(plan);
            optim_step(&optim, graph, rates, .9);
        }
    }
    assert_int_equal(step, 2 * (WORLD_TRAIN / WORLD_BATCH));
    *n = 0;
    for (int i = 0; i < graph->n_params; i++)
        *n += graph->params[i]->n_elements;
    float *all = mem_alloc(*n * sizeof *all), *at = all;
    for (int i = 0; i < graph->n_params; at += graph->params[i++]->n_elements)
        param_read(graph->params[i], PARAM_VALUE, at);
    return all;
}

static void compare_training(struct world *w)
{
    struct loader_options loading = {.pass = LOADER_TRAIN,
                                     .items = w->items,
                                     .n_items = WORLD_TRAIN,
                                     .batch_size = WORLD_BATCH,
                                     .size = WORLD_SIZE,
                                     .threads = 2,
                                     .seed = w->options.seed,
                                     .augment = w->options.augment};
    struct batches *batches = NULL;
    struct err err = {0};
    size_t n;
    struct feature_cache *cache = world_filled(w);
    struct plan *plan = world_plan(w->graph, w->train);
    assert_int_equal(batches_open_cached(cache, w->pack, &loading, &batches, &err), OK);
    float *cached = train_head(w->graph, plan, batches, &n);
    batches_close(batches);
    plan_free(plan);
    feature_cache_close(cache);

    struct graph *graph = world_graph();
    struct plan_options whole = w->train;
    whole.input_node = 0;
    plan = world_plan(graph, whole);
    assert_int_equal(batches_open(w->pack, &loading, &batches, &err), OK);
    float *uncached = train_head(graph, plan, batches, &n);
    assert_memory_equal(cached, uncached, n * sizeof *cached);
    batches_close(batches);
    plan_free(plan);
    graph_free(graph);
    mem_free(cached);
    mem_free(uncached);
}

static void a_cached_run_has_the_weights_of_an_uncached_one(void **state)
{
    struct world *w = *state;
    w->options.augment.enabled = false;
    compare_training(w);
}

/* As many views as epochs: every picture is seen as it would have been. */
static void with_a_view_an_epoch_augmentation_changes_nothing_either(void **state)
{
    struct world *w = *state;
    w->options.views = 2;
    compare_training(w);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(one_view_is_the_plain_one_whatever_the_augmentation),
        WITH_WORLD(several_views_are_those_of_as_many_epochs_in_turn),
        WITH_WORLD(without_augmentation_all_views_are_one),
        WITH_WORLD(mixed_pictures_have_no_features),
        WITH_WORLD(batches_come_in_the_loaders_order_from_any_step_on),
        WITH_WORLD(a_cached_run_has_the_weights_of_an_uncached_one),
        WITH_WORLD(with_a_view_an_epoch_augmentation_changes_nothing_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
