/* Presets, stages, fractions: what a spec of a few words becomes, and which contradict each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "tests/unit/api/spec/specs.h"

static void the_smallest_spec_is_the_preset_auto(void **state)
{
    (void)state;
    struct json *spec = resolve("");
    assert_string_equal(json_string(spec, "preset", ""), "auto");
    assert_json(json_get(spec, "stages"),
                "[{'name':'stage-1','freeze_to':-1,'epochs':20,'min_steps':150,"
                "'lr':{'slice':[null,0.002]},'schedule':{'name':'one_cycle','form':'v2',"
                "'pct_start':0.25,'div':25,'div_final':100000,'momentum':[0.95,0.85,0.95]},"
                "'then':'go_on','fresh':false},"
                "{'name':'stage-2','freeze_to':0,'epochs':5,'min_steps':0,"
                "'lr':{'slice':[1e-05,0.0001]},'schedule':{'name':'one_cycle','form':'v2',"
                "'pct_start':0.3,'div':5,'div_final':100000,'momentum':[0.95,0.85,0.95]},"
                "'then':'go_on','fresh':false}]");
    assert_json(json_get(spec, "batch_size"), "'auto'");
    assert_json(json_get(spec, "frozen_batchnorm"), "'eval'");
    assert_json(json_get(spec, "feature_cache"), "{'views':1}");
    json_free(spec);
}

/* What a preset brings along gives way to what is given, and to what it cannot go with. */
static const struct {
    const char *members, *batch_size, *frozen_batchnorm, *feature_cache;
} companions[] = {
    {"'batch_size':16", "16", "'eval'", "{'views':1}"},
    {"'frozen_batchnorm':'train'", "'auto'", "'train'", "null"},
    {"'frozen_batchnorm':'train','feature_cache':{}", "'auto'", "'train'", "{'views':1}"},
    {"'feature_cache':null", "'auto'", "'eval'", "null"},
    {"'feature_cache':{'views':4}", "'auto'", "'eval'", "{'views':4}"},
    {"'mixup':0.4", "'auto'", "'eval'", "null"},
    {"'cutmix':1", "'auto'", "'eval'", "null"},
    {"'weights':'random'", "'auto'", "'train'", "null"},
    {"'preset':'fine_tune'", "64", "'train'", "null"},
    {"'preset':'lesson1','batch_size':'auto'", "'auto'", "'train'", "null"},
    {"'stages':[{'epochs':1}]", "'auto'", "'eval'", "{'views':1}"},
};

static void a_preset_brings_other_defaults_that_give_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(companions); i++) {
        struct json *spec = resolve(companions[i].members);
        assert_json(json_get(spec, "batch_size"), companions[i].batch_size);
        assert_json(json_get(spec, "frozen_batchnorm"), companions[i].frozen_batchnorm);
        assert_json(json_get(spec, "feature_cache"), companions[i].feature_cache);
        json_free(spec);
    }
}

static void from_random_weights_nothing_is_frozen_unless_asked_for(void **state)
{
    (void)state;
    struct json *spec = resolve("'weights':'random'");
    assert_int_equal(json_len(json_get(spec, "stages")), 1);
    const struct json *stage = json_at(json_get(spec, "stages"), 0);
    assert_int_equal(json_integer(stage, "freeze_to", -9), 0);
    assert_int_equal(json_integer(stage, "epochs", 0), 20);
    assert_json(json_get(stage, "lr"), "{'slice':[0.001,0.001]}");
    json_free(spec);
    spec = resolve("'weights':'random','epochs':5,'freeze_epochs':2");
    assert_int_equal(json_len(json_get(spec, "stages")), 2);
    assert_int_equal(json_integer(json_at(json_get(spec, "stages"), 1), "epochs", 0), 5);
    json_free(spec);
}

