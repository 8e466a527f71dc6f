/* What a recipe will do, as a dry run and schedule.json show it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "engine/train/outline.h"

#define STAGE(freeze_to, more)                                                                     \
    "{'name':'s" freeze_to "','freeze_to':" freeze_to ",'epochs':2," more                          \
    "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.5,'div':10}}"

/* Outlines resnet18 with a new head for 10 classes on 80 items, and owns the JSON. */
struct outline {
    struct json *spec, *stages;
    struct recipe recipe;
    struct graph *graph;
};

static void outline(struct outline *o, const char *text)
{
    struct err err = {0};
    char *copy = mem_strdup(text);
    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    assert_int_equal(json_parse(copy, strlen(copy), &o->spec, &err), OK);
    mem_free(copy);
    struct split split = {.n_train = 80, .n_valid = 20};
    if (recipe_init(&o->recipe, o->spec, zoo_find("resnet18"), NULL, &split, &err) != OK)
        fail_msg("%s", err.detail);
    o->graph = zoo_build(o->recipe.net, &(struct zoo_options){.head = ZOO_HEAD_V2, .classes = 10});
    o->stages = outline_stages(&o->recipe, o->graph);
}

static void end(struct outline *o)
{
    json_free(o->stages);
    json_free(o->spec);
    graph_free(o->graph);
    recipe_deinit(&o->recipe);
}

static double rate_at(const struct json *stage, size_t row, size_t group)
{
    return json_as_number(json_at(json_at(json_get(stage, "learning_rates"), row), group), NAN);
}

static const struct json *group_at(const struct json *stage, size_t group)
{
    return json_at(json_get(stage, "groups"), group);
}

static void every_step_has_a_row_with_what_is_applied_there(void **state)
{
    (void)state;
    struct outline o;
    outline(&o, "{'batch_size':8,'stages':[" STAGE("0", "'lr':{'slice':[1e-5,1e-3]},") "]}");
    const struct json *stage = json_at(o.stages, 0);
    assert_string_equal(json_string(stage, "name", ""), "s0");
    assert_int_equal(json_integer(stage, "steps", 0), 20);
    assert_int_equal(json_integer(stage, "epochs", 0), 2);
    assert_int_equal(json_integer(stage, "batch_size", 0), 8);
    assert_int_equal(json_integer(stage, "size", 0), 224);
    assert_int_equal(json_len(json_get(stage, "step")), 20);
    double rates[ZOO_MAX_GROUPS];
    for (size_t row = 0; row < 20; row++) {
        recipe_rates(&o.recipe.stages[0], 3, (int64_t)row, rates);
        for (size_t g = 0; g < 3; g++)
            assert_true(rate_at(stage, row, g) == rates[g]);
        assert_true(json_as_number(json_at(json_get(stage, "momentum"), row), NAN) ==
                    schedule_momentum(&o.recipe.stages[0].schedule, (int64_t)row));
    }
    assert_true(fabs(rate_at(stage, 10, 1) - 1e-4) < 1e-16); /* the peak, the middle group */
    end(&o);
}

/* resnet18: 11,176,512 in the body, of which 9,600 are norms'. */
static void a_group_has_a_rate_exactly_where_something_trains(void **state)
{
    (void)state;
    static const struct {
        const char *norm;
        int64_t trainable; /* below the head */
    } cases[] = {{"train", 9600}, {"eval", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outline o;
        char *spec = mem_printf(
            "{'batch_size':8,'frozen_batchnorm':'%s','stages':[" STAGE("-1", "'lr':1e-3,") "]}",
            cases[i].norm);
        outline(&o, spec);
        const struct json *stage = json_at(o.stages, 0);
        int64_t all = 0, trainable = 0;
        for (size_t g = 0; g < 2; g++) {
            assert_true(json_bool(group_at(stage, g), "frozen", false));
            all += json_integer(group_at(stage, g), "parameters", 0);
            trainable += json_integer(group_at(stage, g), "trainable_parameters", -1);
            assert_true((rate_at(stage, 5, g) > 0) == (cases[i].trainable > 0));
        }
        assert_int_equal(all, 11176512);
        assert_int_equal(trainable, cases[i].trainable);
        assert_false(json_bool(group_at(stage, 2), "frozen", true));
        assert_string_equal(json_string(group_at(stage, 2), "name", ""), "head");
        assert_true(rate_at(stage, 5, 2) > 0);
        mem_free(spec);
        end(&o);
    }
}

static void many_steps_are_thinned_and_keep_their_ends(void **state)
{
    (void)state;
    struct outline o;
    outline(&o, "{'batch_size':2,'stages':[{'name':'long','epochs':1000,'lr':1e-3,"
                "'schedule':'flat'}]}");
    const struct json *steps = json_get(json_at(o.stages, 0), "step");
    assert_int_equal(json_len(steps), OUTLINE_MAX_ROWS);
    assert_true(json_as_number(json_at(steps, 0), -1) == 0);
    assert_true(json_as_number(json_at(steps, OUTLINE_MAX_ROWS - 1), -1) == 39999);
    end(&o);
}

static void a_rate_that_is_still_sought_is_null(void **state)
{
    (void)state;
    struct outline o;
    outline(&o, "{'batch_size':8,'frozen_batchnorm':'eval','stages':[" STAGE("-1",
                                                                             "'lr':'auto',") "]}");
    const struct json *row = json_at(json_get(json_at(o.stages, 0), "learning_rates"), 0);
    assert_true(json_as_number(json_at(row, 0), -1) == 0);
    assert_int_equal(json_type(json_at(row, 2)), JSON_NULL);
    end(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_has_a_row_with_what_is_applied_there),
        cmocka_unit_test(a_group_has_a_rate_exactly_where_something_trains),
        cmocka_unit_test(many_steps_are_thinned_and_keep_their_ends),
        cmocka_unit_test(a_rate_that_is_still_sought_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
