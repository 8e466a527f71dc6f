/* What a recipe can ask of the trainer beyond stages and rates: samples, sizes, accumulation,
 * callbacks, the finder, pauses, limits, cached features; and that a run resumed within any of them
 * ends in the same bits. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/train/finder.h"
#include "engine/train/report.h"
#include "tests/unit/engine/train/fixture.h"

#define SPEC(rest, stages)                                                                         \
    "{'dataset':'d','model':'thaw-small','weights':'random','image':{'size':32},'batch_size':8,"   \
    "'seed':7,'optimizer':{'name':'adamw','form':'v2'}," rest "'stages':[" stages "]}"
#define STAGE(name, freeze, epochs, lr, more)                                                      \
    "{'name':'" name "','freeze_to':" freeze ",'epochs':" epochs ",'lr':" lr                       \
    ",'schedule':'flat'" more "}"
#define HEAD  STAGE("stage-1", "-1", "1", "2e-3", "")
#define WHOLE STAGE("stage-2", "0", "2", "1e-3", "")

static int set_up(void **state)
{
    int failed = fixture_set_up(state);
    struct fixture *fixture = *state;
    fixture->threads = 1; /* quick beside other tests, which take the cores too */
    return failed;
}

/* The spec run with a pause at the given poll, then at every second one, until it is done. */
static void run_in_pieces_from(struct fixture *f, int poll, const char *spec, char hex[65])
{
    fixture_new_run(f);
    f->request = TRAINER_PAUSE;
    f->request_at = poll;
    fixture_run_ok(f, spec, NULL);
    f->request_at = 2;
    for (int runs = 0; fixture_count(f, "result") == 0; runs++) {
        assert_true(runs < 100);
        fixture_run_ok(f, spec, NULL);
    }
    f->request_at = 0;
    fixture_result(f, hex);
}

static void run_in_pieces(struct fixture *f, const char *spec, char hex[65])
{
    run_in_pieces_from(f, 1, spec, hex);
}

static void same_in_pieces(struct fixture *f, const char *spec)
{
    char whole[65], pieces[65];
    fixture_run_anew(f, spec, whole);
    run_in_pieces(f, spec, pieces);
    assert_string_equal(whole, pieces);
}

static bool told(const struct fixture *f, const char *type, const char *key, const char *words)
{
    bool found = false;
    struct json *event;
    for (int n = 0; !found && (event = fixture_event(f, type, n)); n++) {
        found = strstr(json_string(event, key, ""), words) != NULL;
        json_free(event);
    }
    return found;
}

static double number_of(const struct fixture *f, const char *type, int n, const char *key)
{
    struct json *event = fixture_event(f, type, n);
    assert_non_null(event);
    double value = json_number(event, key, NAN);
    json_free(event);
    return value;
}

/* --- stages ----------------------------------------------------------------------------------- */

static void a_stage_has_its_own_size_batch_and_sample(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f,
                   SPEC("", STAGE("small", "0", "1", "1e-3",
                                  ",'image':{'size':48},'batch_size':4,"
                                  "'sample':{'fraction':0.5,'min_per_class':1}") "," WHOLE),
                   NULL);
    assert_true(number_of(f, "stage", 0, "size") == 48);
    assert_true(number_of(f, "stage", 0, "n_train") == 16);
    assert_true(number_of(f, "stage", 0, "n_valid") == 4);
    assert_true(number_of(f, "stage", 0, "batch_size") == 4);
    assert_true(number_of(f, "stage", 0, "steps") == 4);
    assert_true(number_of(f, "stage", 0, "sample_fraction") == .5);
    assert_true(number_of(f, "stage", 1, "size") == 32);
    assert_true(number_of(f, "stage", 1, "n_train") == 32);
    assert_true(number_of(f, "result", 0, "accuracy") >= .5);
}

