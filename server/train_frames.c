/* train_frames.c -- what a training engine says becomes progress, events and checkpoints. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/estimate.h"
#include "server/train_work.h"

static double elapsed(const struct train *train)
{
    return clock_seconds() - train->work.started_at;
}

/* --- The batch
 * ------------------------------------------------------------------------------------ */

static void add_event(struct train *train, const char *type, const struct json *fields)
{
    if (train->n_batch == TRAIN_MAX_BATCH) {
        struct err err;
        if (train_flush(train, &err) != OK && train->n_batch == TRAIN_MAX_BATCH)
            return; /* the rows cannot be written for long already: this one is lost */
    }
    train->batch[train->n_batch++] = (struct event_new){
        .time_ms = clock_wall_ms(),
        .type = type,
        .job = train->work.id,
        .data = json_text(fields),
    };
    train->urgent |= strcmp(type, "step") != 0;
}

/* The header's own fields, as an event has them. */
static void add_header(struct train *train, const char *type, const struct json *header)
{
    struct json *fields = json_copy(header);
    json_remove(fields, "type");
    add_event(train, type, fields);
    json_free(fields);
}

enum status train_flush(struct train *train, struct err *err)
{
    double eta = json_number(train->progress.now, "eta_seconds", -1);
    char *now = json_text(train->progress.now);
    char *latest = train->progress.latest ? json_text(train->progress.latest) : NULL;
    char *best = train->progress.best ? json_text(train->progress.best) : NULL;
    struct job_report report = {
        .progress = now,
        .latest = latest,
        .best = best,
        .estimated_finish_ms = eta < 0 ? 0 : clock_wall_ms() + (int64_t)(eta * 1000),
        .events = train->batch,
        .n_events = train->n_batch,
        .checkpointed = train->checkpointed,
    };
    enum status status =
        job_report(train->work.supervisor->store, train->work.id, &report, train->urgent, err);
    mem_free(now);
    mem_free(latest);
    mem_free(best);
    if (status)
        return status;
    for (size_t i = 0; i < train->n_batch; i++)
        mem_free((void *)(uintptr_t)train->batch[i].data);
    train->n_batch = 0;
    train->urgent = train->checkpointed = false;
    train->flush_at = 0;
    return OK;
}

/* --- What stages cost ------------------------------------------------------------------------- */

/* From a stage that begins here, and as long as no other engine is at work, what it takes is
 * learned for estimates. */
static void begin_stage(struct train *train, const struct json *header)
{
    json_free(train->stage);
    train->stage = train->work.supervisor->n_works == 1 ? json_copy(header) : NULL;
    train->stage_seconds = 0;
    train->stage_epochs = 0;
    train->stage_began = clock_seconds();
}

static void learn(struct train *train)
{
    const struct supervisor *supervisor = train->work.supervisor;
    struct json *estimate = NULL;
    struct err ignored;
    const char *text = train->row.estimate;
    struct estimate_options options = {
        .store = supervisor->store,
        .machine = supervisor->machine,
        .isa = train->isa,
        .architecture = train->row.architecture,
        .threads = train->threads,
        .spec = train->spec,
    };
    if (text && json_parse(text, strlen(text), &estimate, &ignored) == OK) {
        const struct json *flops = json_at(json_get(estimate, "flops_per_step"),
                                           (size_t)json_integer(train->stage, "stage_index", 0));
        estimate_learn(&options, train->stage, json_as_number(flops, 0), train->stage_seconds);
    }
    json_free(estimate);
}

/* A pass over a split is told as a stage without epochs: its end is the engine's. */
void train_learn_pass(struct train *train)
{
    if (!train->stage || train->work.supervisor->n_works != 1 ||
        json_integer(train->stage, "frozen_groups", 0) != json_integer(train->stage, "groups", 1))
        return;
    train->stage_seconds = clock_seconds() - train->stage_began;
    learn(train);
}

static void add_epoch(struct train *train, const struct json *header)
{
    bool same = train->stage && json_integer(train->stage, "stage_index", -1) ==
                                    json_integer(header, "stage_index", -2);
    double seconds = json_number(header, "seconds", -1);
    if (!same || seconds < 0 || train->work.supervisor->n_works != 1) {
        json_free(train->stage);
        train->stage = NULL;
        return;
    }
    train->stage_seconds += seconds;
    if (++train->stage_epochs < json_integer(train->stage, "epochs", 0))
        return;
    learn(train);
    json_free(train->stage);
    train->stage = NULL;
}

/* --- Messages --------------------------------------------------------------------------------- */

static void on_started(struct train *train, const struct json *header)
{
    struct err err = {0};
    struct json *engine = json_copy(header);
    json_remove(engine, "type");
    char *text = json_text(engine);
    struct job_change change = {.engine = text};
    enum status status = job_transition(train->work.supervisor->store, train->work.id,
                                        JOB_VALIDATING, JOB_RUNNING, &change, &err);
    mem_free(text);
    json_free(engine);
    train->started = true;
    train->threads = json_integer(header, "threads", 0);
    snprintf(train->isa, sizeof train->isa, "%s", json_string(header, "isa", ""));
    if (status == OK || status == E_CONFLICT)
        return; /* a conflict: it was cancelled meanwhile, which the rows say */
    /* Its rows cannot be written, and what is not `running` must not run. */
    child_kill(train->work.child);
}

