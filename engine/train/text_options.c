#include "engine/train/text_options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* A size that the spec gives must be the model's, where there is one. */
static enum status size_of(const struct json *text, const char *key, int64_t models, int64_t *size,
                           struct err *err)
{
    char pointer[40];
    int64_t given = json_integer(text, key, 0);
    *size = given > 0 ? given : models;
    if (models == 0 || given == 0 || given == models)
        return OK;
    snprintf(pointer, sizeof pointer, "/text/%s", key);
    return err_at(
        err, E_INVALID, pointer,
        "\"%s\" is %lld, but the model that the job starts from has %lld: leave it out, or "
        "start from nothing with \"model\": null.",
        key, (long long)given, (long long)models);
}

static enum status parse_sizes(struct text_options *o, const struct json *text,
                               const struct model_text *model, struct err *err)
{
    struct awd_lstm_options d = awd_lstm_defaults(AWD_LSTM_LANGUAGE_MODEL, 1);
    int64_t layers = 0;
    enum status status =
        size_of(text, "embedding", model ? model->embedding : 0, &o->embedding, err);
    if (status == OK)
        status = size_of(text, "hidden", model ? model->hidden : 0, &o->hidden, err);
    if (status == OK)
        status = size_of(text, "layers", model ? model->layers : 0, &layers, err);
    o->embedding = o->embedding > 0 ? o->embedding : d.embedding;
    o->hidden = o->hidden > 0 ? o->hidden : d.hidden;
    o->layers = (int)(layers > 0 ? layers : d.layers);
    return status;
}

/* A model keeps the direction in which it was trained. */
static enum status parse_direction(struct text_options *o, const struct json *text,
                                   const struct model_text *model, struct err *err)
{
    bool models = model && model->backwards;
    bool given = json_type(json_get(text, "backwards")) == JSON_BOOL;
    o->backwards = json_bool(text, "backwards", models);
    if (!model || !given || o->backwards == models)
        return OK;
    return err_at(err, E_INVALID, "/text/backwards",
                  "The model that the job starts from reads texts %s: leave \"backwards\" out, or "
                  "name a model of the other direction.",
                  models ? "backwards" : "forwards");
}

enum status text_options_parse(struct text_options *options, const struct json *spec,
                               const struct model_info *start, struct err *err)
{
    const struct json *text = json_get(spec, "text");
    const struct model_text *model = start ? &start->text : NULL;
    double factor = json_number(text, "drop_mult", NAN);
    *options = (struct text_options){
        .seq_len = json_integer(text, "seq_len", 72),
        .max_len = json_integer(text, "max_len", 1440),
        .dropout_factor = {[PHASE_LANGUAGE_MODEL] = isnan(factor) ? 1 : factor,
                           [PHASE_CLASSIFIER] = isnan(factor) ? .5 : factor},
        .alpha = json_number(text, "alpha", 2),
        .beta = json_number(text, "beta", 1),
        .min_freq = (uint64_t)json_integer(text, "min_freq", 3),
        .max_vocab = (uint32_t)json_integer(text, "max_vocab", 60000),
        .lm_valid_fraction = json_number(text, "lm_valid_fraction", .1),
        .lm_on_valid = json_bool(text, "lm_on_valid", false),
    };
    enum status status = parse_sizes(options, text, model, err);
    return status == OK ? parse_direction(options, text, model, err) : status;
}

struct awd_lstm_options text_options_network(const struct text_options *options,
                                             enum recipe_phase phase, int64_t vocabulary,
                                             int64_t classes)
{
    enum awd_lstm_kind kind =
        phase == PHASE_CLASSIFIER ? AWD_LSTM_CLASSIFIER : AWD_LSTM_LANGUAGE_MODEL;
    struct awd_lstm_options network = awd_lstm_defaults(kind, options->dropout_factor[phase]);
    network.vocabulary = vocabulary;
    network.embedding = options->embedding;
    network.hidden = options->hidden;
    network.layers = options->layers;
    network.alpha = options->alpha;
    network.beta = options->beta;
    network.classes = classes;
    return network;
}

int text_options_groups(const struct text_options *options, enum recipe_phase phase,
                        char names[ZOO_MAX_GROUPS][24])
{
    struct awd_lstm_options network = text_options_network(options, phase, 1, 2);
    int n = options->layers + (phase == PHASE_CLASSIFIER ? 2 : 1);
    for (int g = 0; g < n; g++)
        awd_lstm_group_name(&network, g, names[g], sizeof names[g]);
    return n;
}
