/* Jobs on texts, from nothing to a classifier: phases, what they hand on, the same bits always. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/text/vocab.h"
#include "engine/train/report.h"
#include "tests/unit/engine/train/text_fixture.h"

#define BOTH                                                                                       \
    "{'task':'text_classification'," TINY_TEXT ",'batch_size':8,'stages':[" TEXT_STAGE(            \
        "lm", "language_model", "0", "4",                                                          \
        "0.03") "," TEXT_STAGE("head", "classifier", "-1", "2",                                    \
                               "0.02") "," TEXT_STAGE("all", "classifier", "0", "10",              \
                                                      "{'slice':[0.01,0.04]}") "]}"

/* Its time is over in the language model's stage. */
#define SHORT                                                                                      \
    "{'task':'text_classification','max_seconds':1e-6," TINY_TEXT                                  \
    ",'batch_size':8,'stages':[" TEXT_STAGE("lm", "language_model", "0", "4",                      \
                                            "0.03") "," TEXT_STAGE("head", "classifier", "-1",     \
                                                                   "2", "0.02") "]}"

#define LANGUAGE                                                                                   \
    "{'task':'language_model'," TINY_TEXT                                                          \
    ",'batch_size':4,'stages':[" TEXT_STAGE("lm", "language_model", "0", "6", "0.02") "]}"

/* A model that knows few words, and one that knows all and as good as stands still. */
#define RARE                                                                                       \
    "{'task':'language_model'," TEXT_WITH("40", "null") ",'batch_size':4,'stages':[" TEXT_STAGE(   \
        "lm", "language_model", "0", "1", "0.02") "]}"
#define STILL                                                                                      \
    "{'task':'language_model'," TEXT_WITH("1", "'local'") ",'batch_size':4,'stages':[" TEXT_STAGE( \
        "lm", "language_model", "0", "1", "1e-9") "]}"

/* BOTH again, from a model, whose language model as good as stands still. */
#define AGAIN                                                                                      \
    "{'task':'text_classification'," TEXT_WITH(                                                    \
        "2",                                                                                       \
        "'local'") ",'batch_size':8,'stages':[" TEXT_STAGE("lm", "language_model", "0", "1",       \
                                                           "1e-9") "," TEXT_STAGE("head",          \
                                                                                  "classifier",    \
                                                                                  "-1", "1",       \
                                                                                  "0.02") "]}"

/* A classifier alone, on a model as it is. */
#define HEAD_ALONE                                                                                 \
    "{'task':'text_classification'," TEXT_WITH(                                                    \
        "2", "'local'") ",'batch_size':8,'stages':[" TEXT_STAGE("head", "classifier", "-1", "1",   \
                                                                "0.02") "]}"

static double epoch_score(const struct fixture *f, int n, const char *name)
{
    struct json *event = fixture_event(f, "epoch", n);
    assert_non_null(event);
    double value = json_number(event, name, -1);
    json_free(event);
    return value;
}

static void the_language_model_learns_and_the_classifier_stands_on_it(void **state)
{
    struct fixture *f = *state;
    char hex[65];
    fixture_run_anew(f, BOTH, hex);
    assert_int_equal(fixture_count(f, "epoch"), 16);
    double first = epoch_score(f, 0, "perplexity"), last = epoch_score(f, 3, "perplexity");
    assert_true(last > 1 && last < .75 * first);
    assert_true(epoch_score(f, 3, "accuracy") > .3);
    assert_true(epoch_score(f, 15, "accuracy") > .8);
    assert_true(epoch_score(f, 15, "perplexity") == -1); /* it is the language model's alone */
    char *path = fixture_path(f, "language-model");
    assert_int_equal(access(path, R_OK), 0);
    mem_free(path);
}

/* What each model file says it is, and whose encoder it has. */
static struct model_info open_info(const struct fixture *f, const char *slot, float *first)
{
    struct tensor_source source;
    struct model_info info;
    struct err err = {0};
    char *path = fixture_path(f, slot);
    if (model_file_open(path, &source, &info, &err) != OK)
        fail_msg("%s: %s", slot, err.detail);
    const struct tensor_view *view = tensor_source_find(&source, "encoder.weight");
    assert_non_null(view);
    float *all = mem_alloc(view->n_elements * sizeof *all);
    tensor_read(view, all);
    *first = all[0];
    mem_free(all);
    tensor_source_close(&source);
    mem_free(path);
    return info;
}

