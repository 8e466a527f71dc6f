/* recipe_stage.c -- one stage: what it trains on, for how many steps, at which rates. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/train/bptt.h"
#include "engine/train/recipe.h"
#include "engine/train/text_options.h"

#define DEFAULT_BATCH       64
#define AUTO_STEPS_AN_EPOCH 20
#define AUTO_STEPS_OF_ROWS  80 /* of a language model: few long steps teach a new one little */
#define LEAST_WORDS         32 /* of a language model's texts */

int64_t recipe_auto_batch(int64_t n_train)
{
    int64_t batch = RECIPE_SMALLEST_AUTO;
    while (batch < RECIPE_LARGEST_AUTO && 2 * batch * AUTO_STEPS_AN_EPOCH <= n_train)
        batch *= 2;
    return batch;
}

static const char *const phases[N_PHASES] = {
    [PHASE_LANGUAGE_MODEL] = "language_model", [PHASE_CLASSIFIER] = "classifier"};

const char *recipe_phase_name(enum recipe_phase phase)
{
    return phases[phase];
}

/* A stage's own value where it has one, else the job's. */
static const struct json *own_or_jobs(const struct json *stage, const struct json *spec,
                                      const char *key)
{
    const struct json *own = json_get(stage, key);
    return json_type(own) == JSON_NULL ? json_get(spec, key) : own;
}

static int64_t image_size(const struct json *stage, const struct json *spec, int64_t nets)
{
    int64_t jobs = json_integer(json_get(spec, "image"), "size", nets);
    return json_integer(json_get(stage, "image"), "size", jobs);
}

/* fastai's freeze_to: from the end where negative; 0 = everything trains. */
static enum status parse_freeze(struct recipe_stage *stage, const struct json *json, int n_groups,
                                struct err *err)
{
    int64_t freeze_to = json_integer(json, "freeze_to", 0);
    int64_t frozen = freeze_to < 0 ? n_groups + freeze_to : freeze_to;
    if (frozen < 0 || frozen >= n_groups)
        return err_at(err, E_INVALID, "/freeze_to",
                      "freeze_to is %lld, but the network has %d layer groups: it must be in "
                      "%d..%d.",
                      (long long)freeze_to, n_groups, -n_groups, n_groups - 1);
    stage->frozen_groups = (int)frozen;
    return OK;
}

/* --- Items --- */

static void parse_sample(struct recipe_stage *stage, const struct json *json)
{
    stage->sample = (struct sample_options){
        .fraction = json_number(json, "fraction", 1),
        .min_per_class = (uint32_t)json_integer(json, "min_per_class", 10),
        .sample_valid = strcmp(json_string(json, "valid", "sampled"), "all") != 0,
    };
    stage->sampled = stage->sample.fraction < 1;
}

static enum status copy_split(const struct split *all, struct split *split)
{
    *split = (struct split){.n_train = all->n_train, .n_valid = all->n_valid};
    split->train = mem_alloc((all->n_train + 1) * sizeof *split->train);
    split->valid = mem_alloc((all->n_valid + 1) * sizeof *split->valid);
    memcpy(split->train, all->train, all->n_train * sizeof *split->train);
    memcpy(split->valid, all->valid, all->n_valid * sizeof *split->valid);
    return OK;
}

enum status recipe_split(const struct recipe *recipe, const struct recipe_stage *stage,
                         const struct pack *pack, const struct split *all, struct split *split,
                         struct err *err)
{
    if (!stage->sampled)
        return copy_split(all, split);
    return split_sample(pack, all, &stage->sample, recipe->seed, split, err);
}

static enum status count_texts(const struct recipe *recipe, struct recipe_stage *stage,
                               struct err *err)
{
    struct recipe_counts counts;
    enum status status = recipe->texts->count(recipe->texts->context, stage, &counts, err);
    if (status != OK)
        return status;
    stage->n_train = counts.n_train;
    stage->n_valid = counts.valid_words > 1 ? counts.n_valid : 0;
    stage->words = counts.words;
    stage->seq_len = recipe->texts->options->seq_len;
    stage->valid_words = counts.valid_words;
    return OK;
}

