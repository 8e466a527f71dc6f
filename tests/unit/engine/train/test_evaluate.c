/* Tasks evaluate and predict: the answers are the model's own, classes are matched by name, and
 * what cannot be scored is refused in a sentence. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/data/loader.h"
#include "engine/data/pack.h"
#include "engine/format/model_file.h"
#include "engine/infer/predict.h"
#include "engine/train/report.h"
#include "engine/zoo/zoo.h"
#include "tests/unit/engine/train/fixture.h"

#define ITEMS 30
#define SIZE  32

/* A model of random weights in FOLDER/NAME; classes NULL: a body alone. */
static char *write_seeded(const struct fixture *fixture, const char *name, uint64_t seed, int size,
                          const char *const *classes, int n)
{
    struct err err = {0};
    enum zoo_head head = ZOO_HEAD_V2;
    struct model_info info = model_info_default("thaw-small");
    info.image_size = size;
    snprintf(info.head, sizeof info.head, "%s", n ? zoo_head_name(head) : MODEL_HEAD_NONE);
    info.classes = n ? json_new_array() : NULL;
    for (int i = 0; i < n; i++)
        json_add_string(info.classes, classes[i]);
    struct graph *graph = zoo_build(zoo_find("thaw-small"),
                                    &(struct zoo_options){.head = head, .classes = n ? n : 2});
    zoo_init(graph, head, seed);
    char *path = mem_printf("%s/%s", fixture->folder, name);
    if (model_file_write(path, &info, graph, NULL, &err) != OK)
        fail_msg("%s", err.detail);
    graph_free(graph);
    model_info_deinit(&info);
    return path;
}

static char *write_model(const struct fixture *fixture, const char *const *classes, int n)
{
    return write_seeded(fixture, "model", 5, SIZE, classes, n);
}

static const char *const ours[] = {"blue", "red"}, *const turned[] = {"red", "blue"};
static const char *const others[] = {"blue", "green"}, *const more[] = {"blue", "grey", "red"};

static struct json *evaluate(struct fixture *fixture, const char *spec, const char *const *classes,
                             int n)
{
    char *model = write_model(fixture, classes, n);
    fixture_new_run(fixture);
    if (fixture_run(fixture, spec, model) != OK)
        fail_msg("%s", fixture->err.detail);
    mem_free(model);
    return fixture_json(fixture, REPORT_JSON);
}

/* The lines of predictions.ndjson, in the order of the items; owned. */
static int read_predictions(const struct fixture *fixture, struct json **lines)
{
    struct buf text;
    struct err err = {0};
    int n = 0;
    char *path = mem_printf("%s/%s", fixture->out, REPORT_NDJSON);
    buf_init(&text, 1u << 20);
    assert_int_equal(fs_read_file(path, &text, &err), OK);
    for (char *line = text.data, *end; (end = strchr(line, '\n')); line = end + 1)
        assert_int_equal(json_parse(line, (size_t)(end - line), &lines[n++], &err), OK);
    mem_free(path);
    buf_deinit(&text);
    return n;
}

static double probability(const struct json *line, const char *class)
{
    return json_number(json_get(line, "probabilities"), class, NAN);
}

static uint32_t find_item(const struct pack *pack, const char *path)
{
    for (uint32_t i = 0; i < pack_n_items(pack); i++)
        if (strcmp(pack_item_path(pack, i), path) == 0)
            return i;
    fail_msg("The data set has no item %s.", path);
    return 0;
}

static void an_evaluation_gives_each_item_the_models_own_answer(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err = {0};
    struct json *lines[ITEMS];
    struct pack *pack;
    struct predictor *predictor;
    fixture_init(&fixture, ITEMS);
    struct json *report =
        evaluate(&fixture, "{'task':'evaluate','split':'all','batch_size':7}", ours, 2);
    assert_int_equal(read_predictions(&fixture, lines), ITEMS);
    assert_int_equal(pack_open(fixture.pack, fixture.index, &pack, &err), OK);
    char *model = mem_printf("%s/model", fixture.folder);
    assert_int_equal(predictor_open(model, &predictor, &err), OK);
    int right = 0;
    for (int i = 0; i < ITEMS; i++) {
        char bytes[8192];
        float answer[2];
        uint32_t item = find_item(pack, json_string(lines[i], "path", ""));
        struct predict_item request = {
            .bytes = bytes, .len = pack_item(pack, item)->size, .probabilities = answer};
        assert_true(request.len <= sizeof bytes);
        assert_int_equal(pack_read(pack, item, bytes, &err), OK);
        predictor_run(predictor, &request, 1);
        assert_true(fabs(probability(lines[i], "blue") - (double)answer[0]) < 1e-5);
        right += (answer[1] > answer[0]) == (pack_item(pack, item)->label == 1);
        json_free(lines[i]);
    }
    assert_true(fabs(json_number(report, "accuracy", NAN) - (double)right / ITEMS) < 1e-12);
    assert_int_equal(fixture_count(&fixture, "artifact"), 3);
    assert_int_equal(fixture_count(&fixture, "result"), 1);
    predictor_close(predictor);
    pack_close(pack);
    mem_free(model);
    json_free(report);
    fixture_deinit(&fixture);
}