/* The largest difference of any parameter between two models. */
static double largest_difference(const char *a_path, const char *b_path)
{
    struct tensor_source a, b;
    struct err err;
    double largest = 0;
    assert_int_equal(tensor_source_open(a_path, &a, &err), OK);
    assert_int_equal(tensor_source_open(b_path, &b, &err), OK);
    for (size_t i = 0; i < a.n_tensors; i++) {
        const struct tensor_view *other = tensor_source_find(&b, a.tensors[i].name);
        size_t n = a.tensors[i].n_elements;
        float *x = mem_alloc(n * sizeof *x), *y = mem_alloc(n * sizeof *y);
        tensor_read(&a.tensors[i], x);
        tensor_read(other, y);
        bool statistic = strstr(a.tensors[i].name, "running") != NULL;
        for (size_t k = 0; !statistic && k < n; k++)
            largest = fmax(largest, fabs((double)x[k] - y[k]));
        mem_free(x);
        mem_free(y);
    }
    tensor_source_close(&a);
    tensor_source_close(&b);
    return largest;
}

static void a_fresh_stage_starts_from_the_starting_weights_and_the_same_head(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f, SPEC("", STAGE("still", "0", "1", "1e-12", "")), NULL);
    char *still = fixture_path(f, "final");
    fixture_new_run(f);
    fixture_run_ok(f,
                   SPEC("", STAGE("wild", "0", "1", "0.1", "") "," STAGE("fresh", "0", "1", "1e-12",
                                                                         ",'fresh':true")),
                   NULL);
    char *final = fixture_path(f, "final"), *wild = fixture_path(f, "stage-1");
    assert_true(largest_difference(still, wild) > .05);
    assert_true(largest_difference(still, final) < 1e-6);
    mem_free(still);
    mem_free(final);
    mem_free(wild);
}

#define FRACTION(share)                                                                            \
    STAGE("stage-1@" share, "0", "1", "1e-3",                                                      \
          ",'fresh':true,'sample':{'fraction':" share ",'min_per_class':2}")

static void fractions_of_the_data_leave_a_learning_curve(void **state)
{
    struct fixture *f = *state;
    same_in_pieces(f, SPEC("'save_best':{'monitor':'valid_loss'},",
                           FRACTION("0.25") "," FRACTION("0.5") "," FRACTION("1")));
    struct json *report = fixture_json(f, REPORT_JSON);
    const struct json *curve = json_get(report, "learning_curve");
    assert_int_equal(json_len(curve), 3);
    assert_true(json_number(json_at(curve, 0), "fraction", 0) == .25);
    assert_int_equal(json_integer(json_at(curve, 2), "n_train", 0), 32);
    assert_true(told(f, "artifact", "name", "report.json"));
    assert_true(told(f, "log", "detail", "Checkpoints took"));
    json_free(report);
}

static void a_stage_that_ends_worse_than_the_one_before_is_told(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f, SPEC("", WHOLE "," STAGE("bad", "0", "1", "3.0", "")), NULL);
    assert_true(told(f, "warning", "code", "stage_ended_worse"));
    assert_true(told(f, "warning", "detail", "\"bad\" ended worse"));
}

/* --- pauses, changes, limits ------------------------------------------------------------------ */

#define RESTS STAGE("stage-1", "-1", "1", "2e-3", ",'then':'pause'")

static void a_stage_may_ask_for_a_pause_after_it_once(void **state)
{
    struct fixture *f = *state;
    char plain[65], rested[65];
    fixture_run_anew(f, SPEC("", HEAD "," WHOLE), plain);
    fixture_new_run(f);
    fixture_run_ok(f, SPEC("", RESTS "," WHOLE), NULL);
    struct json *paused = fixture_event(f, "paused", 0);
    assert_true(json_bool(paused, "by_recipe", false));
    json_free(paused);
    assert_int_equal(fixture_count(f, "result"), 0);
    fixture_run_ok(f, SPEC("", RESTS "," WHOLE), NULL);
    assert_string_equal(fixture_result(f, rested), plain);
    run_in_pieces(f, SPEC("", RESTS "," WHOLE), rested);
    assert_string_equal(rested, plain);
}

