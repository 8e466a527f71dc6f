/* Philox against its authors' vectors, and what the streams promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* kat_vectors of Random123 1.09: philox4x32, 10 rounds. */
static void philox_gives_the_published_vectors(void **state)
{
    (void)state;
    static const struct {
        uint64_t low, high;
        uint32_t key[2], out[4];
    } vectors[] = {
        {0, 0, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX,
         UINT64_MAX,
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x85a308d3243f6a88,
         0x0370734413198a2e,
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        struct rng rng = {.key = {vectors[i].key[0], vectors[i].key[1]},
                          .stream = {vectors[i].high},
                          .counter = vectors[i].low,
                          .used = 4};
        for (int k = 0; k < 4; k++)
            assert_int_equal(rng_u32(&rng), vectors[i].out[k]);
    }
}

static void many_floats_are_those_that_come_one_by_one(void **state)
{
    (void)state;
    enum { MOST = 200 };
    float many[MOST];
    for (int before = 0; before < 6; before++)
        for (int n = 0; n <= MOST; n += 1 + n / 8) {
            struct rng one = rng_stream("floats", 7, 1, 2), other = one;
            for (int i = 0; i < before; i++)
                assert_int_equal(rng_u32(&one), rng_u32(&other));
            rng_floats(&other, many, (size_t)n);
            for (int i = 0; i < n; i++)
                assert_true(many[i] == rng_float(&one));
            assert_int_equal(rng_u32(&one), rng_u32(&other));
        }
}

static void a_stream_depends_on_its_name_and_numbers_alone(void **state)
{
    (void)state;
    struct rng first = rng_stream("augment", 42, 3, 17), again = rng_stream("augment", 42, 3, 17);
    uint64_t value = rng_u64(&first);
    assert_true(value == rng_u64(&again));
    const struct rng others[] = {
        rng_stream("dropout", 42, 3, 17),
        rng_stream("augment", 43, 3, 17),
        rng_stream("augment", 42, 4, 17),
        rng_stream("augment", 42, 3, 18),
        rng_stream("augment", 42, 17, 3),
        rng_stream("augment", 42, 3 + (1ull << 32), 17),
        rng_stream("augment", 42, 3, 17 + (1ull << 32)),
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct rng other = others[i];
        assert_false(rng_u64(&other) == value);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(&others[i], &others[k], sizeof(others[i]));
    }
}

/* The checkpoints and golden files of every release rest on these values. */
static void the_values_of_a_stream_never_change(void **state)
{
    (void)state;
    struct rng rng = rng_stream("augment", 42, 3, 17);
    const uint32_t expected[] = {0x11392558, 0xc0fedb21, 0xd1c6617b,
                                 0xe3f984e6, 0xa5b55779, 0x4d59097b};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(rng_u32(&rng), expected[i]);
}

static void below_is_uniform_and_in_range(void **state)
{
    (void)state;
    struct rng rng = rng_stream("test", 1, 0, 0);
    int counts[7] = {0};
    for (int i = 0; i < 70000; i++)
        counts[rng_below(&rng, 7)]++;
    double chi2 = 0;
    for (int i = 0; i < 7; i++)
        chi2 += (counts[i] - 10000.0) * (counts[i] - 10000.0) / 10000.0;
    assert_true(chi2 < 22.5); /* 6 degrees of freedom, p = .001 */
    assert_int_equal(rng_below(&rng, 1), 0);
    /* Two thirds of 2^32: without the redraw, the lower half would come up twice as often. */
    int low = 0;
    for (int i = 0; i < 30000; i++)
        low += rng_below(&rng, 0xaaaaaaab) < 0x55555555;
    assert_true(low > 14500 && low < 15500);
}

static void floats_lie_in_0_to_1(void **state)
{
    (void)state;
    struct rng rng = rng_stream("test", 2, 0, 0);
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        float x = rng_float(&rng);
        assert_true(x >= 0 && x < 1);
        double y = rng_uniform(&rng, -3, 5);
        assert_true(y >= -3 && y < 5);
        sum += x + (y + 3) / 8;
    }
    assert_true(fabs(sum / 200000 - .5) < .005);
}

static void normals_have_the_moments_of_a_normal(void **state)
{
    (void)state;
    struct rng rng = rng_stream("test", 3, 0, 0);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    const int n = 200000;
    for (int i = 0; i < n; i++) {
        double x = rng_normal(&rng);
        assert_true(isfinite(x));
        m1 += x / n;
        m2 += x * x / n;
        m3 += x * x * x / n;
        m4 += x * x * x * x / n;
    }
    assert_true(fabs(m1) < .01 && fabs(m2 - 1) < .02 && fabs(m3) < .05 && fabs(m4 - 3) < .1);
}

static void a_shuffle_is_a_permutation_and_every_place_is_likely(void **state)
{
    (void)state;
    int first_of[5] = {0};
    for (uint32_t round = 0; round < 5000; round++) {
        struct rng rng = rng_stream("shuffle", 9, round, 0);
        uint32_t items[5] = {0, 1, 2, 3, 4}, seen = 0;
        rng_shuffle(&rng, items, 5);
        for (int i = 0; i < 5; i++)
            seen |= 1u << items[i];
        assert_int_equal(seen, 31);
        first_of[items[0]]++;
    }
    for (int i = 0; i < 5; i++)
        assert_true(first_of[i] > 850 && first_of[i] < 1150);
    struct rng rng = rng_stream("shuffle", 9, 0, 0);
    rng_shuffle(&rng, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_vectors),
        cmocka_unit_test(many_floats_are_those_that_come_one_by_one),
        cmocka_unit_test(a_stream_depends_on_its_name_and_numbers_alone),
        cmocka_unit_test(the_values_of_a_stream_never_change),
        cmocka_unit_test(below_is_uniform_and_in_range),
        cmocka_unit_test(floats_lie_in_0_to_1),
        cmocka_unit_test(normals_have_the_moments_of_a_normal),
        cmocka_unit_test(a_shuffle_is_a_permutation_and_every_place_is_likely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
