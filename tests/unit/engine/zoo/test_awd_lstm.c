/* AWD-LSTM: names, shapes, groups and starting values, as fastai has them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/zoo/awd_lstm.h"
#include "engine/zoo/zoo.h"

struct expected {
    const char *name;
    int64_t rows, columns; /* 0 columns: a vector */
    int language_group, classifier_group;
};

/* V 50, E 12, H 20, 2 layers, 3 classes. Group -1: that model has no such tensor. */
static const struct expected tensors[] = {
    {"encoder.weight", 50, 12, 2, 0},      {"rnns.0.weight_ih_l0", 80, 12, 0, 1},
    {"rnns.0.weight_hh_l0", 80, 20, 0, 1}, {"rnns.0.bias_ih_l0", 80, 0, 0, 1},
    {"rnns.0.bias_hh_l0", 80, 0, 0, 1},    {"rnns.1.weight_ih_l0", 48, 20, 1, 2},
    {"rnns.1.weight_hh_l0", 48, 12, 1, 2}, {"rnns.1.bias_ih_l0", 48, 0, 1, 2},
    {"rnns.1.bias_hh_l0", 48, 0, 1, 2},    {"decoder.bias", 50, 0, 2, -1},
    {"head.0.weight", 36, 0, -1, 3},       {"head.0.bias", 36, 0, -1, 3},
    {"head.0.running_mean", 36, 0, -1, 3}, {"head.0.running_var", 36, 0, -1, 3},
    {"head.2.weight", 50, 36, -1, 3},      {"head.4.weight", 50, 0, -1, 3},
    {"head.4.bias", 50, 0, -1, 3},         {"head.4.running_mean", 50, 0, -1, 3},
    {"head.4.running_var", 50, 0, -1, 3},  {"head.6.weight", 3, 50, -1, 3},
};

static struct awd_lstm_options small(enum awd_lstm_kind kind)
{
    struct awd_lstm_options options = awd_lstm_defaults(kind, 1);
    options.vocabulary = 50;
    options.embedding = 12;
    options.hidden = 20;
    options.layers = 2;
    options.classes = 3;
    return options;
}

static void check_tensors(enum awd_lstm_kind kind)
{
    struct awd_lstm_options options = small(kind);
    struct graph *graph = awd_lstm_build(&options);
    int found = 0;
    for (size_t i = 0; i < ARRAY_LEN(tensors); i++) {
        const struct expected *t = &tensors[i];
        int group = kind == AWD_LSTM_CLASSIFIER ? t->classifier_group : t->language_group;
        const struct param *param = graph_find_param(graph, t->name);
        assert_int_equal(param != NULL, group >= 0);
        if (!param)
            continue;
        found++;
        assert_int_equal(param->group, group);
        assert_int_equal(param->dims[0], t->rows);
        assert_int_equal(param->n_dims, t->columns ? 2 : 1);
        assert_true(!t->columns || param->dims[1] == t->columns);
        assert_int_equal(awd_lstm_is_encoder_param(param), i < 9);
    }
    assert_int_equal(found, graph->n_params);
    graph_free(graph);
}

static void tensors_have_the_published_names_shapes_and_groups(void **unused)
{
    (void)unused;
    check_tensors(AWD_LSTM_LANGUAGE_MODEL);
    check_tensors(AWD_LSTM_CLASSIFIER);
}

static void groups_have_names(void **unused)
{
    static const char *const language[] = {"rnn1", "rnn2", "encoder+decoder"};
    static const char *const classifier[] = {"embedding", "rnn1", "rnn2", "head"};
    struct awd_lstm_options options = small(AWD_LSTM_LANGUAGE_MODEL);
    char name[32];
    (void)unused;
    for (int i = 0; i < 3; i++) {
        awd_lstm_group_name(&options, i, name, sizeof name);
        assert_string_equal(name, language[i]);
    }
    options.kind = AWD_LSTM_CLASSIFIER;
    for (int i = 0; i < 4; i++) {
        awd_lstm_group_name(&options, i, name, sizeof name);
        assert_string_equal(name, classifier[i]);
    }
    assert_true(AWD_LSTM_MAX_LAYERS + 2 <= ZOO_MAX_GROUPS);
}

