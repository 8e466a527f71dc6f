/* The feature cache on disk: what it survives, what it reuses, what it leaves. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/unit/engine/train/feature_world.h"

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
    struct feature_cache *cache = world_open(w, warning);
    assert_int_equal(feature_cache_stats(cache).reused, reused);
    assert_int_equal(warning[0] != '\0', warned);
    assert_int_equal(feature_cache_fill(cache, w->prefix, world_go_on, NULL, &err), OK);
    assert_int_equal(feature_cache_stats(cache).computed, WORLD_N - reused);
    world_expect(w, cache, LOADER_VALID, w->items, WORLD_N, 0, LOADER_VALID, 0);
    feature_cache_close(cache);
}

static void a_second_opening_computes_nothing(void **state)
{
    struct world *w = *state;
    feature_cache_close(world_filled(w));
    expect_reuse(w, WORLD_N, false);
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
    struct feature_cache *cache = world_open(w, warning);
    assert_int_equal(feature_cache_fill(cache, w->prefix, twice, &calls, &err), E_CANCELLED);
    feature_cache_close(cache);
    expect_reuse(w, 2 * WORLD_BATCH, false);
}

/* As a killed process leaves it: the last block is not whole. That is no damage to speak of. */
static void a_block_that_was_cut_off_is_computed_again(void **state)
{
    struct world *w = *state;
    struct stat st;
    int n;
    feature_cache_close(world_filled(w));
    char *path = cache_path(w, &n);
    assert_int_equal(n, 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 100), 0);
    expect_reuse(w, WORLD_N - WORLD_N % WORLD_BATCH, false);
    expect_reuse(w, WORLD_N, false);
    mem_free(path);
}

/* Wherever a byte changes, the features that are read are right in the end. */
static void damage_is_seen_and_mended(void **state)
{
    struct world *w = *state;
    struct stat st;
    int n;
    feature_cache_close(world_filled(w));
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
        struct feature_cache *cache = world_open(w, warning);
        assert_int_not_equal(warning[0], '\0');
        assert_true(feature_cache_stats(cache).reused < WORLD_N);
        assert_int_equal(feature_cache_fill(cache, w->prefix, world_go_on, NULL, &err), OK);
        world_expect(w, cache, LOADER_VALID, w->items, WORLD_N, 0, LOADER_VALID, 0);
        feature_cache_close(cache);
        expect_reuse(w, WORLD_N, false);
    }
    mem_free(path);
}

static void a_larger_sample_adds_what_it_lacks(void **state)
{
    struct world *w = *state;
    w->options.n_train = 7;
    feature_cache_close(world_filled(w));
    w->options.n_train = WORLD_TRAIN;
    expect_reuse(w, 7 + WORLD_N - WORLD_TRAIN, false);
}

static void other_weights_sizes_and_runs_have_other_files(void **state)
{
    struct world *w = *state;
    int n;
    feature_cache_close(world_filled(w));
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
    expect_reuse(w, WORLD_N, false);
}

static void at_the_end_the_files_go_and_nothing_else(void **state)
{
    struct world *w = *state;
    int n;
    w->options.views = 2;
    feature_cache_close(world_filled(w));
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
    struct feature_cache *cache = world_open(w, warning);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = WORLD_BATCH * feature_cache_row(cache) * sizeof(float) + 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_not_equal(feature_cache_fill(cache, w->prefix, world_go_on, NULL, &err), OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    feature_cache_close(cache);
    expect_reuse(w, WORLD_BATCH, false);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_second_opening_computes_nothing),
        WITH_WORLD(a_filling_that_was_stopped_goes_on),
        WITH_WORLD(a_block_that_was_cut_off_is_computed_again),
        WITH_WORLD(damage_is_seen_and_mended),
        WITH_WORLD(a_larger_sample_adds_what_it_lacks),
        WITH_WORLD(other_weights_sizes_and_runs_have_other_files),
        WITH_WORLD(at_the_end_the_files_go_and_nothing_else),
        WITH_WORLD(without_room_the_cache_says_so_before_it_begins),
        WITH_WORLD(a_write_that_fails_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
