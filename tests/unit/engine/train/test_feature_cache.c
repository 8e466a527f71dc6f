/* The feature cache: what it holds, what it survives, and that training from it changes nothing. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/op/xent.h"
#include "engine/train/batches.h"
#include "engine/train/optim.h"
#include "engine/zoo/zoo.h"
#include "tests/unit/engine/train/fixture.h"

#define N       26
#define N_TRAIN 20
#define SIZE    32
#define BATCH   6

struct world {
    struct fixture data; /* the pictures; features go to its run's folder */
    struct pack *pack;
    struct graph *graph;
    uint32_t items[N];
    struct feature_cache_options options;
    struct plan_options train;
    struct plan *prefix;
};

static struct plan *new_plan(struct graph *graph, struct plan_options options)
{
    struct plan *plan = NULL;
    struct err err = {0};
    if (plan_new(graph, &options, &plan, &err) != OK)
        fail_msg("%s", err.detail);
    return plan;
}

static struct graph *new_graph(void)
{
    struct graph *graph =
        zoo_build(zoo_find("thaw-small"), &(struct zoo_options){.head = ZOO_HEAD_V2, .classes = 2});
    zoo_init(graph, ZOO_HEAD_V2, 3);
    return graph;
}

static int set_up(void **state)
{
    static const struct mix_options no_mix;
    struct world *w = mem_alloc(sizeof *w);
    struct err err = {0};
    const char *why;
    fixture_init(&w->data, N);
    if (pack_open(w->data.pack, w->data.index, &w->pack, &err) != OK)
        fail_msg("%s", err.detail);
    w->graph = new_graph();
    for (uint32_t i = 0; i < N; i++)
        w->items[i] = i;
    w->train = (struct plan_options){.mode = PLAN_TRAIN,
                                     .batch = BATCH,
                                     .height = SIZE,
                                     .width = SIZE,
                                     .frozen_groups = w->graph->n_groups - 1};
    int cut = feature_cache_cut(w->graph, &w->train, &no_mix, &why);
    assert_int_not_equal(cut, NODE_NONE);
    w->prefix = new_plan(w->graph, feature_cache_prefix(&w->train, cut));
    w->train.input_node = cut;
    w->options = (struct feature_cache_options){.folder = w->data.out,
                                                .run_sha256 = "run",
                                                .pack = w->pack,
                                                .graph = w->graph,
                                                .cut = cut,
                                                .row_floats = plan_output_row(w->prefix),
                                                .size = SIZE,
                                                .batch = BATCH,
                                                .views = 1,
                                                .augment = augment_default(),
                                                .seed = 5,
                                                .train = w->items,
                                                .n_train = N_TRAIN,
                                                .valid = w->items + N_TRAIN,
                                                .n_valid = N - N_TRAIN,
                                                .threads = 2};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    plan_free(w->prefix);
    graph_free(w->graph);
    pack_close(w->pack);
    fixture_deinit(&w->data);
    mem_free(w);
    return 0;
}

static bool always(void *context, int64_t done, int64_t all)
{
    (void)context;
    assert_true(done > 0 && done <= all);
    return true;
}

static struct feature_cache *open_cache(struct world *w, char warning[FEATURE_CACHE_WARNING])
{
    struct feature_cache *cache = NULL;
    struct err err = {0};
    if (feature_cache_open(&w->options, &cache, warning, &err) != OK)
        fail_msg("%s", err.detail);
    return cache;
}

static struct feature_cache *filled_cache(struct world *w)
{
    char warning[FEATURE_CACHE_WARNING];
    struct err err = {0};
    struct feature_cache *cache = open_cache(w, warning);
    assert_string_equal(warning, "");
    if (feature_cache_fill(cache, w->prefix, always, NULL, &err) != OK)
        fail_msg("%s", err.detail);
    return cache;
}

/* --- what it holds ---------------------------------------------------------------------------- */

