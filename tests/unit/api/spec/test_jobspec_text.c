/* Jobs on texts: what makes a job one, the recipe ulmfit in full, what does not go with texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api/spec/jobspec.h"
#include "base/mem.h"
#include "tests/unit/api/spec/specs.h"

#define CYCLE                                                                                      \
    "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.25,'div':25,'div_final':100000,"     \
    "'momentum':[0.8,0.7,0.8]},'then':'go_on','fresh':false}"

static const char ulmfit[] =
    "[{'name':'stage-1','phase':'language_model','freeze_to':-1,'epochs':1,'min_steps':0,'lr':0."
    "02," CYCLE
    ",{'name':'stage-2','phase':'language_model','freeze_to':0,'epochs':10,'min_steps':0,"
    "'lr':0.002," CYCLE ",{'name':'stage-3','phase':'classifier','freeze_to':-1,'epochs':1,"
    "'min_steps':60,'lr':0.02," CYCLE ",{'name':'stage-4','phase':'classifier','freeze_to':-2,"
    "'epochs':1,'min_steps':30,'lr':{'slice':[0.000218829873,0.01]}," CYCLE
    ",{'name':'stage-5','phase':'classifier','freeze_to':-3,'epochs':1,'min_steps':30,"
    "'lr':{'slice':[0.000109414936,0.005]}," CYCLE ",{'name':'stage-6','phase':'classifier',"
    "'freeze_to':0,'epochs':2,'min_steps':30,'lr':{'slice':[2.18829873e-05,0.001]}," CYCLE "]";

/* Numbers of the expected stages are rounded to nine digits. */
static void round_slices(struct json *stages)
{
    for (size_t i = 0; i < json_len(stages); i++) {
        const struct json *stage = json_at(stages, i);
        const struct json *slice = json_get(json_get(stage, "lr"), "slice");
        if (!slice)
            continue;
        char low[32];
        snprintf(low, sizeof low, "%.9g", json_as_number(json_at(slice, 0), 0));
        double rounded, high = json_as_number(json_at(slice, 1), 0);
        sscanf(low, "%lf", &rounded);
        struct json *lr = (struct json *)(uintptr_t)json_get(stage, "lr");
        struct json *list = json_set_array(lr, "slice");
        json_add_number(list, rounded);
        json_add_number(list, high);
    }
}

static void the_recipe_ulmfit_is_the_published_one(void **state)
{
    (void)state;
    struct json *spec = resolve("'task':'text_classification','model':'wt103-fwd'");
    struct json *stages = json_copy(json_get(spec, "stages"));
    round_slices(stages);
    assert_json(stages, ulmfit);
    assert_string_equal(json_string(spec, "preset", ""), "ulmfit");
    assert_json(json_get(spec, "text"),
                "{'embedding':null,'hidden':null,'layers':null,'seq_len':72,'max_len':1440,"
                "'drop_mult':null,'alpha':2,'beta':1,'backwards':null,'min_freq':3,"
                "'max_vocab':60000,'lm_valid_fraction':0.1,'lm_on_valid':false}");
    assert_json(json_get(spec, "batch_size"), "'auto'");
    json_free(stages);
    json_free(spec);
}

static const struct {
    const char *members, *task;
    size_t stages;
} kinds[] = {
    {"'task':'text_classification'", "text_classification", 6},
    {"'preset':'ulmfit'", "text_classification", 6},
    {"'text':{}", "text_classification", 6},
    {"'model':null", "text_classification", 3},
    {"'model':null,'lm_epochs':0", "text_classification", 2},
    {"'model':null,'freeze_epochs':0", "text_classification", 2},
    {"'lm_epochs':3", "text_classification", 6},
    {"'lm_epochs':0,'text':{}", "text_classification", 4},
    {"'freeze_epochs':0,'text':{}", "text_classification", 3},
    {"'task':'language_model'", "language_model", 2},
    {"'task':'language_model','model':null", "language_model", 1},
    {"'stages':[{'epochs':1,'phase':'classifier'}]", "text_classification", 1},
    {"'task':'lr_find','text':{}", "lr_find", 1},
    {"'task':'evaluate','text':{}", "evaluate", 0},
    {"'text':{},'fractions':[0.1,1]", "text_classification", 12},
};

static void anything_for_texts_makes_a_job_on_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct json *spec = resolve(kinds[i].members);
        assert_true(jobspec_is_text(spec));
        assert_string_equal(json_string(spec, "task", ""), kinds[i].task);
        assert_int_equal(json_len(json_get(spec, "stages")), kinds[i].stages);
        assert_null(json_get(spec, "image"));
        assert_null(json_get(spec, "augment"));
        assert_null(json_get(spec, "frozen_batchnorm"));
        json_free(spec);
    }
}

static void a_job_on_pictures_has_nothing_of_texts(void **state)
{
    (void)state;
    struct json *spec = resolve("");
    assert_false(jobspec_is_text(spec));
    assert_null(json_get(spec, "text"));
    assert_null(json_get(json_at(json_get(spec, "stages"), 0), "phase"));
    json_free(spec);
}

