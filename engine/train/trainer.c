/* trainer.c -- see trainer.h: the loop. What is shared by its parts is training.h. */
#include "engine/train/trainer.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/train/epoch.h"
#include "engine/train/finder_run.h"
#include "engine/train/finish.h"
#include "engine/train/outline.h"
#include "engine/train/report_run.h"
#include "engine/train/text_run.h"
#include "engine/train/training.h"

/* --- before the first step --- */

/* Another phase's network for a moment; the first one's is kept. */
static void look_at_phase(struct training *t, struct graph *first, enum recipe_phase firsts,
                          enum recipe_phase phase)
{
    struct graph *before = NULL;
    if (phase == t->run.phase)
        return;
    run_build(&t->run, phase, &before);
    if (before != first)
        graph_free(before);
    if (phase != firsts)
        return;
    graph_free(t->run.graph);
    t->run.graph = first;
}

/* Makes every stage's plans once, in order, before the first step: what does not fit memory is
 * known at once, the plans' digest names how this run computes, and parameters take the layouts
 * that the first stage wants, in a resumed run as in an uninterrupted one. */
static enum status try_plans(struct training *t, struct err *err)
{
    enum status status = OK;
    struct graph *first = t->run.graph;
    enum recipe_phase phase = t->run.phase;
    for (int i = 0; status == OK && i < t->run.recipe.n_stages; i++) {
        look_at_phase(t, first, phase, t->run.recipe.stages[i].phase);
        status = stage_open_plans(&t->stage, &t->run, i, t->run.recipe.stages[i].cached, err);
        if (status == OK) {
            char hex[SHA256_HEX], text[2 * SHA256_HEX];
            uint8_t bytes[SHA256_BYTES];
            stage_hash(&t->stage, hex);
            snprintf(text, sizeof text, "%s%s", i ? t->plans[i - 1] : "", hex);
            sha256_bytes(text, strlen(text), bytes);
            digest_hex(bytes, sizeof bytes, t->plans[i]);
        }
        stage_close(&t->stage);
    }
    look_at_phase(t, first, phase, phase);
    return status;
}

/* --- phases: the network changes within a run ------------------------------------------------- */

/* Plans of all the phase's stages, once, in order: as try_plans made them. */
static enum status plan_phase(struct training *t, struct err *err)
{
    enum status status = OK;
    for (int i = 0; status == OK && i < t->run.recipe.n_stages; i++) {
        if (t->run.recipe.stages[i].phase != t->run.phase)
            continue;
        status = stage_open_plans(&t->stage, &t->run, i, false, err);
        stage_close(&t->stage);
    }
    t->events.graph = t->run.graph;
    return status;
}

/* The present stage's network in the place of the one before. A classifier takes up the language
 * model's encoder; a stage that starts afresh takes the starting weights (begin_stage). */
static enum status change_phase(struct training *t, struct err *err)
{
    const struct recipe_stage *stage = training_stage(t);
    struct graph *before = NULL;
    if (stage->phase == t->run.phase)
        return OK;
    run_build(&t->run, stage->phase, &before);
    enum status status = plan_phase(t, err);
    if (status == OK && !stage->fresh)
        run_carry(&t->run, before);
    graph_free(before);
    shadow_deinit(&t->best);
    return status;
}

/* For a resume file of a stage: its network. */
static enum status find_graph(void *context, int64_t stage, struct graph **graph, struct err *err)
{
    struct training *t = context;
    enum status status = OK;
    if (t->run.recipe.stages[stage].phase != t->run.phase) {
        run_build(&t->run, t->run.recipe.stages[stage].phase, NULL);
        status = plan_phase(t, err);
    }
    *graph = t->run.graph;
    return status;
}

/* --- one stage -------------------------------------------------------------------------------- */

static bool fill_goes_on(void *context, int64_t done, int64_t all)
{
    struct training *t = context;
    events_pass(&t->events, "features", done, all);
    training_poll(t);
    return !t->want_cancel && !t->want_pause;
}

/* Whether two stages validate on the same items: only then can their scores be compared. */
static bool validate_alike(const struct recipe_stage *a, const struct recipe_stage *b)
{
    return !b->fresh && a->n_valid == b->n_valid && a->phase == b->phase;
}