static void both_models_say_what_they_are(void **state)
{
    struct fixture *f = *state;
    char hex[65];
    float rows[3];
    fixture_run_anew(f, BOTH, hex);
    struct model_info lm = open_info(f, "language-model", &rows[0]);
    struct model_info head = open_info(f, "stage-2", &rows[1]);
    struct model_info final = open_info(f, "final", &rows[2]);
    assert_string_equal(lm.head, MODEL_HEAD_DECODER);
    assert_string_equal(final.head, MODEL_HEAD_POOLING);
    assert_null(lm.classes);
    assert_int_equal(json_len(final.classes), 2);
    assert_int_equal(json_len(lm.text.vocabulary), json_len(final.text.vocabulary));
    assert_int_equal(json_len(lm.text.vocabulary) % 8, 0);
    assert_int_equal(final.text.seq_len, 8);
    assert_true(rows[0] == rows[1]); /* the encoder was frozen */
    assert_true(rows[1] != rows[2]); /* and then was not */
    model_info_deinit(&lm);
    model_info_deinit(&head);
    model_info_deinit(&final);
}

static void a_run_whose_time_is_over_early_leaves_its_language_model(void **state)
{
    struct fixture *f = *state;
    char hex[65];
    float first;
    fixture_run_anew(f, SHORT, hex);
    assert_int_equal(fixture_count(f, "epoch"), 1);
    struct json *result = fixture_event(f, "result", 0);
    assert_false(json_bool(result, "classifier", true));
    json_free(result);
    struct model_info final = open_info(f, "final", &first);
    assert_string_equal(final.head, MODEL_HEAD_DECODER);
    assert_null(final.classes);
    model_info_deinit(&final);
}

static void the_same_run_gives_the_same_weights(void **state)
{
    struct fixture *f = *state;
    char one[65], two[65], other[65];
    fixture_run_anew(f, BOTH, one);
    fixture_run_anew(f, BOTH, two);
    assert_string_equal(one, two);
    fixture_run_anew(f, LANGUAGE, one);
    fixture_run_anew(f, LANGUAGE, two);
    assert_string_equal(one, two);
    f->threads = 2;
    fixture_run_anew(f, LANGUAGE, other);
    f->threads = 1;
    assert_int_equal(strlen(other), 64);
}

/* Paused and gone on with after every `every` steps. */
static void resume_often(struct fixture *f, const char *spec, int every, char hex[65])
{
    fixture_new_run(f);
    for (int i = 0; i < 1000; i++) {
        buf_clear(&f->events);
        f->request = TRAINER_PAUSE;
        f->request_at = every;
        fixture_run_ok(f, spec, NULL);
        f->request_at = 0;
        if (fixture_count(f, "result") > 0)
            break;
    }
    fixture_result(f, hex);
}

static void a_resumed_run_has_the_same_weights(void **state)
{
    static const int intervals[] = {3, 7, 11};
    struct fixture *f = *state;
    char whole[65], resumed[65];
    fixture_run_anew(f, BOTH, whole);
    for (size_t i = 0; i < ARRAY_LEN(intervals); i++) {
        resume_often(f, BOTH, intervals[i], resumed);
        assert_string_equal(resumed, whole);
    }
    fixture_run_anew(f, LANGUAGE, whole);
    resume_often(f, LANGUAGE, 4, resumed);
    assert_string_equal(resumed, whole);
}

/* --- A vocabulary that differs from the model's ----------------------------------------------- */

/* Rows of encoder.weight and decoder.bias, with the words that they belong to. */
struct rows {
    struct model_info info; /* owned */
    float *encoder, *bias;  /* owned */
    int64_t n, width;
};

static float *read_tensor(const struct tensor_source *source, const char *name)
{
    const struct tensor_view *view = tensor_source_find(source, name);
    assert_non_null(view);
    float *plain = mem_alloc(view->n_elements * sizeof *plain);
    tensor_read(view, plain);
    return plain;
}

static void read_rows(const char *path, struct rows *rows)
{
    struct tensor_source source;
    struct err err = {0};
    if (model_file_open(path, &source, &rows->info, &err) != OK)
        fail_msg("%s", err.detail);
    rows->encoder = read_tensor(&source, "encoder.weight");
    rows->bias = read_tensor(&source, "decoder.bias");
    rows->n = rows->info.text.n_words;
    rows->width = rows->info.text.embedding;
    tensor_source_close(&source);
}

static void free_rows(struct rows *rows)
{
    model_info_deinit(&rows->info);
    mem_free(rows->encoder);
    mem_free(rows->bias);
}

static int64_t find_word(const struct rows *rows, const char *word)
{
    for (int64_t i = 0; i < rows->n; i++)
        if (strcmp(json_as_string(json_at(rows->info.text.vocabulary, (size_t)i), ""), word) == 0)
            return i;
    return -1;
}