static void fine_tune_is_fastais_in_full(void **state)
{
    (void)state;
    struct json *spec = resolve("'preset':'fine_tune'");
    assert_json(
        spec,
        "{'dataset':'ds_1','model':'resnet34','task':'image_classification','name':null,"
        "'metadata':{},'preset':'fine_tune','stages':["
        "{'name':'stage-1','freeze_to':-1,'epochs':1,'min_steps':0,'lr':{'slice':[null,0.002]},"
        "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.99,'div':25,"
        "'div_final':100000,'momentum':[0.95,0.85,0.95]},'then':'go_on','fresh':false},"
        "{'name':'stage-2','freeze_to':0,'epochs':3,'min_steps':0,'lr':{'slice':[1e-05,0.001]},"
        "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.3,'div':5,"
        "'div_final':100000,'momentum':[0.95,0.85,0.95]},'then':'go_on','fresh':false}],"
        "'seed':0,'image':{'size':null},'batch_size':64,'valid_fraction':0.2,'split_seed':0,"
        "'sample':null,'sampler':'shuffled','augment':" AUGMENT(
            "0.5") ","
                   "'frozen_batchnorm':'train','feature_cache':null,"
                   "'optimizer':{'name':'adamw','form':'v2','betas':[0.9,0.99],'eps':1e-05,"
                   "'weight_decay':0.01,'decay_norm_bias':false,'clip':null},'accumulate':null,"
                   "'label_smoothing':0,'class_weights':null,'mixup':null,'cutmix':null,"
                   "'head_form':'v2','head':'auto','weights':'pretrained','save_best':null,"
                   "'early_stop':null,'reduce_on_plateau':null,'max_seconds':null,"
                   "'lr_find':{'start':1e-07,'end':10,'steps':100},'split':'valid','tta':null,"
                   "'threshold':0.5,"
                   "'threads':'auto','priority':0}");
    json_free(spec);
}

static void lesson1_is_the_published_recipe(void **state)
{
    (void)state;
    struct json *spec = resolve("'preset':'lesson1'");
    assert_json(
        json_get(spec, "stages"),
        "[{'name':'stage-1','freeze_to':-1,'epochs':4,'min_steps':0,'lr':{'slice':[null,0.003]},"
        "'schedule':{'name':'one_cycle','form':'v1','pct_start':0.3,'div':25,"
        "'div_final':250000,'momentum':[0.95,0.85,0.95]},'then':'go_on','fresh':false},"
        "{'name':'stage-2','freeze_to':0,'epochs':2,'min_steps':0,'lr':{'slice':[1e-06,0.0001]},"
        "'schedule':{'name':'one_cycle','form':'v1','pct_start':0.3,'div':25,"
        "'div_final':250000,'momentum':[0.95,0.85,0.95]},'then':'go_on','fresh':false}]");
    assert_json(json_get(spec, "optimizer"),
                "{'name':'adamw','form':'v1','betas':[0.9,0.99],'eps':1e-08,'weight_decay':0.01,"
                "'decay_norm_bias':true,'clip':null}");
    assert_string_equal(json_string(spec, "head_form", ""), "v1");
    json_free(spec);
}

static void preset_parameters_go_into_the_stages(void **state)
{
    (void)state;
    struct json *spec =
        resolve("'preset':'fine_tune','epochs':7,'freeze_epochs':2,'base_lr':4e-3,'lr_mult':10,"
                "'pct_start':0.5,'div':20");
    assert_json(
        json_get(spec, "stages"),
        "[{'name':'stage-1','freeze_to':-1,'epochs':2,'min_steps':0,'lr':{'slice':[null,0.004]},"
        "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.99,'div':25,"
        "'div_final':100000,'momentum':[0.95,0.85,0.95]},'then':'go_on','fresh':false},"
        "{'name':'stage-2','freeze_to':0,'epochs':7,'min_steps':0,'lr':{'slice':[0.0002,0.002]},"
        "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.5,'div':20,"
        "'div_final':100000,'momentum':[0.95,0.85,0.95]},'then':'go_on','fresh':false}]");
    assert_null(json_get(spec, "epochs"));
    assert_null(json_get(spec, "div"));
    json_free(spec);
    spec = resolve("'preset':'fine_tune','freeze_epochs':0");
    assert_int_equal(json_len(json_get(spec, "stages")), 1);
    assert_string_equal(json_string(json_at(json_get(spec, "stages"), 0), "name", ""), "stage-1");
    json_free(spec);
}