/* Nothing of the stage was trained yet. */
static enum status begin_stage(struct training *t, struct err *err)
{
    const struct recipe_stage *stage = training_stage(t);
    bool alike = t->at.stage > 0 && validate_alike(stage - 1, stage);
    t->at.stage_before = alike ? t->at.latest : scores_unknown();
    if (!alike) {
        t->at.best = scores_unknown();
        t->best_waits = false;
    }
    t->at.callbacks = callbacks_start();
    t->at.loss = (struct smooth_loss){0};
    t->at.accumulated = 0;
    if (stage->fresh && t->at.total_steps > 0) {
        enum status status = run_restart(&t->run, err);
        if (status != OK)
            return status;
    }
    optim_reset(&t->optim, t->run.graph);
    return OK;
}

static enum status open_stage(struct training *t, struct err *err)
{
    const struct recipe_stage *stage = training_stage(t);
    char warning[FEATURE_CACHE_WARNING] = "";
    struct stage_options options = {.threads = t->loader_threads,
                                    .folder = t->options->folder,
                                    .go_on = fill_goes_on,
                                    .context = t,
                                    .warning = warning};
    enum status status = change_phase(t, err);
    if (status != OK)
        return status;
    if (!t->run.text)
        t->run.info.image_size = (int)stage->size;
    status = stage_open_plans(&t->stage, &t->run, t->at.stage, stage->cached, err);
    if (status == OK && t->at.step == 0)
        status = begin_stage(t, err);
    if (status == OK && t->stage.why_not)
        events_log(&t->events, "Stage \"%s\" trains without cached features: %s.", stage->name,
                   t->stage.why_not);
    if (status == OK)
        status = stage_open_data(&t->stage, &t->run, t->at.stage, &options, err);
    if (warning[0] != '\0')
        events_warning(&t->events, "feature_cache", warning);
    return status;
}

/* The pause was asked for before the stage's first step. */
static enum status pause_before_stage(struct training *t, struct err *err)
{
    enum status status = training_write_resume(t, err);
    t->paused = status == OK;
    if (t->paused)
        events_paused(&t->events, false);
    return status;
}

/* What the run does, for who looks at it later: again when a rate was found. */
static enum status tell_outline(struct training *t, struct err *err)
{
    enum status status = outline_write(t->options->folder, &t->run.recipe, t->run.graph, err);
    if (status == OK)
        events_artifact(&t->events, OUTLINE_FILE);
    return status;
}

static enum status ready_stage(struct training *t, struct err *err)
{
    bool found = t->at.found_rate > 0;
    enum status status = open_stage(t, err);
    if (status == E_CANCELLED && t->want_pause && !t->want_cancel)
        return pause_before_stage(t, err);
    if (status != OK)
        return status;
    events_stage(&t->events, t->at.stage, t->stage.cache);
    status = finder_choose_rate(t, err);
    if (status == OK && t->want_pause)
        return pause_before_stage(t, err);
    if (status == OK && t->at.found_rate > 0)
        status = tell_outline(t, err);
    if (status == OK && !found && t->at.found_rate > 0)
        status = training_write_resume(t, err); /* it is never looked for again */
    return status;
}

static void tell_end(struct training *t)
{
    const struct recipe_stage *stage = training_stage(t);
    const char *monitor = t->run.recipe.monitor;
    double before = scores_get(&t->at.stage_before, monitor),
           now = scores_get(&t->at.latest, monitor);
    char detail[400];
    if (t->stage.cache) {
        int64_t epochs = (t->at.step + stage->steps_per_epoch - 1) / stage->steps_per_epoch;
        events_log(&t->events, "Cached features saved stage \"%s\" about %.1f seconds.",
                   stage->name, feature_cache_saved(t->stage.cache, epochs));
    }
    if (!isnan(before) && scores_is_better(monitor, before, now)) {
        snprintf(detail, sizeof detail,
                 "Stage \"%s\" ended worse than the one before it: validation loss %.4g after "
                 "%.4g, accuracy %.4g after %.4g.",
                 stage->name, t->at.latest.valid_loss, t->at.stage_before.valid_loss,
                 t->at.latest.accuracy, t->at.stage_before.accuracy);
        events_warning(&t->events, "stage_ended_worse", detail);
    }
    if (t->out_of_time) {
        snprintf(detail, sizeof detail,
                 "max_seconds (%g) have passed in stage \"%s\" at step %lld of %lld: training "
                 "ends here.",
                 t->run.recipe.max_seconds, stage->name, (long long)t->at.step,
                 (long long)stage->schedule.steps);
        events_warning(&t->events, "time_limit", detail);
    }
}