static void the_published_size_has_its_parameters_and_dropouts(void **unused)
{
    struct awd_lstm_options options = awd_lstm_defaults(AWD_LSTM_LANGUAGE_MODEL, .5);
    (void)unused;
    options.vocabulary = 60000;
    struct graph *graph = awd_lstm_build(&options);
    int64_t rnns =
        4 * 1152 * (400 + 1152 + 2) + 4 * 1152 * (2 * 1152 + 2) + 4 * 400 * (1152 + 400 + 2);
    assert_int_equal(graph_count_parameters(graph), 60000 * 401 + rnns);
    assert_true(fabs(options.dropouts.weight - .1) < 1e-12);
    assert_true(options.alpha == 2 && options.beta == 1);
    graph_free(graph);
}

static float largest(const struct graph *graph, const char *name)
{
    const struct param *param = graph_find_param(graph, name);
    float *values = mem_alloc(param->n_elements * sizeof *values), top = 0;
    param_read(param, PARAM_VALUE, values);
    for (size_t i = 0; i < param->n_elements; i++)
        top = fmaxf(top, fabsf(values[i]));
    mem_free(values);
    return top;
}

static void assert_uniform(const struct graph *graph, const char *name, double bound)
{
    float top = largest(graph, name);
    assert_true(top <= (float)bound && top > (float)bound * .9f);
}

static void starting_values_are_fastais(void **unused)
{
    struct awd_lstm_options options = small(AWD_LSTM_CLASSIFIER);
    struct graph *graph = awd_lstm_build(&options);
    (void)unused;
    awd_lstm_init(graph, 7);
    assert_uniform(graph, "encoder.weight", .1);
    assert_uniform(graph, "rnns.0.weight_hh_l0", 1 / sqrt(20));
    assert_uniform(graph, "rnns.1.bias_ih_l0", 1 / sqrt(12));
    assert_uniform(graph, "head.2.weight", 1 / sqrt(36));
    assert_true(largest(graph, "head.4.weight") == 1.f);
    assert_true(largest(graph, "head.4.bias") == 1e-3f);
    graph_free(graph);
    options = small(AWD_LSTM_LANGUAGE_MODEL);
    graph = awd_lstm_build(&options);
    awd_lstm_init(graph, 7);
    assert_true(largest(graph, "decoder.bias") == 0.f);
    graph_free(graph);
}

static void a_new_head_leaves_the_encoder_alone(void **unused)
{
    struct awd_lstm_options options = small(AWD_LSTM_CLASSIFIER);
    struct graph *graph = awd_lstm_build(&options);
    (void)unused;
    awd_lstm_init_head(graph, 7);
    assert_true(largest(graph, "encoder.weight") == 0.f);
    assert_true(largest(graph, "rnns.1.weight_ih_l0") == 0.f);
    assert_uniform(graph, "head.2.weight", 1 / sqrt(36));
    graph_free(graph);
}

static void a_classifier_is_two_plans(void **unused)
{
    struct awd_lstm_options options = small(AWD_LSTM_CLASSIFIER);
    struct graph *graph = awd_lstm_build(&options);
    struct plan *encoder, *head;
    struct err err = {0};
    (void)unused;
    struct plan_options plan = {.mode = PLAN_TRAIN, .batch = 2, .steps = 4, .frozen_groups = 3};
    plan.output_node = awd_lstm_encoder_output(graph);
    assert_int_equal(plan_new(graph, &plan, &encoder, &err), OK);
    assert_null(plan_output_gradient(encoder));
    assert_int_equal(plan_output_row(encoder), 4 * 12);
    plan.input_node = plan.output_node;
    plan.output_node = 0;
    plan.input_gradient = true;
    assert_int_equal(plan_new(graph, &plan, &head, &err), OK);
    assert_null(plan_input_gradient(head));
    plan_free(head);
    plan.frozen_groups = 2;
    assert_int_equal(plan_new(graph, &plan, &head, &err), OK);
    assert_non_null(plan_input_gradient(head));
    plan_free(head);
    plan_free(encoder);
    graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_have_the_published_names_shapes_and_groups),
        cmocka_unit_test(groups_have_names),
        cmocka_unit_test(the_published_size_has_its_parameters_and_dropouts),
        cmocka_unit_test(starting_values_are_fastais),
        cmocka_unit_test(a_new_head_leaves_the_encoder_alone),
        cmocka_unit_test(a_classifier_is_two_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
