/* jobspec_fill.c -- defaults that depend on other fields.
 *
 * Order matters: the preset gives the forms, the forms give the optimiser's and the schedules'
 * defaults, the optimiser's momentum is that of schedules that have none; and fractions multiply
 * the stages when those are complete. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/spec/field.h"
#include "api/spec/jobspec_parts.h"
#include "api/spec/jobspec_table.h"
#include "api/spec/jobspec_text.h"
#include "api/spec/preset.h"
#include "base/mem.h"

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

static bool has(const struct json *object, const char *key, const char *value)
{
    return strcmp(json_string(object, key, ""), value) == 0;
}

static bool is_v1(const struct json *object)
{
    return has(object, "form", "v1");
}

/* A member, or an element, for writing; it is part of a tree that we own. */
static struct json *writable(const struct json *part)
{
    return (struct json *)(uintptr_t)part;
}

static struct json *member(struct json *object, const char *key)
{
    return writable(json_get(object, key));
}

/* --- The optimiser --- */

static void set_betas(struct json *optimizer)
{
    if (json_get(optimizer, "betas"))
        return;
    struct json *betas = json_set_array(optimizer, "betas");
    json_add_number(betas, .9);
    json_add_number(betas, .99);
}

static void fill_optimizer(struct json *optimizer, const char *form)
{
    set_default_string(optimizer, "form", form);
    bool v1 = is_v1(optimizer);
    if (has(optimizer, "name", "sgd")) {
        set_default_number(optimizer, "momentum", .9);
    } else {
        set_betas(optimizer);
        set_default_number(optimizer, "eps", v1 ? 1e-8 : 1e-5);
    }
    if (!json_get(optimizer, "decay_norm_bias"))
        json_set_bool(optimizer, "decay_norm_bias", v1);
}

static double optimizer_momentum(const struct json *optimizer)
{
    double beta1 = json_as_number(json_at(json_get(optimizer, "betas"), 0), .9);
    return json_number(optimizer, "momentum", beta1);
}

/* --- A schedule --- */

static void set_momentum(struct json *schedule, double start, double peak, double end)
{
    struct json *momentum = json_set_array(schedule, "momentum");
    json_add_number(momentum, start);
    json_add_number(momentum, peak);
    json_add_number(momentum, end);
}

static void fill_one_cycle(struct json *schedule, bool text)
{
    bool v1 = is_v1(schedule);
    set_default_number(schedule, "pct_start", v1 ? .3 : .25);
    set_default_number(schedule, "div", 25);
    double div = json_number(schedule, "div", 25);
    set_default_number(schedule, "div_final", v1 ? div * 1e4 : 1e5);
    if (!json_get(schedule, "momentum") && text)
        set_momentum(schedule, .8, .7, .8);
    else if (!json_get(schedule, "momentum"))
        set_momentum(schedule, .95, .85, .95);
}

static void fill_flat(struct json *schedule, bool text)
{
    (void)text;
    (void)schedule;
}

static void fill_flat_cos(struct json *schedule, bool text)
{
    (void)text;
    set_default_number(schedule, "pct_start", .75);
    set_default_number(schedule, "div_final", 1e5);
}

static void fill_sgdr(struct json *schedule, bool text)
{
    (void)text;
    set_default_number(schedule, "cycle_len", 1);
    set_default_number(schedule, "cycle_mult", 2);
}

static void fill_triangular(struct json *schedule, bool text)
{
    (void)text;
    set_default_number(schedule, "cut_frac", .1);
    set_default_number(schedule, "ratio", 32);
}

