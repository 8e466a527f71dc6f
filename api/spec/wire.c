#include "api/spec/wire.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum wire_kind {
    WIRE_TEXT,       /* low..high bytes */
    WIRE_NAME,       /* a machine's name: [a-z0-9_.-], at most 39 bytes */
    WIRE_INTEGER,    /* low..high */
    WIRE_NUMBER,     /* low..high */
    WIRE_NUMBERS,    /* at most 64, each low..high */
    WIRE_SHA256,     /* 64 hex digits */
    WIRE_BOOL,       /* true or false */
    WIRE_SLOT,       /* wire_slot_is_valid */
    WIRE_ARTIFACT,   /* wire_artifact_is_valid */
    WIRE_PREDICTIONS /* at most `high` of {label, probability} */
};

enum wire_presence {
    NEEDED,
    NULLABLE, /* must be there, may be null: a number that is not known, or was no number */
    OPTIONAL  /* may be absent or null */
};

struct wire_field {
    const char *name;
    enum wire_kind kind;
    enum wire_presence presence;
    double low, high;
};

#define MAX_NAME        39
#define MAX_NUMBERS     64
#define MAX_LABEL       1024
#define MAX_PREDICTIONS 1000
#define MAX_STAGES      64
#define MAX_EPOCHS      1e4
#define MAX_STEPS       1e7
#define MAX_INTEGER     9007199254740991.0
#define MAX_FLOAT       3.5e38 /* losses and rates are float32 in the engine */

#define SCORES                                                                                     \
    {"train_loss", WIRE_NUMBER, NULLABLE, -MAX_FLOAT, MAX_FLOAT},                                  \
        {"valid_loss", WIRE_NUMBER, NULLABLE, -MAX_FLOAT, MAX_FLOAT},                              \
        {"accuracy", WIRE_NUMBER, NULLABLE, 0, 1}, {"error_rate", WIRE_NUMBER, NULLABLE, 0, 1},    \
        {"perplexity", WIRE_NUMBER, OPTIONAL, 0, MAX_FLOAT},

