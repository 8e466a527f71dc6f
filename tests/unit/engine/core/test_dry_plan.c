/* Dry plans: everything that is said of a plan, without the memory that it would take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/core/plan.h"

#define BATCH 4
#define SIDE  12

/* A strided convolution with norm, a depthwise one, and a linear layer as the head. */
static struct graph *small_net(void)
{
    struct graph *g = graph_new();
    int x =
        graph_batchnorm(g, graph_conv(g, graph_input(g, 3), "conv1", 16, 3, 2, 1, false), "bn1");
    graph_begin_group(g, 1);
    x = graph_depthwise(g, graph_relu(g, x), "conv2", 1);
    x = graph_global_average_pool(g, graph_relu(g, graph_batchnorm(g, x, "bn2")));
    graph_begin_group(g, 2);
    graph_set_output(g, graph_linear(g, x, "fc", 5, true));
    return g;
}

static struct plan *new_plan(struct graph *g, enum plan_mode mode, int frozen, bool dry)
{
    struct plan_options options = {.mode = mode,
                                   .batch = BATCH,
                                   .height = SIDE,
                                   .width = SIDE,
                                   .frozen_groups = frozen,
                                   .dry = dry};
    struct plan *plan = NULL;
    struct err err = {0};
    if (plan_new(g, &options, &plan, &err) != OK)
        fail_msg("%s", err.detail);
    return plan;
}

static void a_dry_plan_says_what_the_real_one_says(void **state)
{
    (void)state;
    for (int frozen = 0; frozen < 3; frozen++) {
        struct graph *a = small_net(), *b = small_net();
        for (int i = 0; i < b->n_params; i++)
            param_init(b->params[i], 7);
        struct plan *dry = new_plan(a, PLAN_TRAIN, frozen, true);
        struct plan *real = new_plan(b, PLAN_TRAIN, frozen, false);
        char one[65], other[65];
        plan_hash(dry, one);
        plan_hash(real, other);
        assert_string_equal(one, other);
        assert_int_equal(plan_bytes(dry), plan_bytes(real));
        for (int i = 0; i < a->n_params; i++) {
            assert_int_equal(a->params[i]->trainable, b->params[i]->trainable);
            assert_int_equal(a->params[i]->n_stored, b->params[i]->n_stored);
            assert_null(a->params[i]->parts[PARAM_GRADIENT]);
        }
        plan_free(dry);
        plan_free(real);
        graph_free(a);
        graph_free(b);
    }
}

/* By hand: products of one picture, layer by layer. */
static void flops_count_what_runs_forward_and_backward(void **state)
{
    (void)state;
    const double conv1 = 36 * 16 * 27, conv2 = 36 * 16 * 9, fc = 16 * 5, each = 2 * BATCH;
    struct graph *g = small_net();
    static const struct {
        enum plan_mode mode;
        int frozen, conv1, conv2, fc; /* passes through each */
    } cases[] = {
        {PLAN_INFER, 0, 1, 1, 1},
        {PLAN_TRAIN, 0, 2, 3, 3},
        {PLAN_TRAIN, 1, 1, 2, 3},
        {PLAN_TRAIN, 2, 1, 1, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan *plan = new_plan(g, cases[i].mode, cases[i].frozen, true);
        double expected =
            each * (cases[i].conv1 * conv1 + cases[i].conv2 * conv2 + cases[i].fc * fc);
        assert_true(plan_flops(plan) == expected);
        plan_free(plan);
    }
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dry_plan_says_what_the_real_one_says),
        cmocka_unit_test(flops_count_what_runs_forward_and_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
