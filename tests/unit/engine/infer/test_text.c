/* Models of text that answer. That the numbers are PyTorch's, tests/http/test_text_models.py says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/infer/text.h"
#include "engine/zoo/awd_lstm.h"

#define CLASSES 3
#define WORDS   40

static char folder[64], path[96];
static struct err err;
static struct text_predictor *predictor;
static struct text_item items[TEXT_MAX_BATCH];
static float probabilities[TEXT_MAX_BATCH][CLASSES];

/* Words of one letter, and "xxfake" at the end. */
static struct json *vocabulary(void)
{
    struct json *words = json_new_array();
    for (int i = 0; i < N_SPECIALS; i++)
        json_add_string(words, special_name((enum special)i));
    for (int i = 0; i < 26; i++)
        json_add_string(words, (char[]){(char)('a' + i), '\0'});
    while (json_len(words) < WORDS)
        json_add_string(words, MODEL_PADDING_WORD);
    return words;
}

static void write_model(const char *head, bool backwards)
{
    struct model_info info = model_info_default(AWD_LSTM_NAME);
    bool decoder = strcmp(head, MODEL_HEAD_DECODER) == 0;
    snprintf(info.head, sizeof info.head, "%s", head);
    info.text = (struct model_text){.vocabulary = vocabulary(),
                                    .n_words = WORDS,
                                    .embedding = 8,
                                    .hidden = 12,
                                    .layers = 2,
                                    .backwards = backwards,
                                    .seq_len = 16,
                                    .max_len = 40}; /* no multiple of seq_len */
    struct awd_lstm_options options =
        awd_lstm_defaults(decoder ? AWD_LSTM_LANGUAGE_MODEL : AWD_LSTM_CLASSIFIER, 1);
    options.vocabulary = WORDS;
    options.embedding = 8;
    options.hidden = 12;
    options.layers = 2;
    options.classes = CLASSES;
    if (strcmp(head, MODEL_HEAD_POOLING) == 0) {
        info.classes = json_new_array();
        for (int i = 0; i < CLASSES; i++)
            json_add_string(info.classes, (const char *[]){"bad", "fair", "good"}[i]);
    }
    struct graph *graph = awd_lstm_build(&options);
    awd_lstm_init(graph, 7);
    snprintf(path, sizeof path, "%s/model", folder);
    if (model_file_write(path, &info, graph, NULL, &err) != OK)
        fail_msg("%s", err.detail);
    graph_free(graph);
    model_info_deinit(&info);
}

static void open_model(const char *head, bool backwards)
{
    write_model(head, backwards);
    if (text_predictor_open(path, &predictor, &err) != OK)
        fail_msg("%s", err.detail);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/thaw-text-XXXXXX");
    memset(items, 0, sizeof items);
    predictor = NULL;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    text_predictor_close(predictor);
    for (size_t i = 0; i < TEXT_MAX_BATCH; i++)
        buf_deinit(&items[i].written);
    return fs_remove_tree(folder, &err);
}

/* Words that change, so that the rule for repetitions finds none. Owned by the caller. */
static char *make_text(size_t n_words, size_t from)
{
    char *text = mem_alloc(2 * n_words + 1);
    for (size_t i = 0; i < n_words; i++) {
        text[2 * i] = (char)('a' + (from + i * i) % 26);
        text[2 * i + 1] = ' ';
    }
    return text;
}

static struct text_item *ask(size_t i, const char *text)
{
    buf_deinit(&items[i].written);
    items[i] = (struct text_item){
        .text = text, .len = strlen(text), .probabilities = probabilities[i], .temperature = 1};
    buf_init(&items[i].written, TEXT_MAX_WRITTEN);
    return &items[i];
}

static void assert_answered(const struct text_item *item)
{
    if (item->status != OK)
        fail_msg("%s", item->err.detail);
}

/* --- Claims ----------------------------------------------------------------------------------- */

static void an_answer_does_not_depend_on_what_it_is_batched_with(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 15, 16, 17, 63, 64, 65, 200, 3, 31, 32, 100};
    char *texts[ARRAY_LEN(lengths)];
    float alone[CLASSES];
    open_model(MODEL_HEAD_POOLING, false);
    assert_true(text_predictor_is_classifier(predictor));
    assert_int_equal(text_predictor_n_classes(predictor), CLASSES);
    assert_string_equal(text_predictor_class(predictor, 2), "good");
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        ask(i, texts[i] = make_text(lengths[i], i));
    text_predictor_run(predictor, items, ARRAY_LEN(lengths));
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct text_item one = items[i];
        one.probabilities = alone;
        text_predictor_run(predictor, &one, 1);
        assert_answered(&items[i]);
        assert_int_equal(items[i].n_words, lengths[i] + 1);
        double sum = 0;
        for (int k = 0; k < CLASSES; k++) {
            assert_true(fabsf(alone[k] - probabilities[i][k]) < 1e-5f);
            sum += (double)alone[k];
        }
        assert_true(fabs(sum - 1) < 1e-5);
        mem_free(texts[i]);
    }
}

