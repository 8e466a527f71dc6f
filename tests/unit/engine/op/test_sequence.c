/* The operations over sequences against numbers that PyTorch computed in float64
 * (tests/golden/sequence.py), their dropouts against the masks that they say they drew, and what a
 * plan promises about steps, state and gradients that add up. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/core/plan.h"

#define BOUND     1e-5 /* rms error of rms */
#define MOST      8    /* time steps the plans could run */
#define MAX_BYTES (1u << 20)
#define MAX       4096

static struct json *golden; /* owned */

struct fixture {
    const struct json *spec; /* borrowed */
    struct graph *graph;     /* owned */
    struct plan *plan;       /* owned */
};

static int64_t dimension(const char *name)
{
    return json_integer(golden, name, 0);
}

static const struct json *case_of(const char *op)
{
    json_each(spec, json_get(golden, "cases"))
    {
        if (strcmp(json_string(spec, "op", ""), op) == 0)
            return spec;
    }
    fail_msg("there is no golden case %s", op);
    return NULL;
}

static size_t numbers(const struct json *array, float *out)
{
    size_t n = json_len(array);
    assert_true(n > 0 && n <= MAX);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)json_as_number(json_at(array, i), NAN);
    return n;
}

static void integers(const struct json *array, int32_t *out)
{
    for (size_t i = 0; i < json_len(array); i++)
        out[i] = (int32_t)json_as_number(json_at(array, i), 0);
}

static void compare(const char *what, const float *ours, const struct json *expected)
{
    static float theirs[MAX];
    size_t n = numbers(expected, theirs);
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)ours[i] - (double)theirs[i];
        difference += d * d;
        size += (double)theirs[i] * (double)theirs[i];
    }
    if (!(sqrt(difference) <= BOUND * sqrt(size)))
        fail_msg("%s: error %.3g of its rms", what, sqrt(difference / size));
}

static int add_op(struct graph *graph, const struct json *spec, int x, float weight_dropout)
{
    const char *op = json_string(spec, "op", "");
    if (strcmp(op, "lstm") == 0)
        return graph_lstm(graph, x, "rnns.0", dimension("hidden"), weight_dropout);
    if (strcmp(op, "penalty") == 0)
        return graph_penalty(graph, x, (float)json_number(spec, "activation", 0),
                             (float)json_number(spec, "slope", 0));
    if (strcmp(op, "decoder") == 0)
        return graph_decoder_loss(graph, x, "decoder", x);
    if (strcmp(op, "pool") == 0)
        return graph_sequence_pool(graph, x);
    return x;
}

static void load_params(const struct fixture *f)
{
    float *values = mem_alloc(MAX * sizeof *values);
    for (int i = 0; i < f->graph->n_params; i++) {
        struct param *param = f->graph->params[i];
        assert_int_equal(numbers(json_get(json_get(f->spec, "params"), param->name), values),
                         param->n_elements);
        param_write(param, PARAM_VALUE, values);
    }
    mem_free(values);
}

static void feed(const struct fixture *f)
{
    integers(json_get(f->spec, "tokens"), plan_tokens(f->plan));
    if (plan_targets(f->plan))
        integers(json_get(f->spec, "targets"), plan_targets(f->plan));
    if (plan_begins(f->plan)) {
        integers(json_get(f->spec, "begins"), plan_begins(f->plan));
        integers(json_get(f->spec, "ends"), plan_ends(f->plan));
    }
    if (json_get(f->spec, "state")) {
        float state[MAX];
        numbers(json_get(f->spec, "state"), state);
        plan_write_state(f->plan, state);
    }
}

static void open_fixture(struct fixture *f, const char *op, enum plan_mode mode, float word_dropout,
                         float weight_dropout)
{
    struct err err = {0};
    *f = (struct fixture){.spec = case_of(op), .graph = graph_new()};
    int x = graph_embedding(f->graph, graph_tokens(f->graph), "encoder", dimension("vocabulary"),
                            dimension("embedding"), word_dropout, 1);
    graph_set_output(f->graph, add_op(f->graph, f->spec, x, weight_dropout));
    load_params(f);
    struct plan_options options = {.mode = mode, .batch = dimension("batch"), .steps = MOST};
    assert_int_equal(plan_new(f->graph, &options, &f->plan, &err), OK);
    assert_int_equal(plan_set_steps(f->plan, dimension("steps"), &err), OK);
    feed(f);
}

static void close_fixture(struct fixture *f)
{
    plan_free(f->plan);
    graph_free(f->graph);
}

static void backward(const struct fixture *f)
{
    if (json_get(f->spec, "output_gradient"))
        numbers(json_get(f->spec, "output_gradient"), plan_output_gradient(f->plan));
    plan_backward(f->plan);
}

static void compare_gradients(const struct fixture *f, float times)
{
    float *values = mem_alloc(MAX * sizeof *values);
    for (int i = 0; i < f->graph->n_params; i++) {
        const struct param *param = f->graph->params[i];
        param_read(param, PARAM_GRADIENT, values);
        for (size_t k = 0; k < param->n_elements; k++)
            values[k] /= times;
        compare(param->name, values, json_get(json_get(f->spec, "gradients"), param->name));
    }
    mem_free(values);
}

