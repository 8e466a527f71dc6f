#include "tests/unit/engine/train/feature_world.h"

#include <string.h>

#include "base/mem.h"
#include "engine/zoo/zoo.h"

struct plan *world_plan(struct graph *graph, struct plan_options options)
{
    struct plan *plan = NULL;
    struct err err = {0};
    if (plan_new(graph, &options, &plan, &err) != OK)
        fail_msg("%s", err.detail);
    return plan;
}

struct graph *world_graph(void)
{
    struct graph *graph =
        zoo_build(zoo_find("thaw-small"), &(struct zoo_options){.head = ZOO_HEAD_V2, .classes = 2});
    zoo_init(graph, ZOO_HEAD_V2, 3);
    return graph;
}

int world_set_up(void **state)
{
    static const struct mix_options no_mix;
    struct world *w = mem_alloc(sizeof *w);
    struct err err = {0};
    const char *why;
    fixture_init(&w->data, WORLD_N);
    if (pack_open(w->data.pack, w->data.index, &w->pack, &err) != OK)
        fail_msg("%s", err.detail);
    w->graph = world_graph();
    for (uint32_t i = 0; i < WORLD_N; i++)
        w->items[i] = i;
    w->train = (struct plan_options){.mode = PLAN_TRAIN,
                                     .batch = WORLD_BATCH,
                                     .height = WORLD_SIZE,
                                     .width = WORLD_SIZE,
                                     .frozen_groups = w->graph->n_groups - 1};
    int cut = feature_cache_cut(w->graph, &w->train, &no_mix, &why);
    assert_int_not_equal(cut, NODE_NONE);
    w->prefix = world_plan(w->graph, feature_cache_prefix(&w->train, cut));
    w->train.input_node = cut;
    w->options = (struct feature_cache_options){.folder = w->data.out,
                                                .run_sha256 = "run",
                                                .pack = w->pack,
                                                .graph = w->graph,
                                                .cut = cut,
                                                .row_floats = plan_output_row(w->prefix),
                                                .size = WORLD_SIZE,
                                                .batch = WORLD_BATCH,
                                                .views = 1,
                                                .augment = augment_default(),
                                                .seed = 5,
                                                .train = w->items,
                                                .n_train = WORLD_TRAIN,
                                                .valid = w->items + WORLD_TRAIN,
                                                .n_valid = WORLD_N - WORLD_TRAIN,
                                                .threads = 2};
    *state = w;
    return 0;
}

int world_tear_down(void **state)
{
    struct world *w = *state;
    plan_free(w->prefix);
    graph_free(w->graph);
    pack_close(w->pack);
    fixture_deinit(&w->data);
    mem_free(w);
    return 0;
}

bool world_go_on(void *context, int64_t done, int64_t all)
{
    (void)context;
    assert_true(done > 0 && done <= all);
    return true;
}

struct feature_cache *world_open(struct world *w, char warning[FEATURE_CACHE_WARNING])
{
    struct feature_cache *cache = NULL;
    struct err err = {0};
    if (feature_cache_open(&w->options, &cache, warning, &err) != OK)
        fail_msg("%s", err.detail);
    return cache;
}

struct feature_cache *world_filled(struct world *w)
{
    char warning[FEATURE_CACHE_WARNING];
    struct err err = {0};
    struct feature_cache *cache = world_open(w, warning);
    assert_string_equal(warning, "");
    if (feature_cache_fill(cache, w->prefix, world_go_on, NULL, &err) != OK)
        fail_msg("%s", err.detail);
    return cache;
}

void world_expect(struct world *w, const struct feature_cache *cache, enum loader_pass pass,
                  const uint32_t *items, uint32_t n, uint32_t view, enum loader_pass read_as,
                  uint32_t epoch)
{
    struct loader_options options = {.pass = pass,
                                     .items = items,
                                     .n_items = n,
                                     .batch_size = WORLD_BATCH,
                                     .size = WORLD_SIZE,
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