static const struct wire_field started[] = {
    {"threads", WIRE_INTEGER, NEEDED, 1, 65536},
    {"isa", WIRE_TEXT, NEEDED, 1, 64},
    {"version", WIRE_TEXT, NEEDED, 1, 64},
    {"plan_sha256", WIRE_SHA256, NULLABLE, 0, 0},
};
static const struct wire_field progress[] = {
    {"what", WIRE_NAME, OPTIONAL, 0, 0}, /* of a job: the pass over its data */
    {"done", WIRE_INTEGER, NEEDED, 0, MAX_INTEGER},
    {"total", WIRE_INTEGER, NEEDED, 0, MAX_INTEGER},
};
static const struct wire_field item[] = {
    {"ordinal", WIRE_INTEGER, NEEDED, 0, MAX_INTEGER},
};
static const struct wire_field stage[] = {
    {"stage", WIRE_TEXT, NEEDED, 1, 128},
    {"stage_index", WIRE_INTEGER, NEEDED, 0, MAX_STAGES - 1},
    {"stages", WIRE_INTEGER, NEEDED, 1, MAX_STAGES},
    {"epochs", WIRE_INTEGER, NEEDED, 1, MAX_EPOCHS},
    {"steps", WIRE_INTEGER, NEEDED, 1, MAX_STEPS},
    {"batch_size", WIRE_INTEGER, NEEDED, 1, MAX_STEPS},
    {"groups", WIRE_INTEGER, NEEDED, 1, MAX_NUMBERS},
    {"frozen_groups", WIRE_INTEGER, NEEDED, 0, MAX_NUMBERS},
    {"trainable_parameters", WIRE_INTEGER, NEEDED, 0, MAX_INTEGER},
    {"size", WIRE_INTEGER, OPTIONAL, 1, MAX_STEPS},
    {"phase", WIRE_NAME, OPTIONAL, 0, 0}, /* of jobs on texts */
    {"sample_fraction", WIRE_NUMBER, OPTIONAL, 0, 1},
    {"n_train", WIRE_INTEGER, OPTIONAL, 0, MAX_INTEGER},
    {"n_valid", WIRE_INTEGER, OPTIONAL, 0, MAX_INTEGER},
    {"cached_views", WIRE_INTEGER, OPTIONAL, 0, MAX_NUMBERS},
    {"cache_bytes", WIRE_INTEGER, OPTIONAL, 0, MAX_INTEGER},
};
static const struct wire_field step[] = {
    {"stage_index", WIRE_INTEGER, NEEDED, 0, MAX_STAGES - 1},
    {"epoch", WIRE_INTEGER, NEEDED, 0, MAX_EPOCHS},
    {"step", WIRE_INTEGER, NEEDED, 0, MAX_STEPS},
    {"steps", WIRE_INTEGER, NEEDED, 1, MAX_STEPS},
    {"train_loss", WIRE_NUMBER, NULLABLE, -MAX_FLOAT, MAX_FLOAT},
    {"learning_rates", WIRE_NUMBERS, NEEDED, 0, MAX_FLOAT},
    {"momentum", WIRE_NUMBER, NULLABLE, 0, 1},
    {"examples_per_second", WIRE_NUMBER, NULLABLE, 0, MAX_FLOAT},
    {"tokens_per_second", WIRE_NUMBER, OPTIONAL, 0, MAX_FLOAT}, /* of texts */
    {"perplexity", WIRE_NUMBER, OPTIONAL, 0, MAX_FLOAT},
    {"eta_seconds", WIRE_NUMBER, NULLABLE, 0, MAX_FLOAT},
    {"peak_memory_bytes", WIRE_INTEGER, NULLABLE, 0, MAX_INTEGER},
};
static const struct wire_field epoch[] = {
    {"stage_index", WIRE_INTEGER, NEEDED, 0, MAX_STAGES - 1},
    {"epoch", WIRE_INTEGER, NEEDED, 0, MAX_EPOCHS},
    SCORES /* of the epoch */
    {"seconds", WIRE_NUMBER, NULLABLE, 0, MAX_FLOAT},
    {"tokens_per_second", WIRE_NUMBER, OPTIONAL, 0, MAX_FLOAT}, /* of texts */
};
static const struct wire_field checkpoint[] = {
    {"slot", WIRE_SLOT, NEEDED, 0, 0},
    {"stage_index", WIRE_INTEGER, NEEDED, 0, MAX_STAGES - 1},
    {"epoch", WIRE_INTEGER, NEEDED, 0, MAX_EPOCHS},
    {"step", WIRE_INTEGER, NEEDED, 0, MAX_STEPS},
    SCORES /* as they were when it was written */
};
static const struct wire_field artifact[] = {
    {"name", WIRE_ARTIFACT, NEEDED, 0, 0},
};
static const struct wire_field paused[] = {
    {"by_recipe", WIRE_BOOL, OPTIONAL, 0, 0},
};
static const struct wire_field warning[] = {
    {"code", WIRE_NAME, NEEDED, 0, 0},
    {"detail", WIRE_TEXT, NEEDED, 1, 1024},
};
static const struct wire_field log_line[] = {
    {"detail", WIRE_TEXT, NEEDED, 0, 1024},
};
static const struct wire_field prediction[] = {
    {"id", WIRE_INTEGER, NEEDED, 0, MAX_INTEGER},
    {"predictions", WIRE_PREDICTIONS, OPTIONAL, 0, MAX_PREDICTIONS},
    {"classes", WIRE_INTEGER, OPTIONAL, 0, MAX_INTEGER}, /* that the model has */
    {"tokens", WIRE_INTEGER, OPTIONAL, 0, MAX_INTEGER},
    {"perplexity", WIRE_NUMBER, OPTIONAL, 0, 1.7e308},
    {"continuation", WIRE_TEXT, OPTIONAL, 0, WIRE_MAX_WRITTEN},
    {"backwards", WIRE_BOOL, OPTIONAL, 0, 0},
    {"status", WIRE_NAME, OPTIONAL, 0, 0},
    {"code", WIRE_TEXT, OPTIONAL, 0, MAX_NAME},
    {"detail", WIRE_TEXT, OPTIONAL, 0, 768},
    {"hint", WIRE_TEXT, OPTIONAL, 0, 256},
};
static const struct wire_field result[] = {
    /* train only; ingest and import leave result.json */
    {"weights_sha256", WIRE_SHA256, OPTIONAL, 0, 0},
    {"train_loss", WIRE_NUMBER, OPTIONAL, -MAX_FLOAT, MAX_FLOAT},
    {"valid_loss", WIRE_NUMBER, OPTIONAL, -MAX_FLOAT, MAX_FLOAT},
    {"accuracy", WIRE_NUMBER, OPTIONAL, 0, 1},
    {"error_rate", WIRE_NUMBER, OPTIONAL, 0, 1},
    {"perplexity", WIRE_NUMBER, OPTIONAL, 0, MAX_FLOAT},
    /* of models of text */
    {"vocabulary", WIRE_INTEGER, OPTIONAL, 1, MAX_INTEGER},
    {"embedding", WIRE_INTEGER, OPTIONAL, 1, MAX_INTEGER},
    {"hidden", WIRE_INTEGER, OPTIONAL, 1, MAX_INTEGER},
    {"layers", WIRE_INTEGER, OPTIONAL, 1, MAX_INTEGER},
    {"seq_len", WIRE_INTEGER, OPTIONAL, 1, MAX_INTEGER},
    {"max_len", WIRE_INTEGER, OPTIONAL, 1, MAX_INTEGER},
    {"backwards", WIRE_BOOL, OPTIONAL, 0, 0},
    {"classifier", WIRE_BOOL, OPTIONAL, 0, 0},
};
static const struct wire_field error[] = {
    {"status", WIRE_NAME, NEEDED, 0, 0},      {"code", WIRE_TEXT, OPTIONAL, 0, MAX_NAME},
    {"detail", WIRE_TEXT, NEEDED, 1, 768},    {"hint", WIRE_TEXT, OPTIONAL, 0, 256},
    {"pointer", WIRE_TEXT, OPTIONAL, 0, 160},
};