static const struct {
    const char *stage, *resolved;
} stages[] = {
    {"{'epochs':2}",
     "{'name':'stage-1','freeze_to':0,'epochs':2,'min_steps':0,'lr':0.001,"
     "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.25,'div':25,"
     "'div_final':100000,'momentum':[0.95,0.85,0.95]},'then':'go_on','fresh':false}"},
    {"{'epochs':2,'schedule':{'form':'v1'}}",
     "{'name':'stage-1','freeze_to':0,'epochs':2,'min_steps':0,'lr':{'slice':[null,0.003]},"
     "'schedule':{'name':'one_cycle','form':'v1','pct_start':0.3,'div':25,"
     "'div_final':250000,'momentum':[0.95,0.85,0.95]},'then':'go_on','fresh':false}"},
    {"{'epochs':1,'lr':{'slice':[1e-6,1e-4]},'schedule':{'name':'one_cycle','form':'v1','div':10}}",
     "{'name':'stage-1','freeze_to':0,'epochs':1,'min_steps':0,'lr':{'slice':[1e-06,0.0001]},"
     "'schedule':{'name':'one_cycle','form':'v1','pct_start':0.3,'div':10,"
     "'div_final':100000,'momentum':[0.95,0.85,0.95]},'then':'go_on','fresh':false}"},
    {"{'name':'warm','epochs':1,'freeze_to':-2,'lr':{'groups':[0,1e-4,1e-3]},'schedule':'flat'}",
     "{'name':'warm','freeze_to':-2,'epochs':1,'min_steps':0,'lr':{'groups':[0,0.0001,0.001]},"
     "'schedule':{'name':'flat','form':'v2','momentum':[0.8,0.8,0.8]},'then':'go_on','fresh':"
     "false}"},
    {"{'epochs':1,'lr':0.01,'schedule':{'name':'flat_cos','momentum':0.7}}",
     "{'name':'stage-1','freeze_to':0,'epochs':1,'min_steps':0,'lr':0.01,"
     "'schedule':{'name':'flat_cos','form':'v2','pct_start':0.75,'div_final':100000,"
     "'momentum':[0.7,0.7,0.7]},'then':'go_on','fresh':false}"},
};

static void a_stage_takes_the_defaults_of_its_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        char *members =
            mem_printf("'optimizer':{'betas':[0.8,0.99]},'stages':[%s]", stages[i].stage);
        struct json *spec = resolve(members);
        assert_json(json_at(json_get(spec, "stages"), 0), stages[i].resolved);
        mem_free(members);
        json_free(spec);
    }
}

static const struct {
    const char *schedule, *resolved;
} schedules[] = {
    {"'sgdr'", "{'name':'sgdr','form':'v2','cycle_len':1,'cycle_mult':2,'momentum':[0.9,0.9,0.9]}"},
    {"{'name':'sgdr','cycle_len':3,'cycle_mult':1}",
     "{'name':'sgdr','form':'v2','cycle_len':3,'cycle_mult':1,'momentum':[0.9,0.9,0.9]}"},
    {"'triangular'",
     "{'name':'triangular','form':'v2','cut_frac':0.1,'ratio':32,'momentum':[0.9,0.9,0.9]}"},
    {"{'name':'flat_cos','form':'v1'}",
     "{'name':'flat_cos','form':'v1','pct_start':0.75,'div_final':100000,"
     "'momentum':[0.9,0.9,0.9]}"},
};

static void every_schedule_has_its_own_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(schedules); i++) {
        char *members = mem_printf("'stages':[{'epochs':4,'schedule':%s}]", schedules[i].schedule);
        struct json *spec = resolve(members);
        assert_json(json_get(json_at(json_get(spec, "stages"), 0), "schedule"),
                    schedules[i].resolved);
        mem_free(members);
        json_free(spec);
    }
}

static const struct {
    const char *given, *resolved;
} optimizers[] = {
    {"{'name':'sgd'}", "{'name':'sgd','form':'v2','momentum':0.9,'weight_decay':0.01,"
                       "'decay_norm_bias':false,'clip':null}"},
    {"{'name':'sgd','momentum':0.8,'form':'v1'}",
     "{'name':'sgd','form':'v1','momentum':0.8,'weight_decay':0.01,'decay_norm_bias':true,"
     "'clip':null}"},
    {"{'name':'adam'}", "{'name':'adam','form':'v2','betas':[0.9,0.99],'eps':1e-05,"
                        "'weight_decay':0.01,'decay_norm_bias':false,'clip':null}"},
};

static void every_optimizer_has_its_own_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(optimizers); i++) {
        char *members = mem_printf("'stages':[{'epochs':1,'schedule':'flat'}],'optimizer':%s",
                                   optimizers[i].given);
        struct json *spec = resolve(members);
        assert_json(json_get(spec, "optimizer"), optimizers[i].resolved);
        mem_free(members);
        json_free(spec);
    }
    struct json *spec = resolve("'optimizer':{'name':'sgd','momentum':0.8},"
                                "'stages':[{'epochs':1,'schedule':'flat'}]");
    const struct json *stage = json_at(json_get(spec, "stages"), 0);
    assert_json(json_get(json_get(stage, "schedule"), "momentum"), "[0.8,0.8,0.8]");
    json_free(spec);
}

