/* epoch.c -- see epoch.h. */
#include "engine/train/epoch.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "engine/train/step.h"

/* `step` counts from 1. */
static enum status loss_is_nan(const struct training *t, const char *which, int64_t step,
                               struct err *err)
{
    const struct recipe_stage *stage = training_stage(t);
    err_set(err, E_INVALID, "%s became infinite or no number in stage \"%s\" at step %lld of %lld.",
            which, stage->name, (long long)step, (long long)stage->schedule.steps);
    err_name(err, "loss_is_nan",
             t->at.total_steps == 0
                 ? "Nothing was trained yet: the starting weights overflow, use others."
                 : "Lower the learning rate (base_lr or the stage's lr), or clip gradients with "
                   "optimizer.clip.");
    return E_INVALID;
}

static enum status train_step(struct training *t, struct err *err)
{
    const struct recipe *recipe = &t->run.recipe;
    const struct recipe_stage *stage = training_stage(t);
    double began = clock_seconds(), loss, rates[ZOO_MAX_GROUPS];
    enum status status =
        stage_gradients(&t->stage, &t->run, t->at.stage, t->at.total_steps, &loss, err);
    if (status != OK)
        return status;
    if (!isfinite(loss))
        return loss_is_nan(t, "The training loss", t->at.step + 1, err);
    recipe_rates(stage, t->run.graph->n_groups, t->at.step, rates);
    callbacks_rates(recipe, &t->at.callbacks, t->run.graph->n_groups, rates);
    struct step_update update = {
        .rates = rates,
        .momentum = schedule_momentum(&stage->schedule, t->at.step),
        .items = stage->batch,
        .accumulate = recipe->accumulate,
        .last = (t->at.step + 1) % stage->steps_per_epoch == 0,
    };
    status = step_update(&t->optim, t->run.graph, &update, &t->at.accumulated, err);
    smooth_loss_add(&t->at.loss, loss);
    t->at.step++;
    t->at.total_steps++;
    double seconds = clock_seconds() - began;
    stage_record_step(&t->at.stages[t->at.stage], t->stage.tokens, seconds);
    stage_record_step(&t->epoch, t->stage.tokens, seconds);
    events_step(&t->events, &t->at, t->stage.tokens, seconds);
    return status;
}

static bool not_cancelled(void *context)
{
    struct training *t = context;
    training_poll(t);
    return !t->want_cancel;
}

static enum status validate_epoch(struct training *t, struct err *err)
{
    struct evaluation evaluation = {0};
    if (t->stage.validates) {
        double began = clock_seconds();
        struct stage_asked asked = {not_cancelled, t};
        enum status status = stage_validate(&t->stage, &t->run, &asked, &evaluation, err);
        if (status != OK)
            return status;
        events_validated(&t->events, t->at.stage, clock_seconds() - began);
    }
    t->at.latest = scores_from(&t->at.loss, &evaluation);
    if (t->stage.validates && !isfinite(t->at.latest.valid_loss))
        return loss_is_nan(t, "The validation loss", t->at.step, err);
    const struct param *wrong = graph_find_not_finite(t->run.graph);
    if (!wrong)
        return OK;
    char name[sizeof wrong->name + 16];
    snprintf(name, sizeof name, "The weight %s", wrong->name);
    return loss_is_nan(t, name, t->at.step, err);
}

void epoch_begin_loading(struct training *t)
{
    const struct recipe_stage *stage = training_stage(t);
    if (t->at.step < stage->schedule.steps)
        stage_begin(&t->stage, (uint32_t)t->at.stage,
                    (uint32_t)(t->at.step / stage->steps_per_epoch),
                    t->at.step % stage->steps_per_epoch);
}

static enum status follow(struct training *t, const struct verdict *verdict, struct err *err)
{
    if (verdict->reduced)
        events_log(&t->events,
                   "No better %s for %lld epoch(s): the rates are %.3g times the "
                   "schedule's from here on.",
                   t->run.recipe.plateau.monitor, (long long)t->run.recipe.plateau.patience,
                   t->at.callbacks.rate_factor);
    if (verdict->stop) {
        events_log(&t->events, "No better %s for %lld epoch(s): stage \"%s\" ends early.",
                   t->run.recipe.early_stop.monitor, (long long)t->run.recipe.early_stop.patience,
                   training_stage(t)->name);
        t->at.stage_ended = 1;
    }
    return verdict->best ? training_keep_best(t, err) : OK;
}

static enum status end_epoch(struct training *t, struct err *err)
{
    const struct recipe_stage *stage = training_stage(t);
    if (!t->out_of_time)
        epoch_begin_loading(t); /* the next epoch's first batches, while this one is validated */
    enum status status = validate_epoch(t, err);
    if (status != OK)
        return status;
    t->at.stages[t->at.stage].scores = t->at.latest;
    events_epoch(&t->events, &t->at, clock_seconds() - t->epoch_began,
                 (double)t->epoch.tokens / t->epoch.seconds);
    struct verdict verdict =
        callbacks_epoch(&t->run.recipe, &t->at.latest, &t->at.best, &t->at.callbacks);
    if (t->at.step == stage->schedule.steps || t->out_of_time)
        t->at.stage_ended = 1;
    status = follow(t, &verdict, err);
    if (status == OK && !t->at.stage_ended)
        status = training_checkpoint(t, true, err);
    return status;
}

enum status epoch_run(struct training *t, struct err *err)
{
    const struct recipe_stage *stage = training_stage(t);
    int64_t end = (t->at.step / stage->steps_per_epoch + 1) * stage->steps_per_epoch;
    enum status status = OK;
    t->epoch_began = clock_seconds();
    t->epoch = stage_record_start();
    while (status == OK && !t->paused && t->at.step < end && !t->at.stage_ended) {
        status = train_step(t, err);
        training_watch_clock(t);
        if (status == OK && (t->at.step == end || t->out_of_time))
            status = end_epoch(t, err);
        if (status == OK && !t->at.stage_ended)
            status = training_answer(t, err);
    }
    return status;
}