static void the_golden_numbers_are_met(void **state)
{
    struct fixture f;
    open_fixture(&f, *state, PLAN_TRAIN, 0, 0);
    plan_forward(f.plan, 1, 0);
    compare("output", plan_output(f.plan), json_get(f.spec, "output"));
    backward(&f);
    compare_gradients(&f, 1);
    close_fixture(&f);
    open_fixture(&f, *state, PLAN_INFER, 0, 0);
    plan_forward(f.plan, 1, 0);
    compare("output of inference", plan_output(f.plan), json_get(f.spec, "output"));
    close_fixture(&f);
}

/* A second run, from the same state, on top of the first. */
static void gradients_add_up_when_told(void **state)
{
    struct fixture f;
    open_fixture(&f, *state, PLAN_TRAIN, 0, 0);
    for (int run = 0; run < 2; run++) {
        feed(&f);
        plan_add_gradients(f.plan, run > 0);
        plan_forward(f.plan, 1, 0);
        backward(&f);
    }
    compare_gradients(&f, 2);
    plan_add_gradients(f.plan, false);
    feed(&f);
    plan_forward(f.plan, 1, 0);
    backward(&f);
    compare_gradients(&f, 1);
    close_fixture(&f);
}

static void the_state_is_carried_and_cleared_by_row(void **unused)
{
    struct fixture f;
    float after[MAX];
    (void)unused;
    open_fixture(&f, "lstm", PLAN_TRAIN, 0, 0);
    plan_forward(f.plan, 1, 0);
    plan_read_state(f.plan, after);
    compare("state", after, json_get(f.spec, "state_after"));
    plan_clear_state(f.plan, 1);
    plan_read_state(f.plan, after);
    size_t h = (size_t)dimension("hidden"), batch = (size_t)dimension("batch");
    assert_int_equal(plan_state_floats(f.plan), 2 * batch * h);
    for (size_t i = 0; i < 2 * batch * h; i++)
        assert_int_equal(after[i] == 0.f, i / h % batch == 1);
    plan_clear_state(f.plan, -1);
    plan_read_state(f.plan, after);
    for (size_t i = 0; i < 2 * batch * h; i++)
        assert_true(after[i] == 0.f);
    close_fixture(&f);
}

static void a_decoder_says_words_and_the_mean_loss(void **unused)
{
    struct fixture f;
    (void)unused;
    open_fixture(&f, "decoder", PLAN_INFER, 0, 0);
    int64_t v = dimension("vocabulary");
    int32_t rows[] = {0, 7}, words[MAX];
    plan_forward(f.plan, 1, 0);
    integers(json_get(f.spec, "words"), words);
    assert_memory_equal(plan_words(f.plan), words,
                        (size_t)(dimension("steps") * dimension("batch")) * sizeof *words);
    float mean = (float)plan_mean_loss(f.plan), logits[MAX];
    compare("mean loss", &mean, json_get(f.spec, "mean_loss"));
    plan_word_logits(f.plan, rows, 2, logits);
    for (int r = 0; r < 2; r++) {
        int32_t best = 0;
        for (int32_t i = 1; i < v; i++)
            best = logits[r * v + i] > logits[r * v + best] ? i : best;
        assert_int_equal(best, words[rows[r]]);
    }
    for (int i = 0; i < 15; i++)
        plan_targets(f.plan)[i] = -1;
    plan_forward(f.plan, 1, 0);
    assert_true(plan_mean_loss(f.plan) == 0);
    close_fixture(&f);
}

/* Dropping words and weights is computing with the masked matrices: what inference says of those
 * is what training said. */
static void dropout_is_what_its_masks_say(void **unused)
{
    struct fixture f, plain;
    float mask[MAX], values[MAX], trained[MAX];
    size_t n = (size_t)(dimension("steps") * dimension("batch") * dimension("hidden"));
    (void)unused;
    open_fixture(&f, "lstm", PLAN_TRAIN, .3f, .4f);
    plan_forward(f.plan, 5, 9);
    memcpy(trained, plan_output(f.plan), n * sizeof *trained);
    open_fixture(&plain, "lstm", PLAN_INFER, .3f, .4f);
    assert_false(plan_read_mask(plain.plan, 2, mask));
    assert_true(plan_read_mask(f.plan, 1, mask));
    struct param *words = graph_find_param(plain.graph, "encoder.weight");
    param_read(words, PARAM_VALUE, values);
    for (size_t i = 0; i < words->n_elements; i++)
        values[i] *= mask[i / (size_t)dimension("embedding")];
    param_write(words, PARAM_VALUE, values);
    assert_true(plan_read_mask(f.plan, 2, mask));
    struct param *weights = graph_find_param(plain.graph, "rnns.0.weight_hh_l0");
    param_read(weights, PARAM_VALUE, values);
    size_t zeros = 0;
    for (size_t i = 0; i < weights->n_elements; i++) {
        zeros += mask[i] == 0.f;
        values[i] *= mask[i];
    }
    assert_true(zeros > weights->n_elements / 4 && zeros < weights->n_elements * 11 / 20);
    param_write(weights, PARAM_VALUE, values);
    plan_refresh(plain.plan);
    plan_forward(plain.plan, 0, 0);
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(plan_output(plain.plan)[i] - trained[i]) < 1e-5f);
    close_fixture(&plain);
    close_fixture(&f);
}

