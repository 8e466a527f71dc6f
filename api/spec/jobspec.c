/* jobspec.c -- a spec, resolved: checked by the table, completed by it, and what depends computed.
 *
 * Order matters: the preset gives the forms, the forms give the optimiser's and the schedules'
 * defaults, and the optimiser's first beta is the momentum of schedules that have none. */
#include "api/spec/jobspec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/spec/field.h"
#include "api/spec/jobspec_table.h"
#include "api/spec/preset.h"
#include "base/mem.h"

#define MAX_METADATA      32
#define MAX_METADATA_TEXT 500

static void set_default_string(struct json *object, const char *key, const char *value)
{
    if (!json_get(object, key))
        json_set_string(object, key, value);
}

static void set_default_number(struct json *object, const char *key, double value)
{
    if (!json_get(object, key))
        json_set_number(object, key, value);
}

static bool is_v1(const struct json *object, const char *key)
{
    return strcmp(json_string(object, key, ""), "v1") == 0;
}

/* A member for writing; it is part of a tree that we own. */
static struct json *member(struct json *object, const char *key)
{
    return (struct json *)(uintptr_t)json_get(object, key);
}

/* --- Rules that no row can say --- */

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

static enum status check_stages_alone(const struct json *spec, struct err *err)
{
    for (const char *const *name = preset_parameters; *name && json_get(spec, "stages"); name++) {
        if (!json_get(spec, *name))
            continue;
        char pointer[40];
        snprintf(pointer, sizeof(pointer), "/%s", *name);
        return err_at(err, E_INVALID, pointer,
                      "\"%s\" is a parameter of the preset, but \"stages\" replaces the preset's "
                      "stages: remove one of the two.",
                      *name);
    }
    return OK;
}

static enum status check_lr(const struct json *lr, const char *at, struct err *err)
{
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
    return OK;
}

/* What the named schedule does not have. */
static enum status check_schedule(const struct json *schedule, const char *at, struct err *err)
{
    static const struct {
        const char *name, *lacks[4];
    } kinds[] = {
        {"flat", {"pct_start", "div", "div_final"}},
        {"flat_cos", {"div"}},
    };
    const char *name = json_string(schedule, "name", "one_cycle");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (const char *const *field = kinds[i].lacks; *field; field++)
            if (strcmp(kinds[i].name, name) == 0 && json_get(schedule, *field))
                return err_at(err, E_INVALID, at, "The schedule %s has no \"%s\": remove it.", name,
                              *field);
    return OK;
}

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

static enum status check_stages(const struct json *stages, struct err *err)
{
    double epochs = 0;
    int i = 0;
    json_each(stage, stages)
    {
        char at[60];
        snprintf(at, sizeof(at), "/stages/%d/name", i);
        if (name_is_taken(stages, stage))
            return err_at(err, E_INVALID, at, "Two stages are called \"%s\": names are unique.",
                          json_string(stage, "name", ""));
        const char *name = json_string(stage, "name", "");
        if (strcmp(name, "best") == 0 || strcmp(name, "last") == 0)
            return err_at(
                err, E_INVALID, at,
                "A stage cannot be called \"%s\": a job's checkpoints of that name are the "
                "best and the last of the whole run.",
                name);
        snprintf(at, sizeof(at), "/stages/%d/lr", i);
        enum status status = check_lr(json_get(stage, "lr"), at, err);
        snprintf(at, sizeof(at), "/stages/%d/schedule", i);
        if (status == OK)
            status = check_schedule(json_get(stage, "schedule"), at, err);
        if (status != OK)
            return status;
        epochs += json_number(stage, "epochs", 0);
        i++;
    }
    if (epochs > JOBSPEC_MAX_EPOCHS)
        return err_at(err, E_INVALID, "/stages",
                      "The stages have %.0f epochs together: at most %d are allowed.", epochs,
                      JOBSPEC_MAX_EPOCHS);
    return OK;
}

static enum status check(const struct json *spec, struct err *err)
{
    if (json_type(spec) != JSON_OBJECT)
        return err_set(err, E_SYNTAX, "A job spec is an object, this is %s.",
                       json_type_name(json_type(spec)));
    enum status status = fields_check(&jobspec_fields, spec, "", err);
    if (status == OK)
        status = check_metadata(spec, err);
    if (status == OK)
        status = check_stages_alone(spec, err);
    if (status == OK)
        status = check_stages(json_get(spec, "stages"), err);
    return status;
}

/* --- Defaults that depend --- */

