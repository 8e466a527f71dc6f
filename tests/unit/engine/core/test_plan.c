/* Plans: what freezing removes, what fusing keeps, and that planned memory never collides. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/core/plan_build.h"
#include "engine/op/xent.h"

#define BATCH   4
#define SIDE    12
#define CLASSES 3

/* Two groups of body with a residual block and a fire-like concat, and a head. With `apart` a node
 * that does nothing in inference stands between all others, so that nothing can be fused. */
static bool smooth, apart;

static int then(struct graph *g, int x)
{
    return apart ? graph_dropout(g, x, 0.f) : x;
}

static int conv_norm(struct graph *g, int x, const char *conv, const char *norm, int stride)
{
    x = then(g, graph_conv(g, x, conv, 16, 3, stride, 1, false));
    return then(g, graph_batchnorm(g, x, norm));
}

static struct graph *small_net(void)
{
    struct graph *g = graph_new();
    g->smooth = smooth;
    int x = graph_relu(g, conv_norm(g, graph_input(g, 3), "conv1", "bn1", 2));
    int y = graph_relu(g, conv_norm(g, x, "conv2", "bn2", 1));
    y = conv_norm(g, y, "conv3", "bn3", 1);
    x = graph_relu(g, then(g, graph_add(g, y, x)));
    graph_begin_group(g, 1);
    int a = graph_relu(g, then(g, graph_conv(g, x, "left", 8, 1, 1, 0, true)));
    int b = graph_relu(g, then(g, graph_conv(g, x, "right", 24, 3, 1, 1, true)));
    x = graph_max_pool(g, graph_concat(g, a, b), 3, 2, 0, true);
    graph_begin_group(g, 2);
    x = graph_dropout(g, graph_batchnorm(g, graph_concat_pool(g, x), "head.2"), .25f);
    graph_set_output(g, graph_linear(g, x, "head.8", CLASSES, true));
    for (int i = 0; i < g->n_params; i++)
        param_init(g->params[i], 7);
    return g;
}

static struct plan *new_plan(struct graph *g, enum plan_mode mode, int frozen, bool norm_trains)
{
    struct plan_options options = {.mode = mode,
                                   .batch = BATCH,
                                   .height = SIDE,
                                   .width = SIDE,
                                   .frozen_groups = frozen,
                                   .frozen_norm_trains = norm_trains};
    struct plan *plan = NULL;
    struct err err = {0};
    assert_int_equal(plan_new(g, &options, &plan, &err), OK);
    return plan;
}

static void fill_input(struct plan *plan)
{
    struct rng rng = rng_stream("input", 1, 0, 0);
    for (int i = 0; i < BATCH * SIDE * SIDE * 3; i++)
        plan_input(plan)[i] = (float)rng_normal(&rng);
}

static double loss_and_gradients(struct plan *plan)
{
    static const int32_t labels[BATCH] = {0, 1, 2, 1};
    fill_input(plan);
    plan_forward(plan, 3, 0);
    double loss =
        xent_loss(plan_output(plan), labels, BATCH, CLASSES, plan_output_gradient(plan), NULL);
    plan_backward(plan);
    return loss;
}

static void buffers_alive_at_the_same_time_never_overlap(void **state)
{
    (void)state;
    struct graph *g = small_net();
    struct plan *plan = new_plan(g, PLAN_TRAIN, 0, true);
    size_t sum = 0;
    for (int i = 0; i < plan->n_buffers; i++) {
        const struct buffer *a = &plan->buffers[i];
        sum += a->persistent ? 0 : a->floats;
        for (int k = i + 1; k < plan->n_buffers && !a->persistent; k++) {
            const struct buffer *b = &plan->buffers[k];
            if (b->persistent || a->first > b->last || b->first > a->last)
                continue;
            assert_true(a->offset + a->floats <= b->offset || b->offset + b->floats <= a->offset);
        }
    }
    assert_true(plan->arena_floats < sum);
    plan_free(plan);
    graph_free(g);
}

