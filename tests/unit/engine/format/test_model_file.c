#include "tests/unit/engine/format/fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/format/model_file.h"

static struct err err;

/* conv1 and bn1 in group 0, fc in group 1. */
static struct graph *build(int64_t classes, uint64_t seed)
{
    struct graph *graph = graph_new();
    int x = graph_conv(graph, graph_input(graph, 3), "conv1", 4, 3, 1, 1, false);
    x = graph_global_average_pool(graph, graph_batchnorm(graph, x, "bn1"));
    graph_begin_group(graph, 1);
    graph_set_output(graph, graph_linear(graph, x, "fc", classes, true));
    for (int i = 0; i < graph->n_params; i++)
        param_init(graph->params[i], seed);
    return graph;
}

static struct model_info some_info(void)
{
    struct model_info info = model_info_default("net");
    snprintf(info.head, sizeof info.head, "original");
    info.classes = json_new_array();
    json_add_string(info.classes, "ant \"red\"");
    json_add_string(info.classes, "bee");
    info.image_size = 64;
    info.mean[0] = 0.1;
    info.lineage = json_new_object();
    json_set_string(info.lineage, "dataset", "ds_1");
    return info;
}

static void write_model(const char *name, const struct model_info *info, char hex[SHA256_HEX])
{
    struct graph *graph = build(2, 5);
    assert_ok(model_file_write(scratch_path(name), info, graph, hex, &err), &err);
    graph_free(graph);
}

static void assert_same_values(const struct graph *a, const struct graph *b)
{
    float x[256], y[256];
    for (int i = 0; i < a->n_params; i++) {
        assert_true(a->params[i]->n_elements <= ARRAY_LEN(x));
        param_read(a->params[i], PARAM_VALUE, x);
        param_read(b->params[i], PARAM_VALUE, y);
        assert_memory_equal(x, y, a->params[i]->n_elements * sizeof *x);
    }
}

static void a_model_reads_back_with_all_that_it_says(void **state)
{
    (void)state;
    scratch_make();
    struct model_info info = some_info(), again;
    struct tensor_source source;
    char hex[SHA256_HEX];
    write_model("m", &info, hex);
    assert_ok(model_file_open(scratch_path("m"), &source, &again, &err), &err);
    assert_string_equal(again.architecture, "net");
    assert_string_equal(again.head, "original");
    assert_int_equal(again.image_size, 64);
    assert_true(again.mean[0] == 0.1 && again.std[2] == 0.225);
    assert_true(json_equal(again.classes, info.classes));
    assert_true(json_equal(again.lineage, info.lineage));
    struct graph *written = build(2, 5), *loaded = build(2, 6);
    assert_ok(model_file_load(&source, loaded, NULL, &err), &err);
    assert_same_values(written, loaded);
    graph_free(written);
    graph_free(loaded);
    tensor_source_close(&source);
    model_info_deinit(&again);
    model_info_deinit(&info);
    scratch_remove();
}

static void a_body_alone_is_written_without_its_head(void **state)
{
    (void)state;
    scratch_make();
    struct model_info info = model_info_default("net"), again;
    struct tensor_source source;
    write_model("m", &info, NULL);
    assert_ok(model_file_open(scratch_path("m"), &source, &again, &err), &err);
    assert_null(again.classes);
    assert_null(tensor_source_find(&source, "fc.weight"));
    assert_int_equal(source.n_tensors, 5);
    struct graph *graph = build(7, 1);
    struct model_match match;
    model_file_match(&source, graph, "fc.", &match);
    assert_int_equal(match.n_missing + match.n_misshapen, 0);
    assert_ok(model_file_load(&source, graph, "fc.", &err), &err);
    assert_refused(model_file_load(&source, graph, NULL, &err), &err, "lack the tensor fc.weight");
    graph_free(graph);
    tensor_source_close(&source);
    scratch_remove();
}

