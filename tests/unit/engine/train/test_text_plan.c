/* What is known of jobs on texts before they run: windows, memory, what needs no labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/train/bptt.h"
#include "engine/train/evaluate_subject.h"
#include "engine/train/footprint.h"
#include "engine/train/run.h"
#include "engine/train/stage_plans.h"
#include "engine/train/text_run.h"
#include "tests/unit/engine/train/text_fixture.h"

#define MIB (1024 * 1024)

#define LANGUAGE                                                                                   \
    "{'task':'language_model'," TINY_TEXT                                                          \
    ",'batch_size':4,'stages':[" TEXT_STAGE("lm", "language_model", "0", "2", "0.02") "]}"
#define CLASSIFIER                                                                                 \
    "{'task':'text_classification'," TINY_TEXT                                                     \
    ",'batch_size':8,'stages':[" TEXT_STAGE("all", "classifier", "0", "1", "0.02") "]}"
#define FINDER                                                                                     \
    "{'task':'lr_find'," TINY_TEXT ",'batch_size':4,'lr_find':{'start':1e-5,'end':1,'steps':12},"  \
    "'stages':[" TEXT_STAGE("lm", "language_model", "0", "1", "0.02") "]}"

static struct json *parse(const char *text)
{
    struct err err = {0};
    struct json *json = NULL;
    char *copy = mem_strdup(text);
    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    if (json_parse(copy, strlen(copy), &json, &err) != OK)
        fail_msg("%s", err.detail);
    mem_free(copy);
    return json;
}

static struct trainer_options options_of(const struct fixture *f, const struct json *spec)
{
    return (struct trainer_options){.spec = spec,
                                    .pack = f->pack,
                                    .index = f->index,
                                    .folder = f->out,
                                    .threads = 1,
                                    .loader_threads = 1};
}

/* --- Validation of a language model ----------------------------------------------------------- */

/* Batches of the stream that the stage validates on. */
static int64_t valid_steps(const struct run *run, const struct recipe_stage *stage)
{
    struct split items;
    struct bptt *bptt = NULL;
    struct err err = {0};
    assert_int_equal(text_run_items(run->text, stage, &items, &err), OK);
    uint32_t *documents = text_corpus_find_all(run->text->corpus, items.valid, items.n_valid);
    struct bptt_options options = {.corpus = run->text->corpus,
                                   .documents = documents,
                                   .n_documents = items.n_valid,
                                   .batch = stage->valid_rows,
                                   .seq_len = stage->seq_len};
    assert_int_equal(bptt_open(&options, &bptt, &err), OK);
    int64_t steps = bptt_steps(bptt);
    bptt_close(bptt);
    mem_free(documents);
    split_deinit(&items);
    return steps;
}

static double dry_flops(struct graph *graph, struct plan_options options)
{
    struct err err = {0};
    struct plan *plan = NULL;
    options.dry = true;
    assert_int_equal(plan_new(graph, &options, &plan, &err), OK);
    double flops = plan_flops(plan);
    plan_free(plan);
    return flops;
}

static void a_language_model_is_validated_window_by_window(void **state)
{
    const struct fixture *f = *state;
    struct json *spec = parse(LANGUAGE);
    struct trainer_options options = options_of(f, spec);
    struct run run;
    struct footprint footprint;
    struct err err = {0};
    if (run_open(&options, &run, &err) != OK)
        fail_msg("%s", err.detail);
    const struct recipe_stage *stage = &run.recipe.stages[0];
    int64_t steps = valid_steps(&run, stage);
    assert_true(steps > (stage->n_valid + stage->batch - 1) / stage->batch);
    assert_int_equal(recipe_valid_rows(stage), steps * stage->valid_rows);
    assert_int_equal(footprint_of(&run.recipe, run.classes, 1, &footprint, &err), OK);
    struct stage_plans plans = stage_plans(&run.recipe, stage, run.graph, false);
    double flops = dry_flops(run.graph, plans.train) + dry_flops(run.graph, plans.valid) *
                                                           (double)(steps * stage->epochs) /
                                                           (double)stage->schedule.steps;
    assert_true(fabs(footprint.flops_per_step[0] / flops - 1) < 1e-9);
    run_close(&run);
    json_free(spec);
}

/* --- Evaluations ------------------------------------------------------------------------------ */