static enum status end_stage(struct training *t, struct err *err)
{
    char slot[32];
    snprintf(slot, sizeof slot, "stage-%lld", (long long)t->at.stage + 1);
    tell_end(t);
    training_poll(t);
    enum status status = training_write_slot(t, slot, NULL, err);
    return status == OK ? training_write_resume(t, err) : status;
}

static enum status run_stage(struct training *t, struct err *err)
{
    if (t->at.stage_ended)
        return OK; /* resumed from the file that its end wrote */
    enum status status = ready_stage(t, err);
    if (status == OK && !t->paused) {
        epoch_begin_loading(t);
        if (t->at.step > 0 && t->carried.n == stage_carried_floats(&t->stage))
            stage_write_carried(&t->stage, t->carried.floats);
    }
    while (status == OK && !t->paused && !t->at.stage_ended)
        status = epoch_run(t, err);
    if (status == OK && !t->paused)
        status = end_stage(t, err);
    stage_close(&t->stage);
    return status;
}

/* The pause that a stage's "then" wishes for, once. */
static enum status rest(struct training *t, struct err *err)
{
    t->at.rested = 1;
    enum status status = training_write_resume(t, err);
    t->paused = status == OK;
    if (t->paused)
        events_paused(&t->events, true);
    return status;
}

/* What follows a stage that has ended, up to the next one's beginning. Its resume file is on disk.
 */
static enum status leave_stage(struct training *t, struct err *err)
{
    bool last = t->at.stage + 1 == t->run.recipe.n_stages;
    if (t->want_cancel)
        return training_cancelled(err);
    if (t->want_pause) {
        t->paused = true;
        events_paused(&t->events, false);
        return OK;
    }
    if (!last && training_stage(t)->pause_after && !t->at.rested && !t->out_of_time)
        return rest(t, err);
    return t->out_of_time ? OK : finish_stage(t, err);
}

/* --- the whole run ---------------------------------------------------------------------------- */

/* Sums of floats depend on their order, which threads and kernels decide. */
static void warn_if_computed_differently(struct training *t)
{
    if (t->at.threads != t->threads || strcmp(t->at.plans, t->plans[t->at.stage]) != 0)
        events_warning(&t->events, "computed_differently",
                       "The run goes on with other threads or kernels than it began with: its "
                       "weights will differ in the last bits from an uninterrupted run's.");
}

/* Takes up the newest resume file, if there is one. */
/* No resume file could be used, but one of another phase may have been tried. */
static enum status begin_anew(struct training *t, struct err *err)
{
    enum recipe_phase first = t->run.recipe.stages[0].phase;
    if (t->run.phase == first)
        return OK;
    run_build(&t->run, first, NULL);
    enum status status = plan_phase(t, err);
    return status == OK ? run_restart(&t->run, err) : status;
}

static enum status resume(struct training *t, bool *found, struct err *err)
{
    char warning[SNAPSHOT_WARNING];
    struct snapshot_run run = training_snapshot_run(t);
    run.find_graph = t->run.text ? find_graph : NULL;
    run.context = t;
    enum status status =
        snapshot_resume(t->options->folder, &run, t->run.graph, &t->at, found, warning, err);
    if (status != OK)
        return status;
    if (warning[0] != '\0')
        events_warning(&t->events, "checkpoint_passed_over", warning);
    if (!*found)
        return begin_anew(t, err);
    if (t->at.step > training_stage(t)->schedule.steps)
        return err_set(err, E_INVALID, "The resume file stands at a step that the job lacks.");
    t->optim.steps = t->at.optim_steps;
    t->seconds_before = t->at.seconds;
    warn_if_computed_differently(t);
    events_log(&t->events, "Going on from stage %lld, step %lld.", (long long)t->at.stage + 1,
               (long long)t->at.step);
    return OK;
}