static void missing_and_misshapen_tensors_are_named(void **state)
{
    (void)state;
    scratch_make();
    struct model_info info = model_info_default("net"), again;
    struct tensor_source source;
    write_model("m", &info, NULL);
    assert_ok(model_file_open(scratch_path("m"), &source, &again, &err), &err);
    struct graph *graph = graph_new();
    int x = graph_conv(graph, graph_input(graph, 3), "conv1", 8, 5, 1, 1, true);
    x = graph_batchnorm(graph, graph_batchnorm(graph, x, "bn1"), "bn2");
    graph_set_output(graph, x);
    struct model_match match;
    model_file_match(&source, graph, NULL, &match);
    assert_int_equal(match.n_missing, 5);
    assert_int_equal(match.n_misshapen, 5);
    assert_string_equal(match.problems,
                        "5 tensors are missing: conv1.bias, bn2.weight, bn2.bias and 2 more; "
                        "conv1.weight has the shape (4, 3, 3, 3) where (8, 3, 5, 5) is expected, "
                        "and 4 more have other shapes");
    graph_free(graph);
    graph = build(2, 1);
    graph->params[0]->dims[0] = 5;
    assert_refused(model_file_load(&source, graph, NULL, &err), &err,
                   "(4, 3, 3, 3) where (5, 3, 3, 3)");
    graph->params[0]->dims[0] = 4;
    graph_free(graph);
    tensor_source_close(&source);
    scratch_remove();
}

static void values_that_are_not_finite_are_refused_by_name(void **state)
{
    (void)state;
    scratch_make();
    struct model_info info = some_info(), again;
    struct tensor_source source;
    struct graph *graph = build(2, 5);
    param_write(graph_find_param(graph, "fc.bias"), PARAM_VALUE, (float[]){1, NAN});
    assert_ok(model_file_write(scratch_path("m"), &info, graph, NULL, &err), &err);
    assert_ok(model_file_open(scratch_path("m"), &source, &again, &err), &err);
    assert_refused(model_file_load(&source, graph, NULL, &err), &err, "fc.bias holds NaN");
    graph_free(graph);
    tensor_source_close(&source);
    model_info_deinit(&again);
    model_info_deinit(&info);
    scratch_remove();
}

static void assert_metadata_refused(const char *key, const char *value, const char *words)
{
    struct model_info info = some_info(), again;
    struct json *metadata = model_info_metadata(&info);
    assert_ok(model_info_from_metadata(metadata, &again, &err), &err);
    model_info_deinit(&again);
    if (value)
        json_set_string(metadata, key, value);
    else
        json_remove(metadata, key);
    assert_refused(model_info_from_metadata(metadata, &again, &err), &err, words);
    json_free(metadata);
    model_info_deinit(&info);
}

static void metadata_are_validated(void **state)
{
    (void)state;
    assert_metadata_refused(MODEL_KEY_FORMAT, NULL, "no model of this service");
    assert_metadata_refused(MODEL_KEY_FORMAT, "2", "no model of this service");
    assert_metadata_refused(MODEL_KEY_ARCHITECTURE, NULL, "architecture");
    assert_metadata_refused(MODEL_KEY_HEAD, "a-head-whose-name-is-too-long", "head");
    assert_metadata_refused(MODEL_KEY_IMAGE_SIZE, "7", "image_size");
    assert_metadata_refused(MODEL_KEY_IMAGE_SIZE, "64px", "image_size");
    assert_metadata_refused(MODEL_KEY_IMAGE_SIZE, NULL, "image_size");
    assert_metadata_refused(MODEL_KEY_MEAN, "[0.5, 0.5]", "mean");
    assert_metadata_refused(MODEL_KEY_MEAN, "[0.5, 0.5, \"a\"]", "mean");
    assert_metadata_refused(MODEL_KEY_STD, "[0.5, 0, 0.5]", "std");
    assert_metadata_refused(MODEL_KEY_STD, "no json", "std");
    assert_metadata_refused(MODEL_KEY_CLASSES, "null", "class names");
    assert_metadata_refused(MODEL_KEY_CLASSES, "[]", "class names");
    assert_metadata_refused(MODEL_KEY_CLASSES, "[\"a\", 1]", "class name");
    assert_metadata_refused(MODEL_KEY_CLASSES, "[\"a\", \"\"]", "class name");
    assert_metadata_refused(MODEL_KEY_HEAD, "none", "classes");
    assert_metadata_refused(MODEL_KEY_LINEAGE, "[1]", "lineage");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_reads_back_with_all_that_it_says),
        cmocka_unit_test(a_body_alone_is_written_without_its_head),
        cmocka_unit_test(missing_and_misshapen_tensors_are_named),
        cmocka_unit_test(values_that_are_not_finite_are_refused_by_name),
        cmocka_unit_test(metadata_are_validated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