static void a_step_draws_the_same_again_and_another_step_does_not(void **unused)
{
    struct fixture f;
    float first[MAX];
    size_t bytes = (size_t)(dimension("steps") * dimension("batch") * dimension("hidden")) * 4;
    (void)unused;
    open_fixture(&f, "lstm", PLAN_TRAIN, .3f, .4f);
    plan_forward(f.plan, 5, 9);
    memcpy(first, plan_output(f.plan), bytes);
    feed(&f);
    plan_forward(f.plan, 5, 10);
    assert_memory_not_equal(first, plan_output(f.plan), bytes);
    feed(&f);
    plan_forward(f.plan, 5, 9);
    assert_memory_equal(first, plan_output(f.plan), bytes);
    close_fixture(&f);
}

static void locked_dropout_has_one_mask_for_all_steps(void **unused)
{
    struct graph *graph = graph_new();
    struct plan *plan;
    struct err err = {0};
    (void)unused;
    int x = graph_embedding(graph, graph_tokens(graph), "encoder", 9, 40, 0, -1);
    int y = graph_locked_dropout(graph, x, .25f);
    float *ones = mem_alloc(9 * 40 * sizeof *ones), gradient[9 * 40];
    for (int i = 0; i < 9 * 40; i++)
        ones[i] = 1.f;
    param_write(graph->params[0], PARAM_VALUE, ones);
    struct plan_options options = {.mode = PLAN_TRAIN, .batch = 2, .steps = 3};
    assert_int_equal(plan_new(graph, &options, &plan, &err), OK);
    for (int i = 0; i < 6; i++)
        plan_tokens(plan)[i] = i % 2; /* row b reads word b */
    plan_forward(plan, 3, 4);
    const float *mask = plan_dropout_mask(plan, y);
    int zeros = 0;
    for (int i = 0; i < 3 * 2 * 40; i++) {
        assert_true(plan_output(plan)[i] == mask[i % 80]);
        assert_true(mask[i % 80] == 0.f || fabsf(mask[i % 80] - 4 / 3.f) < 1e-6f);
        zeros += mask[i % 80] == 0.f;
        plan_output_gradient(plan)[i] = 1.f;
    }
    assert_true(zeros > 3 * 5 && zeros < 3 * 40);
    plan_backward(plan);
    param_read(graph->params[0], PARAM_GRADIENT, gradient);
    for (int i = 0; i < 80; i++)
        assert_true(fabsf(gradient[i] - 3 * mask[i]) < 1e-5f);
    plan_free(plan);
    graph_free(graph);
    mem_free(ones);
}

static void steps_beyond_the_plans_are_refused(void **unused)
{
    struct fixture f;
    struct err err = {0};
    (void)unused;
    open_fixture(&f, "embedding", PLAN_INFER, 0, 0);
    assert_int_equal(plan_set_steps(f.plan, MOST + 1, &err), E_INTERNAL);
    assert_int_equal(plan_set_steps(f.plan, 0, &err), E_INTERNAL);
    assert_int_equal(plan_steps(f.plan), dimension("steps"));
    close_fixture(&f);
}

#define GOLDEN(test, op)                                                                           \
    {                                                                                              \
        .name = #test ": " op, .test_func = test, .initial_state = (void *)(uintptr_t)op           \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        GOLDEN(the_golden_numbers_are_met, "embedding"),
        GOLDEN(the_golden_numbers_are_met, "lstm"),
        GOLDEN(the_golden_numbers_are_met, "penalty"),
        GOLDEN(the_golden_numbers_are_met, "decoder"),
        GOLDEN(the_golden_numbers_are_met, "pool"),
        GOLDEN(gradients_add_up_when_told, "embedding"),
        GOLDEN(gradients_add_up_when_told, "lstm"),
        GOLDEN(gradients_add_up_when_told, "decoder"),
        cmocka_unit_test(the_state_is_carried_and_cleared_by_row),
        cmocka_unit_test(a_decoder_says_words_and_the_mean_loss),
        cmocka_unit_test(dropout_is_what_its_masks_say),
        cmocka_unit_test(a_step_draws_the_same_again_and_another_step_does_not),
        cmocka_unit_test(locked_dropout_has_one_mask_for_all_steps),
        cmocka_unit_test(steps_beyond_the_plans_are_refused),
    };
    struct buf text;
    struct err err = {0};
    buf_init(&text, MAX_BYTES);
    if (fs_read_file("tests/golden/sequence.json", &text, &err) != OK ||
        json_parse(text.data, text.len, &golden, &err) != OK) {
        fprintf(stderr, "%s (tests run from the top of the tree)\n", err.detail);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_free(golden);
    buf_deinit(&text);
    return failed;
}