/* Central differences in single precision on the smooth twin: 2 % of the gradient's own size. */
static void gradients_equal_differences_of_the_loss(void **state)
{
    (void)state;
    smooth = true;
    struct graph *g = small_net();
    smooth = false;
    struct plan *plan = new_plan(g, PLAN_TRAIN, 0, true);
    for (int i = 0; i < g->n_params; i++) {
        struct param *param = g->params[i];
        if (param_is_statistic(param))
            continue;
        float *plain = mem_alloc(param->n_elements * sizeof(float));
        float *gradient = mem_alloc(param->n_elements * sizeof(float));
        loss_and_gradients(plan);
        param_read(param, PARAM_VALUE, plain);
        param_read(param, PARAM_GRADIENT, gradient);
        double largest = 0;
        size_t at = 0;
        for (size_t k = 0; k < param->n_elements; k++)
            if (fabs(gradient[k]) > largest) {
                largest = fabs(gradient[k]);
                at = k;
            }
        float kept = plain[at], h = 1e-2f;
        plain[at] = kept + h;
        param_write(param, PARAM_VALUE, plain);
        double up = loss_and_gradients(plan);
        plain[at] = kept - h;
        param_write(param, PARAM_VALUE, plain);
        double down = loss_and_gradients(plan);
        plain[at] = kept;
        param_write(param, PARAM_VALUE, plain);
        double difference = (up - down) / (2 * (double)h);
        if (fabs(difference - gradient[at]) > .02 * largest + 1e-4)
            fail_msg("%s: gradient %g, difference %g", param->name, gradient[at], difference);
        mem_free(plain);
        mem_free(gradient);
    }
    plan_free(plan);
    graph_free(g);
}

static void a_frozen_body_has_no_gradients_and_no_backward(void **state)
{
    (void)state;
    struct graph *g = small_net();
    struct plan *plan = new_plan(g, PLAN_TRAIN, 2, false);
    for (int i = 0; i < g->n_params; i++) {
        bool head = g->params[i]->group == 2 && !param_is_statistic(g->params[i]);
        assert_int_equal(g->params[i]->trainable, head);
        assert_int_equal(g->params[i]->parts[PARAM_GRADIENT] != NULL, head);
    }
    for (int i = 0; i < plan->backward.n; i++)
        assert_int_equal(plan->backward.at[i].node->group, 2);
    size_t frozen = plan_bytes(plan);
    plan_free(plan);
    plan = new_plan(g, PLAN_TRAIN, 0, true);
    assert_true(frozen < plan_bytes(plan));
    plan_free(plan);
    graph_free(g);
}

static void frozen_norms_may_train_while_convolutions_do_not(void **state)
{
    (void)state;
    struct graph *g = small_net();
    struct plan *plan = new_plan(g, PLAN_TRAIN, 2, true);
    assert_true(graph_find_param(g, "bn1.weight")->trainable);
    assert_false(graph_find_param(g, "conv1.weight")->trainable);
    float before, after;
    before = graph_find_param(g, "bn2.running_mean")->parts[PARAM_VALUE][0];
    loss_and_gradients(plan);
    after = graph_find_param(g, "bn2.running_mean")->parts[PARAM_VALUE][0];
    assert_true(before != after);
    double sum = 0;
    const struct param *beta = graph_find_param(g, "bn1.bias");
    for (size_t i = 0; i < beta->n_stored; i++)
        sum += fabs(beta->parts[PARAM_GRADIENT][i]);
    assert_true(sum > 0);
    plan_free(plan);
    graph_free(g);
}

static void copy_output(const struct plan *plan, float *out)
{
    memcpy(out, plan_output(plan), BATCH * CLASSES * sizeof(float));
}

/* Folding batch norm into convolutions and fusing additions changes roundings, nothing else. */
static void folded_inference_equals_stored_statistics_layer_by_layer(void **state)
{
    (void)state;
    float folded[BATCH * CLASSES], layered[BATCH * CLASSES];
    struct graph *g = small_net();
    struct plan *plan = new_plan(g, PLAN_TRAIN, 0, true);
    for (int i = 0; i < 20; i++)
        loss_and_gradients(plan); /* running statistics get close to the batch's own */
    plan_free(plan);
    struct plan *infer = new_plan(g, PLAN_INFER, 0, false);
    assert_true(infer->n_prepared > 0);
    fill_input(infer);
    plan_forward(infer, 0, 0);
    copy_output(infer, folded);
    plan_free(infer);

    apart = true;
    struct graph *unfused = small_net();
    apart = false;
    for (int i = 0; i < g->n_params; i++) {
        float *plain = mem_alloc(g->params[i]->n_elements * sizeof(float));
        param_read(g->params[i], PARAM_VALUE, plain);
        param_write(graph_find_param(unfused, g->params[i]->name), PARAM_VALUE, plain);
        mem_free(plain);
    }
    infer = new_plan(unfused, PLAN_INFER, 0, false);
    assert_int_equal(infer->n_prepared, 0);
    fill_input(infer);
    plan_forward(infer, 0, 0);
    copy_output(infer, layered);
    for (int i = 0; i < BATCH * CLASSES; i++)
        assert_float_equal(folded[i], layered[i], 1e-5);
    plan_free(infer);
    graph_free(unfused);
    graph_free(g);
}

