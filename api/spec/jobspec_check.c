/* jobspec_check.c -- rules of the job spec that no row of its table can say.
 *
 * Each is a small function that passes or writes one sentence; `rules` lists those about the whole
 * spec, `stage_rules` those about one stage. What needs the network or the data (is a group frozen
 * that is not there, does a sample leave an item of each class) is engine/train/recipe.c's. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/spec/field.h"
#include "api/spec/jobspec_parts.h"
#include "api/spec/jobspec_table.h"
#include "api/spec/jobspec_text.h"
#include "api/spec/preset.h"
#include "base/mem.h"

#define MAX_METADATA      32
#define MAX_METADATA_TEXT 500
#define MAX_CLASS_WEIGHT  1e6

static bool is_given(const struct json *object, const char *key)
{
    return json_type(json_get(object, key)) != JSON_NULL;
}

static bool trains(const struct json *spec)
{
    const char *task = json_string(spec, "task", "");
    return strcmp(task, "evaluate") != 0 && strcmp(task, "predict") != 0;
}

/* --- The whole spec --- */

static enum status check_metadata(const struct json *spec, struct err *err)
{
    const struct json *metadata = json_get(spec, "metadata");
    if (json_len(metadata) > MAX_METADATA)
        return err_at(err, E_INVALID, "/metadata", "\"metadata\" has %zu keys: at most %d fit.",
                      json_len(metadata), MAX_METADATA);
    json_each(value, metadata)
    {
        enum json_type type = json_type(value);
        if (type == JSON_NULL || type == JSON_ARRAY || type == JSON_OBJECT)
            return err_at(err, E_SYNTAX, "/metadata",
                          "\"metadata\" holds %s under \"%.60s\": texts, numbers, true and false "
                          "are allowed.",
                          json_type_name(type), json_key(value));
        if (strlen(json_as_string(value, "")) > MAX_METADATA_TEXT)
            return err_at(err, E_INVALID, "/metadata",
                          "\"metadata\" holds a text of more than %d bytes under \"%.60s\".",
                          MAX_METADATA_TEXT, json_key(value));
    }
    return OK;
}

static enum status check_class_weights(const struct json *spec, struct err *err)
{
    const struct json *weights = json_get(spec, "class_weights");
    if (json_type(weights) != JSON_OBJECT)
        return OK;
    json_each(weight, weights)
    {
        double value = json_as_number(weight, NAN);
        if (!(value > 0 && value <= MAX_CLASS_WEIGHT))
            return err_at(err, E_INVALID, "/class_weights",
                          "The weight of the class \"%.60s\" must be a number above 0 and at most "
                          "%g.",
                          json_key(weight), MAX_CLASS_WEIGHT);
    }
    return OK;
}