static void stages_that_have_not_begun_may_be_changed_before_the_run_goes_on(void **state)
{
    struct fixture *f = *state;
    char changed[65], resumed[65];
    fixture_run_anew(f, SPEC("", HEAD "," STAGE("other", "1", "1", "5e-4", "")), changed);
    fixture_new_run(f);
    fixture_run_ok(f, SPEC("", RESTS "," WHOLE), NULL);
    buf_clear(&f->events);
    fixture_run_ok(f, SPEC("", RESTS "," STAGE("other", "1", "1", "5e-4", "")), NULL);
    assert_int_equal(fixture_count(f, "stage"), 1);
    assert_string_equal(fixture_result(f, resumed), changed);
}

static void a_time_limit_ends_the_run_with_the_model_as_it_is(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f, SPEC("'max_seconds':1e-6,", HEAD "," WHOLE), NULL);
    assert_true(told(f, "warning", "code", "time_limit"));
    assert_int_equal(fixture_count(f, "stage"), 1);
    assert_int_equal(fixture_count(f, "epoch"), 1); /* what was reached is validated */
    assert_int_equal(fixture_count(f, "result"), 1);
    assert_true(number_of(f, "result", 0, "valid_loss") > 0);
}

/* --- callbacks -------------------------------------------------------------------------------- */

#define LONG STAGE("long", "0", "9", "1e-3", "")

static void early_stop_ends_a_stage_and_the_best_model_is_kept(void **state)
{
    struct fixture *f = *state;
    const char *spec = SPEC("'early_stop':{'patience':2,'min_delta':100},"
                            "'save_best':{'monitor':'valid_loss'},",
                            LONG "," STAGE("next", "0", "1", "1e-3", ""));
    fixture_run_ok(f, spec, NULL);
    assert_int_equal(fixture_count(f, "epoch"), 3 + 1); /* the first is best, then patience 2 */
    assert_int_equal(fixture_count(f, "stage"), 2);
    assert_true(told(f, "log", "detail", "ends early"));
    double least = INFINITY;
    for (int i = 0; i < 4; i++)
        least = fmin(least, number_of(f, "epoch", i, "valid_loss"));
    assert_true(number_of(f, "result", 0, "valid_loss") == least);
    same_in_pieces(f, spec);
}

static void rates_fall_on_a_plateau_but_not_below_the_least(void **state)
{
    struct fixture *f = *state;
    const char *spec = SPEC("'reduce_on_plateau':{'patience':1,'factor':0.1,'min_delta':100,"
                            "'min_lr':5e-5},",
                            STAGE("four", "0", "4", "1e-3", ""));
    fixture_run_ok(f, spec, NULL);
    int n = fixture_count(f, "step");
    struct json *first = fixture_event(f, "step", 0), *last = fixture_event(f, "step", n - 1);
    const struct json *rate = json_at(json_get(first, "learning_rates"), 2);
    assert_true(json_as_number(rate, 0) == 1e-3);
    rate = json_at(json_get(last, "learning_rates"), 2); /* after two reductions: 1e-5 */
    assert_true(fabs(json_as_number(rate, 0) - 5e-5) < 1e-12);
    json_free(first);
    json_free(last);
    same_in_pieces(f, spec);
}

/* --- accumulation ----------------------------------------------------------------------------- */

static void accumulating_one_batch_is_no_accumulation(void **state)
{
    struct fixture *f = *state;
    char plain[65], summed[65], several[65];
    fixture_run_anew(f, SPEC("", WHOLE), plain);
    fixture_run_anew(f, SPEC("'accumulate':8,", WHOLE), summed);
    assert_string_equal(plain, summed);
    fixture_run_anew(f, SPEC("'accumulate':24,", WHOLE), several);
    assert_string_not_equal(plain, several);
}

/* Groups of three batches and, at the epoch's end, of one: pauses fall within groups, too. */
static void sums_of_gradients_survive_a_pause(void **state)
{
    same_in_pieces(*state, SPEC("'accumulate':24,", HEAD "," WHOLE));
}