static void fractions_become_stages_that_start_afresh(void **state)
{
    (void)state;
    struct json *spec = resolve("'fractions':[0.01,0.1,1.0]");
    static const struct {
        const char *name, *sample;
        bool fresh;
    } expected[] = {
        {"stage-1@0.01", "{'fraction':0.01,'min_per_class':10,'valid':'sampled'}", true},
        {"stage-2@0.01", "{'fraction':0.01,'min_per_class':10,'valid':'sampled'}", false},
        {"stage-1@0.1", "{'fraction':0.1,'min_per_class':10,'valid':'sampled'}", true},
        {"stage-2@0.1", "{'fraction':0.1,'min_per_class':10,'valid':'sampled'}", false},
        {"stage-1@1", "{'fraction':1,'min_per_class':10,'valid':'sampled'}", true},
        {"stage-2@1", "{'fraction':1,'min_per_class':10,'valid':'sampled'}", false},
    };
    const struct json *all = json_get(spec, "stages");
    assert_int_equal(json_len(all), ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const struct json *stage = json_at(all, i);
        assert_string_equal(json_string(stage, "name", ""), expected[i].name);
        assert_json(json_get(stage, "sample"), expected[i].sample);
        assert_int_equal(json_bool(stage, "fresh", false), expected[i].fresh);
    }
    assert_null(json_get(spec, "fractions"));
    json_free(spec);
}

static void a_stage_keeps_what_it_sets_for_itself(void **state)
{
    (void)state;
    struct json *spec =
        resolve("'stages':[{'epochs':1,'image':{'size':128},'batch_size':32,'augment':'full',"
                "'sample':{'fraction':0.5},'lr':'auto','then':'pause'},{'epochs':1}]");
    assert_json(json_at(json_get(spec, "stages"), 0),
                "{'name':'stage-1','freeze_to':0,'epochs':1,'min_steps':0,'lr':'auto',"
                "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.25,'div':25,"
                "'div_final':100000,'momentum':[0.95,0.85,0.95]},'image':{'size':128},"
                "'batch_size':32,'augment':{'min_scale':1,'flip':0.5,'flip_vertical':false,"
                "'rotate':10,'zoom':1.1,'warp':0.2,'p_affine':0.75,'lighting':0.2,"
                "'p_lighting':0.75,'erase':0,'presize':null},"
                "'sample':{'fraction':0.5,'min_per_class':10,'valid':'sampled'},'then':'pause',"
                "'fresh':false}");
    const struct json *other = json_at(json_get(spec, "stages"), 1);
    assert_null(json_get(other, "image"));
    assert_null(json_get(other, "augment"));
    json_free(spec);
}

static void a_task_has_the_stages_that_it_runs(void **state)
{
    (void)state;
    struct json *spec = resolve("'task':'lr_find'");
    assert_int_equal(json_len(json_get(spec, "stages")), 1);
    json_free(spec);
    spec = resolve("'task':'evaluate','split':'test','tta':4");
    assert_null(json_get(spec, "stages"));
    assert_null(json_get(spec, "ensemble"));
    json_free(spec);
    spec = resolve("'task':'predict','ensemble':['mdl_2','mdl_3']");
    assert_int_equal(json_len(json_get(spec, "ensemble")), 2);
    json_free(spec);
}