static enum status count_items(const struct recipe *recipe, struct recipe_stage *stage,
                               const struct json *json, const struct json *spec,
                               const struct pack *pack, const struct split *all, struct err *err)
{
    parse_sample(stage, own_or_jobs(json, spec, "sample"));
    if (stage->phase == PHASE_LANGUAGE_MODEL)
        return count_texts(recipe, stage, err);
    stage->n_train = all->n_train;
    stage->n_valid = all->n_valid;
    stage->longest = recipe->texts ? recipe->texts->longest : 0;
    if (!stage->sampled)
        return OK;
    struct split split;
    enum status status = recipe_split(recipe, stage, pack, all, &split, err);
    if (status != OK) {
        snprintf(err->pointer, sizeof err->pointer, "/sample");
        return status;
    }
    stage->n_train = split.n_train;
    stage->n_valid = split.n_valid;
    split_deinit(&split);
    return OK;
}

/* --- Steps --- */

/* Of a batch: its steps an epoch, and the epochs that take min_steps. */
static enum status count_steps(struct recipe_stage *stage, struct err *err)
{
    stage->steps_per_epoch = stage->phase == PHASE_LANGUAGE_MODEL
                                 ? bptt_count(stage->words, stage->batch, stage->seq_len)
                                 : stage->n_train / stage->batch;
    stage->valid_rows =
        stage->batch < stage->valid_words - 1 ? stage->batch : stage->valid_words - 1;
    int64_t needed = (stage->min_steps + stage->steps_per_epoch - 1) / stage->steps_per_epoch;
    if (needed > RECIPE_MAX_EPOCHS)
        return err_at(err, E_INVALID, "/min_steps",
                      "The stage has %lld steps an epoch, so that min_steps %lld would take %lld "
                      "epochs: at most %d are allowed.",
                      (long long)stage->steps_per_epoch, (long long)stage->min_steps,
                      (long long)needed, RECIPE_MAX_EPOCHS);
    stage->epochs = stage->asked_epochs > needed ? stage->asked_epochs : needed;
    stage->schedule.steps = stage->epochs * stage->steps_per_epoch;
    stage->schedule.steps_per_epoch = stage->steps_per_epoch;
    return OK;
}

enum status recipe_lower_batch(struct recipe_stage *stage, int64_t most, struct err *err)
{
    stage->batch = stage->batch < most ? stage->batch : most;
    return count_steps(stage, err);
}

/* Rows of a language model: texts of few words in all have fewer, so that there are some steps. */
static enum status parse_rows(struct recipe_stage *stage, const struct json *batch, struct err *err)
{
    int64_t words = stage->words, most = words / 4;
    if (words < LEAST_WORDS)
        return err_set(err, E_INVALID,
                       "The texts that the language model would learn from have %lld words in "
                       "all: at least %d are needed.",
                       (long long)words, LEAST_WORDS);
    int64_t rows = RECIPE_SMALLEST_AUTO;
    while (rows < RECIPE_LARGEST_AUTO && 2 * rows * stage->seq_len * AUTO_STEPS_OF_ROWS <= words)
        rows *= 2;
    stage->batch = stage->batch_auto ? rows : (int64_t)json_as_number(batch, DEFAULT_BATCH);
    stage->batch = stage->batch < most ? stage->batch : most;
    return count_steps(stage, err);
}

static enum status parse_steps(struct recipe_stage *stage, const struct json *json,
                               const struct json *batch, struct err *err)
{
    stage->batch_auto = json_type(batch) == JSON_STRING;
    stage->asked_epochs = json_integer(json, "epochs", 1);
    stage->min_steps = json_integer(json, "min_steps", 0);
    if (stage->phase == PHASE_LANGUAGE_MODEL)
        return parse_rows(stage, batch, err);
    stage->batch = stage->batch_auto ? recipe_auto_batch(stage->n_train)
                                     : (int64_t)json_as_number(batch, DEFAULT_BATCH);
    stage->batch = stage->batch < stage->n_train ? stage->batch : stage->n_train;
    if (stage->batch < 2)
        return err_at(err, E_INVALID, "/batch_size",
                      "A batch of one item cannot train batch norm: use a batch_size of 2 or "
                      "more, and at least 2 training items.");
    return count_steps(stage, err);
}

int64_t recipe_valid_rows(const struct recipe_stage *stage)
{
    if (stage->phase != PHASE_LANGUAGE_MODEL || stage->n_valid == 0)
        return stage->n_valid;
    return stage->valid_rows * bptt_count(stage->valid_words, stage->valid_rows, stage->seq_len);
}