/* What the new row of a word should be: the old one, or the mean of all. */
static void assert_row(const struct rows *old, const struct rows *new, int64_t at, int64_t was)
{
    double mean = 0;
    for (int64_t r = 0; r < old->n; r++)
        mean += (double)old->bias[r] / (double)old->n;
    double wanted = was < 0 ? mean : (double)old->bias[was];
    assert_true(fabs((double)new->bias[at] - wanted) < 1e-6);
    for (int64_t c = 0; c < old->width; c++) {
        mean = 0;
        for (int64_t r = 0; r < old->n; r++)
            mean += (double)old->encoder[r * old->width + c] / (double)old->n;
        wanted = was < 0 ? mean : (double)old->encoder[was * old->width + c];
        assert_true(fabs((double)new->encoder[at * old->width + c] - wanted) < 1e-6);
    }
}

static void known_words_keep_their_rows_and_new_ones_get_the_mean(void **state)
{
    struct fixture *f = *state;
    char hex[65], detail[200] = "";
    struct rows old, new;
    int64_t known = 0, unknown = 0;
    fixture_run_anew(f, RARE, hex);
    char *path = fixture_path(f, "final");
    read_rows(path, &old);
    fixture_new_run(f);
    fixture_run_ok(f, STILL, path);
    mem_free(path);
    path = fixture_path(f, "final");
    read_rows(path, &new);
    for (int64_t i = 0; i < new.n; i++) {
        const char *word = json_as_string(json_at(new.info.text.vocabulary, (size_t)i), "");
        if (strcmp(word, "xxfake") == 0)
            continue;
        int64_t was = find_word(&old, word);
        known += was >= 0;
        unknown += was < 0;
        assert_row(&old, &new, i, was);
    }
    assert_true(known > N_SPECIALS && unknown > 0);
    for (int i = 0; i < fixture_count(f, "log") && !strstr(detail, "keep the rows"); i++) {
        struct json *event = fixture_event(f, "log", i);
        snprintf(detail, sizeof detail, "%s", json_string(event, "detail", ""));
        json_free(event);
    }
    assert_non_null(strstr(detail, "keep the rows"));
    struct json *warning = fixture_event(f, "warning", 0);
    assert_string_equal(json_string(warning, "code", ""), "vocabulary_differs");
    json_free(warning);
    free_rows(&old);
    free_rows(&new);
    mem_free(path);
}

/* --- What a job with a language model starts from --------------------------------------------- */

static bool warned_of(const struct fixture *f, const char *code)
{
    bool found = false;
    for (int i = 0; i < fixture_count(f, "warning"); i++) {
        struct json *event = fixture_event(f, "warning", i);
        found = found || strcmp(json_string(event, "code", ""), code) == 0;
        json_free(event);
    }
    return found;
}

/* The first epoch's perplexity of a run from the file that an earlier one left. */
static double go_on_from(struct fixture *f, const char *slot, bool warned)
{
    char hex[65];
    fixture_run_anew(f, BOTH, hex);
    char *path = fixture_path(f, slot);
    fixture_new_run(f);
    fixture_run_ok(f, AGAIN, path);
    mem_free(path);
    assert_int_equal(warned_of(f, "decoder_is_new"), warned);
    return epoch_score(f, 0, "perplexity");
}

static void a_language_model_goes_on_with_its_decoder_a_classifier_is_warned_of(void **state)
{
    struct fixture *f = *state;
    char hex[65];
    fixture_run_anew(f, BOTH, hex);
    double reached = epoch_score(f, 3, "perplexity");
    double language_model = go_on_from(f, "language-model", false);
    double classifier = go_on_from(f, "final", true);
    assert_true(language_model < 1.05 * reached); /* rows of xxfake begin as the mean alone */
    assert_true(classifier > 2 * reached);
}

/* --- Reports ---------------------------------------------------------------------------------- */

static void assert_stage(const struct json *stage, const char *name, const char *phase,
                         int64_t tokens)
{
    assert_string_equal(json_string(stage, "stage", ""), name);
    assert_string_equal(json_string(stage, "phase", ""), phase);
    assert_true(json_integer(stage, "tokens", 0) >= tokens);
    assert_true(json_number(stage, "tokens_per_second", 0) > 0);
    assert_true(json_number(stage, "valid_loss", -1) > 0);
    assert_true(json_number(stage, "seconds", 0) > 0);
}

static void a_language_model_is_reported_as_its_last_epoch_was(void **state)
{
    struct fixture *f = *state;
    char hex[65];
    fixture_run_anew(f, LANGUAGE, hex);
    struct json *report = fixture_json(f, REPORT_JSON);
    const struct json *stages = json_get(report, "stages"), *only = json_first(stages);
    const struct json *vocabulary = json_get(report, "vocabulary");
    assert_string_equal(json_string(report, "task", ""), "language_model");
    assert_true(json_number(report, "perplexity", 0) == epoch_score(f, 5, "perplexity"));
    assert_true(json_number(report, "accuracy", 0) == epoch_score(f, 5, "accuracy"));
    assert_true(epoch_score(f, 5, "tokens_per_second") > 0);
    assert_int_equal(json_len(stages), 1);
    assert_stage(only, "lm", "language_model", 1000);
    int64_t steps = json_integer(only, "steps", 0);
    assert_true(json_integer(only, "tokens", 0) <= steps * 4 * 8); /* batch, seq_len */
    assert_true(json_integer(only, "tokens", 0) > (steps - 6) * 4 * 8);
    assert_true(json_integer(vocabulary, "words", 0) > N_SPECIALS);
    assert_int_equal(json_type(json_get(vocabulary, "matched_rows")), JSON_NULL);
    json_free(report);
}

