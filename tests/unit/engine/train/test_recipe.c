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

static void a_small_set_gets_more_epochs_until_there_are_steps_enough(void **state)
{
    (void)state;
    struct recipe recipe;
    struct err err = {0};
    assert_int_equal(make(&recipe,
                          "{'batch_size':'auto','stages':[{'epochs':20,'min_steps':150,'lr':1e-3},"
                          "{'epochs':3,'lr':1e-3}]}",
                          40, &err),
                     OK);
    assert_int_equal(recipe.stages[0].batch, 8); /* 5 steps an epoch */
    assert_int_equal(recipe.stages[0].epochs, 30);
    assert_int_equal(recipe.stages[0].schedule.steps, 150);
    assert_int_equal(recipe.stages[1].epochs, 3);
    assert_int_equal(recipe_lower_batch(&recipe.stages[0], 2, &err), OK);
    assert_int_equal(recipe.stages[0].epochs, 20); /* 20 steps an epoch */
    assert_int_equal(recipe.stages[0].schedule.steps, 400);
    recipe_deinit(&recipe);
    assert_int_equal(make(&recipe,
                          "{'batch_size':40,'stages':[{'epochs':1,'min_steps':20000,'lr':1e-3}]}",
                          40, &err),
                     E_INVALID);
    assert_string_equal(err.pointer, "/stages/0/min_steps");
    assert_non_null(strstr(err.detail, "would take 20000 epochs: at most 10000"));
}

