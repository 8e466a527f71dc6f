/* import_text_names.c -- what stands in front of the encoder's tensors is taken off, then one table
 * says what the rest is called here.
 *
 * fastai 0.7, v1 and v2 keep a language model as Sequential(encoder, decoder): 0.* and 1.*; a
 * classifier as Sequential(SentenceEncoder, head): 0.module.* (early ones 0.*) and 1.layers.*; an
 * encoder alone without anything in front. Weight dropout holds the true hidden weights under
 * *_raw, and a copy that was thinned out in the last step under their own name. */
#include "engine/worker/import_text_names.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define DECODER_WEIGHT "1.decoder.weight"
#define HEAD           "1.layers."

static const char *const fronts[] = {"0.module.", "0.", ""};

/* Behind "rnns.N.": theirs, ours. The first of two that stand for the same and are there is taken.
 */
static const struct {
    const char *theirs, *ours;
} lstm_names[] = {
    {"weight_hh_l0_raw", "weight_hh_l0"},    {"module.weight_hh_l0_raw", "weight_hh_l0"},
    {"module.weight_hh_l0", "weight_hh_l0"}, {"weight_hh_l0", "weight_hh_l0"},
    {"module.weight_ih_l0", "weight_ih_l0"}, {"weight_ih_l0", "weight_ih_l0"},
    {"module.bias_ih_l0", "bias_ih_l0"},     {"bias_ih_l0", "bias_ih_l0"},
    {"module.bias_hh_l0", "bias_hh_l0"},     {"bias_hh_l0", "bias_hh_l0"},
};

static const char *const embedding_copies[] = {"encoder_dp.emb.weight",
                                               "encoder_with_dropout.embed.weight"};

static bool begins(const char *name, const char *beginning)
{
    return strncmp(name, beginning, strlen(beginning)) == 0;
}

/* Behind "rnns.N."; NULL where the name does not begin so. */
static const char *behind_layer(const char *name)
{
    if (!begins(name, "rnns."))
        return NULL;
    const char *digits = name + strlen("rnns.");
    size_t n = strspn(digits, "0123456789");
    return n > 0 && n <= 2 && digits[n] == '.' ? digits + n + 1 : NULL;
}

static const char *behind_front(const char *name, const char *front)
{
    return begins(name, front) ? name + strlen(front) : NULL;
}

bool import_text_is_copy(const char *name)
{
    if (strcmp(name, DECODER_WEIGHT) == 0)
        return true;
    for (size_t f = 0; f < ARRAY_LEN(fronts); f++) {
        const char *rest = behind_front(name, fronts[f]);
        for (size_t i = 0; rest && i < ARRAY_LEN(embedding_copies); i++)
            if (strcmp(rest, embedding_copies[i]) == 0)
                return true;
        rest = rest ? behind_layer(rest) : NULL;
        if (rest && strstr(rest, "weight_hh_l0"))
            return true;
    }
    return false;
}

/* --- One name --------------------------------------------------------------------------------- */

/* Is one of the earlier rows for the same tensor there? */
static bool is_outdone(const struct tensor_source *source, const char *front, const char *layer,
                       int layer_len, size_t row)
{
    char name[TENSOR_MAX_NAME + 1];
    for (size_t i = 0; i < row; i++) {
        if (strcmp(lstm_names[i].ours, lstm_names[row].ours) != 0)
            continue;
        snprintf(name, sizeof name, "%s%.*s%s", front, layer_len, layer, lstm_names[i].theirs);
        if (tensor_source_find(source, name))
            return true;
    }
    return false;
}

static char *rename_lstm(const struct tensor_source *source, const char *front, const char *rest)
{
    const char *inner = behind_layer(rest);
    int layer_len = (int)(inner - rest);
    for (size_t i = 0; i < ARRAY_LEN(lstm_names); i++)
        if (strcmp(inner, lstm_names[i].theirs) == 0 &&
            !is_outdone(source, front, rest, layer_len, i))
            return mem_printf("%.*s%s", layer_len, rest, lstm_names[i].ours);
    return NULL;
}

