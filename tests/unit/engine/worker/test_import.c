/* The verb as it runs: weights written here, its files and frames looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/format/safetensors.h"
#include "engine/worker/verb.h"
#include "engine/zoo/zoo.h"

static char folder[64], source[96], out[96];
static struct err err;
static struct json *result; /* result.json of the last import; NULL when it failed */
static char warnings[1024]; /* details of its warnings */

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/thaw-import-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(source, sizeof source, "%s/source", folder);
    snprintf(out, sizeof out, "%s/out", folder);
    assert_int_equal(fs_make_folder(out, &err), OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_free(result);
    result = NULL;
    return fs_remove_tree(folder, &err);
}

/* --- Making weights -------------------------------------------------------------------------- */

struct weights {
    const char *without;  /* leaves out parameters that begin so */
    const char *misshape; /* this parameter gets another first dim */
    const char *poison;   /* this parameter's last element is NaN */
    const char *extra;    /* another tensor of this name */
};

struct filling {
    const struct graph *graph;
    int index[1024]; /* of items in the graph's parameters; -1: the extra one */
    const struct weights *weights;
};

static void fill(void *context, size_t item, float *plain)
{
    const struct filling *filling = context;
    int i = filling->index[item];
    const struct param *param = i < 0 ? NULL : filling->graph->params[i];
    if (!param) {
        plain[0] = 1;
        return;
    }
    param_read(param, PARAM_VALUE, plain);
    if (filling->weights->poison && strcmp(param->name, filling->weights->poison) == 0)
        plain[param->n_elements - 1] = NAN;
}

static struct graph *build(const char *net, int64_t classes)
{
    struct graph *graph = zoo_build(
        zoo_find(net), &(struct zoo_options){.head = ZOO_HEAD_ORIGINAL, .classes = classes});
    for (int i = 0; i < graph->n_params; i++) {
        const struct param *param = graph->params[i];
        for (size_t k = 0; k < param->n_elements; k++)
            param->parts[PARAM_VALUE][k] = (float)(k % 1001 + (size_t)i) / 8;
    }
    return graph;
}

/* A safetensors file as others write it: torchvision's names, no metadata. */
static void write_weights(const char *net, int64_t classes, const struct weights *weights)
{
    static const struct weights whole;
    static const int64_t one = 1;
    static int64_t misshapen[4];
    struct graph *graph = build(net, classes);
    struct safetensors_item items[1024];
    struct filling filling = {.graph = graph, .weights = weights ? weights : &whole};
    size_t n = 0;
    weights = filling.weights;
    for (int i = 0; i < graph->n_params; i++) {
        const struct param *param = graph->params[i];
        if (weights->without &&
            strncmp(param->name, weights->without, strlen(weights->without)) == 0)
            continue;
        items[n] = (struct safetensors_item){param->name, param->n_dims, param->dims};
        if (weights->misshape && strcmp(param->name, weights->misshape) == 0) {
            memcpy(misshapen, param->dims, sizeof misshapen);
            misshapen[0] -= 1;
            items[n].dims = misshapen;
        }
        filling.index[n++] = i;
    }
    if (weights->extra) {
        items[n] = (struct safetensors_item){weights->extra, 1, &one};
        filling.index[n++] = -1;
    }
    struct safetensors_content content = {
        .items = items, .n_items = n, .fill = fill, .context = &filling};
    assert_int_equal(safetensors_write(source, &content, NULL, &err), OK);
    graph_free(graph);
}

/* --- Running --------------------------------------------------------------------------------- */

static void read_frames(int fd)
{
    struct frame frame;
    warnings[0] = '\0';
    while (frame_read(fd, 0, &frame, &err) == OK) {
        const char *type = json_string(frame.header, "type", "");
        size_t len = strlen(warnings);
        if (strcmp(type, "warning") == 0)
            snprintf(warnings + len, sizeof warnings - len, "%s",
                     json_string(frame.header, "detail", ""));
        frame_deinit(&frame);
    }
}

static void read_result(void)
{
    struct buf text;
    char path[128];
    buf_init(&text, 1u << 20);
    snprintf(path, sizeof path, "%s/result.json", out);
    json_free(result);
    result = NULL;
    if (access(path, F_OK) == 0) {
        assert_int_equal(fs_read_file(path, &text, &err), OK);
        assert_int_equal(json_parse(text.data, text.len, &result, &err), OK);
    }
    buf_deinit(&text);
}

/* Takes classes (may be NULL). */
static enum status import(const char *architecture, struct json *classes)
{
    int pair[2];
    struct err why = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct report *report = report_new_wire(pair[0]);
    struct json *document = json_new_object();
    json_set_string(document, "source", source);
    json_set_string(document, "out", out);
    json_set_string(document, "architecture", architecture);
    if (classes)
        json_set(document, "classes", classes);
    enum status status = verb_import.run(report, document, &why);
    json_free(document);
    report_free(report);
    close(pair[0]);
    read_frames(pair[1]);
    close(pair[1]);
    read_result();
    err = why;
    return status;
}

