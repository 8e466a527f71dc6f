/* Accumulation: several batches' gradients make one step of the optimiser. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/train/step.h"

struct fixture {
    struct graph *graph;
    struct param *weight;
    struct optim optim;
};

static void set_up(struct fixture *f)
{
    struct err err;
    f->graph = graph_new();
    graph_set_output(f->graph, graph_linear(f->graph, graph_input(f->graph, 3), "fc", 2, false));
    f->weight = graph_find_param(f->graph, "fc.weight");
    assert_int_equal(param_set_trainable(f->weight, true, &err), OK);
    struct optim_options options = optim_defaults(FORM_V2);
    optim_init(&f->optim, &options);
}

static void gradient_is(struct fixture *f, float value)
{
    for (size_t i = 0; i < f->weight->n_stored; i++)
        f->weight->parts[PARAM_GRADIENT][i] = value + (float)i;
}

/* A batch of `items` whose mean gradient is `value` (+ its index). */
static void batch(struct fixture *f, float value, int64_t items, bool last, int64_t *accumulated)
{
    struct err err;
    const double rates[] = {1e-3};
    struct step_update update = {rates, .9, items, 24, last};
    gradient_is(f, value);
    assert_int_equal(step_update(&f->optim, f->graph, &update, accumulated, &err), OK);
}

static void a_group_of_batches_steps_once_with_the_mean_over_its_items(void **state)
{
    (void)state;
    struct fixture f;
    int64_t accumulated = 0;
    set_up(&f);
    batch(&f, 1, 8, false, &accumulated);
    batch(&f, 4, 12, false, &accumulated);
    assert_int_equal(f.optim.steps, 0);
    assert_int_equal(accumulated, 20);
    batch(&f, 10, 8, false, &accumulated);
    assert_int_equal(f.optim.steps, 1);
    assert_int_equal(accumulated, 0);
    double mean = (8 * 1 + 12 * 4 + 8 * 10) / 28.;
    for (size_t i = 0; i < f.weight->n_stored; i++) {
        assert_true(fabs(f.weight->parts[PARAM_GRADIENT][i] - (mean + (double)i)) < 1e-5);
        assert_true(f.weight->parts[PARAM_SUM][i] == 0);
    }
    graph_free(f.graph);
}

static void what_is_left_at_an_epochs_end_steps_too(void **state)
{
    (void)state;
    struct fixture f;
    int64_t accumulated = 0;
    set_up(&f);
    batch(&f, 2, 8, true, &accumulated);
    assert_int_equal(f.optim.steps, 1);
    assert_int_equal(accumulated, 0);
    assert_true(f.weight->parts[PARAM_GRADIENT][1] == 3);
    graph_free(f.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_of_batches_steps_once_with_the_mean_over_its_items),
        cmocka_unit_test(what_is_left_at_an_epochs_end_steps_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
