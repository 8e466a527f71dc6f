/* The learning curve: what is on disk comes back, the bootstrap is a binomial's, the fit is
 * scipy's. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/train/curve.h"
#include "engine/train/power_law.h"
#include "tests/unit/engine/train/golden.h"

#define RUN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int folder_make(void **state)
{
    static char folder[32];
    snprintf(folder, sizeof folder, "/tmp/thaw-test-XXXXXX");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
    struct err err;
    return fs_remove_tree(*state, &err) == OK ? 0 : -1;
}

/* `right` of n items are right: always the first ones, so that fractions agree on most. */
static void save(const char *folder, int index, int64_t n_train, int64_t right, int64_t n)
{
    struct curve_bits bits;
    struct err err = {0};
    struct curve_point point = {index, (double)n_train / 1000, n_train};
    assert_int_equal(curve_bits_init(&bits, n, &err), OK);
    for (int64_t i = 0; i < n; i++)
        curve_bits_push(&bits, i < right);
    if (curve_save(folder, RUN, &point, &bits, &err) != OK)
        fail_msg("%s", err.detail);
    curve_bits_deinit(&bits);
}

static struct json *report(const char *folder, int n_points, uint64_t seed)
{
    struct json *curve = NULL;
    struct err err = {0};
    if (curve_report(folder, RUN, n_points, seed, &curve, &err) != OK)
        fail_msg("%s", err.detail);
    return curve;
}

static double of(const struct json *list, size_t index, const char *name)
{
    return json_number(json_at(list, index), name, NAN);
}

static void near(double actual, double expected, double within)
{
    if (!(fabs(actual - expected) <= within))
        fail_msg("%.17g is not %.17g", actual, expected);
}

static void a_point_says_how_many_items_were_right(void **state)
{
    const float logits[] = {2, 1, 0, 0, 1, 2, 5, 5, 5};
    const int32_t labels[] = {0, 1, 0}; /* right, wrong, right: a tie goes to the first */
    struct curve_bits bits;
    struct err err = {0};
    struct curve_point point = {0, .5, 100};
    assert_int_equal(curve_bits_init(&bits, 3, &err), OK);
    curve_bits_add(&bits, logits, labels, 3, 3);
    assert_int_equal(curve_save(*state, RUN, &point, &bits, &err), OK);
    struct json *curve = report(*state, 1, 1);
    const struct json *list = json_get(curve, "learning_curve");
    assert_int_equal(json_len(list), 1);
    near(of(list, 0, "accuracy"), 2. / 3, 1e-15);
    near(of(list, 0, "fraction"), .5, 0);
    near(of(list, 0, "n_train"), 100, 0);
    assert_int_equal(json_type(json_get(curve, "power_law")), JSON_NULL);
    json_free(curve);
    curve_bits_deinit(&bits);
}

/* A resample of a share p of n is a binomial: its quantiles are known. With 1000 resamples the
 * 2.5th percentile wavers by about a fifth of the standard deviation. */
static void the_interval_is_that_of_a_binomial(void **state)
{
    enum { N = 400, RIGHT = 320 };
    double deviation = sqrt(.8 * .2 / N);
    save(*state, 0, 100, RIGHT, N);
    save(*state, 1, 200, N, N);
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct json *curve = report(*state, 2, seed);
        const struct json *list = json_get(curve, "learning_curve");
        near(of(list, 0, "low"), .8 - 1.96 * deviation, .3 * deviation);
        near(of(list, 0, "high"), .8 + 1.96 * deviation, .3 * deviation);
        near(of(list, 1, "low"), 1, 0); /* nothing to resample: all are right */
        near(of(list, 1, "high"), 1, 0);
        json_free(curve);
    }
}

static void the_same_seed_draws_the_same_curve(void **state)
{
    for (int k = 0; k < 5; k++)
        save(*state, k, 50 << k, 500 + 60 * k, 1000);
    struct json *one = report(*state, 5, 3), *again = report(*state, 5, 3);
    struct json *other = report(*state, 5, 4);
    assert_true(json_equal(one, again));
    assert_false(json_equal(one, other));
    json_free(one);
    json_free(again);
    json_free(other);
}

