#include "engine/train/trainer.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/op/xent.h"
#include "engine/train/events.h"
#include "engine/train/optim.h"
#include "engine/train/run.h"
#include "engine/train/snapshot.h"
#include "engine/train/stage.h"

#define RESUME_INTERVAL 120.0 /* seconds; at each epoch's end anyway */

struct trainer {
    const struct trainer_options *options;
    int threads;
    struct run run;
    struct events events;
    struct position at;
    struct optim optim;
    struct stage stage;    /* owned: the present one's plans and loaders */
    double resume_written; /* when */
    double epoch_began;
    bool want_checkpoint, want_pause, want_cancel;
    bool paused;
};

/* --- before the first step --- */

/* Makes every stage's plans once, in order, before the first step: what does not fit memory is
 * known at once, the plans' digest names how this run computes, and parameters take the layouts
 * that the first stage wants, in a resumed run as in an uninterrupted one. */
static enum status try_plans(struct trainer *t, char hex[SHA256_HEX], struct err *err)
{
    struct sha256 *digest = sha256_new();
    enum status status = OK;
    for (int i = 0; status == OK && i < t->run.recipe.n_stages; i++) {
        status = stage_open_plans(&t->stage, &t->run, i, err);
        if (status == OK) {
            plan_hash(t->stage.train_plan, hex);
            sha256_update(digest, hex, strlen(hex));
        }
        stage_close(&t->stage);
    }
    uint8_t bytes[SHA256_BYTES];
    sha256_finish(digest, bytes);
    digest_hex(bytes, sizeof bytes, hex);
    sha256_free(digest);
    return status;
}

/* --- requests and checkpoints ----------------------------------------------------------------- */

static void take_requests(struct trainer *t)
{
    enum trainer_request request = t->events.hooks->poll(t->events.hooks->context);
    t->want_checkpoint |= request == TRAINER_CHECKPOINT;
    t->want_pause |= request == TRAINER_PAUSE;
    t->want_cancel |= request == TRAINER_CANCEL;
}

static enum status cancelled(struct err *err)
{
    return err_set(err, E_CANCELLED, "The training run was told to stop.");
}

static enum status write_slot(struct trainer *t, const char *slot, char hex[SHA256_HEX],
                              struct err *err)
{
    enum status status =
        snapshot_write(t->options->folder, slot, t->run.graph, &t->run.info, hex, err);
    if (status == OK)
        events_checkpoint(&t->events, slot, &t->at);
    return status;
}

static enum status write_resume(struct trainer *t, struct err *err)
{
    const char *slot;
    t->at.optim_steps = t->optim.steps;
    enum status status = snapshot_write_resume(t->options->folder, t->run.graph, &t->run.info,
                                               &t->at, t->run.sha256, &slot, err);
    t->resume_written = clock_seconds();
    t->want_checkpoint = false;
    if (status == OK)
        events_checkpoint(&t->events, slot, &t->at);
    return status;
}

/* Between two steps: does what was asked for, and writes a resume file when one is due. */
static enum status answer(struct trainer *t, struct err *err)
{
    take_requests(t);
    if (t->want_cancel)
        return cancelled(err);
    bool due = clock_seconds() - t->resume_written > RESUME_INTERVAL;
    enum status status = OK;
    if (t->want_checkpoint || t->want_pause || due)
        status = write_resume(t, err);
    if (status == OK && t->want_pause) {
        t->paused = true;
        events_paused(&t->events);
    }
    return status;
}

/* --- one step, one epoch, one stage ----------------------------------------------------------- */

/* `step` counts from 1. */
static enum status loss_is_nan(const struct trainer *t, const char *which, int64_t step,
                               struct err *err)
{
    const struct recipe_stage *stage = &t->run.recipe.stages[t->at.stage];
    err_set(err, E_INVALID,
            "The %s became infinite or no number in stage \"%s\" at step %lld of %lld.", which,
            stage->name, (long long)step, (long long)stage->schedule.steps);
    err_name(err, "loss_is_nan",
             t->at.total_steps == 0
                 ? "Nothing was trained yet: the starting weights overflow, use others."
                 : "Lower the learning rate (base_lr or the stage's lr), or clip gradients with "
                   "optimizer.clip.");
    return E_INVALID;
}

static void load_rows(struct plan *plan, const struct batch *batch, int64_t size)
{
    size_t row = (size_t)(size * size * 3);
    memcpy(plan_input(plan), batch->images, (size_t)batch->count * row * sizeof(float));
}