static void an_automatic_batch_is_a_power_of_two_not_above_a_twentieth(void **state)
{
    (void)state;
    static const struct {
        int64_t n_train, batch;
    } cases[] = {{10, 8},   {244, 8},   {319, 8},   {320, 16},
                 {800, 32}, {1279, 32}, {1280, 64}, {1000000, 64}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(recipe_auto_batch(cases[i].n_train), cases[i].batch);
}

static void features_that_change_are_not_cached(void **state)
{
    (void)state;
    static const char stages[] = "'feature_cache':{'views':2},"
                                 "'stages':[{'epochs':1,'lr':1,'freeze_to':-1},"
                                 "{'epochs':1,'lr':1}]}";
    struct recipe recipe;
    struct err err = {0};
    char *spec = mem_printf("{'frozen_batchnorm':'train',%s", stages);
    assert_int_equal(make(&recipe, spec, 100, &err), E_INVALID);
    assert_string_equal(err.pointer, "/feature_cache");
    assert_non_null(strstr(err.detail, "The features of resnet34 change while its frozen batch"));
    mem_free(spec);
    spec = mem_printf("{'frozen_batchnorm':'eval',%s", stages);
    assert_int_equal(make(&recipe, spec, 100, &err), OK);
    assert_int_equal(recipe.cache_views, 2);
    assert_true(recipe.stages[0].cached && !recipe.stages[1].cached);
    recipe_deinit(&recipe);
    mem_free(spec);
    struct json *json = parse("{'feature_cache':{'views':1},'stages':[{'epochs':1,'lr':1,"
                              "'freeze_to':-1}]}");
    struct split split = {.n_train = 100};
    assert_int_equal(recipe_init(&recipe, json, zoo_find("squeezenet1_1"), NULL, &split, &err), OK);
    assert_true(recipe.stages[0].cached); /* no batch norm: nothing changes */
    recipe_deinit(&recipe);
    json_free(json);
}

static void a_stage_overrides_what_the_job_says(void **state)
{
    (void)state;
    struct recipe recipe;
    struct err err = {0};
    assert_int_equal(make(&recipe,
                          "{'image':{'size':128},'batch_size':16,'augment':'none','stages':["
                          "{'epochs':1,'lr':1},{'epochs':1,'lr':'auto','image':{'size':96},"
                          "'batch_size':'auto','augment':{'rotate':10,'presize':160},"
                          "'then':'pause','fresh':true},{'epochs':1,'lr':1}]}",
                          100, &err),
                     OK);
    const struct recipe_stage *first = &recipe.stages[0], *second = &recipe.stages[1];
    assert_true(first->size == 128 && first->batch == 16 && !first->augment.enabled);
    assert_true(second->size == 96 && second->batch == 8 && second->augment.enabled);
    assert_true(second->augment.rotate == 10 && second->augment.presize == 160);
    assert_true(second->pause_after && second->fresh && second->lr_auto);
    assert_false(first->pause_after || first->fresh || first->lr_auto);
    recipe_set_rate(&recipe.stages[1], 3, 4e-3);
    assert_true(second->max_rates[0] == 4e-4 && second->max_rates[2] == 4e-3);
    recipe_deinit(&recipe);
}

static void what_watches_and_mixes_is_read(void **state)
{
    (void)state;
    struct recipe recipe;
    struct err err = {0};
    assert_int_equal(
        make(&recipe,
             "{'task':'image_multilabel','sampler':'balanced','accumulate':64,'cutmix':1,"
             "'early_stop':{'monitor':'accuracy','patience':5,'min_delta':0.01},"
             "'reduce_on_plateau':{'factor':0.5,'min_lr':1e-6},'max_seconds':60,"
             "'lr_find':{'start':1e-6,'end':1,'steps':50},'threshold':0.3,"
             "'optimizer':{'name':'sgd'},'stages':[{'epochs':1,'lr':1}]}",
             100, &err),
        OK);
    assert_int_equal(recipe.task, TASK_MULTILABEL);
    assert_int_equal(recipe.loss.kind, LOSS_BINARY);
    assert_true(recipe.balanced && recipe.accumulate == 64 && recipe.mix.cutmix == 1);
    assert_true(recipe.early_stop.on && recipe.early_stop.patience == 5);
    assert_true(recipe.early_stop.min_delta == .01);
    assert_string_equal(recipe.early_stop.monitor, "accuracy");
    assert_true(recipe.plateau.on && recipe.plateau_factor == .5);
    assert_true(recipe.plateau.patience == 1 && recipe.plateau_min_lr == 1e-6);
    assert_true(recipe.max_seconds == 60 && recipe.threshold == .3);
    assert_true(recipe.lr_find.start == 1e-6 && recipe.lr_find.steps == 50);
    assert_int_equal(recipe.optim.kind, OPTIM_SGD);
    recipe_deinit(&recipe);
}

static void a_task_that_does_not_train_needs_no_stages(void **state)
{
    (void)state;
    struct recipe recipe;
    struct err err = {0};
    assert_int_equal(make(&recipe, "{'task':'evaluate','split':'test','tta':4}", 0, &err), OK);
    assert_int_equal(recipe.n_stages, 0);
    assert_string_equal(recipe.split, "test");
    assert_int_equal(recipe.tta, 4);
    recipe_deinit(&recipe);
}

static void a_stage_that_would_train_nothing_is_refused(void **state)
{
    (void)state;
    struct recipe recipe;
    struct err err = {0};
    static const char spec[] = "{'stages':[{'epochs':1,'freeze_to':-1,"
                               "'lr':{'groups':[1e-3,1e-3,0]}}]}";
    assert_int_equal(make(&recipe, spec, 100, &err), E_INVALID);
    assert_string_equal(err.pointer, "/stages/0/lr");
    assert_non_null(strstr(err.detail, "nothing would be trained"));
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
        cmocka_unit_test(a_small_set_gets_more_epochs_until_there_are_steps_enough),
        cmocka_unit_test(an_automatic_batch_is_a_power_of_two_not_above_a_twentieth),
        cmocka_unit_test(features_that_change_are_not_cached),
        cmocka_unit_test(a_stage_overrides_what_the_job_says),
        cmocka_unit_test(what_watches_and_mixes_is_read),
        cmocka_unit_test(a_task_that_does_not_train_needs_no_stages),
        cmocka_unit_test(a_stage_that_would_train_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
