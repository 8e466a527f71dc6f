/* Whole runs whose frozen stage reads cached features: the same weights as without, whatever
 * happens on the way. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/engine/train/fixture.h"

/* 32 train, 4 steps an epoch: 8 steps on cached features, then 4 of the whole network. */
#define RUN(rest)                                                                                  \
    "{'dataset':'d','model':'thaw-small','weights':'random','image':{'size':32},'batch_size':8,"   \
    "'seed':7,'optimizer':{'name':'adamw','form':'v2'},'frozen_batchnorm':'eval'," rest            \
    "'stages':[{'name':'head','freeze_to':-1,'epochs':2,'lr':{'slice':[null,2e-3]},"               \
    "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.99,'div':25,'div_final':1e5}},"      \
    "{'name':'all','freeze_to':0,'epochs':1,'lr':{'slice':[1e-4,1e-3]},"                           \
    "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.3,'div':5,'div_final':1e5}}]}"
#define PLAIN    "'augment':'none',"
#define CACHED   PLAIN "'feature_cache':{'views':1},"
#define IN_VIEWS "'feature_cache':{'views':2},"
#define STEPS    12

/* The cache's file in the run's folder, owned by the caller; NULL if there is none. */
static char *cache_file(const struct fixture *f)
{
    DIR *dir = opendir(f->out);
    const struct dirent *entry;
    char *path = NULL;
    while (!path && (entry = readdir(dir)))
        if (strncmp(entry->d_name, "features-", 9) == 0)
            path = mem_printf("%s/%s", f->out, entry->d_name);
    closedir(dir);
    return path;
}

static int64_t cached_views(const struct fixture *f, int stage)
{
    struct json *event = fixture_event(f, "stage", stage);
    int64_t views = json_integer(event, "cached_views", 0);
    json_free(event);
    return views;
}

static void a_cached_stage_changes_no_bit_of_the_final_weights(void **state)
{
    struct fixture *f = *state;
    char plain[65], cached[65];
    fixture_run_anew(f, RUN(PLAIN), plain);
    assert_int_equal(cached_views(f, 0), 0);
    fixture_run_anew(f, RUN(CACHED), cached);
    assert_int_equal(cached_views(f, 0), 1);
    assert_int_equal(cached_views(f, 1), 0);
    assert_string_equal(cached, plain);
    assert_null(cache_file(f)); /* gone with the run */
}

static void filling_is_told_to_its_end(void **state)
{
    struct fixture *f = *state;
    char hex[65];
    fixture_run_anew(f, RUN(CACHED), hex);
    bool first = false, last = false;
    for (int k = 0; k < fixture_count(f, "progress"); k++) {
        struct json *event = fixture_event(f, "progress", k);
        int64_t done = json_integer(event, "done", 0), total = json_integer(event, "total", 0);
        bool features = strcmp(json_string(event, "what", ""), "features") == 0;
        assert_true(0 < done && done <= total);
        first |= features && done == 8;                   /* a batch */
        last |= features && done == total && total == 40; /* 32 train, 8 validate */
        json_free(event);
    }
    assert_true(first && last);
}

static void as_many_views_as_epochs_change_no_bit_either(void **state)
{
    struct fixture *f = *state;
    char plain[65], cached[65];
    fixture_run_anew(f, RUN(""), plain);
    fixture_run_anew(f, RUN(IN_VIEWS), cached);
    assert_int_equal(cached_views(f, 0), 2);
    assert_string_equal(cached, plain);
}

/* Pauses at the given poll, after `damage` goes on, and expects the uninterrupted run's weights. */
static void pause_and_go_on(struct fixture *f, const char *spec, int poll, const char *whole,
                            void (*damage)(const struct fixture *f))
{
    char resumed[65];
    fixture_new_run(f);
    f->request = TRAINER_PAUSE;
    f->request_at = poll;
    fixture_run_ok(f, spec, NULL);
    f->request_at = 0;
    if (fixture_count(f, "paused") == 0)
        return; /* there were fewer polls */
    if (damage)
        damage(f);
    fixture_run_ok(f, spec, NULL);
    assert_string_equal(fixture_result(f, resumed), whole);
}

static void a_cached_run_goes_on_from_any_step(void **state)
{
    struct fixture *f = *state;
    char whole[65];
    fixture_run_anew(f, RUN(CACHED), whole);
    for (int poll = 1; poll <= STEPS + 12; poll += 3)
        pause_and_go_on(f, RUN(CACHED), poll, whole, NULL);
    fixture_run_anew(f, RUN(IN_VIEWS), whole);
    pause_and_go_on(f, RUN(IN_VIEWS), 6, whole, NULL);
}

static void flip_a_byte(const struct fixture *f)
{
    char *path = cache_file(f), byte;
    struct stat st;
    assert_non_null(path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(pread(fd, &byte, 1, st.st_size / 2), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, st.st_size / 2), 1);
    close(fd);
    mem_free(path);
}

static void lose_the_file(const struct fixture *f)
{
    char *path = cache_file(f);
    assert_non_null(path);
    assert_int_equal(unlink(path), 0);
    mem_free(path);
}

static void a_cache_that_was_damaged_or_lost_is_made_again(void **state)
{
    struct fixture *f = *state;
    char whole[65];
    fixture_run_anew(f, RUN(CACHED), whole);
    pause_and_go_on(f, RUN(CACHED), 12, whole, flip_a_byte);
    struct json *warning = fixture_event(f, "warning", 0);
    assert_string_equal(json_string(warning, "code", ""), "feature_cache");
    json_free(warning);
    pause_and_go_on(f, RUN(CACHED), 12, whole, lose_the_file);
    assert_int_equal(fixture_count(f, "warning"), 0);
}

int main(void)
{
#define WITH_DATA(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_DATA(a_cached_stage_changes_no_bit_of_the_final_weights),
        WITH_DATA(filling_is_told_to_its_end),
        WITH_DATA(as_many_views_as_epochs_change_no_bit_either),
        WITH_DATA(a_cached_run_goes_on_from_any_step),
        WITH_DATA(a_cache_that_was_damaged_or_lost_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