static enum status train_step(struct trainer *t, const struct recipe_stage *stage, struct err *err)
{
    double began = clock_seconds();
    struct batch batch;
    enum status status = loader_next(t->stage.train, &batch, err);
    if (status != OK)
        return status;
    if (batch.count != stage->batch)
        return err_set(err, E_INTERNAL, "The loader gave %d items, not %lld.", batch.count,
                       (long long)stage->batch);
    load_rows(t->stage.train_plan, &batch, stage->size);
    plan_forward(t->stage.train_plan, t->run.recipe.seed, (uint64_t)t->at.total_steps);
    double loss = xent_loss(plan_output(t->stage.train_plan), batch.labels, batch.count,
                            t->run.classes, plan_output_gradient(t->stage.train_plan), NULL);
    if (!isfinite(loss))
        return loss_is_nan(t, "training loss", t->at.step + 1, err);
    plan_backward(t->stage.train_plan);
    double rates[ZOO_MAX_GROUPS];
    recipe_rates(stage, t->run.graph->n_groups, t->at.step, rates);
    optim_step(&t->optim, t->run.graph, rates, schedule_momentum(&stage->schedule, t->at.step));
    smooth_loss_add(&t->at.loss, loss);
    t->at.step++;
    t->at.total_steps++;
    events_step(&t->events, &t->at, clock_seconds() - began);
    return OK;
}

static enum status validate(struct trainer *t, const struct recipe_stage *stage,
                            struct evaluation *evaluation, struct err *err)
{
    *evaluation = (struct evaluation){0};
    if (!t->stage.valid)
        return OK;
    double began = clock_seconds();
    struct batch batch;
    enum status status;
    plan_refresh(t->stage.valid_plan);
    loader_begin(t->stage.valid, 0, 0, 0);
    while ((status = loader_next(t->stage.valid, &batch, err)) == OK && batch.count > 0) {
        load_rows(t->stage.valid_plan, &batch, stage->size);
        plan_forward(t->stage.valid_plan, 0, 0);
        evaluation_add(evaluation, plan_output(t->stage.valid_plan), batch.labels, batch.count,
                       t->run.classes);
        take_requests(t);
        if (t->want_cancel)
            return cancelled(err);
    }
    events_validated(&t->events, clock_seconds() - began);
    return status;
}

static enum status note_best(struct trainer *t, struct err *err)
{
    const char *monitor = t->run.recipe.monitor;
    if (!scores_is_better(monitor, scores_get(&t->at.latest, monitor),
                          scores_get(&t->at.best, monitor)))
        return OK;
    t->at.best = t->at.latest;
    return write_slot(t, "best", NULL, err);
}

static enum status end_stage(struct trainer *t, struct err *err)
{
    char slot[32];
    snprintf(slot, sizeof slot, "stage-%lld", (long long)t->at.stage + 1);
    return write_slot(t, slot, NULL, err);
}

/* Lets the loader decode ahead from where the run stands. */
static void begin_loading(struct trainer *t, const struct recipe_stage *stage)
{
    if (t->at.step < stage->schedule.steps)
        loader_begin(t->stage.train, (uint32_t)t->at.stage,
                     (uint32_t)(t->at.step / stage->steps_per_epoch),
                     t->at.step % stage->steps_per_epoch);
}

static enum status end_epoch(struct trainer *t, const struct recipe_stage *stage, struct err *err)
{
    begin_loading(t, stage); /* the next epoch's first batches, while this one is validated */
    struct evaluation evaluation;
    enum status status = validate(t, stage, &evaluation, err);
    if (status != OK)
        return status;
    t->at.latest = scores_from(&t->at.loss, &evaluation);
    if (t->stage.valid && !isfinite(t->at.latest.valid_loss))
        return loss_is_nan(t, "validation loss", t->at.step, err);
    events_epoch(&t->events, &t->at, clock_seconds() - t->epoch_began);
    status = note_best(t, err);
    if (status == OK && t->at.step == stage->schedule.steps)
        status = end_stage(t, err);
    if (status == OK)
        status = write_resume(t, err);
    return status;
}

static enum status run_epoch(struct trainer *t, const struct recipe_stage *stage, struct err *err)
{
    int64_t epoch = t->at.step / stage->steps_per_epoch;
    int64_t end = (epoch + 1) * stage->steps_per_epoch;
    enum status status = OK;
    t->epoch_began = clock_seconds();
    while (status == OK && !t->paused && t->at.step < end) {
        status = train_step(t, stage, err);
        if (status == OK && t->at.step == end)
            status = end_epoch(t, stage, err);
        if (status == OK)
            status = answer(t, err);
    }
    return status;
}

