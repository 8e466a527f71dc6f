#include "engine/train/recipe.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/train/metrics.h"
#include "engine/train/text_options.h"

static const char *const tasks[] = {
    [TASK_CLASSIFICATION] = "image_classification",
    [TASK_MULTILABEL] = "image_multilabel",
    [TASK_TEXT_CLASSIFICATION] = "text_classification",
    [TASK_LANGUAGE_MODEL] = "language_model",
    [TASK_LR_FIND] = "lr_find",
    [TASK_EVALUATE] = "evaluate",
    [TASK_PREDICT] = "predict",
};

static enum status parse_task(struct recipe *recipe, const struct json *spec, struct err *err)
{
    const char *name = json_string(spec, "task", tasks[TASK_CLASSIFICATION]);
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        recipe->task = (enum recipe_task)i;
        if (strcmp(tasks[i], name) == 0)
            return OK;
    }
    return err_at(err, E_INVALID, "/task", "There is no task \"%.40s\".", name);
}

bool recipe_is_language_model(const struct json *spec)
{
    const char *task = json_string(spec, "task", "");
    const struct json *stages = json_get(spec, "stages");
    if (strcmp(task, tasks[TASK_LR_FIND]) != 0 || json_len(stages) == 0)
        return strcmp(task, tasks[TASK_LANGUAGE_MODEL]) == 0;
    json_each(stage, stages)
    {
        const char *phase = json_string(stage, "phase", "");
        if (strcmp(phase, recipe_phase_name(PHASE_LANGUAGE_MODEL)) != 0)
            return false;
    }
    return true;
}

/* --- What is watched --- */

static enum status parse_monitor(const struct json *object, const char *at, char monitor[32],
                                 struct err *err)
{
    const char *name = json_string(object, "monitor", "valid_loss");
    if (!scores_knows(name))
        return err_at(err, E_INVALID, at,
                      "There is no metric \"%.40s\": monitor train_loss, valid_loss, accuracy or "
                      "error_rate.",
                      name);
    snprintf(monitor, 32, "%s", name);
    return OK;
}

static enum status parse_watch(struct recipe_watch *watch, const struct json *object,
                               int64_t patience, const char *at, struct err *err)
{
    watch->on = json_type(object) == JSON_OBJECT;
    watch->patience = json_integer(object, "patience", patience);
    watch->min_delta = json_number(object, "min_delta", 0);
    return parse_monitor(object, at, watch->monitor, err);
}

static enum status parse_callbacks(struct recipe *recipe, const struct json *spec, struct err *err)
{
    const struct json *best = json_get(spec, "save_best"),
                      *plateau = json_get(spec, "reduce_on_plateau");
    recipe->save_best = json_type(best) == JSON_OBJECT;
    recipe->max_seconds = json_number(spec, "max_seconds", 0);
    recipe->plateau_factor = json_number(plateau, "factor", .1);
    recipe->plateau_min_lr = json_number(plateau, "min_lr", 0);
    enum status status = parse_monitor(best, "/save_best/monitor", recipe->monitor, err);
    if (status == OK)
        status = parse_watch(&recipe->early_stop, json_get(spec, "early_stop"), 3,
                             "/early_stop/monitor", err);
    if (status == OK)
        status = parse_watch(&recipe->plateau, plateau, 1, "/reduce_on_plateau/monitor", err);
    return status;
}

/* --- The feature cache --- */

static bool body_has_norm(const struct zoo_net *net)
{
    struct graph *graph = zoo_build(net, &(struct zoo_options){.head = ZOO_HEAD_V2, .classes = 2});
    bool found = false;
    for (int i = 0; i < graph->n_params; i++)
        found |= graph->params[i]->group < graph->n_groups - 1 && param_is_norm(graph->params[i]);
    graph_free(graph);
    return found;
}

static enum status parse_cache(struct recipe *recipe, const struct json *spec, struct err *err)
{
    const struct json *cache = json_get(spec, "feature_cache");
    if (json_type(cache) != JSON_OBJECT || !recipe->net)
        return OK;
    recipe->cache_views = (int)json_integer(cache, "views", 1);
    if (!recipe->frozen_norm_trains || !body_has_norm(recipe->net))
        return OK;
    return err_at(err, E_INVALID, "/feature_cache",
                  "The features of %s change while its frozen batch norms train, so they cannot be "
                  "cached: say \"frozen_batchnorm\": \"eval\", or remove \"feature_cache\".",
                  recipe->net->name);
}

/* --- The loss, the reports --- */

/* The rate finder takes the loss that the data set's labels ask for. */
static enum loss_kind kind_of_loss(const struct recipe *recipe, const struct pack *pack)
{
    bool finds = recipe->task == TASK_LR_FIND && pack && pack_is_multilabel(pack);
    return recipe->task == TASK_MULTILABEL || finds ? LOSS_BINARY : LOSS_CROSS_ENTROPY;
}

static void parse_loss(struct recipe *recipe, const struct json *spec, const struct pack *pack)
{
    recipe->loss = (struct loss_options){
        .kind = kind_of_loss(recipe, pack),
        .smoothing = json_number(spec, "label_smoothing", 0),
        .class_weights = json_get(spec, "class_weights"),
    };
    recipe->mix = (struct mix_options){.mixup = json_number(spec, "mixup", 0),
                                       .cutmix = json_number(spec, "cutmix", 0)};
    recipe->balanced = strcmp(json_string(spec, "sampler", ""), "balanced") == 0;
    recipe->accumulate = json_integer(spec, "accumulate", 0);
}