static void classes_are_matched_by_name_in_whatever_order(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, ITEMS);
    struct json *one = evaluate(&fixture, "{'task':'evaluate','split':'all'}", ours, 2);
    struct json *two = evaluate(&fixture, "{'task':'evaluate','split':'all'}", turned, 2);
    /* The same weights with the names exchanged are right where they were wrong. */
    assert_true(fabs(json_number(one, "accuracy", NAN) + json_number(two, "accuracy", NAN) - 1) <
                1e-12);
    json_free(one);
    json_free(two);
    fixture_deinit(&fixture);
}

static void a_class_that_the_model_does_not_know_is_refused_and_named(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, ITEMS);
    char *model = write_model(&fixture, others, 2);
    assert_int_equal(fixture_run(&fixture, "{'task':'evaluate'}", model), E_INVALID);
    assert_non_null(strstr(fixture.err.detail, "1 of the data set's 2 classes"));
    assert_non_null(strstr(fixture.err.detail, "\"red\""));
    assert_non_null(strstr(fixture.err.detail, "\"blue\", \"green\""));
    assert_int_equal(fixture_count(&fixture, "started"), 0);
    mem_free(model);
    fixture_deinit(&fixture);
}

static void a_prediction_scores_the_labels_that_the_model_knows(void **state)
{
    (void)state;
    struct fixture fixture;
    struct json *lines[ITEMS];
    fixture_init(&fixture, ITEMS);
    struct json *report = evaluate(&fixture, "{'task':'predict','split':'all'}", others, 2);
    assert_int_equal(json_integer(report, "items", 0), ITEMS);
    assert_int_equal(json_integer(report, "n", 0), ITEMS / 2); /* the blue ones */
    assert_int_equal(read_predictions(&fixture, lines), ITEMS);
    for (int i = 0; i < ITEMS; i++) {
        const char *label = json_string(lines[i], "label", "");
        assert_true(strcmp(label, "blue") == 0 || strcmp(label, "red") == 0);
        assert_true(probability(lines[i], "green") >= 0);
        json_free(lines[i]);
    }
    json_free(report);
    fixture_deinit(&fixture);
}

static void classes_that_only_the_model_has_are_a_warning(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, ITEMS);
    struct json *report = evaluate(&fixture, "{'task':'evaluate','split':'all'}", more, 3);
    struct json *event = fixture_event(&fixture, "warning", 0);
    assert_string_equal(json_string(event, "code", ""), "classes_not_in_dataset");
    assert_non_null(strstr(json_string(event, "detail", ""), "\"grey\""));
    assert_true(json_len(json_get(report, "warnings")) >= 1);
    json_free(event);
    json_free(report);
    fixture_deinit(&fixture);
}

/* --- Test-time augmentation ------------------------------------------------------------------- */

/* lerp(mean of the views, plain, .25) of the first item, computed here. */
static double expected_tta(const struct fixture *fixture, int views, uint64_t seed)
{
    struct err err = {0};
    struct tensor_source source;
    struct model_info info;
    struct pack *pack;
    struct plan *plan;
    struct loader *loader;
    struct batch batch;
    uint32_t item = 0;
    char *model = mem_printf("%s/model", fixture->folder);
    struct graph *graph =
        zoo_build(zoo_find("thaw-small"), &(struct zoo_options){.head = ZOO_HEAD_V2, .classes = 2});
    assert_int_equal(model_file_open(model, &source, &info, &err), OK);
    assert_int_equal(model_file_load(&source, graph, NULL, &err), OK);
    assert_int_equal(pack_open(fixture->pack, fixture->index, &pack, &err), OK);
    struct loader_options loading = {.pass = LOADER_VIEWS,
                                     .items = &item,
                                     .n_items = 1,
                                     .batch_size = 1 + views,
                                     .size = SIZE,
                                     .threads = 1,
                                     .seed = seed,
                                     .augment = augment_default(),
                                     .views = views};
    struct plan_options planning = {
        .mode = PLAN_INFER, .batch = 1 + views, .height = SIZE, .width = SIZE};
    assert_int_equal(loader_open(pack, &loading, &loader, &err), OK);
    assert_int_equal(plan_new(graph, &planning, &plan, &err), OK);
    loader_begin(loader, 0, 0, 0);
    assert_int_equal(loader_next(loader, &batch, &err), OK);
    memcpy(plan_input(plan), batch.images,
           (size_t)batch.count * batch.row_floats * sizeof *batch.images);
    plan_forward(plan, 0, 0);
    double plain = 0, mean = 0;
    for (int i = 0; i <= views; i++) {
        const float *logits = plan_output(plan) + 2 * i;
        double p = 1 / (1 + exp((double)logits[1] - (double)logits[0]));
        if (i == 0)
            plain = p;
        else
            mean += p / views;
    }
    plan_free(plan);
    loader_close(loader);
    pack_close(pack);
    graph_free(graph);
    tensor_source_close(&source);
    model_info_deinit(&info);
    mem_free(model);
    return mean + .25 * (plain - mean);
}

