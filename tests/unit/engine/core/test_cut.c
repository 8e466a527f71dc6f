/* Plans of a part of a network: where it can be cut, and that two parts do what the whole does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/core/plan.h"
#include "engine/op/xent.h"

#define BATCH   4
#define SIDE    12
#define CLASSES 3

enum norm { WITH_NORM, WITHOUT_NORM };

static int conv(struct graph *g, int x, const char *name, enum norm norm)
{
    char norm_name[16];
    snprintf(norm_name, sizeof norm_name, "bn-%s", name);
    x = graph_conv(g, x, name, 16, 3, 1, 1, norm == WITHOUT_NORM);
    return norm == WITH_NORM ? graph_batchnorm(g, x, norm_name) : x;
}

/* Two groups of body, the second with a residual block, and a head. */
static struct graph *small_net(enum norm norm, bool dropout_first)
{
    struct graph *g = graph_new();
    int x = graph_relu(g, conv(g, graph_input(g, 3), "conv1", norm));
    if (dropout_first)
        x = graph_dropout(g, x, .5f);
    graph_begin_group(g, 1);
    int y = graph_relu(g, conv(g, x, "conv2", norm));
    x = graph_relu(g, graph_add(g, conv(g, y, "conv3", norm), x));
    graph_begin_group(g, 2);
    x = graph_batchnorm(g, graph_concat_pool(g, x), "head.2");
    graph_set_output(g, graph_linear(g, graph_dropout(g, x, .25f), "head.8", CLASSES, true));
    for (int i = 0; i < g->n_params; i++)
        param_init(g->params[i], 7);
    return g;
}

static struct plan_options train_options(int frozen, bool norm_trains)
{
    return (struct plan_options){.mode = PLAN_TRAIN,
                                 .batch = BATCH,
                                 .height = SIDE,
                                 .width = SIDE,
                                 .frozen_groups = frozen,
                                 .frozen_norm_trains = norm_trains};
}

static struct plan *new_plan(struct graph *g, struct plan_options options)
{
    struct plan *plan = NULL;
    struct err err = {0};
    if (plan_new(g, &options, &plan, &err) != OK)
        fail_msg("%s", err.detail);
    return plan;
}

static void expect_cut(struct graph *g, int frozen, bool norm_trains, enum op_kind op, int64_t row)
{
    const char *why = NULL;
    struct plan_options options = train_options(frozen, norm_trains);
    int cut = plan_find_cut(g, &options, &why);
    if (cut == NODE_NONE)
        fail_msg("%s", why);
    assert_int_equal(g->nodes[cut].op, op);
    options.input_node = cut;
    struct plan *plan = new_plan(g, options);
    assert_int_equal(plan_input_row(plan), row);
    plan_free(plan);
}

static void expect_none(struct graph *g, int frozen, bool norm_trains, const char *because)
{
    const char *why = NULL;
    struct plan_options options = train_options(frozen, norm_trains);
    assert_int_equal(plan_find_cut(g, &options, &why), NODE_NONE);
    assert_non_null(strstr(why, because));
}

static void the_cut_is_where_the_constant_part_ends(void **state)
{
    (void)state;
    struct graph *normed = small_net(WITH_NORM, false), *plain = small_net(WITHOUT_NORM, false);
    expect_cut(normed, 2, false, OP_CONCAT_POOL, 32);
    expect_cut(normed, 1, false, OP_ACTIVATION, SIDE * SIDE * 16);
    expect_cut(plain, 2, true, OP_CONCAT_POOL, 32);
    expect_none(normed, 0, false, "no layer group is frozen");
    expect_none(normed, 2, true, "batch norm");
    graph_free(normed);
    graph_free(plain);
}

/* Frozen or not, a dropout draws anew at each step: what it reads is the last that is constant. */
static void nothing_random_is_below_the_cut(void **state)
{
    (void)state;
    struct graph *g = small_net(WITHOUT_NORM, true);
    expect_cut(g, 2, false, OP_ACTIVATION, SIDE * SIDE * 16);
    graph_free(g);
}

static void a_value_read_from_both_sides_is_no_cut(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    int a = graph_relu(g, graph_conv(g, graph_input(g, 3), "a", 16, 3, 1, 1, true));
    int b = graph_relu(g, graph_conv(g, a, "b", 16, 3, 1, 1, true));
    graph_begin_group(g, 1);
    int c = graph_add(g, graph_conv(g, b, "c", 16, 3, 1, 1, true), a);
    graph_set_output(g, graph_linear(g, graph_global_average_pool(g, c), "d", 2, true));
    for (int i = 0; i < g->n_params; i++)
        param_init(g->params[i], 7);
    expect_none(g, 1, false, "no single output");
    struct plan_options options = train_options(1, false);
    struct plan *plan;
    struct err err = {0};
    options.input_node = b;
    assert_int_equal(plan_new(g, &options, &plan, &err), E_INTERNAL);
    assert_non_null(strstr(err.detail, "is needed too"));
    graph_free(g);
}