static void assert_imports(const char *architecture, struct json *classes)
{
    if (import(architecture, classes) != OK)
        fail_msg("%s", err.detail);
    assert_non_null(result);
}

static void assert_fails(const char *architecture, struct json *classes, const char *words)
{
    assert_int_equal(import(architecture, classes), E_INVALID);
    if (!strstr(err.detail, words))
        fail_msg("\"%s\" does not say \"%s\"", err.detail, words);
    assert_null(result);
    char path[128];
    snprintf(path, sizeof path, "%s/weights.safetensors", out);
    assert_int_equal(access(path, F_OK), -1);
}

static void assert_loads(int64_t classes)
{
    char path[128];
    struct tensor_source weights;
    struct model_info info;
    snprintf(path, sizeof path, "%s/weights.safetensors", out);
    if (model_file_open(path, &weights, &info, &err) != OK)
        fail_msg("%s", err.detail);
    struct graph *written = build(info.architecture, classes ? classes : 2);
    struct graph *loaded = build(info.architecture, classes ? classes : 2);
    const char *skip = classes ? NULL : "fc.";
    for (int i = 0; i < loaded->n_params; i++)
        memset(loaded->params[i]->parts[PARAM_VALUE], 0,
               loaded->params[i]->n_elements * sizeof(float));
    if (model_file_load(&weights, loaded, skip, &err) != OK)
        fail_msg("%s", err.detail);
    assert_int_equal(json_len(info.classes), classes);
    for (int i = 0; i < written->n_params; i++) {
        const struct param *a = written->params[i], *b = loaded->params[i];
        if (!skip || strncmp(a->name, skip, strlen(skip)) != 0)
            assert_memory_equal(a->parts[PARAM_VALUE], b->parts[PARAM_VALUE],
                                a->n_elements * sizeof(float));
    }
    graph_free(written);
    graph_free(loaded);
    model_info_deinit(&info);
    tensor_source_close(&weights);
}

static struct json *names(const char *const *list, size_t n)
{
    struct json *classes = json_new_array();
    for (size_t i = 0; i < n; i++)
        json_add_string(classes, list[i]);
    return classes;
}

/* --- Claims ---------------------------------------------------------------------------------- */

static void every_network_of_the_zoo_is_recognised(void **state)
{
    (void)state;
    for (size_t i = 0; i < zoo_count(); i++) {
        const char *net = zoo_at(i)->name;
        write_weights(net, 3, NULL);
        assert_imports(NULL, NULL);
        assert_string_equal(json_string(result, "architecture", ""), net);
        assert_int_equal(json_integer(result, "n_classes", -1), 3);
        assert_string_equal(warnings, "");
        assert_loads(3);
    }
}

static void the_result_counts_what_is_there(void **state)
{
    (void)state;
    struct graph *graph = build("thaw-small", 3);
    write_weights("thaw-small", 3, NULL);
    assert_imports("thaw-small", names((const char *const[]){"ant", "bee", "wasp"}, 3));
    assert_int_equal(json_integer(result, "parameters", 0), graph_count_parameters(graph));
    assert_int_equal(json_integer(result, "tensors", 0), graph->n_params);
    assert_int_equal(json_integer(result, "image_size", 0), 64);
    int64_t sum = 0;
    json_each(group, json_get(result, "groups")) sum += json_integer(group, "parameters", 0);
    assert_int_equal(sum, json_integer(result, "parameters", 0));
    assert_string_equal(json_as_string(json_at(json_get(result, "classes"), 2), ""), "wasp");
    graph_free(graph);
}

static void without_names_classes_are_indices(void **state)
{
    (void)state;
    write_weights("thaw-small", 12, NULL);
    assert_imports(NULL, NULL);
    assert_string_equal(json_as_string(json_at(json_get(result, "classes"), 11), ""), "11");
}

static void the_number_of_names_must_match(void **state)
{
    (void)state;
    write_weights("thaw-small", 3, NULL);
    assert_fails(NULL, names((const char *const[]){"ant", "bee"}, 2),
                 "There are 2 class names, but the classifier of these weights has 3 classes");
    assert_fails(NULL, names((const char *const[]){"ant", "", "bee"}, 3), "class name");
}

static void a_missing_classifier_is_allowed(void **state)
{
    (void)state;
    write_weights("thaw-small", 3, &(struct weights){.without = "fc."});
    assert_fails(NULL, names((const char *const[]){"ant"}, 1), "no classifier");
    assert_imports(NULL, NULL);
    assert_int_equal(json_type(json_get(result, "classes")), JSON_NULL);
    assert_int_equal(json_integer(result, "n_classes", -1), 0);
    assert_string_equal(json_string(result, "head", ""), MODEL_HEAD_NONE);
    assert_loads(0);
}

