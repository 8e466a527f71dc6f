#include "engine/train/recipe.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/train/metrics.h"

#define DEFAULT_BATCH 64

/* fastai's freeze_to: from the end where negative; 0 = everything trains. */
static enum status parse_freeze(struct recipe_stage *stage, const struct json *json, int n_groups,
                                struct err *err)
{
    int64_t freeze_to = json_integer(json, "freeze_to", 0);
    int64_t frozen = freeze_to < 0 ? n_groups + freeze_to : freeze_to;
    if (frozen < 0 || frozen >= n_groups)
        return err_set(err, E_INVALID,
                       "freeze_to is %lld, but the network has %d layer groups: it must be in "
                       "%d..%d.",
                       (long long)freeze_to, n_groups, -n_groups, n_groups - 1);
    stage->frozen_groups = (int)frozen;
    return OK;
}

static enum status check_batch(const struct recipe_stage *stage, struct err *err)
{
    if (stage->batch < 2)
        return err_set(err, E_INVALID,
                       "A batch of one item cannot train batch norm: use a batch_size of 2 or "
                       "more, and at least 2 training items.");
    return OK;
}

/* "none", or an object with the numbers of augment.h. */
static void parse_augment(struct augment_options *augment, const struct json *json)
{
    *augment = augment_default();
    if (json_type(json) == JSON_STRING)
        augment->enabled = strcmp(json_as_string(json, ""), "none") != 0;
    augment->min_scale = json_number(json, "min_scale", augment->min_scale);
    augment->flip = json_number(json, "flip", augment->flip);
}

static enum status parse_stage(struct recipe *recipe, struct recipe_stage *stage,
                               const struct json *json, const struct json *spec, int64_t n_train,
                               struct err *err)
{
    snprintf(stage->name, sizeof stage->name, "%s", json_string(json, "name", ""));
    stage->size = json_integer(json_get(spec, "image"), "size", recipe->net->size);
    stage->batch = json_integer(spec, "batch_size", DEFAULT_BATCH);
    stage->batch = stage->batch < n_train ? stage->batch : n_train;
    stage->steps_per_epoch = stage->batch > 0 ? n_train / stage->batch : 0;
    stage->epochs = json_integer(json, "epochs", 1);
    parse_augment(&stage->augment, json_get(spec, "augment"));
    enum status status = check_batch(stage, err);
    if (status == OK)
        status = parse_freeze(stage, json, recipe->net->n_groups, err);
    if (status == OK)
        status = schedule_parse_rates(json_get(json, "lr"), recipe->net->n_groups, stage->max_rates,
                                      err);
    if (status == OK)
        status = schedule_parse(json_get(json, "schedule"), recipe->form, &stage->schedule, err);
    stage->schedule.steps = stage->epochs * stage->steps_per_epoch;
    return status;
}

static enum status parse_stages(struct recipe *recipe, const struct json *spec, int64_t n_train,
                                struct err *err)
{
    const struct json *stages = json_get(spec, "stages");
    size_t n = json_len(stages);
    if (n == 0 || n > RECIPE_MAX_STAGES)
        return err_at(err, E_INVALID, "/stages", "A job has 1 to %d stages, this one has %zu.",
                      RECIPE_MAX_STAGES, n);
    recipe->stages = mem_alloc(n * sizeof *recipe->stages);
    json_each(json, stages)
    {
        struct recipe_stage *stage = &recipe->stages[recipe->n_stages];
        enum status status = parse_stage(recipe, stage, json, spec, n_train, err);
        if (status != OK) {
            snprintf(err->pointer, sizeof err->pointer, "/stages/%d", recipe->n_stages);
            return status;
        }
        recipe->n_stages++;
    }
    return OK;
}

static enum status parse_monitor(struct recipe *recipe, const struct json *spec, struct err *err)
{
    const struct json *save_best = json_get(spec, "save_best");
    recipe->save_best = json_type(save_best) == JSON_OBJECT;
    const char *monitor = json_string(save_best, "monitor", "valid_loss");
    if (!scores_knows(monitor))
        return err_at(err, E_INVALID, "/save_best/monitor",
                      "There is no metric \"%.40s\": monitor train_loss, valid_loss, accuracy or "
                      "error_rate.",
                      monitor);
    snprintf(recipe->monitor, sizeof recipe->monitor, "%s", monitor);
    return OK;
}

enum status recipe_init(struct recipe *recipe, const struct json *spec, const struct zoo_net *net,
                        int64_t n_train, struct err *err)
{
    *recipe = (struct recipe){.net = net};
    const struct json *optimizer = json_get(spec, "optimizer");
    recipe->form = strcmp(json_string(optimizer, "form", "v2"), "v1") == 0 ? FORM_V1 : FORM_V2;
    recipe->head =
        strcmp(json_string(spec, "head_form", "v2"), "v1") == 0 ? ZOO_HEAD_V1 : ZOO_HEAD_V2;
    recipe->seed = (uint64_t)json_integer(spec, "seed", 0);
    const char *norm = json_string(spec, "frozen_batchnorm", "train");
    recipe->frozen_norm_trains = strcmp(norm, "eval") != 0;
    enum status status = optim_parse(optimizer, recipe->form, &recipe->optim, err);
    if (status == OK)
        status = parse_monitor(recipe, spec, err);
    if (status == OK)
        status = parse_stages(recipe, spec, n_train, err);
    if (status != OK)
        recipe_deinit(recipe);
    return status;
}

void recipe_deinit(struct recipe *recipe)
{
    mem_free(recipe->stages);
    recipe->stages = NULL;
    recipe->n_stages = 0;
}

void recipe_rates(const struct recipe_stage *stage, int n_groups, int64_t step, double *rates)
{
    double share = schedule_rate(&stage->schedule, step);
    for (int i = 0; i < n_groups; i++)
        rates[i] = stage->max_rates[i] * share;
}

int64_t recipe_total_steps(const struct recipe *recipe)
{
    int64_t total = 0;
    for (int i = 0; i < recipe->n_stages; i++)
        total += recipe->stages[i].schedule.steps;
    return total;
}
