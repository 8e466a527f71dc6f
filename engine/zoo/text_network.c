#include "engine/zoo/text_network.h"

#include <string.h>

struct awd_lstm_options text_network_options(const struct model_info *info,
                                             const struct tensor_source *source)
{
    const struct model_text *text = &info->text;
    bool decoder = strcmp(info->head, MODEL_HEAD_DECODER) == 0;
    struct awd_lstm_options options =
        awd_lstm_defaults(decoder ? AWD_LSTM_LANGUAGE_MODEL : AWD_LSTM_CLASSIFIER, 1);
    options.vocabulary = text->n_words;
    options.embedding = text->embedding;
    options.hidden = text->hidden;
    options.layers = (int)text->layers;
    options.classes = info->classes ? (int64_t)json_len(info->classes) : 2;
    options.head_bias = tensor_source_find(source, "head.2.bias") != NULL;
    return options;
}

enum status text_network_load(const struct model_info *info, const struct tensor_source *source,
                              struct graph **graph, struct err *err)
{
    if (strcmp(info->head, MODEL_HEAD_NONE) == 0)
        return err_set(err, E_INVALID,
                       "The model is an encoder alone, so it cannot predict: train a job on it "
                       "first.");
    struct awd_lstm_options options = text_network_options(info, source);
    *graph = awd_lstm_build(&options);
    enum status status = model_file_load(source, *graph, NULL, err);
    if (status != OK) {
        graph_free(*graph);
        *graph = NULL;
    }
    return status;
}
