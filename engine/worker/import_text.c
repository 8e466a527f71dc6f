/* import_text.c -- the sizes are read off the tensors, the network of that size is built, and every
 * tensor is loaded into it; what has a row for each word is put into the vocabulary's order. */
#include "engine/worker/import_text.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/format/words.h"
#include "engine/worker/import_result.h"
#include "engine/worker/import_text_names.h"
#include "engine/worker/import_vocabulary.h"
#include "engine/zoo/text_network.h"

#define SEQ_LEN         72 /* fastai's defaults, where a file does not say */
#define MAX_LEN         1440
#define HEAD_PREFIX     "head."
#define DECODER_BIAS    "decoder.bias"
#define MAX_EXTRA_NAMED 3
#define MAX_PARAMETERS  (INT64_C(1) << 28) /* what fits the sandbox's memory */

struct import_text {
    const struct tensor_source *source; /* borrowed */
    struct model_info info;             /* owned */
    struct vocabulary_order order;      /* owned */
    struct awd_lstm_options options;
    struct graph *graph; /* owned */
    const char *skip;    /* parameters that the file has none of begin so; NULL: none */
};

static enum status does_not_fit(struct err *err)
{
    err_name(err, "weights_do_not_fit", NULL);
    return E_INVALID;
}

/* --- What it is ------------------------------------------------------------------------------- */

static const struct tensor_view *find_layer(const struct tensor_source *source, int layer)
{
    char name[64];
    snprintf(name, sizeof name, "rnns.%d.weight_hh_l0", layer);
    return tensor_source_find(source, name);
}

/* Of the encoder. A tensor may claim more elements than its file has bytes (a stride of 0). */
static int64_t count_parameters(const struct model_text *text, int64_t n_words)
{
    int64_t n = n_words * text->embedding;
    for (int64_t layer = 0; layer < text->layers; layer++) {
        int64_t hidden = model_text_layer_hidden(text, layer);
        n += 4 * hidden * (hidden + model_text_layer_input(text, layer) + 2);
    }
    return n;
}

static bool is_too_large(const struct model_text *text, int64_t n_words)
{
    return n_words > MODEL_MAX_VOCABULARY || count_parameters(text, n_words) > MAX_PARAMETERS;
}

static enum status too_large(struct err *err)
{
    err_set(err, E_INVALID,
            "The network is too large: at most %d words and %lld parameters can be imported.",
            MODEL_MAX_VOCABULARY, (long long)MAX_PARAMETERS);
    return does_not_fit(err);
}

/* embedding, hidden, layers from the tensors. */
static enum status read_sizes(const struct tensor_source *source, struct model_text *text,
                              struct err *err)
{
    const struct tensor_view *encoder = tensor_source_find(source, "encoder.weight");
    const struct tensor_view *first = find_layer(source, 0);
    int layers = 0;
    while (layers <= MODEL_MAX_LAYERS && find_layer(source, layers))
        layers++;
    if (layers > MODEL_MAX_LAYERS)
        err_set(err, E_INVALID, "The network has more than %d LSTM layers.", MODEL_MAX_LAYERS);
    else if (!first)
        err_set(err, E_INVALID, "The weights lack the tensor rnns.0.weight_hh_l0.");
    else if (encoder->n_dims != 2 || first->n_dims != 2)
        err_set(err, E_INVALID,
                "The tensors encoder.weight and rnns.0.weight_hh_l0 are no matrices.");
    else if (encoder->dims[1] < 1 || encoder->dims[1] > MODEL_MAX_WIDTH || first->dims[1] < 1 ||
             first->dims[1] > MODEL_MAX_WIDTH)
        err_set(err, E_INVALID, "The network's layers have a width beyond 1..%d.", MODEL_MAX_WIDTH);
    else {
        text->embedding = encoder->dims[1];
        text->hidden = first->dims[1];
        text->layers = layers;
        if (!is_too_large(text, encoder->dims[0]))
            return OK;
        too_large(err);
    }
    return does_not_fit(err);
}

/* The words, and where they stand in the weights: from the file itself where it is one of ours. */
static enum status read_vocabulary(struct import_text *import, const char *path, struct err *err)
{
    struct json *words = NULL;
    const struct tensor_view *encoder = tensor_source_find(import->source, "encoder.weight");
    enum status status = OK;
    if (import->info.text.vocabulary)
        words = json_copy(import->info.text.vocabulary);
    else if (path)
        status = words_read_file(path, &words, err);
    else
        status = err_set(err, E_INVALID,
                         "The weights are of a model of text with %lld words, but no vocabulary "
                         "came with them: send it along, as a form's part \"vocabulary\" or in one "
                         "archive with the weights.",
                         (long long)encoder->dims[0]);
    if (status == OK && (int64_t)json_len(words) != encoder->dims[0])
        status = err_set(err, E_INVALID,
                         "The vocabulary has %zu words, but encoder.weight has %lld rows: they are "
                         "of different models.",
                         json_len(words), (long long)encoder->dims[0]);
    if (status == OK)
        status = vocabulary_order(words, &import->order, err);
    json_free(words);
    if (status != OK && status != E_NO_SPACE)
        err_name(err, "bad_vocabulary", NULL);
    return status;
}