static void the_same_step_repeats_bit_for_bit_and_another_step_drops_others(void **state)
{
    (void)state;
    float first[BATCH * CLASSES], again[BATCH * CLASSES], other[BATCH * CLASSES];
    struct graph *g = small_net();
    struct plan *plan = new_plan(g, PLAN_TRAIN, 0, true);
    fill_input(plan);
    plan_forward(plan, 3, 5);
    copy_output(plan, first);
    plan_forward(plan, 3, 5);
    copy_output(plan, again);
    plan_forward(plan, 3, 6);
    copy_output(plan, other);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    plan_free(plan);
    graph_free(g);
}

static void equal_plans_have_equal_hashes_and_others_do_not(void **state)
{
    (void)state;
    char a[65], b[65], c[65];
    struct graph *g = small_net();
    struct plan *plan = new_plan(g, PLAN_TRAIN, 0, true);
    plan_hash(plan, a);
    plan_free(plan);
    plan = new_plan(g, PLAN_TRAIN, 0, true);
    plan_hash(plan, b);
    plan_free(plan);
    plan = new_plan(g, PLAN_TRAIN, 1, true);
    plan_hash(plan, c);
    plan_free(plan);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    graph_free(g);
}

static void values_survive_the_way_into_a_kernels_layout_and_back(void **state)
{
    (void)state;
    struct graph *g = small_net();
    struct param *weight = graph_find_param(g, "conv2.weight");
    float *before = mem_alloc(weight->n_elements * sizeof(float));
    float *after = mem_alloc(weight->n_elements * sizeof(float));
    param_read(weight, PARAM_VALUE, before);
    struct plan *plan = new_plan(g, PLAN_TRAIN, 0, true);
    assert_non_null(weight->layout);
    param_read(weight, PARAM_VALUE, after);
    assert_memory_equal(before, after, weight->n_elements * sizeof(float));
    mem_free(before);
    mem_free(after);
    plan_free(plan);
    graph_free(g);
}

static void a_weight_that_is_no_number_is_found(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct graph *g = small_net();
    struct plan *plan = new_plan(g, PLAN_TRAIN, 0, true);
    struct param *param = graph_find_param(g, "left.weight");
    assert_null(graph_find_not_finite(g));
    for (int i = 0; i < 3; i++) {
        float kept = param->parts[PARAM_VALUE][5];
        param->parts[PARAM_VALUE][5] = bad[i];
        assert_ptr_equal(graph_find_not_finite(g), param);
        param->parts[PARAM_VALUE][5] = kept;
    }
    struct param *statistic = graph_find_param(g, "bn3.running_var");
    statistic->parts[PARAM_VALUE][15] = NAN;
    assert_ptr_equal(graph_find_not_finite(g), statistic);
    plan_free(plan);
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_alive_at_the_same_time_never_overlap),
        cmocka_unit_test(gradients_equal_differences_of_the_loss),
        cmocka_unit_test(a_frozen_body_has_no_gradients_and_no_backward),
        cmocka_unit_test(frozen_norms_may_train_while_convolutions_do_not),
        cmocka_unit_test(folded_inference_equals_stored_statistics_layer_by_layer),
        cmocka_unit_test(the_same_step_repeats_bit_for_bit_and_another_step_drops_others),
        cmocka_unit_test(equal_plans_have_equal_hashes_and_others_do_not),
        cmocka_unit_test(a_weight_that_is_no_number_is_found),
        cmocka_unit_test(values_survive_the_way_into_a_kernels_layout_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
