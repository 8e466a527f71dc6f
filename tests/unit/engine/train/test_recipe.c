#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "engine/train/recipe.h"

static struct json *parse(const char *text)
{
    struct err err = {0};
    struct json *json = NULL;
    char *copy = mem_strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    if (json_parse(copy, strlen(copy), &json, &err) != OK)
        fail_msg("%s", err.detail);
    mem_free(copy);
    return json;
}

static enum status make(struct recipe *recipe, const char *spec, int64_t n_train, struct err *err)
{
    struct json *json = parse(spec);
    struct split split = {.n_train = (uint32_t)n_train};
    enum status status = recipe_init(recipe, json, zoo_find("resnet34"), NULL, &split, err);
    json_free(json);
    return status;
}

static void the_last_short_batch_is_dropped_from_every_epoch(void **state)
{
    (void)state;
    struct recipe recipe;
    struct err err;
    assert_int_equal(make(&recipe,
                          "{'batch_size':64,'stages':[{'epochs':1,'lr':1e-3},"
                          "{'epochs':3,'lr':1e-3}]}",
                          200, &err),
                     OK);
    assert_int_equal(recipe.stages[0].steps_per_epoch, 3);
    assert_int_equal(recipe.stages[1].schedule.steps, 9);
    assert_int_equal(recipe.stages[0].size, 224);
    recipe_deinit(&recipe);
}

static void a_batch_is_lowered_to_the_data_and_never_to_one_item(void **state)
{
    (void)state;
    struct recipe recipe;
    struct err err = {0};
    static const char spec[] = "{'batch_size':64,'stages':[{'epochs':2,'lr':1e-3}]}";
    assert_int_equal(make(&recipe, spec, 50, &err), OK);
    assert_int_equal(recipe.stages[0].batch, 50);
    assert_int_equal(recipe.stages[0].steps_per_epoch, 1);
    recipe_deinit(&recipe);
    assert_int_equal(make(&recipe, spec, 1, &err), E_INVALID);
    assert_string_equal(err.pointer, "/stages/0/batch_size");
}

static void freeze_to_counts_from_the_end_where_it_is_negative(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int frozen;
    } cases[] = {
        {"{'stages':[{'epochs':1,'lr':1e-3,'freeze_to':-1}]}", 2},
        {"{'stages':[{'epochs':1,'lr':1e-3,'freeze_to':-3}]}", 0},
        {"{'stages':[{'epochs':1,'lr':1e-3,'freeze_to':1}]}", 1},
        {"{'stages':[{'epochs':1,'lr':1e-3}]}", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct recipe recipe;
        struct err err;
        assert_int_equal(make(&recipe, cases[i].spec, 100, &err), OK);
        assert_int_equal(recipe.stages[0].frozen_groups, cases[i].frozen);
        recipe_deinit(&recipe);
    }
}

/* The unfrozen stage of lesson1 on 4 steps: 25th of the maximum first, the maximum after one. */
static void rates_are_the_schedules_share_of_each_groups_maximum(void **state)
{
    (void)state;
    struct recipe recipe;
    struct err err;
    assert_int_equal(make(&recipe,
                          "{'batch_size':25,'optimizer':{'form':'v1'},'stages':[{'epochs':1,"
                          "'lr':{'slice':[1e-6,1e-4]},'schedule':'one_cycle'}]}",
                          100, &err),
                     OK);
    const struct recipe_stage *stage = &recipe.stages[0];
    double rates[3];
    assert_int_equal(stage->schedule.form, FORM_V1);
    recipe_rates(stage, 3, 0, rates);
    assert_true(fabs(rates[0] - 1e-6 / 25) < 1e-18 && fabs(rates[2] - 1e-4 / 25) < 1e-16);
    recipe_rates(stage, 3, 1, rates);
    assert_true(fabs(rates[1] - 1e-5) < 1e-17);
    assert_true(recipe.optim.decay_norm_bias && recipe.optim.eps == 1e-8);
    recipe_deinit(&recipe);
}

static void the_spec_decides_head_norms_augmentation_and_what_is_best(void **state)
{
    (void)state;
    struct recipe recipe;
    struct err err;
    assert_int_equal(make(&recipe,
                          "{'head_form':'v1','frozen_batchnorm':'eval','augment':'none','seed':5,"
                          "'save_best':{'monitor':'accuracy'},'image':{'size':96},"
                          "'optimizer':{'clip':0.5,'betas':[0.9,0.95]},"
                          "'stages':[{'epochs':1,'lr':1}]}",
                          100, &err),
                     OK);
    assert_int_equal(recipe.head, ZOO_HEAD_V1);
    assert_int_equal(recipe.seed, 5);
    assert_false(recipe.frozen_norm_trains);
    assert_false(recipe.stages[0].augment.enabled);
    assert_true(recipe.save_best);
    assert_string_equal(recipe.monitor, "accuracy");
    assert_int_equal(recipe.stages[0].size, 96);
    assert_true(recipe.optim.clip == .5 && recipe.optim.beta2 == .95);
    recipe_deinit(&recipe);
    assert_int_equal(make(&recipe,
                          "{'augment':{'min_scale':0.2,'flip':0},'stages':[{'epochs':1,'lr':1}]}",
                          100, &err),
                     OK);
    assert_true(recipe.stages[0].augment.enabled && recipe.stages[0].augment.min_scale == .2);
    assert_true(recipe.stages[0].augment.flip == 0);
    assert_false(recipe.save_best);
    assert_string_equal(recipe.monitor, "valid_loss");
    assert_true(recipe.frozen_norm_trains && recipe.head == ZOO_HEAD_V2);
    recipe_deinit(&recipe);
}

static void an_optimizer_or_metric_that_is_not_there_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *pointer;
    } cases[] = {
        {"{'optimizer':{'name':'lion'},'stages':[{'epochs':1,'lr':1}]}", "/optimizer/name"},
        {"{'optimizer':{'eps':0},'stages':[{'epochs':1,'lr':1}]}", "/optimizer"},
        {"{'save_best':{'monitor':'beauty'},'stages':[{'epochs':1,'lr':1}]}", "/save_best/monitor"},
        {"{'stages':[{'epochs':1,'lr':1},{'epochs':1,'lr':0}]}", "/stages/1/lr"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct recipe recipe;
        struct err err = {0};
        assert_int_equal(make(&recipe, cases[i].spec, 100, &err), E_INVALID);
        assert_string_equal(err.pointer, cases[i].pointer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_short_batch_is_dropped_from_every_epoch),
        cmocka_unit_test(a_batch_is_lowered_to_the_data_and_never_to_one_item),
        cmocka_unit_test(freeze_to_counts_from_the_end_where_it_is_negative),
        cmocka_unit_test(rates_are_the_schedules_share_of_each_groups_maximum),
        cmocka_unit_test(the_spec_decides_head_norms_augmentation_and_what_is_best),
        cmocka_unit_test(an_optimizer_or_metric_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