/* Runs the prefix over what a loader gives and compares every row with the cache's. */
static void expect_features(struct world *w, const struct feature_cache *cache,
                            enum loader_pass pass, const uint32_t *items, uint32_t n, uint32_t view,
                            enum loader_pass read_as, uint32_t epoch)
{
    struct loader_options options = {.pass = pass,
                                     .items = items,
                                     .n_items = n,
                                     .batch_size = BATCH,
                                     .size = SIZE,
                                     .threads = 1,
                                     .seed = w->options.seed,
                                     .augment = w->options.augment};
    size_t row = feature_cache_row(cache);
    float *features = mem_alloc(row * sizeof *features);
    struct loader *loader = NULL;
    struct batch batch;
    struct err err = {0};
    assert_int_equal(loader_open(w->pack, &options, &loader, &err), OK);
    loader_begin(loader, 0, view, 0);
    while (loader_next(loader, &batch, &err) == OK && batch.count > 0) {
        memcpy(plan_input(w->prefix), batch.images,
               (size_t)batch.count * batch.row_floats * sizeof(float));
        plan_forward(w->prefix, 0, 0);
        for (int i = 0; i < batch.count; i++) {
            assert_int_equal(
                feature_cache_read(cache, read_as, batch.items[i], epoch, features, &err), OK);
            assert_memory_equal(features, plan_output(w->prefix) + (size_t)i * row,
                                row * sizeof *features);
        }
    }
    loader_close(loader);
    mem_free(features);
}

static void one_view_is_the_plain_one_whatever_the_augmentation(void **state)
{
    struct world *w = *state;
    struct feature_cache *cache = filled_cache(w);
    for (uint32_t epoch = 0; epoch < 3; epoch++)
        expect_features(w, cache, LOADER_VALID, w->items, N_TRAIN, 0, LOADER_TRAIN, epoch);
    expect_features(w, cache, LOADER_VALID, w->items + N_TRAIN, N - N_TRAIN, 0, LOADER_VALID, 0);
    struct feature_cache_stats stats = feature_cache_stats(cache);
    assert_int_equal(stats.views, 1);
    assert_int_equal(stats.computed, N);
    assert_true(stats.bytes > N * feature_cache_row(cache) * sizeof(float));
    assert_true(stats.seconds > 0);
    assert_float_equal(feature_cache_saved(cache, 10), 9 * stats.seconds, 1e-9 * stats.seconds);
    feature_cache_close(cache);
}

static void several_views_are_those_of_as_many_epochs_in_turn(void **state)
{
    struct world *w = *state;
    w->options.views = 3;
    struct feature_cache *cache = filled_cache(w);
    for (uint32_t epoch = 0; epoch < 7; epoch++)
        expect_features(w, cache, LOADER_AUGMENTED, w->items, N_TRAIN, epoch % 3, LOADER_TRAIN,
                        epoch);
    expect_features(w, cache, LOADER_VALID, w->items + N_TRAIN, N - N_TRAIN, 0, LOADER_VALID, 4);
    assert_int_equal(feature_cache_stats(cache).computed, 3 * N_TRAIN + N - N_TRAIN);
    feature_cache_close(cache);
}