/* A file of this service says itself what it is. */
static enum status read_own(struct import_text *import, const char *path, struct err *err)
{
    enum status status = model_info_from_metadata(import->source->metadata, &import->info, err);
    if (status == OK && !model_info_is_text(&import->info))
        status = err_set(err, E_INVALID,
                         "The model has the tensors of an AWD-LSTM, but says that "
                         "it is one of pictures.");
    if (status == OK)
        status = model_text_check_weights(&import->info.text, import->source, err);
    if (status == OK && is_too_large(&import->info.text, import->info.text.n_words))
        status = too_large(err);
    if (status == OK && path)
        status = err_set(err, E_INVALID,
                         "The model brings its vocabulary along: leave the other one out.");
    return status;
}

static void read_head(struct import_text *import)
{
    const struct tensor_source *source = import->source;
    bool classifier = false;
    for (size_t i = 0; i < source->n_tensors; i++)
        classifier |= strncmp(source->tensors[i].name, HEAD_PREFIX, strlen(HEAD_PREFIX)) == 0;
    bool decoder =
        tensor_source_find(source, DECODER_BIAS) || tensor_source_find(source, "1.decoder.weight");
    snprintf(import->info.head, sizeof import->info.head, "%s",
             classifier ? MODEL_HEAD_POOLING
             : decoder  ? MODEL_HEAD_DECODER
                        : MODEL_HEAD_NONE);
}

static enum status identify(struct import_text *import, const struct json *document,
                            const char *vocabulary, struct err *err)
{
    struct model_text *text = &import->info.text;
    const char *wanted = json_string(document, "architecture", NULL);
    if (wanted && strcmp(wanted, AWD_LSTM_NAME) != 0) {
        err_set(err, E_INVALID, "The weights are of an %s, not of %.64s.", AWD_LSTM_NAME, wanted);
        return does_not_fit(err);
    }
    if (json_get(import->source->metadata, MODEL_KEY_FORMAT)) {
        enum status status = read_own(import, vocabulary, err);
        return status ? status : read_vocabulary(import, NULL, err);
    }
    import->info = model_info_default(AWD_LSTM_NAME);
    text->seq_len = SEQ_LEN;
    text->max_len = MAX_LEN;
    text->backwards = json_bool(document, "backwards", false);
    read_head(import);
    enum status status = read_sizes(import->source, text, err);
    if (status == OK)
        status = read_vocabulary(import, vocabulary, err);
    if (status == OK)
        text->vocabulary = json_copy(import->order.words);
    text->n_words = import->order.n;
    return status;
}

/* --- The network ------------------------------------------------------------------------------ */

static enum status count_classes(const struct tensor_source *source, int64_t *classes,
                                 struct err *err)
{
    const struct tensor_view *last = tensor_source_find(source, "head.6.weight");
    *classes = last && last->n_dims == 2 ? last->dims[0] : 0;
    if (*classes >= 1 && *classes <= MODEL_MAX_CLASSES)
        return OK;
    err_set(err, E_INVALID,
            last ? "The classifier has %lld classes; 1 to %d can be used."
                 : "The classifier's last layer is missing: two linear layers are expected.",
            (long long)*classes, MODEL_MAX_CLASSES);
    return does_not_fit(err);
}

/* The graph, of the vocabulary's size here. An encoder alone is a classifier's. */
static enum status build(struct import_text *import, struct err *err)
{
    const struct model_info *info = &import->info;
    enum status status = OK;
    import->options = text_network_options(info, import->source);
    if (model_info_has_classes(info))
        status = count_classes(import->source, &import->options.classes, err);
    else if (strcmp(info->head, MODEL_HEAD_NONE) == 0)
        import->skip = HEAD_PREFIX;
    if (status == OK)
        import->graph = awd_lstm_build(&import->options);
    return status;
}

static bool has_row_a_word(const struct param *param)
{
    return strcmp(param->name, "encoder.weight") == 0 || strcmp(param->name, DECODER_BIAS) == 0;
}

/* fastai 0.7's decoder had no bias. */
static bool is_left_zero(const struct import_text *import, const struct param *param)
{
    return strcmp(param->name, DECODER_BIAS) == 0 &&
           !tensor_source_find(import->source, DECODER_BIAS);
}

