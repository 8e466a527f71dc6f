/* jobspec_text.c -- jobs on texts: their fields, what makes a job one, and what they add by
 * default.
 *
 * A job is on texts when its task says so, or else when anything in it is for texts alone. What is
 * for pictures alone is then refused, and the other way round: the rows of the tables say which. */
#include "api/spec/jobspec_text.h"

#include <stdio.h>
#include <string.h>

#include "api/spec/jobspec_table.h"
#include "base/mem.h"

#define SMALL_EMBEDDING 200 /* of a language model from nothing: minutes on two processors */
#define SMALL_HIDDEN    512
#define SMALL_LAYERS    2

#define PHASE_LANGUAGE_MODEL "language_model"
#define PHASE_CLASSIFIER     "classifier"

static const struct field rows[] = {
    {.name = "embedding",
     .takes = TAKES_INTEGER | TAKES_NULL,
     .min = 8,
     .max = 4096,
     .shown = "the model's; with `\"model\": null` 200",
     .meaning = "numbers a word, and of the last layer's output"},
    {.name = "hidden",
     .takes = TAKES_INTEGER | TAKES_NULL,
     .min = 8,
     .max = 8192,
     .shown = "the model's; with `\"model\": null` 512",
     .meaning = "units of each layer but the last"},
    {.name = "layers",
     .takes = TAKES_INTEGER | TAKES_NULL,
     .min = 1,
     .max = 4,
     .shown = "the model's; with `\"model\": null` 2",
     .meaning = "LSTM layers, one above the other"},
    {.name = "seq_len",
     .takes = TAKES_INTEGER,
     .min = 4,
     .max = 512,
     .fallback = "72",
     .meaning = "steps of time at once: what backpropagation goes back through"},
    {.name = "max_len",
     .takes = TAKES_INTEGER,
     .min = 4,
     .max = 65536,
     .fallback = "1440",
     .meaning = "the classifier reads all of a text, and pools the last so many outputs"},
    {.name = "drop_mult",
     .takes = TAKES_NUMBER | TAKES_NULL,
     .max = 2,
     .fallback = "null",
     .meaning = "every dropout times this; null: language model 1, classifier 0.5, as fastai's "
                "learners"},
    {.name = "alpha",
     .takes = TAKES_NUMBER,
     .max = 1000,
     .fallback = "2",
     .meaning = "penalty on large outputs of the encoder (AR)"},
    {.name = "beta",
     .takes = TAKES_NUMBER,
     .max = 1000,
     .fallback = "1",
     .meaning = "penalty on outputs that change between steps (TAR)"},
    {.name = "backwards",
     .takes = TAKES_BOOL | TAKES_NULL,
     .fallback = "null",
     .meaning = "reads texts from their end; null: as the model does, a new one forwards"},
    {.name = "min_freq",
     .takes = TAKES_INTEGER,
     .min = 1,
     .max = 1000000,
     .fallback = "3",
     .meaning = "words that are seen less often are unknown"},
    {.name = "max_vocab",
     .takes = TAKES_INTEGER,
     .min = 16,
     .max = 200000,
     .fallback = "60000",
     .meaning = "the most frequent words at most, special tokens among them"},
    {.name = "lm_valid_fraction",
     .takes = TAKES_NUMBER,
     .max = .9,
     .fallback = "0.1",
     .meaning = "share of the language model's texts on which it is validated instead"},
    {.name = "lm_on_valid",
     .takes = TAKES_BOOL,
     .fallback = "false",
     .meaning = "the language model also learns from the texts, never the labels, of the "
                "classifier's validation split, as fastai's notebooks do; test texts never"},
};
const struct fields jobspec_text_fields = {"\"text\"", JOBSPEC_FIELDS(rows)};

/* --- Which kind --- */

static bool mentions_texts(const struct json *spec)
{
    const struct json *model = json_get(spec, "model");
    json_each(stage, json_get(spec, "stages")) if (json_get(stage, "phase")) return true;
    return json_type(json_get(spec, "text")) != JSON_NULL || json_get(spec, "lm_epochs") ||
           json_get(spec, "lm_lr") || (model && json_type(model) == JSON_NULL) ||
           strcmp(json_string(spec, "preset", ""), "ulmfit") == 0;
}

enum field_kind jobspec_kind(const struct json *spec)
{
    const char *task = json_string(spec, "task", "");
    if (strcmp(task, "text_classification") == 0 || strcmp(task, "language_model") == 0)
        return FOR_TEXTS;
    if (strncmp(task, "image_", 6) == 0)
        return FOR_PICTURES;
    return mentions_texts(spec) ? FOR_TEXTS : FOR_PICTURES;
}

bool jobspec_is_text(const struct json *spec)
{
    return jobspec_kind(spec) == FOR_TEXTS;
}

/* --- What goes with what --- */

static enum status check_members(const struct json *spec, enum field_kind kind, struct err *err)
{
    char why[120], at[40];
    const char *task = json_string(spec, "task", NULL);
    if (task && strcmp(task, "lr_find") != 0)
        snprintf(why, sizeof why, "but the task is %.40s", task);
    else
        snprintf(why, sizeof why, "but this job is on %s",
                 kind == FOR_TEXTS ? "texts" : "pictures");
    enum status status = fields_check_kind(&jobspec_fields, spec, kind, "", why, err);
    const struct json *stages = json_get(spec, "stages");
    for (size_t i = 0; status == OK && i < json_len(stages); i++) {
        snprintf(at, sizeof at, "/stages/%zu", i);
        status = fields_check_kind(jobspec_stage.members, json_at(stages, i), kind, at, why, err);
    }
    return status;
}