static void views_are_averaged_and_mixed_with_the_plain_picture(void **state)
{
    (void)state;
    struct fixture fixture;
    struct json *lines[ITEMS];
    fixture_init(&fixture, ITEMS);
    /* Batches of 7 rows: items of 5 rows begin and end anywhere in them. */
    struct json *report = evaluate(
        &fixture, "{'task':'evaluate','split':'all','tta':4,'batch_size':7,'seed':9}", ours, 2);
    assert_int_equal(json_integer(report, "tta", 0), 4);
    assert_int_equal(read_predictions(&fixture, lines), ITEMS);
    double expected = expected_tta(&fixture, 4, 9), actual = probability(lines[0], "blue");
    if (!(fabs(actual - expected) < 1e-5))
        fail_msg("%g is not %g", actual, expected);
    for (int i = 0; i < ITEMS; i++)
        json_free(lines[i]);
    json_free(report);
    fixture_deinit(&fixture);
}

static void views_that_change_nothing_change_no_answer(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, ITEMS);
    struct json *plain = evaluate(&fixture, "{'task':'evaluate','split':'all'}", ours, 2);
    struct json *views =
        evaluate(&fixture, "{'task':'evaluate','split':'all','tta':3,'augment':'none'}", ours, 2);
    assert_true(fabs(json_number(plain, "loss", NAN) - json_number(views, "loss", NAN)) < 1e-5);
    json_free(plain);
    json_free(views);
    fixture_deinit(&fixture);
}

/* --- Ensembles -------------------------------------------------------------------------------- */

#define MODELS 3

/* Of all items, P(blue) in the order of the items, by models of different sizes and class orders.
 * [MODELS]: by all of them. */
static void answer_all(struct fixture *fixture, const char *spec, double blue[MODELS + 1][ITEMS],
                       struct json **report)
{
    static const char *const *const classes[MODELS] = {ours, turned, ours};
    struct json *files = json_new_array(), *lines[ITEMS];
    char *paths[MODELS];
    for (int k = 0; k < MODELS; k++) {
        char name[16];
        snprintf(name, sizeof name, "model-%d", k);
        paths[k] = write_seeded(fixture, name, 5 + (uint64_t)k, k == 2 ? 48 : SIZE, classes[k], 2);
        if (k > 0)
            json_add_string(files, paths[k]);
    }
    for (int k = 0; k <= MODELS; k++) {
        fixture_new_run(fixture);
        fixture->ensemble = k == MODELS ? files : NULL;
        fixture_run_ok(fixture, spec, paths[k % MODELS]);
        assert_int_equal(read_predictions(fixture, lines), ITEMS);
        for (int i = 0; i < ITEMS; i++) {
            blue[k][i] = probability(lines[i], "blue");
            json_free(lines[i]);
        }
    }
    fixture->ensemble = NULL;
    *report = fixture_json(fixture, REPORT_JSON);
    json_free(files);
    for (int k = 0; k < MODELS; k++)
        mem_free(paths[k]);
}

static void an_ensembles_probabilities_are_the_mean_of_its_models(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "{'task':'evaluate','split':'all','batch_size':7,'model':'mdl_a','ensemble':['mdl_b','c']}",
        "{'task':'evaluate','split':'all','batch_size':7,'model':'mdl_a','ensemble':['mdl_b','c'],"
        "'tta':2,'seed':4}"};
    for (size_t s = 0; s < ARRAY_LEN(specs); s++) {
        struct fixture fixture;
        double blue[MODELS + 1][ITEMS], apart = 0;
        struct json *report;
        fixture_init(&fixture, ITEMS);
        answer_all(&fixture, specs[s], blue, &report);
        for (int i = 0; i < ITEMS; i++) {
            double mean = (blue[0][i] + blue[1][i] + blue[2][i]) / MODELS;
            assert_true(fabs(blue[MODELS][i] - mean) < 1e-6);
            apart += fabs(blue[0][i] - blue[1][i]);
        }
        assert_true(apart > .1); /* they do differ */
        const struct json *models = json_get(report, "models");
        assert_int_equal(json_len(models), MODELS);
        assert_string_equal(json_as_string(json_at(models, 2), ""), "c");
        json_free(report);
        fixture_deinit(&fixture);
    }
}

