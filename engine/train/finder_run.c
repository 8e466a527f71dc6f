/* finder_run.c -- see finder_run.h. */
#include "engine/train/finder_run.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json_file.h"
#include "engine/train/step.h"

#define STAGE_OF_SWEEP 0x10000            /* loaders' number of a stage: its own behind this */
#define DRAWS_OF_SWEEP ((int64_t)1 << 40) /* behind all steps of training */
#define MOMENTUM       .9                 /* fastai's optimisers' own: a sweep has no schedule */
#define PASSES_WARNED  10                 /* over the same data within a sweep */

/* One batch at the sweep's next rate. False: the sweep is over. */
static enum status sweep_step(struct training *t, struct finder *finder, bool *more,
                              struct err *err)
{
    const struct recipe_stage *stage = training_stage(t);
    double rates[ZOO_MAX_GROUPS], loss;
    int64_t in_epoch = finder->n % stage->steps_per_epoch, summed = 0;
    if (in_epoch == 0)
        stage_begin(&t->stage, (uint32_t)(STAGE_OF_SWEEP + t->at.stage),
                    (uint32_t)(finder->n / stage->steps_per_epoch), 0);
    for (int i = 0; i < t->run.graph->n_groups; i++)
        rates[i] = finder_rate(finder);
    enum status status =
        stage_gradients(&t->stage, &t->run, t->at.stage, DRAWS_OF_SWEEP + finder->n, &loss, err);
    if (status != OK)
        return status;
    *more = finder_add(finder, loss);
    struct step_update update = {rates, MOMENTUM, stage->batch, 0, false};
    return *more ? step_update(&t->optim, t->run.graph, &update, &summed, err) : OK;
}

static enum status sweep(struct training *t, bool tell, struct finder *finder, struct err *err)
{
    enum status status = OK;
    bool more = true;
    while (status == OK && more && !t->want_pause) {
        double began = clock_seconds();
        status = sweep_step(t, finder, &more, err);
        if (status == OK && tell && finder->n > 0)
            events_sweep_step(&t->events, t->at.stage, finder, clock_seconds() - began);
        training_poll(t);
        if (status == OK && t->want_cancel)
            status = training_cancelled(err);
    }
    return status;
}

static enum status write_curve(struct training *t, const struct finder *finder, struct err *err)
{
    struct json *json = finder_json(finder);
    json_set_string(json, "stage", training_stage(t)->name);
    enum status status = json_write_file(json, t->options->folder, FINDER_FILE, err);
    json_free(json);
    if (status == OK)
        events_artifact(&t->events, FINDER_FILE);
    return status;
}

static void warn_few_batches(struct training *t, const struct finder *finder)
{
    long long batches = training_stage(t)->steps_per_epoch;
    if (finder->n < PASSES_WARNED * batches)
        return;
    char detail[256];
    snprintf(detail, sizeof detail,
             "The rate finder went over the stage's %lld batch%s %lld times: its curve also shows "
             "the network learning these few items by heart. Take its rates as upper bounds, or "
             "find them on more data or with a smaller batch_size.",
             batches, batches == 1 ? "" : "es", (long long)finder->n / batches);
    events_warning(&t->events, "lr_find_few_batches", detail);
}

enum status finder_run(struct training *t, bool tell, struct finder_suggestions *suggested,
                       struct err *err)
{
    const struct recipe *recipe = &t->run.recipe;
    struct finder_options options = {recipe->lr_find.start, recipe->lr_find.end,
                                     recipe->lr_find.steps};
    struct shadow saved = {0};
    struct finder finder;
    finder_init(&finder, &options);
    optim_reset(&t->optim, t->run.graph);
    enum status status = shadow_take(&saved, t->run.graph, err);
    if (status == OK) {
        status = sweep(t, tell, &finder, err);
        shadow_restore(&saved, t->run.graph);
    }
    optim_reset(&t->optim, t->run.graph);
    if (status == OK && !t->want_pause)
        status = write_curve(t, &finder, err);
    if (status == OK && !t->want_pause)
        warn_few_batches(t, &finder);
    *suggested = finder_suggest(&finder);
    finder_deinit(&finder);
    shadow_deinit(&saved);
    return status;
}

static enum status no_rate(const struct training *t, struct err *err)
{
    char pointer[40];
    snprintf(pointer, sizeof pointer, "/stages/%lld/lr", (long long)t->at.stage);
    err_at(err, E_INVALID, pointer,
           "The rate finder found no learning rate for stage \"%s\": from %g on the loss grew to "
           "four times its best, or was no number, within a few steps.",
           training_stage(t)->name, t->run.recipe.lr_find.start);
    err_name(err, "lr_find_failed",
             "Give the stage a number as \"lr\", or start lower with lr_find.start.");
    return E_INVALID;
}

enum status finder_choose_rate(struct training *t, struct err *err)
{
    struct recipe_stage *stage = &t->run.recipe.stages[t->at.stage];
    if (!stage->lr_auto)
        return OK;
    if (t->at.found_rate <= 0) {
        struct finder_suggestions suggested;
        enum status status = finder_run(t, false, &suggested, err);
        if (status != OK || t->want_pause)
            return status;
        if (!(suggested.valley > 0))
            return no_rate(t, err);
        t->at.found_rate = suggested.valley;
        events_log(&t->events,
                   "The rate finder suggests %.3g for stage \"%s\" (valley; steep %.3g, minimum "
                   "%.3g, slide %.3g).",
                   suggested.valley, stage->name, suggested.steep, suggested.minimum,
                   suggested.slide);
    }
    recipe_set_rate(stage, t->run.graph->n_groups, t->at.found_rate);
    return OK;
}
