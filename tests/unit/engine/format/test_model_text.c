#include "tests/unit/engine/format/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/format/safetensors.h"

#define EMBEDDING 3
#define HIDDEN    5

static struct err err;

static struct json *some_words(int64_t n)
{
    struct json *words = json_new_array();
    for (int64_t i = 0; i < n; i++) {
        char *word = i < N_SPECIALS ? mem_strdup(special_name((enum special)i))
                                    : mem_printf("w\"%lld", (long long)i);
        json_add_string(words, word);
        mem_free(word);
    }
    return words;
}

static struct model_info some_info(int64_t n_words)
{
    struct model_info info = model_info_default(MODEL_ARCHITECTURE_TEXT);
    snprintf(info.head, sizeof info.head, MODEL_HEAD_DECODER);
    info.text = (struct model_text){.vocabulary = some_words(n_words),
                                    .n_words = n_words,
                                    .embedding = EMBEDDING,
                                    .hidden = HIDDEN,
                                    .layers = 2,
                                    .backwards = true,
                                    .seq_len = 72,
                                    .max_len = 1440};
    return info;
}

static void fill(void *context, size_t item, float *plain)
{
    const struct safetensors_item *items = context;
    for (int64_t i = 0; i < items[item].dims[0] * items[item].dims[1]; i++)
        plain[i] = (float)i;
}

/* The tensors that tell the sizes; `rows` of the encoder, `gates` of the first layer. */
static void write_model(const struct model_info *info, int64_t rows, int64_t gates, size_t n)
{
    const struct safetensors_item items[] = {
        {"encoder.weight", 2, (int64_t[]){rows, EMBEDDING}},
        {"rnns.0.weight_ih_l0", 2, (int64_t[]){gates, EMBEDDING}},
        {"rnns.1.weight_ih_l0", 2, (int64_t[]){4 * EMBEDDING, HIDDEN}},
    };
    struct json *metadata = model_info_metadata(info);
    struct safetensors_content content = {.metadata = metadata,
                                          .items = items,
                                          .n_items = n,
                                          .fill = fill,
                                          .context = (void *)(uintptr_t)items};
    assert_ok(safetensors_write(scratch_path("m"), &content, NULL, &err), &err);
    json_free(metadata);
}

static void a_model_of_text_reads_back_with_60000_words(void **state)
{
    (void)state;
    scratch_make();
    struct model_info info = some_info(60000), again;
    struct tensor_source source;
    write_model(&info, 60000, 4 * HIDDEN, 3);
    assert_ok(model_file_open(scratch_path("m"), &source, &again, &err), &err);
    assert_true(model_info_is_text(&again));
    assert_string_equal(model_info_kind(&again), "text");
    assert_false(model_info_has_classes(&again));
    assert_true(json_equal(again.text.vocabulary, info.text.vocabulary));
    assert_int_equal(again.text.n_words, 60000);
    assert_int_equal(again.text.hidden, HIDDEN);
    assert_int_equal(again.text.layers, 2);
    assert_true(again.text.backwards);
    assert_int_equal(again.text.max_len, 1440);
    struct model_text copy = model_text_copy(&again.text);
    assert_true(json_equal(copy.vocabulary, again.text.vocabulary));
    model_text_deinit(&copy);
    tensor_source_close(&source);
    model_info_deinit(&again);
    model_info_deinit(&info);
    scratch_remove();
}

static void tensors_of_other_sizes_are_refused(void **state)
{
    (void)state;
    scratch_make();
    struct model_info info = some_info(12), again;
    struct tensor_source source;
    write_model(&info, 13, 4 * HIDDEN, 3);
    assert_refused(model_file_open(scratch_path("m"), &source, &again, &err), &err,
                   "vocabulary has 12 words, but encoder.weight has 13 rows");
    write_model(&info, 12, 4 * HIDDEN + 4, 3);
    assert_refused(model_file_open(scratch_path("m"), &source, &again, &err), &err,
                   "rnns.0.weight_ih_l0 has the shape (24, 3) where the model's \"text\" says "
                   "(20, 3)");
    write_model(&info, 12, 4 * HIDDEN, 2);
    assert_refused(model_file_open(scratch_path("m"), &source, &again, &err), &err,
                   "lack the tensor rnns.1.weight_ih_l0");
    model_info_deinit(&info);
    scratch_remove();
}

static void a_classifier_of_text_has_classes(void **state)
{
    (void)state;
    struct model_info info = some_info(9), again;
    snprintf(info.head, sizeof info.head, MODEL_HEAD_POOLING);
    struct json *metadata = model_info_metadata(&info);
    assert_refused(model_info_from_metadata(metadata, &again, &err), &err, "class names");
    json_set_string(metadata, MODEL_KEY_CLASSES, "[\"ham\", \"spam\"]");
    assert_ok(model_info_from_metadata(metadata, &again, &err), &err);
    assert_true(model_info_has_classes(&again));
    model_info_deinit(&again);
    json_set_string(metadata, MODEL_KEY_HEAD, MODEL_HEAD_DECODER);
    assert_refused(model_info_from_metadata(metadata, &again, &err), &err, "no classifier");
    json_set_string(metadata, MODEL_KEY_HEAD, "v2");
    assert_refused(model_info_from_metadata(metadata, &again, &err), &err, "as of text");
    json_free(metadata);
    model_info_deinit(&info);
}