static void assert_no_ensemble(struct fixture *fixture, const char *const *classes, int n,
                               const char *said)
{
    char *model = write_model(fixture, ours, 2);
    char *other = write_seeded(fixture, "other", 6, SIZE, classes, n);
    struct json *files = json_new_array();
    json_add_string(files, other);
    fixture->ensemble = files;
    assert_int_equal(fixture_run(fixture,
                                 "{'task':'evaluate','split':'all','model':'m','ensemble':['o']}",
                                 model),
                     E_INVALID);
    if (!strstr(fixture->err.detail, said))
        fail_msg("%s", fixture->err.detail);
    assert_non_null(strstr(fixture->err.detail, "The model o cannot be part of the ensemble"));
    assert_string_equal(fixture->err.pointer, "/ensemble/0");
    json_free(files);
    mem_free(model);
    mem_free(other);
}

static void models_whose_classes_differ_are_no_ensemble(void **state)
{
    (void)state;
    static const char *const twins[] = {"blue", "blue"};
    struct fixture fixture;
    fixture_init(&fixture, ITEMS);
    assert_no_ensemble(&fixture, others, 2, "it lacks \"red\", and has beside those \"green\".");
    assert_no_ensemble(&fixture, more, 3, "It has 3 classes and m 2");
    assert_no_ensemble(&fixture, twins, 2, "two classes are called \"blue\"");
    assert_no_ensemble(&fixture, NULL, 0, "no classifier");
    fixture_deinit(&fixture);
}

/* --- What ends it early ----------------------------------------------------------------------- */

static bool has_report(const struct fixture *fixture)
{
    char *path = mem_printf("%s/%s", fixture->out, REPORT_JSON);
    bool there = access(path, F_OK) == 0;
    mem_free(path);
    return there;
}

static void told_to_pause_or_cancel_it_leaves_nothing_and_can_start_again(void **state)
{
    (void)state;
    static const char spec[] = "{'task':'evaluate','split':'all','batch_size':2}";
    struct fixture fixture;
    fixture_init(&fixture, ITEMS);
    char *model = write_model(&fixture, ours, 2);
    fixture.request_at = 3;
    fixture.request = TRAINER_PAUSE;
    assert_int_equal(fixture_run(&fixture, spec, model), OK);
    assert_int_equal(fixture_count(&fixture, "paused"), 1);
    assert_false(has_report(&fixture));
    fixture.request = TRAINER_CANCEL;
    assert_int_equal(fixture_run(&fixture, spec, model), E_CANCELLED);
    assert_false(has_report(&fixture));
    fixture.request_at = 0;
    assert_int_equal(fixture_run(&fixture, spec, model), OK);
    assert_true(has_report(&fixture));
    mem_free(model);
    fixture_deinit(&fixture);
}

static void what_cannot_be_evaluated_is_said_in_a_sentence(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, ITEMS);
    char *model = write_model(&fixture, ours, 2);
    assert_int_equal(fixture_run(&fixture, "{'task':'evaluate','split':'test'}", model), E_INVALID);
    assert_non_null(strstr(fixture.err.detail, "no labelled items in the split \"test\""));
    assert_int_equal(fixture_run(&fixture, "{'task':'predict','split':'test'}", model), E_INVALID);
    mem_free(model);
    model = write_model(&fixture, NULL, 0);
    assert_int_equal(fixture_run(&fixture, "{'task':'evaluate'}", model), E_INVALID);
    assert_non_null(strstr(fixture.err.detail, "no classifier"));
    assert_int_equal(fixture_run(&fixture, "{'task':'evaluate'}", NULL), E_INVALID);
    assert_non_null(strstr(fixture.err.detail, "no model"));
    mem_free(model);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_evaluation_gives_each_item_the_models_own_answer),
        cmocka_unit_test(classes_are_matched_by_name_in_whatever_order),
        cmocka_unit_test(a_class_that_the_model_does_not_know_is_refused_and_named),
        cmocka_unit_test(a_prediction_scores_the_labels_that_the_model_knows),
        cmocka_unit_test(classes_that_only_the_model_has_are_a_warning),
        cmocka_unit_test(views_are_averaged_and_mixed_with_the_plain_picture),
        cmocka_unit_test(views_that_change_nothing_change_no_answer),
        cmocka_unit_test(an_ensembles_probabilities_are_the_mean_of_its_models),
        cmocka_unit_test(models_whose_classes_differ_are_no_ensemble),
        cmocka_unit_test(told_to_pause_or_cancel_it_leaves_nothing_and_can_start_again),
        cmocka_unit_test(what_cannot_be_evaluated_is_said_in_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