static char *train_classifier(struct fixture *f)
{
    char hex[65];
    fixture_run_anew(f, CLASSIFIER, hex);
    return fixture_path(f, "final");
}

/* The process and the weights are there once, whatever the number of plans. */
static void an_evaluation_counts_its_weights_once(void **state)
{
    struct fixture *f = *state;
    char *model = train_classifier(f);
    struct json *spec = parse("{'task':'evaluate','split':'all','batch_size':4}"), *result = NULL;
    struct trainer_options options = options_of(f, spec);
    struct err err = {0};
    options.weights = model;
    if (evaluate_plan(&options, 0, &result, &err) != OK)
        fail_msg("%s", err.detail);
    const struct json *estimate = json_get(result, "estimate");
    int64_t peak = json_integer(estimate, "peak_memory_bytes", 0);
    assert_in_range(peak, 24 * MIB, 26 * MIB); /* a network of some kilobytes, no pictures */
    assert_true(json_as_number(json_first(json_get(estimate, "flops_per_step")), 0) > 0);
    json_free(result);
    json_free(spec);
    mem_free(model);
}

static bool never(void *context, int64_t done, int64_t all)
{
    ++*(int *)context;
    return done > all;
}

static void an_evaluation_can_be_stopped_while_texts_are_read(void **state)
{
    struct fixture *f = *state;
    char *model = train_classifier(f);
    struct json *spec = parse("{'task':'evaluate','split':'all','batch_size':4}");
    struct trainer_options options = options_of(f, spec);
    struct evaluate_subject subject;
    struct err err = {0};
    int asked = 0;
    fixture_new_run(f);
    options.weights = model;
    options.go_on = never;
    options.context = &asked;
    assert_int_equal(evaluate_open(&subject, &options, true, &err), E_CANCELLED);
    assert_int_equal(asked, 1);
    options.go_on = NULL;
    assert_int_equal(evaluate_open(&subject, &options, true, &err), OK);
    evaluate_close(&subject);
    json_free(spec);
    mem_free(model);
}

/* --- Without labels --------------------------------------------------------------------------- */

static void rates_for_a_language_model_are_found_without_labels(void **state)
{
    struct fixture *f = *state;
    fixture_new_run(f);
    fixture_run_ok(f, FINDER, NULL);
    assert_int_equal(fixture_count(f, "result"), 1);
    struct json *stage = fixture_event(f, "stage", 0);
    assert_string_equal(json_string(stage, "phase", ""), "language_model");
    json_free(stage);
}

static void a_classifier_is_refused_without_labels(void **state)
{
    struct fixture *f = *state;
    fixture_new_run(f);
    assert_int_equal(fixture_run(f, CLASSIFIER, NULL), E_INVALID);
    assert_string_equal(f->err.detail,
                        "The data set has no item with a label to train a classifier on: label "
                        "some, or say \"task\": \"language_model\".");
}

static void what_trains_a_language_model_alone_needs_no_labels(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        bool alone;
    } cases[] = {
        {LANGUAGE, true},
        {FINDER, true},
        {CLASSIFIER, false},
        {"{'task':'lr_find','stages':[{'phase':'language_model'},{'phase':'classifier'}]}", false},
        {"{'task':'text_classification','stages':[{'phase':'language_model'}]}", false},
        {"{'task':'lr_find','stages':[{}]}", false},
        {"{'task':'lr_find'}", false},
        {"{}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json *spec = parse(cases[i].spec);
        if (recipe_is_language_model(spec) != cases[i].alone)
            fail_msg("%s", cases[i].spec);
        json_free(spec);
    }
}

int main(void)
{
    const struct CMUnitTest labelled[] = {
        cmocka_unit_test(a_language_model_is_validated_window_by_window),
        cmocka_unit_test(an_evaluation_counts_its_weights_once),
        cmocka_unit_test(an_evaluation_can_be_stopped_while_texts_are_read),
    };
    const struct CMUnitTest unlabelled[] = {
        cmocka_unit_test(rates_for_a_language_model_are_found_without_labels),
        cmocka_unit_test(a_classifier_is_refused_without_labels),
        cmocka_unit_test(what_trains_a_language_model_alone_needs_no_labels),
    };
    int failed = cmocka_run_group_tests(labelled, text_fixture_set_up, text_fixture_tear_down);
    return failed + cmocka_run_group_tests(unlabelled, text_fixture_set_up_unlabelled,
                                           text_fixture_tear_down);
}