/* Shapes as in the file: of the vocabulary's size there. */
static enum status check_fit(const struct import_text *import, struct err *err)
{
    struct model_match found;
    struct graph *graph = import->graph;
    for (int i = 0; i < graph->n_params; i++)
        if (has_row_a_word(graph->params[i]))
            graph->params[i]->dims[0] = import->order.n_theirs;
    const char *skip = import->skip;
    if (!skip && graph_find_param(graph, DECODER_BIAS) &&
        !tensor_source_find(import->source, DECODER_BIAS))
        skip = DECODER_BIAS;
    model_file_match(import->source, graph, skip, &found);
    for (int i = 0; i < graph->n_params; i++)
        if (has_row_a_word(graph->params[i]))
            graph->params[i]->dims[0] = import->order.n;
    if (found.n_missing + found.n_misshapen == 0)
        return OK;
    err_set(err, E_INVALID, "The weights do not fit %s: %s.", AWD_LSTM_NAME, found.problems);
    return does_not_fit(err);
}

static enum status load_param(const struct import_text *import, struct param *param,
                              struct err *err)
{
    const struct tensor_view *view = tensor_source_find(import->source, param->name);
    void *theirs = NULL, *ours = NULL;
    size_t most = param->n_elements > view->n_elements ? param->n_elements : view->n_elements;
    enum status status = mem_try_alloc(most + 1, sizeof(float), "reading a tensor", &theirs, err);
    if (status == OK)
        status = tensor_read_finite(view, theirs, err);
    if (status == OK && has_row_a_word(param) && !import->order.same) {
        status = mem_try_alloc(most + 1, sizeof(float), "ordering a tensor", &ours, err);
        if (status == OK)
            vocabulary_order_rows(&import->order, theirs, view->n_dims == 2 ? view->dims[1] : 1,
                                  ours);
    }
    if (status == OK)
        param_write(param, PARAM_VALUE, ours ? ours : theirs);
    mem_free(theirs);
    mem_free(ours);
    return status;
}

static enum status load(struct report *report, const struct import_text *import, struct err *err)
{
    enum status status = check_fit(import, err);
    for (int i = 0; i < import->graph->n_params && status == OK; i++) {
        struct param *param = import->graph->params[i];
        if (is_left_zero(import, param) ||
            (import->skip && strncmp(param->name, import->skip, strlen(import->skip)) == 0))
            continue;
        status = load_param(import, param, err);
        if (status == OK)
            status = report_check(report, err);
    }
    return status;
}

/* --- The end ---------------------------------------------------------------------------------- */

static void warn(struct report *report, const struct import_text *import)
{
    static const char counter[] = ".num_batches_tracked";
    struct buf names;
    int n = 0;
    buf_init(&names, MAX_EXTRA_NAMED * (TENSOR_MAX_NAME + 2));
    for (size_t i = 0; i < import->source->n_tensors; i++) {
        const char *name = import->source->tensors[i].name;
        if (graph_find_param(import->graph, name) || import_text_is_copy(name) ||
            strstr(name, counter))
            continue;
        if (n++ < MAX_EXTRA_NAMED)
            buf_printf(&names, "%s%s", names.len ? ", " : "", name);
    }
    if (n > 0)
        report_warning(report, "extra_tensors", "%s has no such tensors, they were left out: %s.",
                       AWD_LSTM_NAME, names.data);
    if (import->order.added[0])
        report_warning(report, "added_words",
                       "The vocabulary lacks special tokens, which got the mean of all words' "
                       "rows: %s.",
                       import->order.added);
    buf_deinit(&names);
}

static void name_group(const void *context, int group, char name[IMPORT_GROUP_NAME])
{
    awd_lstm_group_name(context, group, name, IMPORT_GROUP_NAME);
}

static enum status finish(struct report *report, const struct json *document,
                          struct import_text *import, struct err *err)
{
    struct json *given = NULL;
    int64_t rows = model_info_has_classes(&import->info) ? import->options.classes : 0;
    enum status status = import_given_classes(document, &given, err);
    if (status == OK)
        status = import_settle_classes(&import->info, rows, given, err);
    if (status != OK)
        return status;
    warn(report, import);
    import_set_lineage(&import->info, import->source,
                       import->source->format[0] == 't' ? "fastai" : NULL);
    struct imported imported = {.info = &import->info,
                                .graph = import->graph,
                                .n_groups = import->graph->n_groups - (import->skip != NULL),
                                .name_group = name_group,
                                .context = &import->options,
                                .n_classes = rows};
    return import_write(report, json_string(document, "out", ""), &imported, err);
}

enum status import_text(struct report *report, const struct json *document,
                        const struct tensor_source *source, const char *vocabulary, struct err *err)
{
    struct import_text import = {.source = source};
    int64_t total = (int64_t)source->n_bytes;
    enum status status = identify(&import, document, vocabulary, err);
    if (status == OK)
        status = build(&import, err);
    if (status == OK) {
        report_progress(report, 0, total);
        status = load(report, &import, err);
    }
    if (status == OK) {
        report_progress(report, total, total);
        status = finish(report, document, &import, err);
    }
    graph_free(import.graph);
    vocabulary_order_deinit(&import.order);
    model_info_deinit(&import.info);
    return status;
}
