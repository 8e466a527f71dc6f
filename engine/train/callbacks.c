/* callbacks.c -- see callbacks.h. */
#include "engine/train/callbacks.h"

#include <math.h>

#include "base/mem.h"

struct callbacks callbacks_start(void)
{
    return (struct callbacks){{NAN, 0}, {NAN, 0}, 1};
}

struct occasion {
    const struct recipe *recipe;
    const struct scores *latest, *best;
    struct callbacks *state;
};

/* Whether the watch's patience is at an end. */
static bool is_over(const struct recipe_watch *watch, const struct scores *latest,
                    struct patience *patience)
{
    double value = scores_get(latest, watch->monitor);
    if (!watch->on || isnan(value))
        return false;
    if (scores_is_better_by(watch->monitor, value, patience->best, watch->min_delta)) {
        *patience = (struct patience){value, 0};
        return false;
    }
    return ++patience->wait >= watch->patience;
}

static void save_best(const struct occasion *occasion, struct verdict *verdict)
{
    const char *monitor = occasion->recipe->monitor;
    verdict->best = scores_is_better(monitor, scores_get(occasion->latest, monitor),
                                     scores_get(occasion->best, monitor));
}

static void early_stop(const struct occasion *occasion, struct verdict *verdict)
{
    verdict->stop =
        is_over(&occasion->recipe->early_stop, occasion->latest, &occasion->state->early_stop);
}

static void reduce_on_plateau(const struct occasion *occasion, struct verdict *verdict)
{
    struct patience *patience = &occasion->state->plateau;
    if (!is_over(&occasion->recipe->plateau, occasion->latest, patience))
        return;
    patience->wait = 0;
    occasion->state->rate_factor *= occasion->recipe->plateau_factor;
    verdict->reduced = true;
}

static void (*const all[])(const struct occasion *occasion, struct verdict *verdict) = {
    save_best,
    early_stop,
    reduce_on_plateau,
};

struct verdict callbacks_epoch(const struct recipe *recipe, const struct scores *latest,
                               const struct scores *best, struct callbacks *callbacks)
{
    struct occasion occasion = {recipe, latest, best, callbacks};
    struct verdict verdict = {0};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i](&occasion, &verdict);
    return verdict;
}

void callbacks_rates(const struct recipe *recipe, const struct callbacks *callbacks, int n_groups,
                     double *rates)
{
    for (int i = 0; i < n_groups; i++) {
        double reduced = rates[i] * callbacks->rate_factor;
        rates[i] = fmax(reduced, fmin(rates[i], recipe->plateau_min_lr));
    }
}