static void on_stage(struct train *train, const struct json *header)
{
    double position = progress_position(header, "none");
    progress_take(&train->progress, header, elapsed(train));
    train->trainable_parameters = json_integer(header, "frozen_groups", 1) == 0
                                      ? json_integer(header, "trainable_parameters", -1)
                                      : -1;
    if (position <= train->last_stage)
        return; /* it goes on in the middle of it */
    add_header(train, "stage", header);
    begin_stage(train, header);
    train->last_stage = position;
}

/* A pass over the data before, between or after steps. */
static void on_progress(struct train *train, const struct json *header)
{
    progress_take(&train->progress, header, elapsed(train));
    add_header(train, "progress", header);
}

static void on_step(struct train *train, const struct json *header)
{
    progress_take(&train->progress, header, elapsed(train));
    add_header(train, "step", header);
}

static void on_epoch(struct train *train, const struct json *header)
{
    double position = progress_position(header, "epoch");
    if (position <= train->last_epoch)
        return; /* it resumed before this epoch's end and came to it again */
    train->last_epoch = position;
    add_epoch(train, header);
    progress_take(&train->progress, header, elapsed(train));
    add_header(train, "epoch", header);
}

/* A checkpoint that is further than every earlier one is new: deaths are counted from there. */
static void on_checkpoint(struct train *train, const struct json *header)
{
    const char *slot = json_string(header, "slot", "");
    double position = progress_position(header, "step");
    train->checkpointed |= position > train->last_checkpoint;
    if (position > train->last_checkpoint)
        train->last_checkpoint = position;
    if (train_stage_of_slot(slot) >= 0) {
        train_add_file(train, slot, header, false);
        return;
    }
    struct json *named = json_copy(header);
    json_remove(named, "type");
    json_set_string(named, "name", train_name_of_slot(train, slot));
    add_event(train, "checkpoint", named);
    json_free(named);
}

static void on_artifact(struct train *train, const struct json *header)
{
    train_add_artifact(train, json_string(header, "name", ""), header, false);
}

static void on_log(struct train *train, const struct json *header)
{
    if (train->n_lines++ < TRAIN_MAX_LINES)
        add_header(train, "log", header);
}

static void on_warning(struct train *train, const struct json *header)
{
    if (train->n_lines++ < TRAIN_MAX_LINES)
        add_header(train, "warning", header);
}

/* Whether the stage it is in, or one before, may end in a pause. */
static bool may_pause(const struct train *train)
{
    json_each(stage, json_get(train->spec, "stages"))
    {
        if (!strcmp(json_string(stage, "then", ""), "pause"))
            return true;
    }
    return false;
}

static void on_paused(struct train *train, const struct json *header)
{
    train->paused_by_recipe = json_bool(header, "by_recipe", false) && may_pause(train);
    if (!train->told_pause && !train->paused_by_recipe)
        work_violation(&train->work, "it paused without having been asked.");
}

enum when { BEFORE_START = 1, AFTER_START = 2, ANY_TIME = 3 };

static const struct {
    const char *type;
    void (*take)(struct train *train, const struct json *header);
    enum when when; /* relative to `started` */
} messages[] = {
    {"started", on_started, BEFORE_START},
    {"stage", on_stage, AFTER_START},
    {"step", on_step, AFTER_START},
    {"epoch", on_epoch, AFTER_START},
    {"paused", on_paused, AFTER_START},
    {"checkpoint", on_checkpoint, AFTER_START},
    {"artifact", on_artifact, AFTER_START},
    {"progress", on_progress, ANY_TIME},
    {"log", on_log, ANY_TIME},
    {"warning", on_warning, ANY_TIME},
};

void train_on_frame(struct work *work, const struct json *header)
{
    struct train *train = (struct train *)work;
    const char *type = json_string(header, "type", "");
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        if (strcmp(messages[i].type, type) != 0)
            continue;
        if (messages[i].when & (train->started ? AFTER_START : BEFORE_START))
            messages[i].take(train, header);
        else
            work_violation(work, "a message came out of its order.");
        return;
    }
    work_violation(work, "a message of a type that training does not have.");
}

void train_on_tick(struct work *work, double now)
{
    struct train *train = (struct train *)work;
    struct err err = {0};
    char detail[800];
    train_take_files(train, now);
    if (train->n_batch && train->flush_at == 0)
        train->flush_at = now + TRAIN_FLUSH_SECONDS;
    bool due = train->urgent || train->checkpointed || (train->n_batch && now >= train->flush_at);
    if (!due || now < train->retry_at || train_flush(train, &err) == OK)
        return;
    train->retry_at = now + RETRY_SECONDS;
    log_event(LOG_ERROR, "supervisor", "events cannot be written yet", "id=%s detail=%s", work->id,
              log_quote(detail, sizeof detail, err.detail));
}
