/* finish.c -- see finish.h. */
#include "engine/train/finish.h"

#include "engine/train/report_run.h"

static bool go_on(void *context, int64_t done, int64_t total)
{
    struct training *t = context;
    if (total > 0)
        events_pass(&t->events, "report", done, total);
    training_poll(t);
    return !t->want_cancel;
}

static struct report_run report_of(struct training *t)
{
    return (struct report_run){.run = &t->run,
                               .events = &t->events,
                               .at = &t->at,
                               .folder = t->options->folder,
                               .threads = t->loader_threads,
                               .go_on = go_on,
                               .context = t};
}

static enum status take_model(struct training *t, bool *is_best, struct err *err)
{
    *is_best = false;
    return t->run.recipe.save_best ? training_load_best(t, is_best, err) : OK;
}

enum status finish_stage(struct training *t, struct err *err)
{
    const struct recipe_stage *next = training_stage(t) + 1;
    bool last = t->at.stage + 1 == t->run.recipe.n_stages, is_best;
    bool carries = !last && next->phase != t->run.phase; /* a language model is done */
    if (!last && !next->fresh && !carries)
        return OK;
    struct report_run report = report_of(t);
    enum status status = take_model(t, &is_best, err);
    if (status == OK && carries && t->run.phase == PHASE_LANGUAGE_MODEL)
        status = training_write_slot(t, SLOT_LANGUAGE_MODEL, NULL, err);
    return status == OK ? report_run_stage(&report, t->at.stage, err) : status;
}

enum status finish_run(struct training *t, struct err *err)
{
    char hex[SHA256_HEX];
    bool is_best;
    struct report_run report = report_of(t);
    enum status status = take_model(t, &is_best, err);
    const struct scores *scores = is_best ? &t->at.best : &t->at.latest;
    if (status == OK)
        status = training_write_slot(t, "final", hex, err);
    if (status == OK)
        status = report_run_final(&report, scores, err);
    if (status != OK)
        return status;
    feature_cache_remove_all(t->options->folder);
    training_tell_writing(t);
    events_result(&t->events, hex, scores, &t->run.info);
    return OK;
}