/* Whether task, labels and weights fit each other: known before anything is trained. */
static enum status check_loss(const struct recipe *recipe, const struct pack *pack, struct err *err)
{
    struct loss loss;
    enum status status = loss_init(&loss, &recipe->loss, pack, NULL, 0, err);
    if (status == OK)
        loss_deinit(&loss);
    return status;
}

static void parse_reports(struct recipe *recipe, const struct json *spec)
{
    const struct json *finder = json_get(spec, "lr_find");
    recipe->lr_find.start = json_number(finder, "start", 1e-7);
    recipe->lr_find.end = json_number(finder, "end", 10);
    recipe->lr_find.steps = json_integer(finder, "steps", 100);
    snprintf(recipe->split, sizeof recipe->split, "%s", json_string(spec, "split", "valid"));
    recipe->tta = json_integer(spec, "tta", 0);
    recipe->threshold = json_number(spec, "threshold", .5);
}

static void parse_network(struct recipe *recipe, const struct json *spec)
{
    const char *form = json_string(json_get(spec, "optimizer"), "form", "v2");
    recipe->form = strcmp(form, "v1") == 0 ? FORM_V1 : FORM_V2;
    const char *head = json_string(spec, "head_form", "v2");
    recipe->head = strcmp(head, "v1") == 0 ? ZOO_HEAD_V1 : ZOO_HEAD_V2;
    recipe->seed = (uint64_t)json_integer(spec, "seed", 0);
    const char *norm = json_string(spec, "frozen_batchnorm", "train");
    recipe->frozen_norm_trains = strcmp(norm, "eval") != 0;
}

/* --- Stages --- */

static bool has_stages(const struct recipe *recipe)
{
    return recipe->task != TASK_EVALUATE && recipe->task != TASK_PREDICT;
}

/* Moves the error's pointer from the stage into the spec. */
static enum status in_stage(int index, enum status status, struct err *err)
{
    char inner[sizeof err->pointer];
    snprintf(inner, sizeof inner, "%s", err->pointer);
    snprintf(err->pointer, sizeof err->pointer, "/stages/%d%.*s", index, 60, inner);
    return status;
}

static enum status parse_stages(struct recipe *recipe, const struct json *spec,
                                const struct pack *pack, const struct split *split, struct err *err)
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
        *stage = (struct recipe_stage){0};
        enum status status = recipe_stage_init(recipe, stage, json, spec, pack, split, err);
        if (status != OK)
            return in_stage(recipe->n_stages, status, err);
        recipe->n_stages++;
    }
    if (recipe_total_steps(recipe) > RECIPE_MAX_STEPS)
        return err_at(err, E_INVALID, "/stages",
                      "The stages have %lld steps together: at most %d are allowed.",
                      (long long)recipe_total_steps(recipe), RECIPE_MAX_STEPS);
    return OK;
}

/* `recipe` knows its network, or its texts. */
static enum status init(struct recipe *recipe, const struct json *spec, const struct pack *pack,
                        const struct split *split, struct err *err)
{
    enum status status = parse_task(recipe, spec, err);
    if (status == OK) {
        parse_network(recipe, spec);
        parse_loss(recipe, spec, pack);
        parse_reports(recipe, spec);
        status = optim_parse(json_get(spec, "optimizer"), recipe->form, &recipe->optim, err);
    }
    if (status == OK && pack && has_stages(recipe) && !recipe_is_language_model(spec))
        status = check_loss(recipe, pack, err);
    if (status == OK)
        status = parse_callbacks(recipe, spec, err);
    if (status == OK)
        status = parse_cache(recipe, spec, err);
    if (status == OK && has_stages(recipe))
        status = parse_stages(recipe, spec, pack, split, err);
    if (status != OK)
        recipe_deinit(recipe);
    return status;
}

enum status recipe_init(struct recipe *recipe, const struct json *spec, const struct zoo_net *net,
                        const struct pack *pack, const struct split *split, struct err *err)
{
    *recipe = (struct recipe){.net = net};
    return init(recipe, spec, pack, split, err);
}

enum status recipe_init_texts(struct recipe *recipe, const struct json *spec,
                              const struct recipe_texts *texts, const struct pack *pack,
                              const struct split *split, struct err *err)
{
    *recipe = (struct recipe){.texts = texts};
    return init(recipe, spec, pack, split, err);
}

void recipe_deinit(struct recipe *recipe)
{
    mem_free(recipe->stages);
    recipe->stages = NULL;
    recipe->n_stages = 0;
}

struct graph *recipe_graph(const struct recipe *recipe, enum recipe_phase phase, int64_t classes)
{
    if (!recipe->texts)
        return zoo_build(recipe->net,
                         &(struct zoo_options){.head = recipe->head, .classes = classes});
    const struct recipe_texts *texts = recipe->texts;
    struct awd_lstm_options network =
        text_options_network(texts->options, phase, texts->vocabulary, texts->classes);
    return awd_lstm_build(&network);
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