static void fill_schedule(struct json *schedule, double momentum, bool text)
{
    static const struct {
        const char *name;
        void (*fill)(struct json *schedule, bool text);
    } kinds[] = {
        {"one_cycle", fill_one_cycle},   {"flat", fill_flat},
        {"flat_cos", fill_flat_cos},     {"sgdr", fill_sgdr},
        {"triangular", fill_triangular},
    };
    double constant = json_as_number(json_get(schedule, "momentum"), momentum);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (has(schedule, "name", kinds[i].name))
            kinds[i].fill(schedule, text);
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

/* --- Stages --- */

/* A name becomes the object that it stands for; "none" stays. */
static void fill_augment(struct json *owner)
{
    /* "full": fastai's aug_transforms; "default" is what the table's own defaults say. */
    static const char full[] = "{\"min_scale\":1,\"rotate\":10,\"zoom\":1.1,\"warp\":0.2,"
                               "\"lighting\":0.2}";
    bool is_full = has(owner, "augment", "full");
    if (!is_full && !has(owner, "augment", "default"))
        return;
    struct json *given = NULL;
    if (!is_full || json_parse(full, sizeof(full) - 1, &given, NULL) != OK)
        given = json_new_object();
    json_set(owner, "augment", fields_complete(&jobspec_augment_fields, given));
    json_free(given);
}

static void fill_rate(struct json *stage, const struct json *schedule)
{
    if (json_get(stage, "lr"))
        return;
    if (!is_v1(schedule)) {
        json_set_number(stage, "lr", 1e-3);
        return;
    }
    struct json *slice = json_set_array(json_set_object(stage, "lr"), "slice");
    json_add_number(slice, NAN); /* null */
    json_add_number(slice, 3e-3);
}

static void fill_stage(struct json *spec, size_t index, const char *form, double momentum)
{
    struct json *stage = writable(json_at(json_get(spec, "stages"), index));
    bool text = jobspec_is_text(spec);
    char name[32];
    snprintf(name, sizeof(name), "stage-%zu", index + 1);
    set_default_string(stage, "name", name);
    struct json *schedule = schedule_object(stage);
    set_default_string(schedule, "form", form);
    fill_schedule(schedule, momentum, text);
    fill_rate(stage, schedule);
    if (text)
        set_default_string(stage, "phase", jobspec_phase(spec));
    else
        fill_augment(stage);
}

/* One stage of one fraction: NAME@FRACTION on its sample; the first starts afresh. */
static struct json *stage_of_fraction(const struct json *stage, double fraction, bool fresh)
{
    struct json *copy = json_copy(stage);
    char *name = mem_printf("%s@%.6g", json_string(stage, "name", ""), fraction);
    json_set_string(copy, "name", name);
    mem_free(name);
    struct json *sample = json_new_object();
    json_set_number(sample, "fraction", fraction);
    json_set(copy, "sample", fields_complete(&jobspec_sample_fields, sample));
    json_free(sample);
    json_set_bool(copy, "fresh", fresh || json_bool(stage, "fresh", false));
    return copy;
}

static void expand_fractions(struct json *spec)
{
    const struct json *fractions = json_get(spec, "fractions");
    if (json_type(fractions) == JSON_ARRAY) {
        struct json *expanded = json_new_array();
        const struct json *stages = json_get(spec, "stages");
        json_each(fraction, fractions)
        {
            json_each(stage, stages)
                json_add(expanded, stage_of_fraction(stage, json_as_number(fraction, 1),
                                                     stage == json_first(stages)));
        }
        json_set(spec, "stages", expanded);
    }
    json_remove(spec, "fractions");
}

static bool trains(const struct json *spec)
{
    return !has(spec, "task", "evaluate") && !has(spec, "task", "predict");
}

/* The preset's stages where none are given; of them the task lr_find has the first alone. */
static void fill_stages(struct json *spec, const char *preset)
{
    if (!json_get(spec, "stages")) {
        struct json *stages = preset_stages(preset, spec);
        bool find = has(spec, "task", "lr_find");
        struct json *kept = json_new_array();
        json_each(stage, stages) if (!find || stage == json_first(stages))
            json_add(kept, json_copy(stage));
        json_free(stages);
        json_set(spec, "stages", kept);
    }
    const char *form = preset_form(preset);
    double momentum = optimizer_momentum(json_get(spec, "optimizer"));
    for (size_t i = 0; i < json_len(json_get(spec, "stages")); i++)
        fill_stage(spec, i, form, momentum);
    expand_fractions(spec);
}

/* What goes with one kind of data alone. */
static void fill_kind(struct json *spec, bool text)
{
    set_default_string(spec, "task", text ? "text_classification" : "image_classification");
    set_default_string(spec, "preset", text ? "ulmfit" : "auto");
    if (text) {
        jobspec_fill_text(spec);
        return;
    }
    set_default_string(spec, "head_form", preset_form(json_string(spec, "preset", "")));
    fill_augment(spec);
}

void jobspec_fill(struct json *spec)
{
    fill_kind(spec, jobspec_is_text(spec));
    const char *preset = json_string(spec, "preset", "");
    preset_fill(preset, spec);
    fill_optimizer(member(spec, "optimizer"), preset_form(preset));
    if (trains(spec))
        fill_stages(spec, preset);
    for (const char *const *name = preset_parameters; *name; name++)
        json_remove(spec, *name);
}
