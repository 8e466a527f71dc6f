#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "engine/train/optim.h"
#include "tests/unit/engine/train/golden.h"

/* A linear layer without bias and a batch norm: one parameter that always decays, one that may not.
 * "weight" and "norm" of the goldens. */
static struct graph *two_params(int64_t outputs, int64_t inputs)
{
    struct err err;
    struct graph *graph = graph_new();
    int x = graph_linear(graph, graph_input(graph, inputs), "linear", outputs, false);
    graph_batchnorm(graph, x, "bn");
    for (int i = 0; i < graph->n_params; i++)
        param_init(graph->params[i], 1);
    assert_int_equal(param_set_trainable(graph_find_param(graph, "linear.weight"), true, &err), OK);
    assert_int_equal(param_set_trainable(graph_find_param(graph, "bn.weight"), true, &err), OK);
    return graph;
}

static void write_numbers(struct param *param, enum param_part part, const struct json *numbers)
{
    assert_int_equal(json_len(numbers), param->n_elements);
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    for (size_t i = 0; i < param->n_elements; i++)
        plain[i] = (float)json_as_number(json_at(numbers, i), NAN);
    param_write(param, part, plain);
    mem_free(plain);
}

static void assert_numbers(const struct param *param, const struct json *numbers)
{
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    param_read(param, PARAM_VALUE, plain);
    for (size_t i = 0; i < param->n_elements; i++) {
        double expected = json_as_number(json_at(numbers, i), NAN);
        if (!(fabs((double)plain[i] - expected) <= 1e-6 * fmax(1, fabs(expected))))
            fail_msg("%s[%zu] is %.9g, torch has %.9g", param->name, i, (double)plain[i], expected);
    }
    mem_free(plain);
}

static void replay(const struct json *golden)
{
    struct graph *graph = two_params(8, 5);
    struct param *weight = graph_find_param(graph, "linear.weight");
    struct param *norm = graph_find_param(graph, "bn.weight");
    struct optim optim;
    struct err err;
    struct optim_options options;
    assert_int_equal(optim_parse(golden, FORM_V2, &options, &err), OK);
    options.beta2 = json_number(golden, "beta2", NAN);
    optim_init(&optim, &options);
    write_numbers(weight, PARAM_VALUE, json_get(json_get(golden, "start"), "weight"));
    write_numbers(norm, PARAM_VALUE, json_get(json_get(golden, "start"), "norm"));
    json_each(step, json_get(golden, "steps"))
    {
        double rate = json_number(step, "rate", NAN);
        write_numbers(weight, PARAM_GRADIENT, json_get(json_get(step, "gradients"), "weight"));
        write_numbers(norm, PARAM_GRADIENT, json_get(json_get(step, "gradients"), "norm"));
        optim_step(&optim, graph, &rate, json_number(step, "momentum", NAN));
        assert_numbers(weight, json_get(json_get(step, "values"), "weight"));
        assert_numbers(norm, json_get(json_get(step, "values"), "norm"));
    }
    graph_free(graph);
}

static void six_steps_of_every_kind_agree_with_torch(void **state)
{
    (void)state;
    struct json *cases = golden_read("optim.json");
    assert_int_equal(json_len(cases), 7);
    json_each(golden, cases) replay(golden);
    json_free(cases);
}

static void fill(struct param *param, enum param_part part, float first, float step)
{
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    for (size_t i = 0; i < param->n_elements; i++)
        plain[i] = first + step * (float)(i % 97);
    param_write(param, part, plain);
    mem_free(plain);
}

static float first_value(const struct graph *graph, const char *name)
{
    return graph_find_param(graph, name)->parts[PARAM_VALUE][0];
}

static void the_forms_differ_in_epsilon_and_in_what_decays(void **state)
{
    (void)state;
    struct optim_options v1 = optim_defaults(FORM_V1), v2 = optim_defaults(FORM_V2);
    assert_true(v1.eps == 1e-8 && v1.decay_norm_bias && v1.weight_decay == .01);
    assert_true(v2.eps == 1e-5 && !v2.decay_norm_bias && v2.weight_decay == .01);
    /* With gradients of zero only decay moves a value. */
    struct graph *graph = two_params(8, 8);
    struct optim optim;
    double rate = .1;
    optim_init(&optim, &v2);
    fill(graph_find_param(graph, "linear.weight"), PARAM_VALUE, 1, 0);
    optim_step(&optim, graph, &rate, .9);
    assert_true(fabsf(first_value(graph, "linear.weight") - .999f) < 1e-6f);
    assert_true(first_value(graph, "bn.weight") == 1);
    optim_init(&optim, &v1);
    optim_step(&optim, graph, &rate, .9);
    assert_true(fabsf(first_value(graph, "bn.weight") - .999f) < 1e-6f);
    graph_free(graph);
}

