#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/zoo/head.h"
#include "engine/zoo/zoo.h"

static struct graph *build(const char *name, enum zoo_head head, int64_t classes)
{
    const struct zoo_net *net = zoo_find(name);
    assert_non_null(net);
    return zoo_build(net, &(struct zoo_options){.head = head, .classes = classes});
}

static void shape_text(const struct param *param, char *text, size_t size)
{
    size_t len = 0;
    for (int i = 0; i < param->n_dims; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%lld", i ? "x" : "",
                                (long long)param->dims[i]);
}

/* One line of zoo.txt against the graph of its network, which is kept while the name stays. */
static void check_line(const char *line, struct graph **graph, char *current, int *n_lines)
{
    char net[32], name[96], shape[64], actual[64];
    assert_int_equal(sscanf(line, "%31s %95s %63s", net, name, shape), 3);
    if (strcmp(net, current) != 0) {
        graph_free(*graph);
        *graph = build(net, ZOO_HEAD_ORIGINAL, 1000);
        memcpy(current, net, sizeof net);
        *n_lines = 0;
    }
    const struct param *param = graph_find_param(*graph, name);
    if (!param)
        fail_msg("%s has no tensor %s", net, name);
    shape_text(param, actual, sizeof actual);
    assert_string_equal(actual, shape);
    ++*n_lines;
}

static void tensors_have_torchvisions_names_and_shapes(void **state)
{
    (void)state;
    struct buf text;
    struct err err;
    buf_init(&text, 1u << 20);
    assert_int_equal(fs_read_file("tests/golden/zoo.txt", &text, &err), OK);
    struct graph *graph = NULL;
    char current[32] = "";
    int n_lines = 0;
    for (char *rest = NULL, *line = strtok_r(text.data, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char before[32];
        memcpy(before, current, sizeof before);
        int n_before = n_lines, n_params = graph ? graph->n_params : 0;
        check_line(line, &graph, current, &n_lines);
        if (strcmp(before, current) != 0)
            assert_int_equal(n_before, n_params); /* no tensor beyond torchvision's */
    }
    assert_int_equal(n_lines, graph->n_params);
    graph_free(graph);
    buf_deinit(&text);
}

static void parameter_counts_are_the_published_ones(void **state)
{
    (void)state;
    int n_published = 0;
    for (size_t i = 0; i < zoo_count(); i++) {
        const struct zoo_net *net = zoo_at(i);
        if (net->parameters == 0)
            continue;
        struct graph *graph = build(net->name, ZOO_HEAD_ORIGINAL, net->classes);
        assert_int_equal(graph_count_parameters(graph), net->parameters);
        graph_free(graph);
        n_published++;
    }
    assert_int_equal(n_published, 7);
}

static void every_row_of_the_table_keeps_its_promises(void **state)
{
    (void)state;
    for (size_t i = 0; i < zoo_count(); i++) {
        const struct zoo_net *net = zoo_at(i);
        struct graph *graph = build(net->name, ZOO_HEAD_ORIGINAL, 7);
        char name[96];
        snprintf(name, sizeof name, "%s.weight", net->classifier);
        const struct param *classifier = graph_find_param(graph, name);
        assert_non_null(classifier);
        assert_int_equal(classifier->dims[0], 7);
        assert_int_equal(classifier->dims[1], net->body_channels);
        assert_int_equal(graph->n_groups, net->n_groups);
        assert_int_equal(graph->nodes[graph->output].channels, 7);
        assert_string_equal(net->groups[net->n_groups - 1], "head");
        for (int p = 0; p < graph->n_params; p++) {
            bool of_classifier =
                strncmp(graph->params[p]->name, net->classifier, strlen(net->classifier)) == 0;
            assert_int_equal(zoo_is_head_param(graph, graph->params[p]), of_classifier);
        }
        graph_free(graph);
    }
}

static void the_new_head_is_fastais(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t rows, columns;
    } weights[] = {{"head.4.weight", HEAD_HIDDEN, 1024}, {"head.8.weight", 5, HEAD_HIDDEN}};
    for (enum zoo_head head = ZOO_HEAD_V1; head <= ZOO_HEAD_V2; head++) {
        struct graph *graph = build("resnet34", head, 5);
        for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
            const struct param *param = graph_find_param(graph, weights[i].name);
            assert_non_null(param);
            assert_int_equal(param->dims[0], weights[i].rows);
            assert_int_equal(param->dims[1], weights[i].columns);
            assert_int_equal(param->group, 2);
        }
        assert_int_equal(graph_find_param(graph, "head.2.running_var")->dims[0], 1024);
        assert_int_equal(graph_find_param(graph, "head.6.bias")->dims[0], HEAD_HIDDEN);
        assert_int_equal(graph_find_param(graph, "head.8.bias") != NULL, head == ZOO_HEAD_V1);
        assert_null(graph_find_param(graph, "fc.weight"));
        graph_free(graph);
    }
}