static void resolve_optimizer(struct json *optimizer, const char *form)
{
    set_default_string(optimizer, "form", form);
    bool v1 = is_v1(optimizer, "form");
    set_default_number(optimizer, "eps", v1 ? 1e-8 : 1e-5);
    if (!json_get(optimizer, "decay_norm_bias"))
        json_set_bool(optimizer, "decay_norm_bias", v1);
}

static void set_momentum(struct json *schedule, double start, double peak, double end)
{
    struct json *momentum = json_set_array(schedule, "momentum");
    json_add_number(momentum, start);
    json_add_number(momentum, peak);
    json_add_number(momentum, end);
}

static void resolve_schedule(struct json *schedule, double beta1)
{
    bool v1 = is_v1(schedule, "form");
    const char *name = json_string(schedule, "name", "");
    const struct json *momentum = json_get(schedule, "momentum");
    double constant = json_as_number(momentum, beta1);
    if (strcmp(name, "one_cycle") == 0) {
        set_default_number(schedule, "pct_start", v1 ? .3 : .25);
        set_default_number(schedule, "div", 25);
        double div = json_number(schedule, "div", 25);
        set_default_number(schedule, "div_final", v1 ? div * 1e4 : 1e5);
        if (!momentum)
            set_momentum(schedule, .95, .85, .95);
    } else if (strcmp(name, "flat_cos") == 0) {
        set_default_number(schedule, "pct_start", .75);
        set_default_number(schedule, "div_final", 1e5);
    }
    if (json_type(json_get(schedule, "momentum")) != JSON_ARRAY)
        set_momentum(schedule, constant, constant, constant);
}

/* A name alone becomes an object. */
static struct json *schedule_object(struct json *stage)
{
    const struct json *given = json_get(stage, "schedule");
    if (json_type(given) == JSON_OBJECT)
        return member(stage, "schedule");
    char name[16];
    snprintf(name, sizeof(name), "%s", json_as_string(given, "one_cycle"));
    struct json *schedule = json_set_object(stage, "schedule");
    json_set_string(schedule, "name", name);
    return schedule;
}

static void resolve_stage(struct json *stage, size_t index, const char *form, double beta1)
{
    char name[32];
    snprintf(name, sizeof(name), "stage-%zu", index + 1);
    set_default_string(stage, "name", name);
    struct json *schedule = schedule_object(stage);
    set_default_string(schedule, "form", form);
    resolve_schedule(schedule, beta1);
    if (json_get(stage, "lr"))
        return;
    if (is_v1(schedule, "form")) {
        struct json *slice = json_set_array(json_set_object(stage, "lr"), "slice");
        json_add_number(slice, NAN); /* null */
        json_add_number(slice, 3e-3);
    } else {
        json_set_number(stage, "lr", 1e-3);
    }
}

static void resolve_augment(struct json *spec)
{
    if (strcmp(json_string(spec, "augment", ""), "default") != 0)
        return;
    struct json *none = json_new_object();
    json_set(spec, "augment", fields_complete(&jobspec_augment_fields, none));
    json_free(none);
}

static void resolve_depending(struct json *spec)
{
    const char *preset = json_string(spec, "preset", "");
    const char *form = preset_form(preset);
    set_default_string(spec, "head_form", form);
    resolve_augment(spec);
    resolve_optimizer(member(spec, "optimizer"), form);
    if (!json_get(spec, "stages"))
        json_set(spec, "stages", preset_stages(preset, spec));
    for (const char *const *name = preset_parameters; *name; name++)
        json_remove(spec, *name);
    double beta1 = json_as_number(json_at(json_get(json_get(spec, "optimizer"), "betas"), 0), .9);
    struct json *stages = member(spec, "stages");
    for (size_t i = 0; i < json_len(stages); i++)
        resolve_stage((struct json *)(uintptr_t)json_at(stages, i), i, form, beta1);
}

enum status jobspec_resolve(const struct json *spec, struct json **resolved, struct err *err)
{
    enum status status = check(spec, err);
    if (status != OK)
        return status;
    struct json *whole = fields_complete(&jobspec_fields, spec);
    resolve_depending(whole);
    /* Once more over the result: stage names that were defaults may meet given ones, and a preset's
     * epochs add up only now. Then into the table's order. */
    status = check(whole, err);
    if (status == OK)
        *resolved = fields_complete(&jobspec_fields, whole);
    json_free(whole);
    return status;
}

void jobspec_print_table(struct buf *out)
{
    buf_puts(out, "| field | takes | default | meaning |\n|---|---|---|---|\n");
    fields_print(&jobspec_fields, "", out);
}

void jobspec_print_presets(struct buf *out)
{
    preset_print_table(out);
}
