/* training.c -- see training.h. */
#include "engine/train/training.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define WORTH         100. /* a write waits until training took so many times as long */
#define LEAST_SECONDS 30.  /* between two writes within an epoch */
#define MOST_SECONDS  600. /* what a crash may cost at most */
#define GUESSED_RATE  1e9  /* bytes a second, as long as nothing has been written */

const struct recipe_stage *training_stage(const struct training *t)
{
    return &t->run.recipe.stages[t->at.stage];
}

struct snapshot_run training_snapshot_run(struct training *t)
{
    return (struct snapshot_run){.sha256 = t->run.sha256,
                                 .stages = (const char(*)[SHA256_HEX])t->run.stage_sha256,
                                 .n_stages = t->run.recipe.n_stages,
                                 .carried = &t->carried};
}

/* --- requests --------------------------------------------------------------------------------- */

void training_poll(struct training *t)
{
    enum trainer_request request = t->events.hooks->poll(t->events.hooks->context);
    t->want_checkpoint |= request == TRAINER_CHECKPOINT;
    t->want_pause |= request == TRAINER_PAUSE;
    t->want_cancel |= request == TRAINER_CANCEL;
}

enum status training_cancelled(struct err *err)
{
    return err_set(err, E_CANCELLED, "The training run was told to stop.");
}

/* --- writing ---------------------------------------------------------------------------------- */

enum status training_write_slot(struct training *t, const char *slot, char hex[SHA256_HEX],
                                struct err *err)
{
    double began = clock_seconds();
    enum status status =
        snapshot_write(t->options->folder, slot, t->run.graph, &t->run.info, hex, err);
    t->spent_writing += clock_seconds() - began;
    t->n_written++;
    if (status == OK)
        events_checkpoint(&t->events, slot, &t->at);
    return status;
}

static enum status write_best(struct training *t, struct err *err)
{
    if (!t->best_waits)
        return OK;
    shadow_swap(&t->best, t->run.graph);
    enum status status = training_write_slot(t, "best", t->at.best_weights, err);
    shadow_swap(&t->best, t->run.graph);
    t->best_waits = status != OK;
    return status;
}

/* Of a stage that is open; between two stages nothing is carried. */
static void take_carried(struct training *t)
{
    t->carried.n = stage_carried_floats(&t->stage);
    mem_free(t->carried.floats);
    t->carried.floats = mem_alloc((t->carried.n + 1) * sizeof *t->carried.floats);
    stage_read_carried(&t->stage, t->carried.floats);
}

enum status training_write_resume(struct training *t, struct err *err)
{
    const char *slot;
    struct snapshot_run run = training_snapshot_run(t);
    double began = clock_seconds(), spent = t->spent_writing;
    enum status status = write_best(t, err);
    t->at.optim_steps = t->optim.steps;
    t->at.seconds = t->seconds_before + began - t->began;
    memcpy(t->at.plans, t->plans[t->at.stage], sizeof t->at.plans);
    take_carried(t);
    if (status == OK)
        status = snapshot_write_resume(t->options->folder, t->run.graph, &t->run.info, &t->at, &run,
                                       &slot, err);
    t->written = clock_seconds();
    t->write_seconds = t->written - began;
    t->spent_writing = spent + t->write_seconds;
    t->n_written++;
    t->want_checkpoint = false;
    if (status == OK)
        events_checkpoint(&t->events, slot, &t->at);
    return status;
}

/* What the next one will take to write. The first: values twice, for the best model is written
 * with it, and two moments of what trains. */
static double cost_of_writing(const struct training *t)
{
    if (t->write_seconds > 0)
        return t->write_seconds;
    double floats = 0;
    for (int i = 0; i < t->run.graph->n_params; i++) {
        const struct param *param = t->run.graph->params[i];
        floats += (double)param->n_elements * (param->trainable ? 4 : 2);
    }
    return floats * sizeof(float) / GUESSED_RATE;
}

enum status training_checkpoint(struct training *t, bool epoch_ended, struct err *err)
{
    double least = epoch_ended ? 0 : LEAST_SECONDS;
    double interval = fmin(fmax(WORTH * cost_of_writing(t), least), MOST_SECONDS);
    bool due = clock_seconds() - t->written > interval;
    return due || t->want_checkpoint ? training_write_resume(t, err) : OK;
}

void training_tell_writing(struct training *t)
{
    double seconds = clock_seconds() - t->began;
    events_log(&t->events, "Checkpoints took %.2f of %.1f seconds (%.1f %%): %d files.",
               t->spent_writing, seconds, 100 * t->spent_writing / fmax(seconds, 1e-3),
               t->n_written);
}

/* --- the best model --------------------------------------------------------------------------- */

enum status training_keep_best(struct training *t, struct err *err)
{
    t->at.best = t->at.latest;
    t->best_waits = true;
    return shadow_take(&t->best, t->run.graph, err);
}

enum status training_load_best(struct training *t, bool *loaded, struct err *err)
{
    *loaded = false;
    if (isnan(scores_get(&t->at.best, t->run.recipe.monitor)))
        return OK;
    enum status status = write_best(t, err);
    if (status != OK)
        return status;
    struct err why = {0};
    *loaded =
        snapshot_load(t->options->folder, "best", t->at.best_weights, t->run.graph, &why) == OK;
    if (!*loaded)
        events_warning(&t->events, "checkpoint_passed_over", why.detail);
    return OK;
}

/* --- between two steps ------------------------------------------------------------------------ */

void training_watch_clock(struct training *t)
{
    double limit = t->run.recipe.max_seconds;
    if (limit > 0 && !t->out_of_time)
        t->out_of_time = t->seconds_before + clock_seconds() - t->began >= limit;
}

enum status training_answer(struct training *t, struct err *err)
{
    training_poll(t);
    if (t->want_cancel)
        return training_cancelled(err);
    enum status status =
        t->want_pause ? training_write_resume(t, err) : training_checkpoint(t, false, err);
    if (status == OK && t->want_pause) {
        t->paused = true;
        events_paused(&t->events, false);
    }
    return status;
}