static enum status check_preset(const struct json *spec, enum field_kind kind, struct err *err)
{
    const char *preset = json_string(spec, "preset", NULL);
    if (!preset || (strcmp(preset, "ulmfit") == 0) == (kind == FOR_TEXTS))
        return OK;
    return err_at(err, E_INVALID, "/preset", "The preset %s is for %s: %s.", preset,
                  kind == FOR_TEXTS ? "pictures" : "texts",
                  kind == FOR_TEXTS ? "say \"ulmfit\", or leave it out"
                                    : "leave it out, or say \"task\": \"text_classification\"");
}

static enum status check_model(const struct json *spec, enum field_kind kind, struct err *err)
{
    const struct json *model = json_get(spec, "model");
    const char *task = json_string(spec, "task", "");
    if (!model || json_type(model) != JSON_NULL)
        return OK;
    if (kind != FOR_TEXTS)
        return err_at(
            err, E_INVALID, "/model",
            "A job on pictures needs a model: name one, and say \"weights\": \"random\" to "
            "train it from nothing.");
    if (strcmp(task, "evaluate") != 0 && strcmp(task, "predict") != 0)
        return OK;
    return err_at(err, E_INVALID, "/model", "The task %s needs a model that was trained: name one.",
                  task);
}

/* The language model comes first: the classifier stands on it. */
static enum status check_phases(const struct json *spec, struct err *err)
{
    const struct json *stages = json_get(spec, "stages");
    bool model_alone = strcmp(json_string(spec, "task", ""), "language_model") == 0;
    bool classified = false;
    for (size_t i = 0; i < json_len(stages); i++) {
        const struct json *stage = json_at(stages, i);
        char at[40];
        snprintf(at, sizeof at, "/stages/%zu/phase", i);
        bool language =
            strcmp(json_string(stage, "phase", jobspec_phase(spec)), PHASE_LANGUAGE_MODEL) == 0;
        if (model_alone && !language)
            return err_at(err, E_INVALID, at,
                          "The task language_model trains no classifier: remove the stage, or say "
                          "\"task\": \"text_classification\".");
        if (classified && language && !json_bool(stage, "fresh", false))
            return err_at(err, E_INVALID, at,
                          "A stage of the language model follows one of the classifier, which "
                          "stands on it: put those of the language model first.");
        classified = !language;
    }
    if (classified || model_alone || json_len(stages) == 0 ||
        strcmp(json_string(spec, "task", "text_classification"), "text_classification") != 0)
        return OK;
    return err_at(err, E_INVALID, "/stages",
                  "No stage trains the classifier: add one with \"phase\": \"classifier\", or say "
                  "\"task\": \"language_model\".");
}

enum status jobspec_check_kind(const struct json *spec, struct err *err)
{
    enum field_kind kind = jobspec_kind(spec);
    enum status status = check_members(spec, kind, err);
    if (status == OK)
        status = check_preset(spec, kind, err);
    if (status == OK)
        status = check_model(spec, kind, err);
    return status == OK && kind == FOR_TEXTS ? check_phases(spec, err) : status;
}

void jobspec_keep_kind(struct json *spec)
{
    enum field_kind kind = jobspec_kind(spec);
    fields_keep_kind(&jobspec_fields, spec, kind);
    json_each(stage, json_get(spec, "stages"))
        fields_keep_kind(jobspec_stage.members, (struct json *)(uintptr_t)stage, kind);
}

/* --- Defaults --- */

static void set_size(struct json *text, const char *key, bool from_nothing, int64_t small)
{
    if (json_type(json_get(text, key)) == JSON_NUMBER)
        return;
    if (from_nothing)
        json_set_integer(text, key, small);
    else
        json_set_null(text, key);
}

void jobspec_fill_text(struct json *spec)
{
    bool nothing = json_type(json_get(spec, "model")) == JSON_NULL;
    struct json *given = json_get(spec, "text") ? json_copy(json_get(spec, "text")) : NULL;
    struct json *none = json_new_object();
    struct json *text = fields_complete(&jobspec_text_fields, given ? given : none);
    set_size(text, "embedding", nothing, SMALL_EMBEDDING);
    set_size(text, "hidden", nothing, SMALL_HIDDEN);
    set_size(text, "layers", nothing, SMALL_LAYERS);
    json_set(spec, "text", text);
    json_free(given);
    json_free(none);
}

const char *jobspec_phase(const struct json *spec)
{
    bool model_alone = strcmp(json_string(spec, "task", ""), "language_model") == 0;
    return model_alone ? PHASE_LANGUAGE_MODEL : PHASE_CLASSIFIER;
}

void jobspec_set_kind(struct json *spec, bool text)
{
    bool open = jobspec_kind(spec) == FOR_PICTURES && text;
    if (!open)
        return;
    if (!json_get(spec, "task"))
        json_set_string(spec, "task", "text_classification");
    else if (strncmp(json_string(spec, "task", ""), "image_", 6) != 0 && !json_get(spec, "text"))
        json_set_object(spec, "text");
}