static enum status run_stages(struct training *t, struct err *err)
{
    enum status status = OK;
    training_watch_clock(t); /* a resumed run may have no time left */
    for (;;) {
        status = run_stage(t, err);
        if (status == OK && !t->paused)
            status = leave_stage(t, err);
        if (status != OK || t->paused)
            return status;
        if (t->at.stage + 1 == t->run.recipe.n_stages || t->out_of_time)
            return finish_run(t, err);
        t->at.stage++;
        t->at.step = t->at.stage_ended = t->at.rested = 0;
        t->at.found_rate = 0;
    }
}

/* Task lr_find: the sweep over the first stage is all there is. */
static enum status run_sweep(struct training *t, struct err *err)
{
    struct finder_suggestions suggested;
    enum status status = open_stage(t, err);
    if (status == OK) {
        events_stage(&t->events, 0, t->stage.cache);
        status = finder_run(t, true, &suggested, err);
    }
    stage_close(&t->stage);
    if (t->want_pause && !t->want_cancel && (status == OK || status == E_CANCELLED)) {
        t->paused = true; /* it is short: the next start begins anew */
        events_paused(&t->events, false);
        return OK;
    }
    if (status == OK && isnan(suggested.valley))
        events_warning(&t->events, "lr_find_short",
                       "The loss grew to four times its best within a few steps: there is no rate "
                       "to suggest. Start lower, with lr_find.start.");
    if (status == OK)
        events_result(&t->events, NULL, &t->at.latest, NULL);
    return status;
}

static void tell_vocabulary(struct training *t)
{
    const struct text_run *text = t->run.text;
    uint32_t n = vocab_n_words(text->vocab);
    if (!text->starts)
        events_log(&t->events, "The vocabulary has %u words.", n);
    else if (!text->rows)
        events_log(&t->events,
                   "The vocabulary is the model's, %u words. It knows %.1f %% of the texts' words.",
                   n, 100 * text->known);
    else
        events_log(&t->events,
                   "The vocabulary has %u words: %u keep the rows that they have in the model, %u "
                   "begin as the mean row. The model knows %.1f %% of the texts' words.",
                   n, text->n_known, n - text->n_known, 100 * text->known);
}

/* What is told once, when the run does not go on from a file. */
static void tell_before(struct training *t)
{
    if (t->run.text)
        tell_vocabulary(t);
    struct warnings warnings;
    report_run_warnings(&t->run, &warnings);
    for (int i = 0; i < warnings.n; i++)
        events_warning(&t->events, warnings.list[i].code, warnings.list[i].detail);
}

static enum status start(struct training *t, struct err *err)
{
    bool found;
    t->events.hooks->started(t->events.hooks->context, t->threads,
                             t->plans[t->run.recipe.n_stages - 1]);
    t->began = t->written = clock_seconds();
    enum status status = resume(t, &found, err);
    t->at.threads = t->threads;
    if (status != OK)
        return status;
    if (!found)
        tell_before(t);
    if (t->run.recipe.task == TASK_LR_FIND)
        return run_sweep(t, err);
    status = tell_outline(t, err);
    return status == OK ? run_stages(t, err) : status;
}

enum status trainer_run(const struct trainer_options *options, const struct trainer_hooks *hooks,
                        struct err *err)
{
    struct training *t = mem_alloc(sizeof *t);
    t->options = options;
    t->at = position_start();
    t->threads = options->threads > 0 ? options->threads : omp_get_num_procs();
    t->loader_threads = options->loader_threads > 0 ? options->loader_threads : t->threads;
    t->stage.cut = NODE_NONE;
    omp_set_num_threads(t->threads);
    enum status status = run_open(options, &t->run, err);
    if (status == OK) {
        t->events =
            (struct events){.hooks = hooks, .recipe = &t->run.recipe, .graph = t->run.graph};
        optim_init(&t->optim, &t->run.recipe.optim);
        status = try_plans(t, err);
        if (status == OK)
            status = start(t, err);
        run_close(&t->run);
    }
    shadow_deinit(&t->best);
    mem_free(t->carried.floats);
    mem_free(t);
    return status;
}