/* The head's layers: in v1 one list, norm, dropout, linear, ReLU and again; in v2 a list of such
 * blocks, where a dropout of 0 is left out. Ours are v1's numbers. */
static char *rename_head(const char *rest)
{
    int first = 0, second = 0, used = 0, more = 0;
    if (sscanf(rest, "%2d.%n", &first, &used) != 1 || used == 0)
        return NULL;
    rest += used;
    if (sscanf(rest, "%2d.%n", &second, &more) == 1 && more > 0)
        return mem_printf("head.%d.%s", 4 * first + (second > 0 ? 2 : 0), rest + more);
    return mem_printf("head.%d.%s", first, rest);
}

/* A new text, or NULL where the name stays. */
static char *rename_one(const struct tensor_source *source, const char *front, const char *name)
{
    const char *rest = behind_front(name, front);
    if (begins(name, HEAD))
        return rename_head(name + strlen(HEAD));
    if (strcmp(name, "1.decoder.bias") == 0)
        return mem_strdup("decoder.bias");
    if (!rest)
        return NULL;
    if (strcmp(rest, "encoder.weight") == 0)
        return mem_strdup(rest);
    return behind_layer(rest) ? rename_lstm(source, front, rest) : NULL;
}

/* --- All of them ------------------------------------------------------------------------------ */

/* What stands in front of the encoder's names; NULL where there is no encoder. */
static const char *find_front(const struct tensor_source *source)
{
    char name[TENSOR_MAX_NAME + 1];
    for (size_t f = 0; f < ARRAY_LEN(fronts); f++) {
        snprintf(name, sizeof name, "%sencoder.weight", fronts[f]);
        bool embedding = tensor_source_find(source, name), lstm = false;
        for (size_t i = 0; i < ARRAY_LEN(lstm_names) && !lstm; i++) {
            snprintf(name, sizeof name, "%srnns.0.%s", fronts[f], lstm_names[i].theirs);
            lstm = tensor_source_find(source, name);
        }
        if (embedding && lstm)
            return fronts[f];
    }
    return NULL;
}

static enum status check_tied(const struct tensor_source *source, const char *front,
                              struct err *err)
{
    char name[TENSOR_MAX_NAME + 1];
    snprintf(name, sizeof name, "%sencoder.weight", front);
    const struct tensor_view *decoder = tensor_source_find(source, DECODER_WEIGHT);
    const struct tensor_view *encoder = tensor_source_find(source, name);
    if (!decoder)
        return OK;
    bool same = decoder->dtype == encoder->dtype &&
                tensor_has_shape(decoder, encoder->n_dims, encoder->dims);
    if (same && decoder->data != encoder->data) {
        size_t n_bytes = encoder->n_elements * dtype_size(encoder->dtype);
        void *a = NULL, *b = NULL;
        enum status status = mem_try_alloc(n_bytes, 1, "the embedding", &a, err);
        if (status == OK)
            status = mem_try_alloc(n_bytes, 1, "the decoder", &b, err);
        if (status == OK) {
            tensor_read_raw(encoder, a);
            tensor_read_raw(decoder, b);
            same = memcmp(a, b, n_bytes) == 0;
        }
        mem_free(a);
        mem_free(b);
        if (status != OK)
            return status;
    }
    if (same)
        return OK;
    return err_set(err, E_INVALID,
                   "The tensor %s is not the same as %s: a language model whose decoder is not "
                   "tied to its embedding cannot be used.",
                   DECODER_WEIGHT, name);
}

enum status import_text_rename(struct tensor_source *source, bool *found, struct err *err)
{
    const char *front = find_front(source);
    *found = front != NULL;
    if (!front)
        return OK;
    enum status status = check_tied(source, front, err);
    if (status != OK)
        return status;
    char **names = mem_alloc((source->n_tensors + 1) * sizeof *names);
    for (size_t i = 0; i < source->n_tensors; i++) /* all, before the first has another name */
        names[i] = rename_one(source, front, source->tensors[i].name);
    for (size_t i = 0; i < source->n_tensors; i++)
        if (names[i])
            tensor_source_rename(source, i, names[i]);
    mem_free(names);
    return tensor_source_finish(source, err);
}
