/* feature_world.h -- pictures, a network cut where its frozen part ends, and a cache of it: what
 * the tests of cached features share. */
#ifndef THAW_TESTS_TRAIN_FEATURE_WORLD_H
#define THAW_TESTS_TRAIN_FEATURE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/train/feature_cache.h"
#include "tests/unit/engine/train/fixture.h"

#define WORLD_N     26 /* items: the first train, the rest validate */
#define WORLD_TRAIN 20
#define WORLD_SIZE  32
#define WORLD_BATCH 6

struct world {
    struct fixture data; /* the pictures; features go to its run's folder */
    struct pack *pack;
    struct graph *graph;
    uint32_t items[WORLD_N];
    struct feature_cache_options options;
    struct plan_options train;
    struct plan *prefix;
};

/* For a test's setup and teardown: *state is the world. */
int world_set_up(void **state);
int world_tear_down(void **state);

struct graph *world_graph(void); /* another one with the same weights; owned by the caller */
struct plan *world_plan(struct graph *graph, struct plan_options options);

/* The cache of world->options, opened; or filled too. */
struct feature_cache *world_open(struct world *w, char warning[FEATURE_CACHE_WARNING]);
struct feature_cache *world_filled(struct world *w);
bool world_go_on(void *context, int64_t done, int64_t all); /* always */

/* Runs the prefix over what a loader gives and compares every row with the cache's. */
void world_expect(struct world *w, const struct feature_cache *cache, enum loader_pass pass,
                  const uint32_t *items, uint32_t n, uint32_t view, enum loader_pass read_as,
                  uint32_t epoch);

#endif