/* --- the rate finder -------------------------------------------------------------------------- */

#define WITH_RATE SPEC("'lr_find':{'steps':20},", STAGE("stage-1", "0", "2", "%s", ""))

static void a_run_with_a_sweep_before_it_is_the_same_run(void **state)
{
    struct fixture *f = *state;
    char automatic[65], given[65], pieces[65], spec[1024];
    snprintf(spec, sizeof spec, WITH_RATE, "'auto'");
    fixture_run_anew(f, spec, automatic);
    assert_true(told(f, "artifact", "name", "lr_find.json"));
    struct json *curve = fixture_json(f, FINDER_FILE);
    double valley = json_number(json_get(curve, "suggestions"), "valley", NAN);
    json_free(curve);
    assert_true(valley > 1e-7 && valley < 10);
    run_in_pieces_from(f, 21, spec, pieces); /* a pause within a sweep would begin it anew */
    assert_string_equal(pieces, automatic);
    int sweeps = 0;
    for (int i = 0; i < fixture_count(f, "artifact"); i++) {
        struct json *artifact = fixture_event(f, "artifact", i);
        sweeps += strcmp(json_string(artifact, "name", ""), "lr_find.json") == 0;
        json_free(artifact);
    }
    assert_int_equal(sweeps, 1);
    char slice[80];
    snprintf(slice, sizeof slice, "{'slice':[null,%.17g]}", valley);
    snprintf(spec, sizeof spec, WITH_RATE, slice);
    fixture_run_anew(f, spec, given);
    assert_string_equal(given, automatic);
}

static void the_task_lr_find_leaves_a_curve_and_no_weights(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f, SPEC("'task':'lr_find','lr_find':{'start':1e-6,'end':1,'steps':60},", WHOLE),
                   NULL);
    struct json *curve = fixture_json(f, FINDER_FILE), *result = fixture_event(f, "result", 0);
    size_t n = json_len(json_get(curve, "losses"));
    assert_true(n >= 30 && n <= 60 && json_len(json_get(curve, "smoothed")) == n);
    assert_true(json_as_number(json_at(json_get(curve, "learning_rates"), 0), 0) == 1e-6);
    assert_null(json_get(result, "weights_sha256"));
    assert_true(fixture_count(f, "step") >= 1);
    char *final = fixture_path(f, "final");
    assert_int_not_equal(access(final, F_OK), 0);
    mem_free(final);
    json_free(curve);
    json_free(result);
}

/* Epochs follow each other until the sweep is over: two batches suffice, with a remark. */
static void the_finder_works_on_two_batches(void **state)
{
    struct fixture *f = *state;
    fixture_run_ok(f,
                   "{'model':'thaw-small','weights':'random','image':{'size':32},'batch_size':16,"
                   "'task':'lr_find','stages':[" WHOLE "]}",
                   NULL);
    struct json *curve = fixture_json(f, FINDER_FILE);
    assert_true(json_len(json_get(curve, "losses")) > 20);
    assert_true(told(f, "warning", "code", "lr_find_few_batches"));
    json_free(curve);
}

static void a_stage_whose_sweep_finds_nothing_is_refused_with_advice(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_run(f,
                                 SPEC("'lr_find':{'start':5,'end':100,'steps':20},",
                                      STAGE("stage-1", "0", "1", "'auto'", "")),
                                 NULL),
                     E_INVALID);
    assert_string_equal(f->err.code, "lr_find_failed");
    assert_string_equal(f->err.pointer, "/stages/0/lr");
}

/* --- cached features -------------------------------------------------------------------------- */

static void cached_features_are_told_and_survive_pauses(void **state)
{
    struct fixture *f = *state;
    const char *spec = SPEC("'feature_cache':{'views':1},'frozen_batchnorm':'eval',",
                            STAGE("stage-1", "-1", "4", "2e-3", "") "," WHOLE);
    fixture_run_ok(f, spec, NULL);
    assert_true(number_of(f, "stage", 0, "cached_views") == 1);
    assert_true(isnan(number_of(f, "stage", 1, "cached_views")));
    assert_true(told(f, "log", "detail", "Cached features saved"));
    same_in_pieces(f, spec);
}

