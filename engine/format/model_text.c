/* model_text.c -- the "text" of a model's metadata: to and from JSON, against the tensors. */
#include "engine/format/model_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void model_text_deinit(struct model_text *text)
{
    json_free(text->vocabulary);
    text->vocabulary = NULL;
}

struct model_text model_text_copy(const struct model_text *text)
{
    struct model_text copy = *text;
    copy.vocabulary = text->vocabulary ? json_copy(text->vocabulary) : NULL;
    return copy;
}

/* --- Numbers --------------------------------------------------------------------------------- */

static const struct number {
    const char *name;
    size_t offset; /* of an int64_t in struct model_text */
    int64_t most;
} numbers[] = {
    {"embedding", offsetof(struct model_text, embedding), MODEL_MAX_WIDTH},
    {"hidden", offsetof(struct model_text, hidden), MODEL_MAX_WIDTH},
    {"layers", offsetof(struct model_text, layers), MODEL_MAX_LAYERS},
    {"seq_len", offsetof(struct model_text, seq_len), MODEL_MAX_STEPS},
    {"max_len", offsetof(struct model_text, max_len), MODEL_MAX_STEPS},
};

static void set_numbers(const struct model_text *text, struct json *object)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        json_set_integer(object, numbers[i].name,
                         *(const int64_t *)((const char *)text + numbers[i].offset));
    json_set_bool(object, "backwards", text->backwards);
}

struct json *model_text_to_json(const struct model_text *text)
{
    struct json *object = json_new_object();
    json_set(object, "vocabulary", json_copy(text->vocabulary));
    set_numbers(text, object);
    return object;
}

struct json *model_text_summary(const struct model_text *text)
{
    struct json *object = json_new_object();
    json_set_integer(object, "vocabulary", text->n_words);
    set_numbers(text, object);
    return object;
}

static enum status read_numbers(const struct json *object, struct model_text *text, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct json *value = json_get(object, numbers[i].name);
        double number = json_as_number(value, 0);
        if (!json_is_integer(value) || number < 1 || number > (double)numbers[i].most)
            return err_set(err, E_INVALID,
                           "The model's \"text\" has no usable \"%s\": a whole number in 1..%lld "
                           "is expected.",
                           numbers[i].name, (long long)numbers[i].most);
        *(int64_t *)((char *)text + numbers[i].offset) = (int64_t)number;
    }
    if (json_type(json_get(object, "backwards")) != JSON_BOOL)
        return err_set(err, E_INVALID,
                       "The model's \"text\" does not say true or false to \"backwards\".");
    text->backwards = json_bool(object, "backwards", false);
    return OK;
}

enum status model_text_from_json(const struct json *object, struct model_text *text,
                                 struct err *err)
{
    *text = (struct model_text){0};
    if (json_type(object) != JSON_OBJECT)
        return err_set(err, E_INVALID, "The model's metadata \"text\" is not an object.");
    const struct json *vocabulary = json_get(object, "vocabulary");
    enum status status = read_numbers(object, text, err);
    if (status == OK)
        status = model_text_check_vocabulary(vocabulary, err);
    if (status != OK)
        return status;
    text->n_words = (int64_t)json_len(vocabulary);
    text->vocabulary = json_copy(vocabulary);
    return OK;
}

/* --- Vocabulary ------------------------------------------------------------------------------ */

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum status check_unique(const struct json *vocabulary, size_t n, struct err *err)
{
    size_t i = 0;
    const char **words = mem_alloc(n * sizeof *words), *twin = NULL;
    json_each(word, vocabulary) words[i++] = json_as_string(word, "");
    qsort(words, n, sizeof *words, compare_words);
    for (i = 1; i < n && !twin; i++) {
        if (strcmp(words[i - 1], words[i]) == 0 && strcmp(words[i], MODEL_PADDING_WORD) != 0)
            twin = words[i];
    }
    if (twin)
        err_set(err, E_INVALID, "The word \"%.100s\" is in the vocabulary twice.", twin);
    mem_free(words);
    return twin ? E_INVALID : OK;
}