static void half_a_classifier_is_refused(void **state)
{
    (void)state;
    write_weights("thaw-small", 3, &(struct weights){.without = "fc.bias"});
    assert_fails(NULL, NULL, "1 tensor is missing: fc.bias");
    write_weights("thaw-small", 3, &(struct weights){.without = "fc.weight"});
    assert_fails(NULL, NULL, "its classifier is incomplete");
}

static void missing_body_tensors_are_counted_and_named(void **state)
{
    (void)state;
    write_weights("resnet18", 3, &(struct weights){.without = "layer4."});
    assert_fails(NULL, NULL, "resnet18: 25 tensors are missing: layer4.0.conv1.weight");
    assert_fails("resnet34", NULL, "resnet34");
}

static void a_wrong_shape_is_told_with_the_right_one(void **state)
{
    (void)state;
    write_weights("resnet18", 3, &(struct weights){.misshape = "layer2.0.conv1.weight"});
    assert_fails(NULL, NULL,
                 "layer2.0.conv1.weight has the shape (127, 64, 3, 3) where (128, 64, 3, 3) is "
                 "expected");
}

static void numbers_that_are_not_finite_are_refused_by_name(void **state)
{
    (void)state;
    write_weights("thaw-small", 3, &(struct weights){.poison = "fc.bias"});
    assert_fails(NULL, NULL, "fc.bias holds NaN at element 2");
}

static void other_tensors_are_left_out_with_a_warning(void **state)
{
    (void)state;
    write_weights("thaw-small", 3, &(struct weights){.extra = "aux.weight"});
    assert_imports(NULL, NULL);
    assert_non_null(strstr(warnings, "aux.weight"));
    write_weights("thaw-small", 3, &(struct weights){.extra = "bn1.num_batches_tracked"});
    assert_imports(NULL, NULL);
    assert_string_equal(warnings, "");
}

static void an_unknown_architecture_gets_a_helpful_sentence(void **state)
{
    (void)state;
    write_weights("thaw-small", 3, NULL);
    assert_fails("resnet35", NULL, "There is no architecture \"resnet35\"; known are resnet18");
    assert_string_equal(err.code, "unknown_architecture");
    write_weights("thaw-small", 3, &(struct weights){.without = "", .extra = "encoder.weight"});
    assert_fails(NULL, NULL, "no architecture that is known here: resnet18, resnet34");
    assert_non_null(strstr(err.detail, "encoder.weight"));
}

static void a_model_of_this_service_keeps_its_head_and_story(void **state)
{
    (void)state;
    struct model_info info = model_info_default("thaw-small");
    snprintf(info.head, sizeof info.head, "v2");
    info.classes = names((const char *const[]){"x", "y"}, 2);
    info.image_size = 96;
    info.lineage = json_new_object();
    json_set_string(info.lineage, "dataset", "ds_1");
    struct graph *graph =
        zoo_build(zoo_find("thaw-small"), &(struct zoo_options){.head = ZOO_HEAD_V2, .classes = 2});
    char hex[SHA256_HEX];
    zoo_init(graph, ZOO_HEAD_V2, 1);
    assert_int_equal(model_file_write(source, &info, graph, hex, &err), OK);
    assert_imports(NULL, NULL);
    assert_string_equal(json_string(result, "weights_sha256", ""), hex);
    assert_string_equal(json_string(result, "head", ""), "v2");
    assert_int_equal(json_integer(result, "image_size", 0), 96);
    assert_true(json_equal(json_get(result, "classes"), info.classes));
    struct buf first, second;
    char path[128];
    snprintf(path, sizeof path, "%s/weights.safetensors", out);
    buf_init(&first, 16u << 20);
    buf_init(&second, 16u << 20);
    assert_int_equal(fs_read_file(source, &first, &err) | fs_read_file(path, &second, &err), OK);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    buf_deinit(&first);
    buf_deinit(&second);
    unlink(path);
    snprintf(path, sizeof path, "%s/result.json", out);
    unlink(path);
    assert_fails("resnet18", NULL, "says that it is thaw-small");
    graph_free(graph);
    model_info_deinit(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_network_of_the_zoo_is_recognised, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_result_counts_what_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_names_classes_are_indices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_number_of_names_must_match, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_classifier_is_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_a_classifier_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_body_tensors_are_counted_and_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_shape_is_told_with_the_right_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(numbers_that_are_not_finite_are_refused_by_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_tensors_are_left_out_with_a_warning, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_architecture_gets_a_helpful_sentence, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_model_of_this_service_keeps_its_head_and_story, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