/* --- Rates --- */

void recipe_set_rate(struct recipe_stage *stage, int n_groups, double rate)
{
    for (int i = 0; i < n_groups; i++)
        stage->max_rates[i] = i == n_groups - 1 ? rate : rate / 10;
}

/* "auto" is known when the stage begins. */
static enum status parse_rates(struct recipe_stage *stage, const struct json *lr, int n_groups,
                               struct err *err)
{
    stage->lr_auto = json_type(lr) == JSON_STRING;
    if (stage->lr_auto)
        return OK;
    enum status status = schedule_parse_rates(lr, n_groups, stage->max_rates, err);
    if (status != OK) {
        snprintf(err->pointer, sizeof err->pointer, "/lr");
        return status;
    }
    for (int i = stage->frozen_groups; i < n_groups; i++)
        if (stage->max_rates[i] > 0)
            return OK;
    return err_at(err, E_INVALID, "/lr",
                  "The rates of all groups that are not frozen are 0, so that nothing would be "
                  "trained.");
}

/* --- Augmentation --- */

void recipe_augment(struct augment_options *augment, const struct json *json)
{
    *augment = augment_default();
    if (json_type(json) == JSON_STRING)
        augment->enabled = strcmp(json_as_string(json, ""), "none") != 0;
    augment->min_scale = json_number(json, "min_scale", augment->min_scale);
    augment->flip = json_number(json, "flip", augment->flip);
    augment->flip_vertical = json_bool(json, "flip_vertical", augment->flip_vertical);
    augment->rotate = json_number(json, "rotate", augment->rotate);
    augment->zoom = json_number(json, "zoom", augment->zoom);
    augment->warp = json_number(json, "warp", augment->warp);
    augment->p_affine = json_number(json, "p_affine", augment->p_affine);
    augment->lighting = json_number(json, "lighting", augment->lighting);
    augment->p_lighting = json_number(json, "p_lighting", augment->p_lighting);
    augment->erase = json_number(json, "erase", augment->erase);
    augment->presize = (int)json_integer(json, "presize", augment->presize);
}

static enum recipe_phase phase_of(const struct recipe *recipe, const struct json *json)
{
    if (!recipe->texts)
        return PHASE_PICTURES;
    bool language = strcmp(json_string(json, "phase", ""), phases[PHASE_LANGUAGE_MODEL]) == 0;
    return language ? PHASE_LANGUAGE_MODEL : PHASE_CLASSIFIER;
}

static int set_groups(const struct recipe *recipe, struct recipe_stage *stage)
{
    if (recipe->texts) {
        stage->n_groups = text_options_groups(recipe->texts->options, stage->phase, stage->groups);
        return stage->n_groups;
    }
    stage->n_groups = recipe->net->n_groups;
    for (int g = 0; g < stage->n_groups; g++)
        snprintf(stage->groups[g], sizeof stage->groups[g], "%s", recipe->net->groups[g]);
    return stage->n_groups;
}

enum status recipe_stage_init(const struct recipe *recipe, struct recipe_stage *stage,
                              const struct json *json, const struct json *spec,
                              const struct pack *pack, const struct split *split, struct err *err)
{
    stage->phase = phase_of(recipe, json);
    int n_groups = set_groups(recipe, stage);
    snprintf(stage->name, sizeof stage->name, "%s", json_string(json, "name", ""));
    stage->size = image_size(json, spec, recipe->net ? recipe->net->size : 0);
    stage->pause_after = strcmp(json_string(json, "then", ""), "pause") == 0;
    stage->fresh = json_bool(json, "fresh", false);
    recipe_augment(&stage->augment, own_or_jobs(json, spec, "augment"));
    enum status status = parse_freeze(stage, json, n_groups, err);
    stage->cached = recipe->cache_views > 0 && stage->frozen_groups > 0;
    if (status == OK)
        status = count_items(recipe, stage, json, spec, pack, split, err);
    if (status == OK)
        status = parse_rates(stage, json_get(json, "lr"), n_groups, err);
    if (status == OK)
        status = schedule_parse(json_get(json, "schedule"), recipe->form, &stage->schedule, err);
    if (status == OK)
        status = parse_steps(stage, json, own_or_jobs(json, spec, "batch_size"), err);
    return status;
}