static void four_fractions_say_what_twice_the_data_would_bring(void **state)
{
    /* error = .1 + 4 n^-.5 at 100, 400, 1600, 6400 */
    static const int errors[] = {500, 300, 200, 150};
    for (int k = 0; k < 4; k++)
        save(*state, k, 100 << 2 * k, 1000 - errors[k], 1000);
    struct json *curve = report(*state, 4, 1);
    const struct json *law = json_get(curve, "power_law"), *twice = json_get(law, "twice");
    near(json_number(law, "a", NAN), .1, 1e-6);
    near(json_number(law, "b", NAN), 4, 1e-4);
    near(json_number(law, "c", NAN), .5, 1e-6);
    near(json_number(twice, "n_train", NAN), 12800, 0);
    double expected = 1 - (.1 + 4 / sqrt(12800));
    near(json_number(twice, "accuracy", NAN), expected, 1e-6);
    near(json_number(twice, "gain", NAN), 4 / sqrt(6400) - 4 / sqrt(12800), 1e-6);
    double low = json_number(twice, "low", NAN), high = json_number(twice, "high", NAN);
    assert_true(low < expected && expected < high && high - low < .1);
    assert_non_null(strstr(json_string(law, "detail", ""), "12800"));
    json_free(curve);
}

static void fits_are_the_best_that_scipy_finds(void **state)
{
    (void)state;
    struct json *all = golden_read("report.json");
    json_each(fit, json_get(all, "power_law"))
    {
        double n[8], error[8], squares = 0, largest = 0;
        int count = 0;
        json_each(value, json_get(fit, "n")) n[count++] = json_as_number(value, NAN);
        count = 0;
        json_each(value, json_get(fit, "error")) error[count++] = json_as_number(value, NAN);
        struct power_law law = power_law_fit(n, error, count);
        for (int i = 0; i < count; i++) {
            squares += pow(power_law_error(&law, n[i]) - error[i], 2);
            largest = fmax(largest, n[i]);
        }
        double best = json_number(fit, "squares", NAN);
        assert_true(law.a >= 0 && law.b >= 0 && law.c >= .05 && law.c <= 2);
        if (squares > best * (1 + 1e-6) + 1e-14)
            fail_msg("%g squares instead of %g at %g points", squares, best, n[0]);
        near(power_law_error(&law, 2 * largest), json_number(fit, "twice", NAN), 1e-4);
    }
    json_free(all);
}

static void overwrite(const char *folder, const char *name, long at, const char *bytes)
{
    char *path = mem_printf("%s/%s", folder, name);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), (ssize_t)strlen(bytes));
    close(fd);
    mem_free(path);
}

static void refused(const char *folder, const char *run, int n_points, const char *why)
{
    struct json *curve = NULL;
    struct err err = {0};
    assert_int_not_equal(curve_report(folder, run, n_points, 1, &curve, &err), OK);
    if (!strstr(err.detail, why))
        fail_msg("\"%s\" does not say \"%s\"", err.detail, why);
}

static void files_that_cannot_be_trusted_are_refused_by_name(void **state)
{
    save(*state, 0, 100, 50, 100);
    save(*state, 1, 200, 60, 100);
    refused(*state, RUN, 3, "curve-2.bits");
    refused(*state, "another", 2, "another run");
    save(*state, 2, 400, 60, 99);
    refused(*state, RUN, 3, "cannot be compared");
    char *path = mem_printf("%s/curve-1.bits", (const char *)*state);
    uint64_t size;
    struct err err;
    assert_int_equal(fs_file_size(path, &size, &err), OK);
    overwrite(*state, "curve-1.bits", (long)size - 1, "x");
    refused(*state, RUN, 2, "damaged");
    assert_int_equal(truncate(path, 20), 0);
    refused(*state, RUN, 2, "curve-1.bits");
    mem_free(path);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(a_point_says_how_many_items_were_right),
        IN_A_FOLDER(the_interval_is_that_of_a_binomial),
        IN_A_FOLDER(the_same_seed_draws_the_same_curve),
        IN_A_FOLDER(four_fractions_say_what_twice_the_data_would_bring),
        cmocka_unit_test(fits_are_the_best_that_scipy_finds),
        IN_A_FOLDER(files_that_cannot_be_trusted_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