#define FIELDS(array) array, ARRAY_LEN(array)
static const struct wire_type {
    const char *name;
    const struct wire_field *fields;
    size_t n_fields;
} types[] = {
    {"started", FIELDS(started)},
    {"progress", FIELDS(progress)},
    {"item", FIELDS(item)},
    {"stage", FIELDS(stage)},
    {"step", FIELDS(step)},
    {"epoch", FIELDS(epoch)},
    {"checkpoint", FIELDS(checkpoint)},
    {"artifact", FIELDS(artifact)},
    {"warning", FIELDS(warning)},
    {"log", FIELDS(log_line)},
    {"paused", FIELDS(paused)},
    {"prediction", FIELDS(prediction)},
    {"result", FIELDS(result)},
    {"error", FIELDS(error)},
};

bool wire_slot_is_valid(const char *slot)
{
    static const char *const fixed[] = {"best", "resume-a", "resume-b", "final", "language-model"};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (!strcmp(slot, fixed[i]))
            return true;
    char text[16];
    for (int k = 1; k <= MAX_STAGES; k++) {
        snprintf(text, sizeof text, "stage-%d", k);
        if (!strcmp(slot, text))
            return true;
    }
    return false;
}

const char *const wire_artifacts[] = {"report.json",  "predictions.csv", "predictions.ndjson",
                                      "lr_find.json", "schedule.json",   NULL};

bool wire_artifact_is_valid(const char *name)
{
    for (const char *const *known = wire_artifacts; *known; known++)
        if (!strcmp(name, *known))
            return true;
    return false;
}

