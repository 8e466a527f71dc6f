#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/data/png.h"
#include "engine/format/model_file.h"
#include "engine/infer/predict.h"
#include "engine/infer/tta.h"
#include "engine/zoo/zoo.h"

#define SIDE    48
#define CLASSES 3

struct fixture {
    char folder[64];
    struct predictor *predictor;
    struct buf images[PREDICT_MAX_BATCH];
    float probabilities[PREDICT_MAX_BATCH][CLASSES];
    struct predict_item items[PREDICT_MAX_BATCH];
};

static void draw(struct buf *png, uint64_t number)
{
    uint8_t pixels[SIDE * SIDE * 3];
    struct rng rng = rng_stream("picture", 3, number, 0);
    struct err err;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(rng_below(&rng, 100) + 10 * number);
    buf_init(png, 1u << 20);
    assert_int_equal(image_png_encode(pixels, SIDE, SIDE, png, &err), OK);
}

/* A model of random weights with a head of the given kind, in FOLDER/model. */
static char *write_model(const char *folder, enum zoo_head head)
{
    struct err err = {0};
    struct model_info info = model_info_default("thaw-small");
    snprintf(info.head, sizeof info.head, "%s", zoo_head_name(head));
    info.image_size = 32;
    info.classes = json_new_array();
    for (int i = 0; i < CLASSES; i++)
        json_add_string(info.classes, (const char *[]){"ant", "bee", "cat"}[i]);
    struct graph *graph =
        zoo_build(zoo_find("thaw-small"), &(struct zoo_options){.head = head, .classes = CLASSES});
    zoo_init(graph, head, 11);
    char *path = mem_printf("%s/model-%s", folder, info.head);
    if (model_file_write(path, &info, graph, NULL, &err) != OK)
        fail_msg("%s", err.detail);
    graph_free(graph);
    model_info_deinit(&info);
    return path;
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    struct err err = {0};
    snprintf(f->folder, sizeof f->folder, "/tmp/thaw-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    char *path = write_model(f->folder, ZOO_HEAD_V2);
    if (predictor_open(path, &f->predictor, &err) != OK)
        fail_msg("%s", err.detail);
    mem_free(path);
    for (int i = 0; i < PREDICT_MAX_BATCH; i++) {
        draw(&f->images[i], (uint64_t)i);
        f->items[i] = (struct predict_item){.bytes = f->images[i].data,
                                            .len = f->images[i].len,
                                            .probabilities = f->probabilities[i]};
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct err err;
    predictor_close(f->predictor);
    for (int i = 0; i < PREDICT_MAX_BATCH; i++)
        buf_deinit(&f->images[i]);
    assert_int_equal(fs_remove_tree(f->folder, &err), OK);
    mem_free(f);
    return 0;
}

static void the_model_file_says_what_the_classes_are(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(predictor_n_classes(f->predictor), CLASSES);
    assert_string_equal(predictor_class(f->predictor, 1), "bee");
    assert_int_equal(strlen(predictor_plan_hash(f->predictor)), 64);
}

static void probabilities_are_a_distribution_that_depends_on_the_image(void **state)
{
    struct fixture *f = *state;
    predictor_run(f->predictor, f->items, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(f->items[i].status, OK);
        float sum = 0;
        for (int k = 0; k < CLASSES; k++)
            sum += f->probabilities[i][k];
        assert_true(fabsf(sum - 1) < 1e-5f);
    }
    assert_true(fabsf(f->probabilities[0][0] - f->probabilities[1][0]) > 1e-6f);
}

static void an_answer_is_the_same_alone_and_in_any_batch(void **state)
{
    struct fixture *f = *state;
    float alone[PREDICT_MAX_BATCH][CLASSES];
    for (int i = 0; i < PREDICT_MAX_BATCH; i++) {
        predictor_run(f->predictor, &f->items[i], 1);
        memcpy(alone[i], f->probabilities[i], sizeof alone[i]);
    }
    static const size_t sizes[] = {2, 4, 5, PREDICT_MAX_BATCH};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        predictor_run(f->predictor, f->items, sizes[s]);
        for (size_t i = 0; i < sizes[s]; i++)
            for (int k = 0; k < CLASSES; k++)
                assert_true(fabsf(f->probabilities[i][k] - alone[i][k]) < 1e-5f);
    }
}

static void views_are_mixed_into_the_answer_and_change_nobody_elses(void **state)
{
    struct fixture *f = *state;
    float plain[PREDICT_MAX_BATCH][CLASSES], mixed[CLASSES];
    predictor_run(f->predictor, f->items, PREDICT_MAX_BATCH);
    memcpy(plain, f->probabilities, sizeof plain);
    f->items[3].tta = true;
    predictor_run(f->predictor, &f->items[3], 1);
    memcpy(mixed, f->probabilities[3], sizeof mixed);
    float sum = 0, change = 0;
    for (int k = 0; k < CLASSES; k++) {
        sum += mixed[k];
        change += fabsf(mixed[k] - plain[3][k]);
    }
    assert_true(fabsf(sum - 1) < 1e-5f && change > 1e-6f);
    for (int i = 0; i < PREDICT_MAX_BATCH; i++)
        f->items[i].tta = i % 2; /* 48 rows: three runs of the largest plan */
    predictor_run(f->predictor, f->items, PREDICT_MAX_BATCH);
    for (int i = 0; i < PREDICT_MAX_BATCH; i++)
        for (int k = 0; k < CLASSES; k++)
            assert_true(i % 2 || fabsf(f->probabilities[i][k] - plain[i][k]) < 1e-5f);
    for (int k = 0; k < CLASSES; k++)
        assert_true(fabsf(f->probabilities[3][k] - mixed[k]) < 1e-5f);
}

static void the_mix_is_a_quarter_plain_and_the_rest_the_views_mean(void **state)
{
    (void)state;
    float plain[2] = {0.4f, 0.6f};
    const float sum[2] = {3.2f, 0.8f};
    tta_mix(plain, sum, 4, 2);
    assert_true(fabsf(plain[0] - (0.75f * 0.8f + 0.25f * 0.4f)) < 1e-6f);
    assert_true(fabsf(plain[1] - (0.75f * 0.2f + 0.25f * 0.6f)) < 1e-6f);
    tta_mix(plain, sum, 0, 2);
    assert_true(fabsf(plain[0] - 0.7f) < 1e-6f);
}

static void views_differ_from_each_other_and_never_from_themselves(void **state)
{
    (void)state;
    struct augment views[TTA_VIEWS];
    for (int i = 0; i < TTA_VIEWS; i++) {
        struct augment again = tta_view(500, 375, i);
        views[i] = tta_view(500, 375, i);
        assert_int_equal(views[i].crop.x, again.crop.x);
        assert_true(views[i].angle == again.angle && views[i].zoom_x == again.zoom_x);
        assert_int_equal(views[i].crop.width, 375);
        for (int k = 0; k < i; k++)
            assert_true(views[i].zoom_x != views[k].zoom_x);
    }
}

static void a_bad_image_fails_alone(void **state)
{
    struct fixture *f = *state;
    float expected[CLASSES];
    predictor_run(f->predictor, &f->items[2], 1);
    memcpy(expected, f->probabilities[2], sizeof expected);
    f->items[0].len = 40; /* cut in the middle */
    f->items[1].bytes = "no image at all";
    f->items[1].len = 15;
    f->items[3].len = 0;
    f->items[0].tta = true;
    predictor_run(f->predictor, f->items, 4);
    assert_int_equal(f->items[0].status, E_INVALID);
    assert_int_equal(f->items[1].status, E_INVALID);
    assert_int_equal(f->items[3].status, E_INVALID);
    assert_true(strlen(f->items[1].err.detail) > 20);
    assert_int_equal(f->items[2].status, OK);
    for (int k = 0; k < CLASSES; k++)
        assert_true(fabsf(f->probabilities[2][k] - expected[k]) < 1e-5f);
}

static void an_original_classifier_predicts_as_well(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char *path = write_model(f->folder, ZOO_HEAD_ORIGINAL);
    struct predictor *predictor;
    if (predictor_open(path, &predictor, &err) != OK)
        fail_msg("%s", err.detail);
    predictor_run(predictor, f->items, 3);
    assert_int_equal(f->items[2].status, OK);
    predictor_close(predictor);
    mem_free(path);
}

static void a_file_that_is_no_model_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct predictor *predictor = NULL;
    char *path = mem_printf("%s/garbage", f->folder);
    assert_int_equal(fs_write_file(path, "garbage", 7, &err), OK);
    assert_int_equal(predictor_open(path, &predictor, &err), E_INVALID);
    assert_null(predictor);
    mem_free(path);
}

