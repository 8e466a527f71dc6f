/* preset.c -- the recipes as data: parameters' defaults, what each stage makes of them, and the
 * other defaults that go with them.
 *
 * auto       the head on cached features of the frozen body until it has had steps enough, then
 *            all layers at slice(1e-5, 1e-4). Small sets need steps, not epochs; a head that has
 *            learnt its part loses it again at fine_tune's ten times larger rate, and lower
 *            layers at a hundredth of it do not get anywhere in so few steps.
 * lesson1    fastai v1's pets lesson: fit_one_cycle(4), unfreeze,
 *            fit_one_cycle(2, max_lr=slice(1e-6, 1e-4)).
 * fine_tune  fastai v2's Learner.fine_tune.
 * ulmfit     Howard & Ruder 2018 with fastai's numbers: the language model on the target's texts,
 *            then a classifier on its encoder, thawed group by group; with few labels each stage
 *            gets steps enough.
 *
 * A start that knows nothing (random weights, no language model) has nothing worth keeping frozen:
 * a preset may have another recipe for it. */
#include "api/spec/preset.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum parameter {
    EPOCHS,
    FREEZE_EPOCHS,
    BASE_LR,
    LR_MULT,
    LM_EPOCHS,
    LM_LR,
    PCT_START,
    DIV,
    N_PARAMETERS
};

const char *const preset_parameters[] = {
    [EPOCHS] = "epochs",   [FREEZE_EPOCHS] = "freeze_epochs", [BASE_LR] = "base_lr",
    [LR_MULT] = "lr_mult", [LM_EPOCHS] = "lm_epochs",         [LM_LR] = "lm_lr",
    [DIV] = "div",         [PCT_START] = "pct_start",         [N_PARAMETERS] = NULL,
};

/* How a stage's largest rate becomes one a group. */
enum spread {
    TENTH,  /* slice(rate): a tenth of it below the head */
    SPREAD, /* geometric, the lowest group: rate / lr_mult */
    EQUAL   /* a number: the same for all */
};

/* One stage of a recipe. */
struct recipe_row {
    int freeze_to;
    enum parameter epochs;
    int min_steps;
    double divisor; /* the stage's largest rate is base_lr, or lm_lr, / divisor */
    enum spread spread;
    double pct_start, div; /* 0: the preset's parameter */
    bool language_model;   /* on texts: else of the classifier */
    bool once;             /* one epoch, where `epochs` is not 0 */
};

#define MAX_ROWS 6

struct recipe {
    double defaults[N_PARAMETERS];
    int n_rows;
    struct recipe_row rows[MAX_ROWS];
};

/* Defaults of top-level fields that a recipe brings along. */
struct companions {
    const char *frozen_batchnorm;
    int cache_views; /* 0: no feature cache */
    int batch_size;  /* 0: "auto" */
};

struct preset {
    const char *name, *form, *meaning;
    struct recipe recipe;
    struct companions with;
    struct recipe from_nothing; /* no rows: the same recipe */
};