static void every_stage_is_reported_also_of_a_run_that_was_interrupted(void **state)
{
    static const char *const names[] = {"lm", "head", "all"};
    struct fixture *f = *state;
    char hex[65];
    int64_t tokens[ARRAY_LEN(names)];
    fixture_run_anew(f, BOTH, hex);
    for (int again = 0; again < 2; again++) {
        if (again)
            resume_often(f, BOTH, 7, hex);
        struct json *report = fixture_json(f, REPORT_JSON);
        const struct json *stages = json_get(report, "stages");
        assert_int_equal(json_len(stages), ARRAY_LEN(names));
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            const struct json *stage = json_at(stages, i);
            assert_stage(stage, names[i], i == 0 ? "language_model" : "classifier", 100);
            assert_int_equal(json_get(stage, "perplexity") != NULL, i == 0);
            if (again)
                assert_int_equal(json_integer(stage, "tokens", 0), tokens[i]);
            tokens[i] = json_integer(stage, "tokens", 0);
        }
        json_free(report);
    }
}

static void what_a_model_knows_of_the_texts_is_reported(void **state)
{
    struct fixture *f = *state;
    char hex[65];
    fixture_run_anew(f, RARE, hex);
    char *path = fixture_path(f, "final");
    for (int alone = 0; alone < 2; alone++) {
        fixture_new_run(f);
        fixture_run_ok(f, alone ? HEAD_ALONE : STILL, path);
        struct json *report = fixture_json(f, REPORT_JSON);
        const struct json *vocabulary = json_get(report, "vocabulary");
        double known = json_number(vocabulary, "known", -1);
        int64_t matched = json_integer(vocabulary, "matched_rows", 0);
        assert_true(known > .2 && known < .85);
        if (alone)
            assert_int_equal(matched, json_integer(vocabulary, "words", 0));
        else
            assert_true(matched < json_integer(vocabulary, "words", 0));
        assert_true(warned_of(f, "vocabulary_differs"));
        json_free(report);
    }
    mem_free(path);
}

#define LENGTHY(max_vocab)                                                                         \
    "{'task':'language_model'," TEXT_WITH_WORDS(                                                   \
        "1", max_vocab, "null") ",'batch_size':4,'stages':[" TEXT_STAGE("lm", "language_model",    \
                                                                        "0", "1", "0.02") "]}"

static void words_that_fit_no_model_file_are_refused_before_the_first_step(void **state)
{
    struct fixture *f = *state;
    fixture_new_run(f);
    assert_int_equal(fixture_run(f, LENGTHY("200000"), NULL), E_INVALID);
    assert_string_equal(f->err.pointer, "/text/max_vocab");
    assert_non_null(strstr(f->err.detail, "its file has room for 15.0: lower \"max_vocab\""));
    assert_int_equal(fixture_count(f, "started"), 0);
    fixture_new_run(f);
    fixture_run_ok(f, LENGTHY("20000"), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_language_model_learns_and_the_classifier_stands_on_it),
        cmocka_unit_test(both_models_say_what_they_are),
        cmocka_unit_test(a_run_whose_time_is_over_early_leaves_its_language_model),
        cmocka_unit_test(the_same_run_gives_the_same_weights),
        cmocka_unit_test(known_words_keep_their_rows_and_new_ones_get_the_mean),
        cmocka_unit_test(a_language_model_goes_on_with_its_decoder_a_classifier_is_warned_of),
        cmocka_unit_test(a_resumed_run_has_the_same_weights),
        cmocka_unit_test(a_language_model_is_reported_as_its_last_epoch_was),
        cmocka_unit_test(every_stage_is_reported_also_of_a_run_that_was_interrupted),
        cmocka_unit_test(what_a_model_knows_of_the_texts_is_reported),
    };
    const struct CMUnitTest lengthy[] = {
        cmocka_unit_test(words_that_fit_no_model_file_are_refused_before_the_first_step),
    };
    int failed = cmocka_run_group_tests(tests, text_fixture_set_up, text_fixture_tear_down);
    return failed +
           cmocka_run_group_tests(lengthy, text_fixture_set_up_long, text_fixture_tear_down);
}