static void without_augmentation_all_views_are_one(void **state)
{
    struct world *w = *state;
    w->options.views = 3;
    w->options.augment.enabled = false;
    struct feature_cache *cache = filled_cache(w);
    assert_int_equal(feature_cache_stats(cache).views, 1);
    assert_int_equal(feature_cache_stats(cache).computed, N);
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
    } cases[] = {{LOADER_TRAIN, SAMPLER_SHUFFLED, BATCH},
                 {LOADER_TRAIN, SAMPLER_BALANCED, BATCH},
                 {LOADER_TRAIN, SAMPLER_SHUFFLED, 500},
                 {LOADER_VALID, SAMPLER_SHUFFLED, BATCH}};
    struct world *w = *state;
    struct feature_cache *cache = filled_cache(w);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct loader_options options = {.pass = cases[i].pass,
                                         .items = w->items,
                                         .n_items = N_TRAIN,
                                         .batch_size = cases[i].batch,
                                         .size = SIZE,
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

/* --- what it survives ------------------------------------------------------------------------- */

static char *cache_path(const struct world *w, int *n)
{
    DIR *dir = opendir(w->data.out);
    const struct dirent *entry;
    char *path = NULL;
    *n = 0;
    while ((entry = readdir(dir)))
        if (strncmp(entry->d_name, "features-", 9) == 0) {
            mem_free(path);
            path = mem_printf("%s/%s", w->data.out, entry->d_name);
            ++*n;
        }
    closedir(dir);
    return path;
}

static void expect_reuse(struct world *w, int64_t reused, bool warned)
{
    char warning[FEATURE_CACHE_WARNING];
    struct err err = {0};
    struct feature_cache *cache = open_cache(w, warning);
    assert_int_equal(feature_cache_stats(cache).reused, reused);
    assert_int_equal(warning[0] != '\0', warned);
    assert_int_equal(feature_cache_fill(cache, w->prefix, always, NULL, &err), OK);
    assert_int_equal(feature_cache_stats(cache).computed, N - reused);
    expect_features(w, cache, LOADER_VALID, w->items, N, 0, LOADER_VALID, 0);
    feature_cache_close(cache);
}

static void a_second_opening_computes_nothing(void **state)
{
    struct world *w = *state;
    feature_cache_close(filled_cache(w));
    expect_reuse(w, N, false);
}

static bool twice(void *context, int64_t done, int64_t all)
{
    (void)done;
    (void)all;
    return ++*(int *)context < 2;
}

static void a_filling_that_was_stopped_goes_on(void **state)
{
    struct world *w = *state;
    char warning[FEATURE_CACHE_WARNING];
    int calls = 0;
    struct err err = {0};
    struct feature_cache *cache = open_cache(w, warning);
    assert_int_equal(feature_cache_fill(cache, w->prefix, twice, &calls, &err), E_CANCELLED);
    feature_cache_close(cache);
    expect_reuse(w, 2 * BATCH, false);
}

/* As a killed process leaves it: the last block is not whole. That is no damage to speak of. */
static void a_block_that_was_cut_off_is_computed_again(void **state)
{
    struct world *w = *state;
    struct stat st;
    int n;
    feature_cache_close(filled_cache(w));
    char *path = cache_path(w, &n);
    assert_int_equal(n, 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 100), 0);
    expect_reuse(w, N - N % BATCH, false);
    expect_reuse(w, N, false);
    mem_free(path);
}

/* Wherever a byte changes, the features that are read are right in the end. */
static void damage_is_seen_and_mended(void **state)
{
    struct world *w = *state;
    struct stat st;
    int n;
    feature_cache_close(filled_cache(w));
    char *path = cache_path(w, &n);
    assert_int_equal(stat(path, &st), 0);
    for (off_t at = 3; at < st.st_size; at += at < 300 ? 29 : st.st_size / 9) {
        char byte;
        int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        char warning[FEATURE_CACHE_WARNING];
        struct err err = {0};
        struct feature_cache *cache = open_cache(w, warning);
        assert_int_not_equal(warning[0], '\0');
        assert_true(feature_cache_stats(cache).reused < N);
        assert_int_equal(feature_cache_fill(cache, w->prefix, always, NULL, &err), OK);
        expect_features(w, cache, LOADER_VALID, w->items, N, 0, LOADER_VALID, 0);
        feature_cache_close(cache);
        expect_reuse(w, N, false);
    }
    mem_free(path);
}

static void a_larger_sample_adds_what_it_lacks(void **state)
{
    struct world *w = *state;
    w->options.n_train = 7;
    feature_cache_close(filled_cache(w));
    w->options.n_train = N_TRAIN;
    expect_reuse(w, 7 + N - N_TRAIN, false);
}

static void other_weights_sizes_and_runs_have_other_files(void **state)
{
    struct world *w = *state;
    int n;
    feature_cache_close(filled_cache(w));
    w->options.run_sha256 = "another run";
    expect_reuse(w, 0, false);
    struct param *param = w->graph->params[0];
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    param_read(param, PARAM_VALUE, plain);
    plain[0] += .5f;
    param_write(param, PARAM_VALUE, plain);
    mem_free(plain);
    plan_refresh(w->prefix);
    expect_reuse(w, 0, false);
    mem_free(cache_path(w, &n));
    assert_int_equal(n, 3);
    /* the head is not part of the prefix */
    param = graph_find_param(w->graph, "head.8.weight");
    plain = mem_alloc(param->n_elements * sizeof *plain);
    param_write(param, PARAM_VALUE, plain);
    mem_free(plain);
    expect_reuse(w, N, false);
}

