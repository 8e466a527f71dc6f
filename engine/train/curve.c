#include "engine/train/curve.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/train/curve_file.h"
#include "engine/train/power_law.h"

#define LOW  .025
#define HIGH .975

/* --- Resampling ------------------------------------------------------------------------------- */

/* For a resample it matters only how often each pattern of right and wrong (one bit a fraction)
 * is drawn. */
struct bootstrap {
    int n_points;
    int64_t items;
    uint64_t *patterns; /* owned; (n_patterns) the different ones, ascending */
    size_t n_patterns;
    uint32_t *pattern_of;                 /* owned; (items) */
    double (*accuracy)[CURVE_MAX_POINTS]; /* owned; (CURVE_RESAMPLES, points) */
};

static int compare_patterns(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static uint64_t pattern_at(const struct curve_file *points, int n_points, int64_t item)
{
    uint64_t pattern = 0;
    for (int k = 0; k < n_points; k++)
        pattern |= (uint64_t)curve_file_bit(&points[k], item) << k;
    return pattern;
}

static void list_patterns(struct bootstrap *bootstrap, const struct curve_file *points)
{
    for (int64_t i = 0; i < bootstrap->items; i++)
        bootstrap->patterns[i] = pattern_at(points, bootstrap->n_points, i);
    qsort(bootstrap->patterns, (size_t)bootstrap->items, sizeof(uint64_t), compare_patterns);
    for (int64_t i = 0; i < bootstrap->items; i++)
        if (i == 0 || bootstrap->patterns[i] != bootstrap->patterns[bootstrap->n_patterns - 1])
            bootstrap->patterns[bootstrap->n_patterns++] = bootstrap->patterns[i];
    for (int64_t i = 0; i < bootstrap->items; i++) {
        uint64_t pattern = pattern_at(points, bootstrap->n_points, i);
        const uint64_t *found = bsearch(&pattern, bootstrap->patterns, bootstrap->n_patterns,
                                        sizeof pattern, compare_patterns);
        bootstrap->pattern_of[i] = (uint32_t)(found - bootstrap->patterns);
    }
}

static void bootstrap_deinit(struct bootstrap *bootstrap)
{
    mem_free(bootstrap->patterns);
    mem_free(bootstrap->pattern_of);
    mem_free(bootstrap->accuracy);
}

static enum status bootstrap_init(struct bootstrap *bootstrap, const struct curve_file *points,
                                  int n_points, struct err *err)
{
    *bootstrap = (struct bootstrap){.n_points = n_points, .items = points[0].items};
    bootstrap->accuracy = mem_alloc(CURVE_RESAMPLES * sizeof *bootstrap->accuracy);
    void *block;
    size_t n = (size_t)bootstrap->items;
    enum status status = mem_try_alloc(n, sizeof(uint64_t), "the learning curve", &block, err);
    if (status != OK)
        return status;
    bootstrap->patterns = block;
    status = mem_try_alloc(n, sizeof(uint32_t), "the learning curve", &block, err);
    if (status != OK)
        return status;
    bootstrap->pattern_of = block;
    list_patterns(bootstrap, points);
    return OK;
}

/* Counts (patterns) are the caller's, zeroed. */
static void draw_resample(const struct bootstrap *bootstrap, uint64_t seed, int resample,
                          uint32_t *counts)
{
    struct rng rng = rng_stream("bootstrap", seed, (uint64_t)resample, 0);
    for (int64_t i = 0; i < bootstrap->items; i++)
        counts[bootstrap->pattern_of[rng_below(&rng, (uint32_t)bootstrap->items)]]++;
    for (int k = 0; k < bootstrap->n_points; k++) {
        int64_t right = 0;
        for (size_t p = 0; p < bootstrap->n_patterns; p++)
            right += bootstrap->patterns[p] >> k & 1 ? counts[p] : 0;
        bootstrap->accuracy[resample][k] = (double)right / (double)bootstrap->items;
    }
}

/* Each resample has its own stream: threads change nothing. */
static void draw_all(const struct bootstrap *bootstrap, uint64_t seed)
{
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < CURVE_RESAMPLES; i++) {
        uint32_t *counts = mem_alloc(bootstrap->n_patterns * sizeof *counts);
        draw_resample(bootstrap, seed, i, counts);
        mem_free(counts);
    }
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* Of sorted values, linear between two, as numpy.percentile. */
static double quantile(const double *sorted, int n, double q)
{
    double at = q * (n - 1);
    int below = (int)floor(at);
    int above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

static void set_interval(struct json *json, double *values)
{
    qsort(values, CURVE_RESAMPLES, sizeof *values, compare_doubles);
    json_set_number(json, "low", quantile(values, CURVE_RESAMPLES, LOW));
    json_set_number(json, "high", quantile(values, CURVE_RESAMPLES, HIGH));
}

/* --- The report ------------------------------------------------------------------------------- */

static double accuracy_of(const struct curve_file *point)
{
    int64_t right = 0;
    for (int64_t i = 0; i < point->items; i++)
        right += curve_file_bit(point, i);
    return (double)right / (double)point->items;
}

static void add_points(struct json *curve, const struct bootstrap *bootstrap,
                       const struct curve_file *points)
{
    struct json *list = json_set_array(curve, "learning_curve");
    double *values = mem_alloc(CURVE_RESAMPLES * sizeof *values);
    for (int k = 0; k < bootstrap->n_points; k++) {
        for (int i = 0; i < CURVE_RESAMPLES; i++)
            values[i] = bootstrap->accuracy[i][k];
        struct json *json = json_add_object(list);
        json_set_number(json, "fraction", points[k].point.fraction);
        json_set_integer(json, "n_train", points[k].point.n_train);
        json_set_number(json, "accuracy", accuracy_of(&points[k]));
        set_interval(json, values);
    }
    mem_free(values);
}

static struct power_law fit(const struct curve_file *points, int n_points, const double *accuracy)
{
    double n[CURVE_MAX_POINTS], error[CURVE_MAX_POINTS];
    for (int k = 0; k < n_points; k++) {
        n[k] = (double)points[k].point.n_train;
        error[k] = 1 - accuracy[k];
    }
    return power_law_fit(n, error, n_points);
}

/* The accuracy that a law promises, which is no less than none. */
static double promised(const struct power_law *law, double n)
{
    return fmax(0, 1 - power_law_error(law, n));
}

/* The fitted curve passes beside the last point: only a difference along it is a promise. */
static void set_detail(struct json *law, const struct json *twice, double now)
{
    char *detail = mem_printf(
        "Twice the training data (%lld items) raises the fitted curve by %.3f, to an accuracy of "
        "about %.3f (%.3f to %.3f by resampling the validation items); measured now: %.3f.",
        (long long)json_integer(twice, "n_train", 0), json_number(twice, "gain", 0),
        json_number(twice, "accuracy", 0), json_number(twice, "low", 0),
        json_number(twice, "high", 0), now);
    json_set_string(law, "detail", detail);
    mem_free(detail);
}

static void add_law(struct json *curve, const struct bootstrap *bootstrap,
                    const struct curve_file *points)
{
    int n = bootstrap->n_points;
    if (n < POWER_LAW_POINTS) {
        json_set_null(curve, "power_law");
        return;
    }
    double accuracy[CURVE_MAX_POINTS], all = (double)points[n - 1].point.n_train;
    double doubled = 2 * all;
    for (int k = 0; k < n; k++)
        accuracy[k] = accuracy_of(&points[k]);
    struct power_law law = fit(points, n, accuracy);
    double *values = mem_alloc(CURVE_RESAMPLES * sizeof *values);
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < CURVE_RESAMPLES; i++) {
        struct power_law other = fit(points, n, bootstrap->accuracy[i]);
        values[i] = promised(&other, doubled);
    }
    struct json *json = json_set_object(curve, "power_law");
    json_set_number(json, "a", law.a);
    json_set_number(json, "b", law.b);
    json_set_number(json, "c", law.c);
    struct json *twice = json_set_object(json, "twice");
    json_set_integer(twice, "n_train", (int64_t)doubled);
    json_set_number(twice, "accuracy", promised(&law, doubled));
    json_set_number(twice, "gain", promised(&law, doubled) - promised(&law, all));
    set_interval(twice, values);
    set_detail(json, twice, accuracy[n - 1]);
    mem_free(values);
}

static enum status check_points(const struct curve_file *points, int n_points, struct err *err)
{
    for (int k = 1; k < n_points; k++)
        if (points[k].items != points[0].items)
            return err_set(err, E_INVALID,
                           "The learning curve's fractions were validated on %lld and %lld items: "
                           "they cannot be compared.",
                           (long long)points[0].items, (long long)points[k].items);
    return OK;
}

enum status curve_report(const char *folder, const char *run_sha256, int n_points, uint64_t seed,
                         struct json **curve, struct err *err)
{
    struct curve_file *points = mem_alloc(CURVE_MAX_POINTS * sizeof *points);
    struct bootstrap bootstrap = {0};
    enum status status = n_points < 1 || n_points > CURVE_MAX_POINTS
                             ? err_set(err, E_INTERNAL, "A learning curve of %d points.", n_points)
                             : OK;
    int n_read = 0;
    while (status == OK && n_read < n_points) {
        status = curve_file_read(&points[n_read], folder, run_sha256, n_read, err);
        n_read++;
    }
    if (status == OK)
        status = check_points(points, n_points, err);
    if (status == OK)
        status = bootstrap_init(&bootstrap, points, n_points, err);
    if (status == OK) {
        draw_all(&bootstrap, seed);
        *curve = json_new_object();
        add_points(*curve, &bootstrap, points);
        add_law(*curve, &bootstrap, points);
    }
    for (int i = 0; i < n_read; i++)
        curve_file_close(&points[i]);
    bootstrap_deinit(&bootstrap);
    mem_free(points);
    return status;
}