/* Sets one member of the object to a JSON value (NULL: takes it away). */
static void assert_text_refused(const char *key, const char *value, const char *words)
{
    struct model_info info = some_info(12);
    struct model_text again;
    struct json *object = model_text_to_json(&info.text), *parsed = NULL;
    assert_ok(model_text_from_json(object, &again, &err), &err);
    model_text_deinit(&again);
    if (value) {
        assert_ok(json_parse(value, strlen(value), &parsed, &err), &err);
        json_set(object, key, parsed);
    } else {
        json_remove(object, key);
    }
    assert_refused(model_text_from_json(object, &again, &err), &err, words);
    json_free(object);
    model_info_deinit(&info);
}

static void what_it_says_is_validated_as_a_whole(void **state)
{
    (void)state;
    static const char *const keys[] = {"embedding", "hidden", "layers", "seq_len", "max_len"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_text_refused(keys[i], NULL, keys[i]);
        assert_text_refused(keys[i], "0", keys[i]);
        assert_text_refused(keys[i], "1.5", keys[i]);
        assert_text_refused(keys[i], "\"72\"", keys[i]);
        assert_text_refused(keys[i], "100000", keys[i]);
    }
    assert_text_refused("backwards", NULL, "backwards");
    assert_text_refused("backwards", "1", "backwards");
    assert_text_refused("vocabulary", NULL, "vocabulary is no list");
    assert_text_refused("vocabulary", "[\"xxunk\"]", "9 special tokens");
}

static void assert_words_refused(const char *before, const char *after, const char *words)
{
    struct json *vocabulary = some_words(9);
    char *text = json_text(vocabulary);
    char *at = strstr(text, before);
    assert_non_null(at);
    char *changed = mem_printf("%.*s%s%s", (int)(at - text), text, after, at + strlen(before));
    json_free(vocabulary);
    assert_ok(json_parse(changed, strlen(changed), &vocabulary, &err), &err);
    assert_refused(model_text_check_vocabulary(vocabulary, &err), &err, words);
    json_free(vocabulary);
    mem_free(changed);
    mem_free(text);
}

static void a_vocabulary_begins_with_the_special_tokens_and_has_each_word_once(void **state)
{
    (void)state;
    assert_words_refused("xxrep", "rep", "word 5 is \"rep\" where \"xxrep\" is expected");
    assert_words_refused("\"xxmaj\"", "\"xxmaj\",\"a\",\"b\",\"a\"", "\"a\" is in the vocabulary");
    assert_words_refused("\"xxmaj\"", "\"xxmaj\",\"\"", "word 9 is no text, empty");
    assert_words_refused("\"xxmaj\"", "\"xxmaj\",7", "word 9 is no text");
    char *twice = mem_printf("\"xxmaj\",\"%01100d\"", 0);
    assert_words_refused("\"xxmaj\"", twice, "longer than 255 bytes");
    mem_free(twice);
    struct json *padded = some_words(12);
    json_add_string(padded, "xxfake");
    json_add_string(padded, "xxfake");
    assert_ok(model_text_check_vocabulary(padded, &err), &err);
    json_free(padded);
    struct json *many = some_words(MODEL_MAX_VOCABULARY + 1);
    assert_refused(model_text_check_vocabulary(many, &err), &err, "at most 262144");
    json_free(many);
}

/* So many words of 240 bytes and more. */
static struct model_info long_info(int64_t n_words)
{
    struct model_info info = some_info(N_SPECIALS);
    for (int64_t i = N_SPECIALS; i < n_words; i++) {
        char word[256];
        snprintf(word, sizeof word, "%0240lld", (long long)i);
        json_add_string(info.text.vocabulary, word);
    }
    info.text.n_words = n_words;
    return info;
}

static void words_that_will_not_fit_a_file_are_known_before_it_is_written(void **state)
{
    (void)state;
    struct tensor_source source;
    struct model_info fits = long_info(60000), read, large = long_info(70000);
    assert_ok(model_info_check_size(&fits, &err), &err);
    scratch_make();
    write_model(&fits, 60000, 4 * HIDDEN, 3);
    assert_ok(model_file_open(scratch_path("m"), &source, &read, &err), &err);
    tensor_source_close(&source);
    assert_refused(model_info_check_size(&large, &err), &err,
                   "take 16.4 MiB, and its file has room for 15.0");
    scratch_remove();
    model_info_deinit(&fits);
    model_info_deinit(&read);
    model_info_deinit(&large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_of_text_reads_back_with_60000_words),
        cmocka_unit_test(tensors_of_other_sizes_are_refused),
        cmocka_unit_test(a_classifier_of_text_has_classes),
        cmocka_unit_test(what_it_says_is_validated_as_a_whole),
        cmocka_unit_test(words_that_will_not_fit_a_file_are_known_before_it_is_written),
        cmocka_unit_test(a_vocabulary_begins_with_the_special_tokens_and_has_each_word_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