static void a_plan_may_not_begin_above_what_it_trains(void **state)
{
    (void)state;
    struct graph *g = small_net(WITH_NORM, false);
    const char *why;
    struct plan_options options = train_options(2, false);
    options.input_node = plan_find_cut(g, &options, &why);
    options.frozen_groups = 1;
    struct plan *plan;
    struct err err = {0};
    assert_int_equal(plan_new(g, &options, &plan, &err), E_INTERNAL);
    assert_non_null(strstr(err.detail, "something below trains"));
    graph_free(g);
}

static double train(struct plan *plan)
{
    static const int32_t labels[BATCH] = {0, 1, 2, 1};
    plan_forward(plan, 3, 5);
    double loss =
        xent_loss(plan_output(plan), labels, BATCH, CLASSES, plan_output_gradient(plan), NULL);
    plan_backward(plan);
    return loss;
}

/* Every gradient of the graph, one after the other; statistics too. */
static float *copy_gradients(const struct graph *g, size_t *n)
{
    *n = 0;
    for (int i = 0; i < g->n_params; i++)
        *n += g->params[i]->n_elements;
    float *all = mem_alloc(*n * sizeof *all), *at = all;
    for (int i = 0; i < g->n_params; at += g->params[i++]->n_elements)
        param_read(g->params[i], param_is_statistic(g->params[i]) ? PARAM_VALUE : PARAM_GRADIENT,
                   at);
    return all;
}

static void fill_input(struct plan *plan)
{
    struct rng rng = rng_stream("input", 1, 0, 0);
    for (int i = 0; i < BATCH * SIDE * SIDE * 3; i++)
        plan_input(plan)[i] = (float)rng_normal(&rng);
}

/* Losses, gradients and running statistics of a whole plan and of one that is cut, to the bit. */
static void compare_with_whole(enum norm norm, int frozen)
{
    const char *why;
    size_t n;
    struct graph *g = small_net(norm, false);
    struct plan_options options = train_options(frozen, false);
    struct plan *whole = new_plan(g, options);
    fill_input(whole);
    double loss = train(whole);
    float *expected = copy_gradients(g, &n);
    plan_free(whole);
    graph_free(g);

    g = small_net(norm, false);
    struct plan_options prefix_options = options;
    options.input_node = plan_find_cut(g, &options, &why);
    prefix_options.mode = PLAN_INFER;
    prefix_options.output_node = options.input_node;
    struct plan *prefix = new_plan(g, prefix_options), *rest = new_plan(g, options);
    fill_input(prefix);
    plan_forward(prefix, 0, 0);
    assert_int_equal(plan_output_row(prefix), plan_input_row(rest));
    memcpy(plan_input(rest), plan_output(prefix), BATCH * plan_input_row(rest) * sizeof(float));
    assert_true(train(rest) == loss);
    float *is = copy_gradients(g, &n);
    assert_memory_equal(is, expected, n * sizeof *is);
    assert_true(plan_bytes(rest) > 0);
    plan_free(prefix);
    plan_free(rest);
    graph_free(g);
    mem_free(is);
    mem_free(expected);
}

static void two_parts_train_as_the_whole_does(void **state)
{
    (void)state;
    for (int frozen = 1; frozen <= 2; frozen++) {
        compare_with_whole(WITH_NORM, frozen);
        compare_with_whole(WITHOUT_NORM, frozen);
    }
}

static void two_parts_infer_as_the_whole_does(void **state)
{
    (void)state;
    const char *why;
    struct graph *g = small_net(WITH_NORM, false);
    struct plan_options options = train_options(2, false);
    int cut = plan_find_cut(g, &options, &why);
    options.mode = PLAN_INFER;
    struct plan *whole = new_plan(g, options);
    options.output_node = cut;
    struct plan *prefix = new_plan(g, options);
    options.output_node = 0;
    options.input_node = cut;
    struct plan *rest = new_plan(g, options);
    fill_input(whole);
    fill_input(prefix);
    plan_forward(whole, 0, 0);
    plan_forward(prefix, 0, 0);
    memcpy(plan_input(rest), plan_output(prefix), BATCH * plan_input_row(rest) * sizeof(float));
    plan_forward(rest, 0, 0);
    assert_memory_equal(plan_output(rest), plan_output(whole), BATCH * CLASSES * sizeof(float));
    assert_true(plan_bytes(rest) < plan_bytes(whole));
    plan_free(whole);
    plan_free(prefix);
    plan_free(rest);
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cut_is_where_the_constant_part_ends),
        cmocka_unit_test(nothing_random_is_below_the_cut),
        cmocka_unit_test(a_value_read_from_both_sides_is_no_cut),
        cmocka_unit_test(a_plan_may_not_begin_above_what_it_trains),
        cmocka_unit_test(two_parts_train_as_the_whole_does),
        cmocka_unit_test(two_parts_infer_as_the_whole_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