static const char from_nothing[] =
    "[{'name':'stage-1','phase':'language_model','freeze_to':0,'epochs':10,'min_steps':0,"
    "'lr':0.005," CYCLE ",{'name':'stage-2','phase':'classifier','freeze_to':-1,'epochs':1,"
    "'min_steps':60,'lr':0.02," CYCLE ",{'name':'stage-3','phase':'classifier','freeze_to':0,"
    "'epochs':12,'min_steps':60,'lr':{'slice':[0.005,0.005]}," CYCLE "]";

static void from_nothing_a_small_model_learns_with_all_its_layers(void **state)
{
    (void)state;
    struct json *spec = resolve("'model':null,'text':{'hidden':64}");
    const struct json *text = json_get(spec, "text");
    assert_int_equal(json_integer(text, "embedding", 0), 200);
    assert_int_equal(json_integer(text, "hidden", 0), 64);
    assert_int_equal(json_integer(text, "layers", 0), 2);
    assert_json(json_get(spec, "stages"), from_nothing);
    json_free(spec);
}

static const struct refusal refused[] = {
    {"'text':{},'image':{'size':64}", E_INVALID, "/image",
     "The field \"image\" is for pictures, but this job is on texts: remove it."},
    {"'task':'text_classification','augment':'none'", E_INVALID, "/augment",
     "is for pictures, but the task is text_classification"},
    {"'text':{},'mixup':0.4", E_INVALID, "/mixup", "is for pictures"},
    {"'text':{},'weights':'random'", E_INVALID, "/weights", "is for pictures"},
    {"'text':{},'tta':4", E_INVALID, "/tta", "is for pictures"},
    {"'text':{},'stages':[{'epochs':1,'image':{'size':64}}]", E_INVALID, "/stages/0/image",
     "is for pictures"},
    {"'task':'image_classification','text':{}", E_INVALID, "/text",
     "The field \"text\" is for texts, but the task is image_classification: remove it."},
    {"'task':'image_multilabel','stages':[{'epochs':1,'phase':'classifier'}]", E_INVALID,
     "/stages/0/phase", "is for texts"},
    {"'task':'image_classification','model':null", E_INVALID, "/model",
     "A job on pictures needs a model"},
    {"'text':{},'preset':'auto'", E_INVALID, "/preset", "The preset auto is for pictures"},
    {"'task':'image_classification','preset':'ulmfit'", E_INVALID, "/preset",
     "The preset ulmfit is for texts"},
    {"'task':'evaluate','model':null", E_INVALID, "/model", "needs a model that was trained"},
    {"'task':'language_model','stages':[{'epochs':1,'phase':'classifier'}]", E_INVALID,
     "/stages/0/phase", "trains no classifier"},
    {"'text':{},'stages':[{'epochs':1,'phase':'language_model'}]", E_INVALID, "/stages",
     "No stage trains the classifier"},
    {"'text':{},'stages':[{'epochs':1},{'epochs':1,'phase':'language_model'},{'epochs':1}]",
     E_INVALID, "/stages/1/phase", "put those of the language model first"},
    {"'task':'language_model','label_smoothing':0.1", E_INVALID, "/label_smoothing",
     "predicts words as they are"},
    {"'text':{'layers':5}", E_INVALID, "/text/layers", "from 1 to 4"},
    {"'text':{'seqlen':5}", E_SYNTAX, "/text/seqlen", "did you mean \"seq_len\""},
    {"'text':{},'stages':[{'epochs':1}],'lm_lr':0.1", E_INVALID, "/lm_lr",
     "is a parameter of the preset"},
};

static void what_does_not_go_with_texts_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_refused(&refused[i]);
}

static void the_datasets_kind_decides_what_a_spec_leaves_open(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        bool text, after;
        const char *task;
    } cases[] = {
        {"", true, true, "text_classification"},
        {"", false, false, ""},
        {"'task':'evaluate'", true, true, "evaluate"},
        {"'task':'lr_find'", true, true, "lr_find"},
        {"'task':'image_classification'", true, false, "image_classification"},
        {"'task':'language_model'", true, true, "language_model"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json *spec = spec_of(cases[i].members);
        jobspec_set_kind(spec, cases[i].text);
        assert_int_equal(jobspec_is_text(spec), cases[i].after);
        assert_string_equal(json_string(spec, "task", ""), cases[i].task);
        json_free(spec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recipe_ulmfit_is_the_published_one),
        cmocka_unit_test(anything_for_texts_makes_a_job_on_texts),
        cmocka_unit_test(a_job_on_pictures_has_nothing_of_texts),
        cmocka_unit_test(from_nothing_a_small_model_learns_with_all_its_layers),
        cmocka_unit_test(what_does_not_go_with_texts_is_refused),
        cmocka_unit_test(the_datasets_kind_decides_what_a_spec_leaves_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