static const struct preset presets[] = {
    {.name = "auto",
     .form = "v2",
     .meaning = "the head on cached features, at least 150 steps, then all layers at "
                "slice(1e-5, 1e-4); from random weights all layers, nothing frozen",
     .recipe = {.defaults = {[EPOCHS] = 5,
                             [FREEZE_EPOCHS] = 20,
                             [BASE_LR] = 2e-3,
                             [LR_MULT] = 10,
                             [PCT_START] = .3,
                             [DIV] = 5},
                .n_rows = 2,
                .rows = {{-1, FREEZE_EPOCHS, 150, 1, TENTH, .25, 25},
                         {0, EPOCHS, 0, 20, SPREAD, 0, 0}}},
     .with = {"eval", 1, 0},
     .from_nothing = {.defaults = {[EPOCHS] = 20,
                                   [FREEZE_EPOCHS] = 0,
                                   [BASE_LR] = 2e-3,
                                   [LR_MULT] = 1,
                                   [PCT_START] = .3,
                                   [DIV] = 5},
                      .n_rows = 2,
                      .rows = {{-1, FREEZE_EPOCHS, 150, 1, TENTH, .25, 25},
                               {0, EPOCHS, 0, 2, SPREAD, 0, 0}}}},
    {.name = "fine_tune",
     .form = "v2",
     .meaning = "head alone, then all layers: fastai v2's `fine_tune`",
     .recipe = {.defaults = {[EPOCHS] = 3,
                             [FREEZE_EPOCHS] = 1,
                             [BASE_LR] = 2e-3,
                             [LR_MULT] = 100,
                             [PCT_START] = .3,
                             [DIV] = 5},
                .n_rows = 2,
                .rows = {{-1, FREEZE_EPOCHS, 0, 1, TENTH, .99, 25},
                         {0, EPOCHS, 0, 2, SPREAD, 0, 0}}},
     .with = {"train", 0, 64}},
    {.name = "lesson1",
     .form = "v1",
     .meaning = "fastai v1's first lesson: 4 epochs for the head, then 2 for all layers at "
                "slice(1e-6, 1e-4)",
     .recipe = {.defaults = {[EPOCHS] = 2,
                             [FREEZE_EPOCHS] = 4,
                             [BASE_LR] = 3e-3,
                             [LR_MULT] = 100,
                             [PCT_START] = .3,
                             [DIV] = 25},
                .n_rows = 2,
                .rows = {{-1, FREEZE_EPOCHS, 0, 1, TENTH, 0, 0}, {0, EPOCHS, 0, 30, SPREAD, 0, 0}}},
     .with = {"train", 0, 64}},
    {.name = "ulmfit",
     .form = "v2",
     .meaning =
         "the language model on all texts, its last group for one epoch, then all of it; "
         "then the classifier on its encoder: the head for at least 60 steps, one more group, two "
         "more, all layers for at least 30 each, at lower and lower rates; with `\"model\": null` "
         "all of a language model from nothing, then the head and all layers, for at least 60 "
         "steps each, "
         "at one rate",
     .recipe = {.defaults = {[EPOCHS] = 2,
                             [FREEZE_EPOCHS] = 1,
                             [BASE_LR] = 2e-2,
                             [LR_MULT] = 45.6976, /* 2.6^4 */
                             [LM_EPOCHS] = 10,
                             [LM_LR] = 2e-3,
                             [PCT_START] = .25,
                             [DIV] = 25},
                .n_rows = 6,
                .rows = {{-1, LM_EPOCHS, 0, .1, EQUAL, 0, 0, .language_model = true, .once = true},
                         {0, LM_EPOCHS, 0, 1, EQUAL, 0, 0, .language_model = true},
                         {-1, FREEZE_EPOCHS, 60, 1, EQUAL, 0, 0},
                         {-2, FREEZE_EPOCHS, 30, 2, SPREAD, 0, 0},
                         {-3, FREEZE_EPOCHS, 30, 4, SPREAD, 0, 0},
                         {0, EPOCHS, 30, 20, SPREAD, 0, 0}}},
     .with = {NULL, 0, 0},
     .from_nothing = {.defaults = {[EPOCHS] = 12,
                                   [FREEZE_EPOCHS] = 1,
                                   [BASE_LR] = 2e-2,
                                   [LR_MULT] = 1,
                                   [LM_EPOCHS] = 10,
                                   [LM_LR] = 5e-3,
                                   [PCT_START] = .25,
                                   [DIV] = 25},
                      .n_rows = 3,
                      .rows = {{0, LM_EPOCHS, 0, 1, EQUAL, 0, 0, .language_model = true},
                               {-1, FREEZE_EPOCHS, 60, 1, EQUAL, 0, 0},
                               {0, EPOCHS, 60, 4, SPREAD, 0, 0}}}},
};

const char *const preset_names[] = {"auto", "fine_tune", "lesson1", "ulmfit", NULL};

_Static_assert(ARRAY_LEN(preset_names) == ARRAY_LEN(presets) + 1, "every preset has its name");

/* fields_check has refused every other name. */
static const struct preset *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(presets); i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return &presets[0];
}

const char *preset_form(const char *preset)
{
    return find(preset)->form;
}

static bool is_text(const struct preset *preset)
{
    return preset->recipe.defaults[LM_LR] > 0;
}

/* Of this spec: the one for a start that knows nothing, where the preset has such a one. */
static const struct recipe *recipe_of(const struct preset *preset, const struct json *spec)
{
    bool nothing = is_text(preset) ? json_type(json_get(spec, "model")) == JSON_NULL
                                   : strcmp(json_string(spec, "weights", ""), "random") == 0;
    return nothing && preset->from_nothing.n_rows > 0 ? &preset->from_nothing : &preset->recipe;
}

static bool has_row(const struct recipe_row *row, const struct json *spec, const double *values)
{
    bool model_alone = strcmp(json_string(spec, "task", ""), "language_model") == 0;
    return values[row->epochs] > 0 && (row->language_model || !model_alone);
}

static void set_rate(struct json *stage, const struct recipe_row *row, const double *values)
{
    double high = values[row->language_model ? LM_LR : BASE_LR] / row->divisor;
    if (row->spread == EQUAL) {
        json_set_number(stage, "lr", high);
        return;
    }
    struct json *slice = json_set_array(json_set_object(stage, "lr"), "slice");
    json_add_number(slice, row->spread == SPREAD ? high / values[LR_MULT] : NAN); /* NaN is null */
    json_add_number(slice, high);
}

