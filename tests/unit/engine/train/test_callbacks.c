#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "engine/train/callbacks.h"

static struct recipe watching(const char *monitor, int64_t patience, double min_delta)
{
    struct recipe recipe = {.monitor = "valid_loss", .plateau_factor = .1};
    recipe.early_stop.on = recipe.plateau.on = true;
    snprintf(recipe.early_stop.monitor, sizeof recipe.early_stop.monitor, "%s", monitor);
    snprintf(recipe.plateau.monitor, sizeof recipe.plateau.monitor, "%s", monitor);
    recipe.early_stop.patience = recipe.plateau.patience = patience;
    recipe.early_stop.min_delta = recipe.plateau.min_delta = min_delta;
    return recipe;
}

static struct scores scored(double valid_loss, double accuracy)
{
    return (struct scores){.5, valid_loss, accuracy, 1 - accuracy, NAN};
}

/* The verdicts of epochs with these validation losses: 'b' best, 's' stop, 'r' reduced. */
static void expect(const struct recipe *recipe, const double *losses, const char *const *verdicts,
                   int n)
{
    struct callbacks callbacks = callbacks_start();
    struct scores best = scores_unknown();
    for (int i = 0; i < n; i++) {
        struct scores latest = scored(losses[i], 1 - losses[i]);
        struct verdict verdict = callbacks_epoch(recipe, &latest, &best, &callbacks);
        if (verdict.best != (strchr(verdicts[i], 'b') != NULL) ||
            verdict.stop != (strchr(verdicts[i], 's') != NULL) ||
            verdict.reduced != (strchr(verdicts[i], 'r') != NULL))
            fail_msg("epoch %d is not \"%s\"", i, verdicts[i]);
        if (verdict.best)
            best = latest;
    }
}

static void patience_counts_epochs_since_the_best_one(void **state)
{
    (void)state;
    static const double losses[] = {.9, .8, .85, .7, .7, .75, .71};
    static const char *const verdicts[] = {"b", "b", "", "b", "", "sr", "s"};
    struct recipe recipe = watching("valid_loss", 2, 0);
    expect(&recipe, losses, verdicts, 7);
    recipe = watching("accuracy", 2, 0); /* more is better */
    expect(&recipe, losses, verdicts, 7);
}

static void less_than_min_delta_is_no_progress(void **state)
{
    (void)state;
    static const double losses[] = {.9, .86, .82, .78};
    static const char *const verdicts[] = {"b", "bsr", "bsr", "b"};
    struct recipe recipe = watching("valid_loss", 1, .1);
    expect(&recipe, losses, verdicts, 4);
}

static void what_is_not_known_decides_nothing(void **state)
{
    (void)state;
    struct recipe recipe = watching("valid_loss", 1, 0);
    struct callbacks callbacks = callbacks_start();
    struct scores unknown = scores_unknown();
    for (int i = 0; i < 5; i++) {
        struct verdict verdict = callbacks_epoch(&recipe, &unknown, &unknown, &callbacks);
        assert_false(verdict.best || verdict.stop || verdict.reduced);
    }
}

static void reductions_multiply_down_to_the_least_rate(void **state)
{
    (void)state;
    struct recipe recipe = watching("valid_loss", 1, 0);
    struct callbacks callbacks = callbacks_start();
    struct scores latest = scored(.5, .5), best = latest;
    recipe.plateau_min_lr = 1e-5;
    for (int i = 0; i < 3; i++)
        callbacks_epoch(&recipe, &latest, &best, &callbacks);
    double rates[] = {1e-1, 1e-3, 1e-6}; /* after two reductions */
    callbacks_rates(&recipe, &callbacks, 3, rates);
    assert_true(fabs(rates[0] - 1e-3) < 1e-15);
    assert_true(fabs(rates[1] - 1e-5) < 1e-15);
    assert_true(rates[2] == 1e-6); /* the schedule's own, below the least already */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patience_counts_epochs_since_the_best_one),
        cmocka_unit_test(less_than_min_delta_is_no_progress),
        cmocka_unit_test(what_is_not_known_decides_nothing),
        cmocka_unit_test(reductions_multiply_down_to_the_least_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