/* Of a long text only the last outputs are pooled, but what was read before is in the state. */
static void what_stands_before_the_pooled_part_still_matters_a_little(void **state)
{
    (void)state;
    open_model(MODEL_HEAD_POOLING, false);
    char *a = make_text(70, 0), *b = make_text(70, 0);
    b[2 * 30] = 'z'; /* token 31; from 32 on they are pooled */
    ask(0, a);
    ask(1, b);
    text_predictor_run(predictor, items, 2);
    assert_answered(&items[0]);
    assert_true(memcmp(probabilities[0], probabilities[1], sizeof probabilities[0]) != 0);
    mem_free(a);
    mem_free(b);
}

static void of_a_very_long_text_the_end_is_read(void **state)
{
    (void)state;
    open_model(MODEL_HEAD_POOLING, false);
    char *texts[] = {make_text(400, 0), make_text(400, 0), make_text(400, 0)};
    texts[1][2 * 200] = 'z'; /* token 201 of 401; 256 are passed over: 401 - 4 * 40, by chunks */
    texts[2][2 * 390] = 'z';
    for (size_t i = 0; i < 3; i++)
        ask(i, texts[i]);
    text_predictor_run(predictor, items, 3);
    assert_answered(&items[0]);
    assert_int_equal(items[0].n_words, 401);
    assert_memory_equal(probabilities[0], probabilities[1], sizeof probabilities[0]);
    assert_true(memcmp(probabilities[0], probabilities[2], sizeof probabilities[0]) != 0);
    for (size_t i = 0; i < 3; i++)
        mem_free(texts[i]);
}

static void a_language_model_refuses_what_would_take_minutes(void **state)
{
    (void)state;
    open_model(MODEL_HEAD_DECODER, false);
    char *text = make_text(TEXT_MAX_WORDS, 0);
    ask(0, text);
    text_predictor_run(predictor, items, 1);
    assert_int_equal(items[0].status, E_TOO_LARGE);
    assert_non_null(strstr(items[0].err.detail, "8193 tokens"));
    mem_free(text);
}

static void an_empty_text_fails_alone(void **state)
{
    (void)state;
    open_model(MODEL_HEAD_POOLING, false);
    ask(0, "a b");
    ask(1, " ");
    ask(2, "c");
    text_predictor_run(predictor, items, 3);
    assert_answered(&items[0]);
    assert_int_equal(items[1].status, E_INVALID);
    assert_non_null(strstr(items[1].err.detail, "is empty"));
    assert_answered(&items[2]);
}

static void a_language_model_goes_on_as_its_seed_says(void **state)
{
    (void)state;
    open_model(MODEL_HEAD_DECODER, false);
    assert_false(text_predictor_is_classifier(predictor));
    for (size_t i = 0; i < 3; i++) {
        ask(i, "a b c")->next = 40;
        items[i].seed = i / 2;
    }
    text_predictor_run(predictor, items, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_answered(&items[i]);
        assert_true(items[i].perplexity > 1 && items[i].perplexity < WORDS * 2);
        assert_int_equal(items[i].n_words, 4);
        assert_null(strstr(items[i].written.data, "xxfake"));
        assert_null(strstr(items[i].written.data, "xxunk"));
        assert_int_equal(items[i].written.data[0], ' ');
    }
    assert_string_equal(items[0].written.data, items[1].written.data);
    assert_string_not_equal(items[0].written.data, items[2].written.data);
}

static void at_temperature_0_every_seed_writes_the_same(void **state)
{
    (void)state;
    open_model(MODEL_HEAD_DECODER, false);
    for (size_t i = 0; i < 2; i++) {
        ask(i, "a b c")->next = 20;
        items[i].seed = i;
        items[i].temperature = 0;
    }
    text_predictor_run(predictor, items, 2);
    assert_answered(&items[1]);
    assert_string_equal(items[0].written.data, items[1].written.data);
}

static void read_backwards_what_comes_is_written_in_front(void **state)
{
    (void)state;
    open_model(MODEL_HEAD_DECODER, true);
    ask(0, "a b c")->next = 10;
    text_predictor_run(predictor, items, 1);
    assert_answered(&items[0]);
    assert_true(text_predictor_is_backwards(predictor));
    assert_true(items[0].written.len > 0);
    assert_int_not_equal(items[0].written.data[0], ' ');
}

static void without_a_wish_nothing_is_written(void **state)
{
    (void)state;
    open_model(MODEL_HEAD_DECODER, false);
    ask(0, "a b c");
    ask(1, "a b c")->next = TEXT_MAX_NEXT + 1;
    text_predictor_run(predictor, items, 2);
    assert_answered(&items[0]);
    assert_int_equal(items[0].written.len, 0);
    assert_int_equal(items[1].status, E_INVALID);
}

static void an_encoder_alone_cannot_answer(void **state)
{
    (void)state;
    write_model(MODEL_HEAD_NONE, false);
    assert_int_equal(text_predictor_open(path, &predictor, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "encoder alone"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_does_not_depend_on_what_it_is_batched_with),
        TEST(what_stands_before_the_pooled_part_still_matters_a_little),
        TEST(of_a_very_long_text_the_end_is_read),
        TEST(a_language_model_refuses_what_would_take_minutes),
        TEST(an_empty_text_fails_alone),
        TEST(a_language_model_goes_on_as_its_seed_says),
        TEST(at_temperature_0_every_seed_writes_the_same),
        TEST(read_backwards_what_comes_is_written_in_front),
        TEST(without_a_wish_nothing_is_written),
        TEST(an_encoder_alone_cannot_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