static void add_stage(struct json *stages, const struct recipe_row *row,
                      const struct preset *preset, const double *values)
{
    char name[32];
    snprintf(name, sizeof(name), "stage-%zu", json_len(stages) + 1);
    struct json *stage = json_add_object(stages);
    json_set_string(stage, "name", name);
    if (is_text(preset))
        json_set_string(stage, "phase", row->language_model ? "language_model" : "classifier");
    json_set_integer(stage, "freeze_to", row->freeze_to);
    json_set_number(stage, "epochs", row->once ? 1 : values[row->epochs]);
    json_set_integer(stage, "min_steps", row->min_steps);
    set_rate(stage, row, values);
    struct json *schedule = json_set_object(stage, "schedule");
    json_set_string(schedule, "name", "one_cycle");
    json_set_string(schedule, "form", preset->form);
    json_set_number(schedule, "pct_start", row->pct_start > 0 ? row->pct_start : values[PCT_START]);
    json_set_number(schedule, "div", row->div > 0 ? row->div : values[DIV]);
    json_set_string(stage, "then", "go_on");
    json_set_bool(stage, "fresh", false);
}

struct json *preset_stages(const char *name, const struct json *spec)
{
    const struct preset *preset = find(name);
    const struct recipe *recipe = recipe_of(preset, spec);
    double values[N_PARAMETERS];
    for (int i = 0; i < N_PARAMETERS; i++)
        values[i] = json_number(spec, preset_parameters[i], recipe->defaults[i]);
    struct json *stages = json_new_array();
    for (int i = 0; i < recipe->n_rows; i++) {
        if (has_row(&recipe->rows[i], spec, values))
            add_stage(stages, &recipe->rows[i], preset, values);
    }
    return stages;
}

/* --- Companions --- */

static bool is_given(const struct json *spec, const char *key)
{
    return json_type(json_get(spec, key)) != JSON_NULL;
}

/* Where the recipe's cache would change what was asked for, or cannot be, there is none. */
static bool may_cache(const struct preset *preset, const struct json *spec)
{
    return preset->with.cache_views > 0 && recipe_of(preset, spec) == &preset->recipe &&
           !is_given(spec, "mixup") && !is_given(spec, "cutmix") &&
           strcmp(json_string(spec, "frozen_batchnorm", ""), "eval") == 0;
}

void preset_fill(const char *name, struct json *spec)
{
    const struct preset *preset = find(name);
    if (!json_get(spec, "frozen_batchnorm") && !is_text(preset))
        json_set_string(spec, "frozen_batchnorm",
                        recipe_of(preset, spec) == &preset->recipe ? preset->with.frozen_batchnorm
                                                                   : "train");
    if (!json_get(spec, "batch_size") && preset->with.batch_size > 0)
        json_set_integer(spec, "batch_size", preset->with.batch_size);
    else if (!json_get(spec, "batch_size"))
        json_set_string(spec, "batch_size", "auto");
    if (json_get(spec, "feature_cache") || is_text(preset))
        return;
    if (may_cache(preset, spec))
        json_set_integer(json_set_object(spec, "feature_cache"), "views", preset->with.cache_views);
    else
        json_set_null(spec, "feature_cache");
}

/* --- Printing --- */

static void print_row(struct buf *out, const struct preset *preset, const struct recipe *recipe)
{
    const struct companions *with = &preset->with;
    bool pretrained = recipe == &preset->recipe;
    buf_printf(out, "| `%s`%s | %s |", preset->name, pretrained ? "" : ", from nothing",
               preset->form);
    for (int i = 0; i < N_PARAMETERS; i++) {
        bool has = is_text(preset) || (i != LM_EPOCHS && i != LM_LR);
        buf_printf(out, has ? " %g |" : " - |", recipe->defaults[i]);
    }
    buf_printf(out, with->batch_size > 0 ? " %d |" : " auto |", with->batch_size);
    const char *norms = pretrained ? with->frozen_batchnorm : "train";
    buf_printf(out, " %s |", is_text(preset) ? "-" : norms);
    buf_printf(out, pretrained && with->cache_views > 0 ? " views %d |" : " none |",
               with->cache_views);
    buf_printf(out, " %s |\n", pretrained ? preset->meaning : "as above, with these numbers");
}

void preset_print_table(struct buf *out)
{
    buf_puts(out, "| preset | form |");
    for (int i = 0; i < N_PARAMETERS; i++)
        buf_printf(out, " `%s` |", preset_parameters[i]);
    buf_puts(out, " `batch_size` | `frozen_batchnorm` | `feature_cache` | what it does |\n"
                  "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t p = 0; p < ARRAY_LEN(presets); p++) {
        print_row(out, &presets[p], &presets[p].recipe);
        if (presets[p].from_nothing.n_rows > 0)
            print_row(out, &presets[p], &presets[p].from_nothing);
    }
}