/* Pairs of which one alone may be given. */
static enum status check_pairs(const struct json *spec, struct err *err)
{
    static const struct {
        const char *one, *other, *why;
    } pairs[] = {
        {"mixup", "cutmix", "a batch is mixed in one way"},
        {"feature_cache", "mixup", "pictures are mixed before the network, the cache is behind it"},
        {"feature_cache", "cutmix",
         "pictures are mixed before the network, the cache is behind it"},
        {"sample", "fractions", "\"fractions\" makes the samples itself"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (!is_given(spec, pairs[i].one) || !is_given(spec, pairs[i].other))
            continue;
        char pointer[40];
        snprintf(pointer, sizeof(pointer), "/%s", pairs[i].other);
        return err_at(err, E_INVALID, pointer,
                      "\"%s\" and \"%s\" exclude each other, since %s: remove one of the two.",
                      pairs[i].one, pairs[i].other, pairs[i].why);
    }
    return OK;
}

static enum status check_fractions(const struct json *spec, struct err *err)
{
    double before = 0;
    json_each(fraction, json_get(spec, "fractions"))
    {
        double value = json_as_number(fraction, 0);
        if (value <= before)
            return err_at(err, E_INVALID, "/fractions",
                          "\"fractions\" must ascend: %g stands behind %g.", value, before);
        before = value;
    }
    return OK;
}

static enum status check_lr_find(const struct json *spec, struct err *err)
{
    const struct json *finder = json_get(spec, "lr_find");
    double start = json_number(finder, "start", 1e-7), end = json_number(finder, "end", 10);
    if (start < end)
        return OK;
    return err_at(err, E_INVALID, "/lr_find",
                  "\"lr_find\" goes from \"start\" up to \"end\", but %g is not below %g.", start,
                  end);
}

/* What the task does not do. */
static enum status check_task(const struct json *spec, struct err *err)
{
    static const struct {
        const char *task, *field, *why;
    } unused[] = {
        {"lr_find", "fractions", "tries rates on the first stage alone"},
        {"evaluate", "stages", "does not train"},
        {"evaluate", "fractions", "does not train"},
        {"predict", "stages", "does not train"},
        {"predict", "fractions", "does not train"},
        {"language_model", "class_weights", "has no classes"},
        {"language_model", "label_smoothing", "predicts words as they are"},
        {"image_multilabel", "label_smoothing", "has a target for each class by itself"},
    };
    const char *task = json_string(spec, "task", "");
    for (size_t i = 0; i < ARRAY_LEN(unused); i++) {
        const struct json *value = json_get(spec, unused[i].field);
        if (strcmp(task, unused[i].task) != 0 || json_type(value) == JSON_NULL ||
            json_as_number(value, 1) == 0)
            continue;
        char pointer[40];
        snprintf(pointer, sizeof(pointer), "/%s", unused[i].field);
        return err_at(err, E_INVALID, pointer, "The task %s %s: remove \"%s\".", task,
                      unused[i].why, unused[i].field);
    }
    return OK;
}

static enum status check_weights(const struct json *spec, struct err *err)
{
    if (trains(spec) || strcmp(json_string(spec, "weights", ""), "random") != 0)
        return OK;
    return err_at(err, E_INVALID, "/weights",
                  "The task %s needs a model that was trained: remove \"weights\": \"random\".",
                  json_string(spec, "task", ""));
}

static enum status check_ensemble(const struct json *spec, struct err *err)
{
    if (!trains(spec) || !is_given(spec, "ensemble"))
        return OK;
    return err_at(err, E_INVALID, "/ensemble",
                  "\"ensemble\" averages models that were trained: remove it, or say \"task\": "
                  "\"evaluate\" or \"predict\".");
}

static enum status check_stages_alone(const struct json *spec, struct err *err)
{
    bool stages = json_get(spec, "stages") != NULL;
    for (const char *const *name = preset_parameters; *name; name++) {
        if (!json_get(spec, *name) || (!stages && trains(spec)))
            continue;
        char pointer[40];
        snprintf(pointer, sizeof(pointer), "/%s", *name);
        if (!trains(spec))
            return err_at(err, E_INVALID, pointer, "The task %s does not train: remove \"%s\".",
                          json_string(spec, "task", ""), *name);
        return err_at(err, E_INVALID, pointer,
                      "\"%s\" is a parameter of the preset, but \"stages\" replaces the preset's "
                      "stages: remove one of the two.",
                      *name);
    }
    return OK;
}

/* --- One stage --- */

static enum status check_name(const struct json *stage, const char *at, struct err *err)
{
    const char *name = json_string(stage, "name", "");
    if (strcmp(name, "best") != 0 && strcmp(name, "last") != 0)
        return OK;
    return err_at(err, E_INVALID, at,
                  "A stage cannot be called \"%s\": a job's checkpoints of that name are the "
                  "best and the last of the whole run.",
                  name);
}

static bool all_zero(const struct json *groups)
{
    json_each(rate, groups) if (json_as_number(rate, 0) > 0) return false;
    return groups != NULL;
}

static enum status check_lr(const struct json *stage, const char *at, struct err *err)
{
    const struct json *lr = json_get(stage, "lr");
    if (json_type(lr) != JSON_OBJECT)
        return OK;
    const struct json *slice = json_get(lr, "slice");
    if (json_len(lr) != 1)
        return err_at(err, E_INVALID, at,
                      "\"lr\" as an object has either \"slice\" or \"groups\", this one has %zu "
                      "members.",
                      json_len(lr));
    if (slice && json_type(json_at(slice, 1)) == JSON_NULL)
        return err_at(err, E_INVALID, at,
                      "The second number of \"slice\" is null: it is the head's rate and must be "
                      "given.");
    if (all_zero(json_get(lr, "groups")))
        return err_at(err, E_INVALID, at,
                      "Every rate of \"groups\" is 0, so that nothing would be trained.");
    return OK;
}

/* The fields that a schedule has beside form and momentum. */
static const struct {
    const char *name, *has[4];
    bool moves_momentum;
} schedule_kinds[] = {
    {"one_cycle", {"pct_start", "div", "div_final"}, true},
    {"flat", {NULL}, false},
    {"flat_cos", {"pct_start", "div_final"}, false},
    {"sgdr", {"cycle_len", "cycle_mult"}, false},
    {"triangular", {"cut_frac", "ratio"}, false},
};

static size_t find_kind(const char *name)
{
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(schedule_kinds) && strcmp(schedule_kinds[i].name, name) != 0)
        i++;
    return i;
}

static bool schedule_has(size_t kind, const char *field)
{
    for (const char *const *has = schedule_kinds[kind].has; *has; has++)
        if (strcmp(*has, field) == 0)
            return true;
    return strcmp(field, "name") == 0 || strcmp(field, "form") == 0 ||
           strcmp(field, "momentum") == 0;
}

static bool momentum_moves(const struct json *momentum)
{
    json_each(value, momentum) if (!json_equal(value, json_first(momentum))) return true;
    return false;
}