static bool is_name(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.-");
    return len > 0 && len <= MAX_NAME && !text[len];
}

static bool is_sha256(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static bool is_within(const struct json *value, double low, double high)
{
    if (json_type(value) != JSON_NUMBER)
        return false;
    double number = json_as_number(value, 0);
    return number >= low && number <= high;
}

static bool are_numbers(const struct json *value, double low, double high)
{
    if (json_type(value) != JSON_ARRAY || json_len(value) > MAX_NUMBERS)
        return false;
    json_each(number, value)
    {
        if (!is_within(number, low, high))
            return false;
    }
    return true;
}

static bool is_text(const struct json *value, double low, double high)
{
    if (json_type(value) != JSON_STRING)
        return false;
    double len = (double)strlen(json_as_string(value, ""));
    return len >= low && len <= high;
}

static bool are_predictions(const struct json *value, double high)
{
    if (json_type(value) != JSON_ARRAY || (double)json_len(value) > high)
        return false;
    json_each(entry, value)
    {
        if (json_type(entry) != JSON_OBJECT || json_len(entry) != 2 ||
            !is_text(json_get(entry, "label"), 0, MAX_LABEL) ||
            !is_within(json_get(entry, "probability"), 0, 1 + 1e-5))
            return false;
    }
    return true;
}

static bool fits(const struct json *value, const struct wire_field *field)
{
    const char *text = json_as_string(value, "");
    switch (field->kind) {
    case WIRE_TEXT:
        return is_text(value, field->low, field->high);
    case WIRE_NAME:
        return is_name(text);
    case WIRE_INTEGER:
        return json_is_integer(value) && is_within(value, field->low, field->high);
    case WIRE_NUMBER:
        return is_within(value, field->low, field->high);
    case WIRE_NUMBERS:
        return are_numbers(value, field->low, field->high);
    case WIRE_SHA256:
        return is_sha256(text);
    case WIRE_BOOL:
        return json_type(value) == JSON_BOOL;
    case WIRE_ARTIFACT:
        return wire_artifact_is_valid(text);
    case WIRE_SLOT:
        return wire_slot_is_valid(text);
    case WIRE_PREDICTIONS:
        return are_predictions(value, field->high);
    }
    return false;
}

static const struct wire_type *find_type(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (!strcmp(types[i].name, name))
            return &types[i];
    return NULL;
}

static bool is_known(const struct wire_type *type, const char *name)
{
    for (size_t i = 0; i < type->n_fields; i++)
        if (!strcmp(type->fields[i].name, name))
            return true;
    return !strcmp(name, "type");
}

static enum status check_field(const struct wire_type *type, const struct wire_field *field,
                               const struct json *value, struct err *err)
{
    if (!value && field->presence == OPTIONAL)
        return OK;
    if (!value)
        return err_set(err, E_INVALID, "The engine's message \"%s\" lacks the field \"%s\".",
                       type->name, field->name);
    if (json_type(value) == JSON_NULL && field->presence != NEEDED)
        return OK;
    if (fits(value, field))
        return OK;
    return err_set(err, E_INVALID,
                   "The field \"%s\" of the engine's message \"%s\" is of the wrong kind or out of "
                   "bounds.",
                   field->name, type->name);
}

enum status wire_check_up(const struct json *header, struct err *err)
{
    const char *name = json_string(header, "type", "");
    const struct wire_type *type = find_type(name);
    if (!type)
        return err_set(err, E_INVALID, "The engine sent a message of the unknown type \"%.40s\".",
                       name);
    json_each(member, header)
    {
        if (!is_known(type, json_key(member)))
            return err_set(err, E_INVALID,
                           "The engine's message \"%s\" has the unknown field \"%.40s\".",
                           type->name, json_key(member));
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct wire_field *field = &type->fields[i];
        enum status status = check_field(type, field, json_get(header, field->name), err);
        if (status)
            return status;
    }
    return OK;
}