static void at_the_end_the_files_go_and_nothing_else(void **state)
{
    struct world *w = *state;
    int n;
    w->options.views = 2;
    feature_cache_close(filled_cache(w));
    mem_free(cache_path(w, &n));
    assert_int_equal(n, 3);
    char *other = mem_printf("%s/features-of-mine.txt", w->data.out);
    close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    feature_cache_remove_all(w->data.out);
    mem_free(cache_path(w, &n));
    assert_int_equal(n, 1);
    assert_int_equal(access(other, F_OK), 0);
    mem_free(other);
}

/* A limit for files stands for a disk without room. */
static void without_room_the_cache_says_so_before_it_begins(void **state)
{
    struct world *w = *state;
    struct rlimit old, small;
    struct feature_cache *cache;
    struct err err = {0};
    char warning[FEATURE_CACHE_WARNING];
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(feature_cache_open(&w->options, &cache, warning, &err), E_NO_SPACE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_non_null(strstr(err.detail, "MB"));
}

/* The disk fills up while the features are written: what is there stays whole. */
static void a_write_that_fails_is_taken_back(void **state)
{
    struct world *w = *state;
    struct rlimit old, small;
    struct err err = {0};
    char warning[FEATURE_CACHE_WARNING];
    struct feature_cache *cache = open_cache(w, warning);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = BATCH * feature_cache_row(cache) * sizeof(float) + 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_not_equal(feature_cache_fill(cache, w->prefix, always, NULL, &err), OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    feature_cache_close(cache);
    expect_reuse(w, BATCH, false);
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
    assert_int_equal(step, 2 * (N_TRAIN / BATCH));
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
                                     .n_items = N_TRAIN,
                                     .batch_size = BATCH,
                                     .size = SIZE,
                                     .threads = 2,
                                     .seed = w->options.seed,
                                     .augment = w->options.augment};
    struct batches *batches = NULL;
    struct err err = {0};
    size_t n;
    struct feature_cache *cache = filled_cache(w);
    struct plan *plan = new_plan(w->graph, w->train);
    assert_int_equal(batches_open_cached(cache, w->pack, &loading, &batches, &err), OK);
    float *cached = train_head(w->graph, plan, batches, &n);
    batches_close(batches);
    plan_free(plan);
    feature_cache_close(cache);

    struct graph *graph = new_graph();
    struct plan_options whole = w->train;
    whole.input_node = 0;
    plan = new_plan(graph, whole);
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
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(one_view_is_the_plain_one_whatever_the_augmentation),
        WITH_WORLD(several_views_are_those_of_as_many_epochs_in_turn),
        WITH_WORLD(without_augmentation_all_views_are_one),
        WITH_WORLD(mixed_pictures_have_no_features),
        WITH_WORLD(batches_come_in_the_loaders_order_from_any_step_on),
        WITH_WORLD(a_second_opening_computes_nothing),
        WITH_WORLD(a_filling_that_was_stopped_goes_on),
        WITH_WORLD(a_block_that_was_cut_off_is_computed_again),
        WITH_WORLD(damage_is_seen_and_mended),
        WITH_WORLD(a_larger_sample_adds_what_it_lacks),
        WITH_WORLD(other_weights_sizes_and_runs_have_other_files),
        WITH_WORLD(at_the_end_the_files_go_and_nothing_else),
        WITH_WORLD(without_room_the_cache_says_so_before_it_begins),
        WITH_WORLD(a_write_that_fails_is_taken_back),
        WITH_WORLD(a_cached_run_has_the_weights_of_an_uncached_one),
        WITH_WORLD(with_a_view_an_epoch_augmentation_changes_nothing_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
