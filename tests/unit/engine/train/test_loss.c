/* The loss: torch's values and gradients, class weights, and means that no batch size changes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/train/loss.h"
#include "tests/unit/engine/train/golden.h"
#include "tests/unit/engine/train/tiny_pack.h"

#define MAX_VALUES 64

static int read_numbers(const struct json *array, float *out)
{
    int n = 0;
    json_each(item, array) out[n++] = (float)json_as_number(item, NAN);
    return n;
}

/* A loss and a batch made of a golden case: the pack holds the case's labels, or its targets as
 * sets where they are 0 and 1. */
struct replay {
    struct pack *pack;
    struct loss loss;
    uint32_t items[16];
    int32_t labels[16];
    float logits[MAX_VALUES], soft[MAX_VALUES], gradient[MAX_VALUES], row_losses[16];
    struct batch batch;
};

static struct pack *pack_of(const struct replay *r, bool sets, int rows, int classes)
{
    int values[16] = {0};
    for (int i = 0; i < rows; i++) {
        values[i] = sets ? 0 : r->labels[i];
        for (int c = 0; sets && c < classes; c++)
            values[i] |= (r->soft[i * classes + c] > .5f) << c;
    }
    return sets ? tiny_multilabel_pack(values, (uint32_t)rows, (uint32_t)classes)
                : tiny_pack(values, (uint32_t)rows, (uint32_t)classes);
}

static void replay_init(struct replay *r, const struct json *golden)
{
    bool binary = strncmp(json_string(golden, "kind", ""), "binary", 6) == 0;
    int rows = (int)json_integer(golden, "rows", 0), i = 0;
    int classes = (int)json_integer(golden, "classes", 0);
    struct err err = {0};
    memset(r, 0, sizeof *r);
    read_numbers(json_get(golden, "logits"), r->logits);
    read_numbers(json_get(golden, "soft"), r->soft);
    json_each(label, json_get(golden, "labels")) r->labels[i++] = (int)json_as_number(label, 0);
    for (i = 0; i < rows; i++)
        r->items[i] = (uint32_t)i;
    r->pack = pack_of(r, binary, rows, classes);
    struct json *weights = json_new_object();
    i = 0;
    json_each(weight, json_get(golden, "weights")) json_set_number(
        weights, pack_class_name(r->pack, (uint32_t)i++), json_as_number(weight, 0));
    struct loss_options options = {.kind = binary ? LOSS_BINARY : LOSS_CROSS_ENTROPY,
                                   .smoothing = json_number(golden, "smoothing", 0),
                                   .class_weights = i > 0 ? weights : NULL};
    assert_int_equal(loss_init(&r->loss, &options, r->pack, r->items, (uint32_t)rows, &err), OK);
    json_free(weights);
    r->batch = (struct batch){.labels = r->labels, .items = r->items, .count = rows};
}

static void replay_deinit(struct replay *r)
{
    loss_deinit(&r->loss);
    pack_close(r->pack);
}

/* rms of the difference over rms of what is expected */
static double distance(const float *is, const struct json *expected)
{
    double difference = 0, size = 0;
    int i = 0;
    json_each(item, expected)
    {
        double value = json_as_number(item, NAN);
        difference += pow((double)is[i++] - value, 2);
        size += value * value;
    }
    return sqrt(difference / size);
}

static void losses_and_gradients_are_torchs(void **state)
{
    (void)state;
    struct json *cases = golden_read("loss.json");
    assert_int_equal(json_len(cases), 14);
    json_each(golden, cases)
    {
        struct replay r;
        replay_init(&r, golden);
        const char *kind = json_string(golden, "kind", "");
        bool soft = strstr(kind, "soft") != NULL;
        double expected = json_number(golden, "loss", NAN);
        double loss = loss_train(&r.loss, r.logits, &r.batch, soft ? r.soft : NULL, r.gradient);
        /* soft targets come from float32 here and in torch; sums of them round in float64 only */
        assert_true(fabs(loss - expected) <= 1e-7 * fabs(expected));
        assert_true(distance(r.gradient, json_get(golden, "gradient")) < 1e-7);
        replay_deinit(&r);
    }
    json_free(cases);
}

/* Of classification the rows as torch's reduction="none"; of binary targets their means. */
static void rows_have_torchs_losses(void **state)
{
    (void)state;
    struct json *cases = golden_read("loss.json");
    json_each(golden, cases)
    {
        if (strcmp(json_string(golden, "kind", ""), "labels") != 0)
            continue;
        struct replay r;
        struct loss_sum sum = {0, 0};
        replay_init(&r, golden);
        loss_add(&r.loss, r.logits, &r.batch, &sum, r.row_losses);
        assert_true(distance(r.row_losses, json_get(golden, "row_losses")) < 1e-7);
        assert_float_equal(loss_sum_mean(&sum), json_number(golden, "loss", NAN), 1e-9);
        replay_deinit(&r);
    }
    json_free(cases);
}

static void a_validation_mean_does_not_depend_on_the_batch_size(void **state)
{
    (void)state;
    struct json *cases = golden_read("loss.json");
    json_each(golden, cases)
    {
        if (strstr(json_string(golden, "kind", ""), "soft"))
            continue;
        struct replay r;
        struct loss_sum whole = {0, 0}, parts = {0, 0};
        replay_init(&r, golden);
        loss_add(&r.loss, r.logits, &r.batch, &whole, NULL);
        for (int i = 0; i < r.batch.count; i++) {
            struct batch one = {.labels = r.labels + i, .items = r.items + i, .count = 1};
            loss_add(&r.loss, r.logits + i * r.loss.classes, &one, &parts, NULL);
        }
        assert_float_equal(loss_sum_mean(&whole), loss_sum_mean(&parts), 1e-12);
        replay_deinit(&r);
    }
    json_free(cases);
}