static enum status run_stage(struct trainer *t, struct err *err)
{
    const struct recipe_stage *stage = &t->run.recipe.stages[t->at.stage];
    if (t->at.step == stage->schedule.steps)
        return OK; /* resumed from the file that its last epoch wrote */
    t->run.info.image_size = (int)stage->size;
    enum status status = stage_open_plans(&t->stage, &t->run, t->at.stage, err);
    if (status == OK)
        status = stage_open_loaders(&t->stage, &t->run, t->at.stage, t->threads, err);
    if (status == OK && t->at.step == 0) {
        optim_reset(&t->optim, t->run.graph);
        t->at.loss = (struct smooth_loss){0};
    }
    if (status == OK) {
        events_stage(&t->events, t->at.stage);
        begin_loading(t, stage);
    }
    while (status == OK && !t->paused && t->at.step < stage->schedule.steps)
        status = run_epoch(t, stage, err);
    stage_close(&t->stage);
    return status;
}

/* --- the whole run ---------------------------------------------------------------------------- */

/* Sums of floats depend on their order, which threads and kernels decide. */
static void warn_if_computed_differently(struct trainer *t, const char *plans)
{
    if (t->at.threads != t->threads || strcmp(t->at.plans, plans) != 0)
        events_warning(&t->events, "computed_differently",
                       "The run goes on with other threads or kernels than it began with: its "
                       "weights will differ in the last bits from an uninterrupted run's.");
}

/* Takes up the newest resume file, if there is one. */
static enum status resume(struct trainer *t, const char *plans, struct err *err)
{
    char warning[SNAPSHOT_WARNING];
    bool found;
    enum status status = snapshot_resume(t->options->folder, t->run.sha256, t->run.graph, &t->at,
                                         &found, warning, err);
    if (status != OK)
        return status;
    if (warning[0] != '\0')
        events_warning(&t->events, "checkpoint_passed_over", warning);
    if (!found)
        return OK;
    if (t->at.stage >= t->run.recipe.n_stages ||
        t->at.step > t->run.recipe.stages[t->at.stage].schedule.steps)
        return err_set(err, E_INVALID, "The resume file stands at a step that the job lacks.");
    t->optim.steps = t->at.optim_steps;
    warn_if_computed_differently(t, plans);
    events_log(&t->events, "Going on from stage %lld, step %lld.", (long long)t->at.stage + 1,
               (long long)t->at.step);
    return OK;
}

/* The final model: the best epoch's where the spec asks for it, else what the last step left. */
static enum status finish(struct trainer *t, struct err *err)
{
    bool best = t->run.recipe.save_best && !isnan(scores_get(&t->at.best, t->run.recipe.monitor));
    const struct scores *scores = best ? &t->at.best : &t->at.latest;
    char hex[SHA256_HEX];
    enum status status = OK;
    if (best)
        status = snapshot_load(t->options->folder, "best", t->run.graph, err);
    if (status == OK)
        status = write_slot(t, "final", hex, err);
    if (status == OK)
        events_result(&t->events, hex, scores);
    return status;
}

static enum status run_stages(struct trainer *t, struct err *err)
{
    enum status status = OK;
    while (status == OK && !t->paused) {
        status = run_stage(t, err);
        if (status != OK || t->paused || t->at.stage + 1 == t->run.recipe.n_stages)
            break;
        t->at.stage++;
        t->at.step = 0;
    }
    return status == OK && !t->paused ? finish(t, err) : status;
}

enum status trainer_run(const struct trainer_options *options, const struct trainer_hooks *hooks,
                        struct err *err)
{
    struct trainer t = {.options = options, .at = position_start()};
    char plans[SHA256_HEX];
    t.threads = options->threads > 0 ? options->threads : omp_get_num_procs();
    omp_set_num_threads(t.threads);
    enum status status = run_open(options, &t.run, err);
    if (status != OK)
        return status;
    t.events = (struct events){.hooks = hooks,
                               .recipe = &t.run.recipe,
                               .graph = t.run.graph,
                               .n_valid = t.run.split.n_valid};
    optim_init(&t.optim, &t.run.recipe.optim);
    status = try_plans(&t, plans, err);
    if (status == OK) {
        hooks->started(hooks->context, t.threads, plans);
        t.resume_written = clock_seconds();
        status = resume(&t, plans, err);
        t.at.threads = t.threads;
        memcpy(t.at.plans, plans, sizeof t.at.plans);
    }
    if (status == OK)
        status = run_stages(&t, err);
    run_close(&t.run);
    return status;
}