static enum status check_words(const struct json *vocabulary, struct err *err)
{
    size_t id = 0;
    json_each(word, vocabulary)
    {
        const char *text = json_as_string(word, "");
        if (!text[0] || strnlen(text, MODEL_MAX_WORD + 1) > MODEL_MAX_WORD)
            return err_set(err, E_INVALID,
                           "The vocabulary's word %zu is no text, empty, or longer than %d bytes.",
                           id, MODEL_MAX_WORD);
        if (id < N_SPECIALS && strcmp(text, special_name((enum special)id)) != 0)
            return err_set(err, E_INVALID,
                           "The vocabulary's word %zu is \"%.60s\" where \"%s\" is expected: the "
                           "special tokens come first.",
                           id, text, special_name((enum special)id));
        id++;
    }
    return OK;
}

enum status model_text_check_vocabulary(const struct json *vocabulary, struct err *err)
{
    size_t n = json_len(vocabulary);
    if (json_type(vocabulary) != JSON_ARRAY || n < N_SPECIALS)
        return err_set(err, E_INVALID,
                       "The model's vocabulary is no list of at least its %d special tokens.",
                       N_SPECIALS);
    if (n > MODEL_MAX_VOCABULARY)
        return err_set(err, E_INVALID, "The vocabulary has %zu words; at most %d can be used.", n,
                       MODEL_MAX_VOCABULARY);
    enum status status = check_words(vocabulary, err);
    return status == OK ? check_unique(vocabulary, n, err) : status;
}

/* --- Against the weights --------------------------------------------------------------------- */

int64_t model_text_layer_hidden(const struct model_text *text, int64_t layer)
{
    return layer == text->layers - 1 ? text->embedding : text->hidden;
}

int64_t model_text_layer_input(const struct model_text *text, int64_t layer)
{
    return layer == 0 ? text->embedding : text->hidden;
}

/* `columns` 0: a vector. */
static enum status check_shape(const struct tensor_source *source, const char *name, int64_t rows,
                               int64_t columns, struct err *err)
{
    char found[128], wanted[128];
    int64_t dims[2] = {rows, columns};
    int n_dims = columns > 0 ? 2 : 1;
    const struct tensor_view *view = tensor_source_find(source, name);
    if (!view)
        return err_set(err, E_INVALID, "The weights lack the tensor %s.", name);
    if (tensor_has_shape(view, n_dims, dims))
        return OK;
    return err_set(err, E_INVALID,
                   "The tensor %s has the shape %s where the model's \"text\" says %s.", name,
                   tensor_shape_text(view->n_dims, view->dims, found, sizeof found),
                   tensor_shape_text(n_dims, dims, wanted, sizeof wanted));
}

enum status model_text_check_weights(const struct model_text *text,
                                     const struct tensor_source *source, struct err *err)
{
    char name[64];
    const struct tensor_view *encoder = tensor_source_find(source, "encoder.weight");
    if (encoder && encoder->n_dims == 2 && encoder->dims[0] != text->n_words)
        return err_set(err, E_INVALID,
                       "The vocabulary has %lld words, but encoder.weight has %lld rows.",
                       (long long)text->n_words, (long long)encoder->dims[0]);
    enum status status = check_shape(source, "encoder.weight", text->n_words, text->embedding, err);
    for (int64_t layer = 0; status == OK && layer < text->layers; layer++) {
        int64_t gates = 4 * model_text_layer_hidden(text, layer);
        snprintf(name, sizeof name, "rnns.%lld.weight_ih_l0", (long long)layer);
        status = check_shape(source, name, gates, model_text_layer_input(text, layer), err);
    }
    if (status == OK && tensor_source_find(source, "decoder.bias"))
        status = check_shape(source, "decoder.bias", text->n_words, 0, err);
    return status;
}

enum status model_text_vocab(const struct model_text *text, struct vocab **vocab, struct err *err)
{
    size_t n = 0;
    const char **words = mem_alloc((json_len(text->vocabulary) + 1) * sizeof *words);
    json_each(word, text->vocabulary) words[n++] = json_as_string(word, "");
    enum status status = vocab_from_words(words, n, vocab, err);
    mem_free(words);
    return status;
}