static void each_group_moves_at_its_own_rate(void **state)
{
    (void)state;
    struct err err;
    struct graph *graph = graph_new();
    int x = graph_linear(graph, graph_input(graph, 4), "low", 4, false);
    graph_begin_group(graph, 1);
    graph_linear(graph, x, "high", 4, false);
    for (int i = 0; i < graph->n_params; i++) {
        assert_int_equal(param_set_trainable(graph->params[i], true, &err), OK);
        fill(graph->params[i], PARAM_VALUE, 0, 0);
        fill(graph->params[i], PARAM_GRADIENT, 1, 0);
    }
    struct optim optim;
    struct optim_options options = optim_defaults(FORM_V2);
    double rates[] = {1e-3, 1e-1};
    optim_init(&optim, &options);
    optim_step(&optim, graph, rates, .9);
    /* The first step of Adam moves by the rate, whatever the gradient's size. */
    assert_true(fabsf(first_value(graph, "low.weight") + 1e-3f) < 1e-7f);
    assert_true(fabsf(first_value(graph, "high.weight") + 1e-1f) < 1e-5f);
    graph_free(graph);
}

static void what_is_frozen_stays_and_has_no_state(void **state)
{
    (void)state;
    struct err err;
    struct graph *graph = two_params(4, 4);
    struct param *norm = graph_find_param(graph, "bn.weight");
    assert_int_equal(param_set_trainable(norm, false, &err), OK);
    struct optim optim;
    struct optim_options options = optim_defaults(FORM_V1);
    double rate = 1;
    optim_init(&optim, &options);
    optim_step(&optim, graph, &rate, .9);
    assert_true(first_value(graph, "bn.weight") == 1);
    assert_null(norm->parts[PARAM_MOMENT1]);
    graph_free(graph);
}

static void a_reset_forgets_moments_and_step_count(void **state)
{
    (void)state;
    struct graph *graph = two_params(4, 4);
    struct param *weight = graph_find_param(graph, "linear.weight");
    struct optim optim;
    struct optim_options options = optim_defaults(FORM_V2);
    double rate = .1;
    fill(weight, PARAM_GRADIENT, 1, 1);
    optim_init(&optim, &options);
    optim_step(&optim, graph, &rate, .9);
    assert_true(weight->parts[PARAM_MOMENT1][0] != 0 && optim.steps == 1);
    optim_reset(&optim, graph);
    assert_true(weight->parts[PARAM_MOMENT1][0] == 0 && weight->parts[PARAM_MOMENT2][0] == 0);
    assert_int_equal(optim.steps, 0);
    graph_free(graph);
}

static void step_with_threads(enum optim_kind kind, int threads, float *values, size_t n)
{
    struct graph *graph = two_params(300, 117);
    struct param *weight = graph_find_param(graph, "linear.weight");
    struct optim optim;
    struct optim_options options = optim_defaults(FORM_V2);
    double rate = .01;
    options.kind = kind;
    options.clip = .3;
    omp_set_num_threads(threads);
    fill(weight, PARAM_VALUE, -1, .03f);
    fill(weight, PARAM_GRADIENT, -.7f, .011f);
    optim_init(&optim, &options);
    for (int i = 0; i < 3; i++)
        optim_step(&optim, graph, &rate, .9);
    assert_int_equal(weight->n_elements, n);
    param_read(weight, PARAM_VALUE, values);
    graph_free(graph);
}

static void the_number_of_threads_does_not_change_a_bit(void **state)
{
    (void)state;
    size_t n = 300 * 117;
    float *one = mem_alloc(n * sizeof *one), *three = mem_alloc(n * sizeof *three);
    for (int kind = OPTIM_ADAMW; kind <= OPTIM_SGD; kind++) {
        step_with_threads((enum optim_kind)kind, 1, one, n);
        step_with_threads((enum optim_kind)kind, 3, three, n);
        assert_memory_equal(one, three, n * sizeof *one);
    }
    mem_free(one);
    mem_free(three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(six_steps_of_every_kind_agree_with_torch),
        cmocka_unit_test(the_forms_differ_in_epsilon_and_in_what_decays),
        cmocka_unit_test(each_group_moves_at_its_own_rate),
        cmocka_unit_test(what_is_frozen_stays_and_has_no_state),
        cmocka_unit_test(a_reset_forgets_moments_and_step_count),
        cmocka_unit_test(the_number_of_threads_does_not_change_a_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