static const struct refusal contradictions[] = {
    {"'mixup':0.4,'cutmix':1", E_INVALID, "/cutmix",
     "\"mixup\" and \"cutmix\" exclude each other, since a batch is mixed in one way: remove one "
     "of the two."},
    {"'mixup':0.4,'feature_cache':{'views':2}", E_INVALID, "/mixup", "the cache is behind it"},
    {"'cutmix':1,'feature_cache':{}", E_INVALID, "/cutmix", "the cache is behind it"},
    {"'sample':{'fraction':0.5},'fractions':[0.1]", E_INVALID, "/fractions",
     "\"fractions\" makes the samples itself"},
    {"'fractions':[0.1],'stages':[{'epochs':1,'sample':{'fraction':0.5}}]", E_INVALID,
     "/stages/0/sample", "\"fractions\" makes the samples itself"},
    {"'fractions':[0.1,0.01]", E_INVALID, "/fractions", "must ascend: 0.01 stands behind 0.1."},
    {"'fractions':[0.1,0.1]", E_INVALID, "/fractions", "must ascend"},
    {"'fractions':[0,1]", E_INVALID, "/fractions/0", "above 0 and at most 1"},
    {"'fractions':[]", E_INVALID, "/fractions", "1 to 16 are expected"},
    {"'sample':{}", E_SYNTAX, "/sample/fraction", "\"fraction\" is missing"},
    {"'sample':{'fraction':1.5}", E_INVALID, "/sample/fraction", "at most 1"},
    {"'fractions':[0.1,1],'epochs':6000", E_INVALID, "/stages", "12040 epochs together"},
    {"'class_weights':{'bee':0}", E_INVALID, "/class_weights",
     "The weight of the class \"bee\" must be a number above 0"},
    {"'class_weights':{'bee':'2'}", E_INVALID, "/class_weights", "\"bee\""},
    {"'class_weights':'even'", E_INVALID, "/class_weights", "\"balanced\""},
    {"'lr_find':{'start':1,'end':0.1}", E_INVALID, "/lr_find", "1 is not below 0.1"},
    {"'task':'lr_find','stages':[{'epochs':1},{'epochs':1}]", E_INVALID, "/stages",
     "tries rates on one stage, but there are 2"},
    {"'task':'evaluate','epochs':3", E_INVALID, "/epochs",
     "The task evaluate does not train: remove \"epochs\"."},
    {"'task':'predict','stages':[{'epochs':1}]", E_INVALID, "/stages", "does not train"},
    {"'task':'evaluate','weights':'random'", E_INVALID, "/weights", "needs a model that was"},
    {"'task':'image_multilabel','label_smoothing':0.1", E_INVALID, "/label_smoothing",
     "has a target for each class by itself"},
    {"'stages':[{'epochs':1,'then':'pause'}]", E_INVALID, "/stages/0/then",
     "The last stage cannot pause the job"},
    {"'stages':[{'epochs':1,'lr':{'groups':[0,0]}}]", E_INVALID, "/stages/0/lr",
     "Every rate of \"groups\" is 0"},
    {"'stages':[{'epochs':1,'lr':'fast'}]", E_SYNTAX, "/stages/0/lr", "\"auto\" or a number"},
    {"'stages':[{'epochs':2,'schedule':{'name':'sgdr','cycle_len':3}}]", E_INVALID,
     "/stages/0/schedule", "The first cycle of sgdr has 3 epochs, but the stage has 2 in all."},
    {"'stages':[{'epochs':2,'schedule':{'name':'sgdr','ratio':3}}]", E_INVALID,
     "/stages/0/schedule", "The schedule sgdr has no \"ratio\""},
    {"'stages':[{'epochs':2,'schedule':{'name':'flat','momentum':[0.9,0.8,0.9]}}]", E_INVALID,
     "/stages/0/schedule", "leaves momentum where it is: give one number, not three."},
    {"'stages':[{'epochs':1,'min_steps':2000000}]", E_INVALID, "/stages/0/min_steps",
     "from 0 to 1000000"},
    {"'feature_cache':{'views':17}", E_INVALID, "/feature_cache/views", "from 1 to 16"},
    {"'label_smoothing':1", E_INVALID, "/label_smoothing", "from 0 to 0.999"},
    {"'tta':0", E_INVALID, "/tta", "from 1 to 16"},
    {"'ensemble':['mdl_2']", E_INVALID, "/ensemble", "say \"task\": \"evaluate\""},
    {"'task':'lr_find','ensemble':['mdl_2']", E_INVALID, "/ensemble", "models that were trained"},
    {"'task':'evaluate','ensemble':['1','2','3','4','5','6','7','8']", E_INVALID, "/ensemble",
     "has 8 elements: 1 to 7"},
    {"'task':'evaluate','ensemble':[1]", E_SYNTAX, "/ensemble/0", "text"},
};

static void what_contradicts_itself_is_refused_in_one_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(contradictions); i++)
        assert_refused(&contradictions[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_spec_is_the_preset_auto),
        cmocka_unit_test(a_preset_brings_other_defaults_that_give_way),
        cmocka_unit_test(from_random_weights_nothing_is_frozen_unless_asked_for),
        cmocka_unit_test(fine_tune_is_fastais_in_full),
        cmocka_unit_test(lesson1_is_the_published_recipe),
        cmocka_unit_test(preset_parameters_go_into_the_stages),
        cmocka_unit_test(a_stage_takes_the_defaults_of_its_form),
        cmocka_unit_test(every_schedule_has_its_own_numbers),
        cmocka_unit_test(every_optimizer_has_its_own_numbers),
        cmocka_unit_test(fractions_become_stages_that_start_afresh),
        cmocka_unit_test(a_stage_keeps_what_it_sets_for_itself),
        cmocka_unit_test(a_task_has_the_stages_that_it_runs),
        cmocka_unit_test(what_contradicts_itself_is_refused_in_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