static struct json *text(const char *word)
{
    struct json *object = json_new_object();
    json_set_string(object, "x", word);
    return object;
}

static const uint32_t six[] = {0, 1, 2, 3, 4, 5};

/* compute_class_weight("balanced", classes=[0,1,3], y=[0,0,0,1,1,3]) = .6667, 1, 2; class 2 has no
 * item. */
static void balanced_weights_are_scikit_learns(void **state)
{
    (void)state;
    static const int labels[] = {0, 0, 0, 1, 1, 3};
    static const double expected[] = {6. / (3 * 3), 6. / (3 * 2), 1, 6. / (3 * 1)};
    struct pack *pack = tiny_pack(labels, 6, 4);
    struct json *word = text("balanced");
    struct loss_options options = {LOSS_CROSS_ENTROPY, 0, json_get(word, "x")};
    struct loss loss;
    struct err err = {0};
    assert_int_equal(loss_init(&loss, &options, pack, six, 6, &err), OK);
    for (int c = 0; c < 4; c++)
        assert_float_equal(loss.weights[c], expected[c], 1e-7);
    loss_deinit(&loss);
    pack_close(pack);
    json_free(word);
}

static void expect_refusal(const struct pack *pack, struct loss_options options,
                           const char *pointer)
{
    struct loss loss;
    struct err err = {0};
    assert_int_equal(loss_init(&loss, &options, pack, six, 6, &err), E_INVALID);
    assert_string_equal(err.pointer, pointer);
    assert_true(strlen(err.detail) > 20);
}

static void options_that_do_not_fit_the_data_are_refused_by_name(void **state)
{
    (void)state;
    static const int labels[] = {0, 0, 0, 1, 1, 1};
    struct pack *single = tiny_pack(labels, 6, 2), *several = tiny_multilabel_pack(labels, 6, 2);
    struct json *balanced = text("balanced"), *other = text("heavy"), *unknown = json_new_object();
    struct json *negative = json_new_object();
    json_set_number(unknown, "zebra", 2);
    json_set_number(negative, "a", -1);
    const struct json *even = json_get(balanced, "x");
    expect_refusal(several, (struct loss_options){LOSS_CROSS_ENTROPY, 0, NULL}, "/task");
    expect_refusal(several, (struct loss_options){LOSS_BINARY, .1, NULL}, "/label_smoothing");
    expect_refusal(several, (struct loss_options){LOSS_BINARY, 0, even}, "/class_weights");
    expect_refusal(single, (struct loss_options){LOSS_CROSS_ENTROPY, 1, NULL}, "/label_smoothing");
    expect_refusal(single, (struct loss_options){LOSS_CROSS_ENTROPY, 0, json_get(other, "x")},
                   "/class_weights");
    expect_refusal(single, (struct loss_options){LOSS_CROSS_ENTROPY, 0, unknown}, "/class_weights");
    expect_refusal(single, (struct loss_options){LOSS_CROSS_ENTROPY, 0, negative},
                   "/class_weights");
    json_free(balanced);
    json_free(other);
    json_free(unknown);
    json_free(negative);
    pack_close(single);
    pack_close(several);
}

static void probabilities_of_one_label_sum_to_one_and_those_of_several_do_not(void **state)
{
    (void)state;
    static const float logits[] = {0, 0, 1000, -1000};
    float p[4];
    loss_probabilities(LOSS_CROSS_ENTROPY, logits, 2, 2, p);
    assert_true(p[0] == .5f && p[1] == .5f && p[2] == 1 && p[3] == 0);
    loss_probabilities(LOSS_BINARY, logits, 1, 4, p);
    assert_true(p[0] == .5f && p[1] == .5f && p[2] == 1 && p[3] == 0);
}

static void no_number_in_gives_no_number_out(void **state)
{
    (void)state;
    static const int labels[] = {0, 0, 0, 1, 1, 1};
    static const float logits[] = {1, NAN};
    static const int32_t label[] = {0};
    struct pack *pack = tiny_pack(labels, 6, 2);
    struct batch batch = {.labels = label, .items = six, .count = 1};
    for (int kind = LOSS_CROSS_ENTROPY; kind <= LOSS_BINARY; kind++) {
        struct loss loss;
        struct err err = {0};
        struct loss_options options = {.kind = (enum loss_kind)kind};
        float gradient[2];
        assert_int_equal(loss_init(&loss, &options, pack, six, 6, &err), OK);
        assert_true(isnan(loss_train(&loss, logits, &batch, NULL, gradient)));
        loss_deinit(&loss);
    }
    pack_close(pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_and_gradients_are_torchs),
        cmocka_unit_test(rows_have_torchs_losses),
        cmocka_unit_test(a_validation_mean_does_not_depend_on_the_batch_size),
        cmocka_unit_test(balanced_weights_are_scikit_learns),
        cmocka_unit_test(options_that_do_not_fit_the_data_are_refused_by_name),
        cmocka_unit_test(probabilities_of_one_label_sum_to_one_and_those_of_several_do_not),
        cmocka_unit_test(no_number_in_gives_no_number_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