static void a_body_without_classifier_is_refused_with_the_reason(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct predictor *predictor = NULL;
    struct model_info info = model_info_default("thaw-small");
    snprintf(info.head, sizeof info.head, "%s", MODEL_HEAD_NONE);
    struct graph *graph =
        zoo_build(zoo_find("thaw-small"), &(struct zoo_options){.classes = CLASSES});
    char *path = mem_printf("%s/body", f->folder);
    assert_int_equal(model_file_write(path, &info, graph, NULL, &err), OK);
    assert_int_equal(predictor_open(path, &predictor, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "no classifier"));
    graph_free(graph);
    model_info_deinit(&info);
    mem_free(path);
}

static void top_k_is_sorted_and_ties_go_to_the_first(void **state)
{
    (void)state;
    const float p[] = {.1f, .3f, .2f, .3f, .05f, .05f};
    int64_t best[6];
    predict_top_k(p, 6, 3, best);
    assert_true(best[0] == 1 && best[1] == 3 && best[2] == 2);
    predict_top_k(p, 6, 6, best);
    assert_true(best[3] == 0 && best[4] == 4 && best[5] == 5);
    predict_top_k(p, 6, 1, best);
    assert_int_equal(best[0], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_model_file_says_what_the_classes_are, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(probabilities_are_a_distribution_that_depends_on_the_image,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_is_the_same_alone_and_in_any_batch, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(views_are_mixed_into_the_answer_and_change_nobody_elses,
                                        set_up, tear_down),
        cmocka_unit_test(the_mix_is_a_quarter_plain_and_the_rest_the_views_mean),
        cmocka_unit_test(views_differ_from_each_other_and_never_from_themselves),
        cmocka_unit_test_setup_teardown(a_bad_image_fails_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_original_classifier_predicts_as_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_model_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_body_without_classifier_is_refused_with_the_reason,
                                        set_up, tear_down),
        cmocka_unit_test(top_k_is_sorted_and_ties_go_to_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