/* --- what never matters, what always does ----------------------------------------------------- */

static void the_number_of_loader_threads_never_matters(void **state)
{
    struct fixture *f = *state;
    char first[65], other[65];
    fixture_run_anew(f, SPEC("", HEAD "," WHOLE), first);
    static const int threads[] = {1, 5};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        f->loader_threads = threads[i];
        fixture_run_anew(f, SPEC("", HEAD "," WHOLE), other);
        assert_string_equal(first, other);
    }
}

static void flip_a_bit_of_the_newest(const struct fixture *f)
{
    char *a = fixture_path(f, "resume-a"), *b = fixture_path(f, "resume-b");
    struct stat of_a, of_b;
    assert_true(stat(a, &of_a) == 0 && stat(b, &of_b) == 0);
    bool newer = of_a.st_mtim.tv_sec != of_b.st_mtim.tv_sec
                     ? of_a.st_mtim.tv_sec > of_b.st_mtim.tv_sec
                     : of_a.st_mtim.tv_nsec > of_b.st_mtim.tv_nsec;
    int fd = open(newer ? a : b, O_RDWR | O_CLOEXEC);
    off_t at = (newer ? of_a : of_b).st_size / 2;
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
    mem_free(a);
    mem_free(b);
}

static void a_resume_file_damaged_on_disk_is_passed_over_for_the_one_before(void **state)
{
    struct fixture *f = *state;
    char whole[65], resumed[65];
    const char *spec = SPEC("", HEAD "," WHOLE);
    fixture_run_anew(f, spec, whole);
    fixture_new_run(f);
    f->request = TRAINER_PAUSE;
    for (int at = 3; at <= 4; at++) { /* two files */
        f->request_at = at;
        fixture_run_ok(f, spec, NULL);
    }
    flip_a_bit_of_the_newest(f);
    f->request_at = 0;
    fixture_run_ok(f, spec, NULL);
    assert_true(told(f, "warning", "code", "checkpoint_passed_over"));
    assert_true(told(f, "warning", "detail", "damaged"));
    assert_string_equal(fixture_result(f, resumed), whole);
}

int main(void)
{
#define WITH_DATA(test) cmocka_unit_test_setup_teardown(test, set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_DATA(a_stage_has_its_own_size_batch_and_sample),
        WITH_DATA(a_fresh_stage_starts_from_the_starting_weights_and_the_same_head),
        WITH_DATA(fractions_of_the_data_leave_a_learning_curve),
        WITH_DATA(a_stage_that_ends_worse_than_the_one_before_is_told),
        WITH_DATA(a_stage_may_ask_for_a_pause_after_it_once),
        WITH_DATA(stages_that_have_not_begun_may_be_changed_before_the_run_goes_on),
        WITH_DATA(a_time_limit_ends_the_run_with_the_model_as_it_is),
        WITH_DATA(early_stop_ends_a_stage_and_the_best_model_is_kept),
        WITH_DATA(rates_fall_on_a_plateau_but_not_below_the_least),
        WITH_DATA(accumulating_one_batch_is_no_accumulation),
        WITH_DATA(sums_of_gradients_survive_a_pause),
        WITH_DATA(a_run_with_a_sweep_before_it_is_the_same_run),
        WITH_DATA(the_task_lr_find_leaves_a_curve_and_no_weights),
        WITH_DATA(the_finder_works_on_two_batches),
        WITH_DATA(a_stage_whose_sweep_finds_nothing_is_refused_with_advice),
        WITH_DATA(cached_features_are_told_and_survive_pauses),
        WITH_DATA(the_number_of_loader_threads_never_matters),
        WITH_DATA(a_resume_file_damaged_on_disk_is_passed_over_for_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