static enum status check_schedule(const struct json *stage, const char *at, struct err *err)
{
    const struct json *schedule = json_get(stage, "schedule");
    size_t kind = find_kind(json_string(schedule, "name", "one_cycle"));
    json_each(field, schedule) if (!schedule_has(kind, json_key(field))) return err_at(
        err, E_INVALID, at, "The schedule %s has no \"%s\": remove it.", schedule_kinds[kind].name,
        json_key(field));
    if (!schedule_kinds[kind].moves_momentum && momentum_moves(json_get(schedule, "momentum")))
        return err_at(err, E_INVALID, at,
                      "The schedule %s leaves momentum where it is: give one number, not three.",
                      schedule_kinds[kind].name);
    int64_t first = json_integer(schedule, "cycle_len", 1),
            epochs = json_integer(stage, "epochs", 1);
    if (first > epochs)
        return err_at(err, E_INVALID, at,
                      "The first cycle of sgdr has %lld epochs, but the stage has %lld in all.",
                      (long long)first, (long long)epochs);
    return OK;
}

/* --- All stages --- */

static bool name_is_taken(const struct json *stages, const struct json *stage)
{
    const char *name = json_string(stage, "name", NULL);
    json_each(other, stages)
    {
        if (other == stage)
            return false;
        if (name && strcmp(json_string(other, "name", ""), name) == 0)
            return true;
    }
    return false;
}

static enum status check_stage(const struct json *spec, size_t index, struct err *err)
{
    static const struct {
        const char *member;
        enum status (*check)(const struct json *stage, const char *at, struct err *err);
    } stage_rules[] = {{"name", check_name}, {"lr", check_lr}, {"schedule", check_schedule}};
    const struct json *stages = json_get(spec, "stages"), *stage = json_at(stages, index);
    char at[60];
    for (size_t i = 0; i < ARRAY_LEN(stage_rules); i++) {
        snprintf(at, sizeof(at), "/stages/%zu/%s", index, stage_rules[i].member);
        enum status status = stage_rules[i].check(stage, at, err);
        if (status != OK)
            return status;
    }
    snprintf(at, sizeof(at), "/stages/%zu/name", index);
    if (name_is_taken(stages, stage))
        return err_at(err, E_INVALID, at, "Two stages are called \"%s\": names are unique.",
                      json_string(stage, "name", ""));
    snprintf(at, sizeof(at), "/stages/%zu/sample", index);
    if (is_given(stage, "sample") && is_given(spec, "fractions"))
        return err_at(err, E_INVALID, at,
                      "A stage's \"sample\" and \"fractions\" exclude each other, since "
                      "\"fractions\" makes the samples itself: remove one of the two.");
    snprintf(at, sizeof(at), "/stages/%zu/then", index);
    if (index + 1 == json_len(stages) && strcmp(json_string(stage, "then", ""), "pause") == 0)
        return err_at(err, E_INVALID, at,
                      "The last stage cannot pause the job, since nothing comes after it.");
    return OK;
}

static enum status check_stages(const struct json *spec, struct err *err)
{
    const struct json *stages = json_get(spec, "stages");
    double epochs = 0;
    for (size_t i = 0; i < json_len(stages); i++) {
        enum status status = check_stage(spec, i, err);
        if (status != OK)
            return status;
        epochs += json_number(json_at(stages, i), "epochs", 0);
    }
    if (epochs > JOBSPEC_MAX_EPOCHS)
        return err_at(err, E_INVALID, "/stages",
                      "The stages have %.0f epochs together: at most %d are allowed.", epochs,
                      JOBSPEC_MAX_EPOCHS);
    if (strcmp(json_string(spec, "task", ""), "lr_find") == 0 && json_len(stages) > 1)
        return err_at(err, E_INVALID, "/stages",
                      "The task lr_find tries rates on one stage, but there are %zu: keep the one "
                      "whose rate is sought.",
                      json_len(stages));
    return OK;
}

/* --- The optimiser --- */

static enum status check_optimizer(const struct json *spec, struct err *err)
{
    static const struct {
        const char *field;
        bool of_sgd;
    } owned[] = {{"betas", false}, {"eps", false}, {"momentum", true}};
    const struct json *optimizer = json_get(spec, "optimizer");
    const char *name = json_string(optimizer, "name", "adamw");
    bool sgd = strcmp(name, "sgd") == 0;
    for (size_t i = 0; i < ARRAY_LEN(owned); i++) {
        if (!json_get(optimizer, owned[i].field) || owned[i].of_sgd == sgd)
            continue;
        char pointer[40];
        snprintf(pointer, sizeof(pointer), "/optimizer/%s", owned[i].field);
        return err_at(err, E_INVALID, pointer, "The optimizer %s has no \"%s\": remove it.", name,
                      owned[i].field);
    }
    return OK;
}

enum status jobspec_check(const struct json *spec, struct err *err)
{
    static enum status (*const rules[])(const struct json *, struct err *) = {
        check_metadata,  check_class_weights, check_pairs,  jobspec_check_kind,
        check_fractions, check_lr_find,       check_task,   check_weights,
        check_ensemble,  check_stages_alone,  check_stages, check_optimizer,
    };
    if (json_type(spec) != JSON_OBJECT)
        return err_set(err, E_SYNTAX, "A job spec is an object, this is %s.",
                       json_type_name(json_type(spec)));
    enum status status = fields_check(&jobspec_fields, spec, "", err);
    for (size_t i = 0; status == OK && i < ARRAY_LEN(rules); i++)
        status = rules[i](spec, err);
    return status;
}