static float first(const struct graph *graph, const char *name)
{
    return graph_find_param(graph, name)->parts[PARAM_VALUE][0];
}

static void starting_values_follow_the_heads_form_and_the_seed(void **state)
{
    (void)state;
    struct graph *v1 = build("squeezenet1_1", ZOO_HEAD_V1, 2);
    struct graph *v2 = build("squeezenet1_1", ZOO_HEAD_V2, 2);
    zoo_init(v1, ZOO_HEAD_V1, 1);
    zoo_init(v2, ZOO_HEAD_V2, 1);
    assert_true(first(v1, "head.2.bias") == 0 && first(v2, "head.2.bias") == 1e-3f);
    assert_true(first(v2, "head.6.bias") == 1e-3f && first(v2, "head.6.weight") == 1);
    assert_true(first(v1, "head.4.bias") == 0 && first(v2, "head.2.running_var") == 1);
    assert_true(first(v1, "head.4.weight") == first(v2, "head.4.weight"));
    zoo_init(v2, ZOO_HEAD_V2, 2);
    assert_true(first(v1, "head.4.weight") != first(v2, "head.4.weight"));
    graph_free(v1);
    graph_free(v2);
}

static void groups_split_the_body_where_fastai_does(void **state)
{
    (void)state;
    static const struct {
        const char *net, *param;
        int group;
    } cases[] = {
        {"resnet34", "conv1.weight", 0},
        {"resnet34", "layer2.3.bn2.bias", 0},
        {"resnet34", "layer3.0.conv1.weight", 1},
        {"resnet34", "layer4.2.bn2.running_mean", 1},
        {"resnet34", "head.2.weight", 2},
        {"wide_resnet50_2", "layer4.2.conv3.weight", 1},
        {"mobilenet_v2", "features.0.0.weight", 0},
        {"mobilenet_v2", "features.18.1.bias", 0},
        {"mobilenet_v2", "head.2.weight", 1},
        {"squeezenet1_1", "features.4.expand3x3.bias", 0},
        {"squeezenet1_1", "features.6.squeeze.weight", 1},
        {"squeezenet1_1", "head.8.weight", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct graph *graph = build(cases[i].net, ZOO_HEAD_V2, 3);
        assert_int_equal(graph_find_param(graph, cases[i].param)->group, cases[i].group);
        graph_free(graph);
    }
}

static void thaw_small_is_small_and_made_for_vectors(void **state)
{
    (void)state;
    struct graph *graph = build("thaw-small", ZOO_HEAD_V2, 10);
    int64_t n = graph_count_parameters(graph);
    assert_in_range(n, 1000000, 2000000);
    for (int i = 0; i < graph->n_params; i++)
        if (!zoo_is_head_param(graph, graph->params[i]))
            assert_int_equal(graph->params[i]->dims[0] % 16, 0);
    graph_free(graph);
}

static void names_are_found_and_listed(void **state)
{
    (void)state;
    struct buf names;
    enum zoo_head head;
    buf_init(&names, 1000);
    zoo_print_names(&names);
    assert_non_null(strstr(names.data, "resnet34, resnet50"));
    buf_deinit(&names);
    assert_null(zoo_find("resnet35"));
    assert_true(zoo_head_from_name("v1", &head) && head == ZOO_HEAD_V1);
    assert_false(zoo_head_from_name("none", &head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_have_torchvisions_names_and_shapes),
        cmocka_unit_test(parameter_counts_are_the_published_ones),
        cmocka_unit_test(every_row_of_the_table_keeps_its_promises),
        cmocka_unit_test(the_new_head_is_fastais),
        cmocka_unit_test(starting_values_follow_the_heads_form_and_the_seed),
        cmocka_unit_test(groups_split_the_body_where_fastai_does),
        cmocka_unit_test(thaw_small_is_small_and_made_for_vectors),
        cmocka_unit_test(names_are_found_and_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
