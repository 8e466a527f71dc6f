/* Each rule of the job spec, each sentence that refuses one, and that resolving is idempotent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api/spec/jobspec.h"
#include "base/json.h"
#include "base/mem.h"
#include "tests/unit/api/spec/specs.h"

/* --- What is refused --- */

static const struct refusal refused[] = {
    {"'epoch':3", E_SYNTAX, "/epoch",
     "\"epoch\" is not a field of the job spec: did you mean \"epochs\"?"},
    {"'Epochs':3", E_SYNTAX, "/Epochs", "did you mean \"epochs\"?"},
    {"'batchsize':3", E_SYNTAX, "/batchsize", "did you mean \"batch_size\"?"},
    {"'a/b~c':3", E_SYNTAX, "/a~1b~0c",
     "is not a field of the job spec, whose fields are dataset, "},
    {"'image':{'szie':3}", E_SYNTAX, "/image/szie",
     "\"szie\" is not a field of \"image\": did you mean \"size\"?"},
    {"'optimizer':{'weight_deacy':0}", E_SYNTAX, "/optimizer/weight_deacy",
     "\"weight_deacy\" is not a field of \"optimizer\": did you mean \"weight_decay\"?"},
    {"'stages':[{'epochs':1},{'epochs':1,'frezze_to':0}]", E_SYNTAX, "/stages/1/frezze_to",
     "\"frezze_to\" is not a field of a stage: did you mean \"freeze_to\"?"},
    {"'stages':[{'epochs':1,'schedule':{'pct':0}}]", E_SYNTAX, "/stages/0/schedule/pct",
     "is not a field of \"schedule\""},

    {"'epochs':0", E_INVALID, "/epochs",
     "\"epochs\" is 0: an integer from 1 to 10000 is expected."},
    {"'epochs':1000000000", E_INVALID, "/epochs",
     "\"epochs\" is 1000000000: an integer from 1 to 10000 is expected."},
    {"'epochs':-1", E_INVALID, "/epochs", "an integer from 1 to 10000"},
    {"'epochs':2.5", E_SYNTAX, "/epochs", "\"epochs\" is 2.5: an integer from 1 to 10000"},
    {"'epochs':'3'", E_SYNTAX, "/epochs", "\"epochs\" is the text \"3\": an integer from 1"},
    {"'epochs':null", E_SYNTAX, "/epochs", "\"epochs\" is null: an integer"},
    {"'epochs':[3]", E_SYNTAX, "/epochs", "\"epochs\" is an array: an integer"},
    {"'epochs':10000,'freeze_epochs':1", E_INVALID, "/stages",
     "The stages have 10001 epochs together: at most 10000 are allowed."},
    {"'freeze_epochs':-1", E_INVALID, "/freeze_epochs", "from 0 to 10000"},

    {"'base_lr':'NaN'", E_SYNTAX, "/base_lr",
     "\"base_lr\" is the text \"NaN\": a number above 0 and at most 10 is expected."},
    {"'base_lr':0", E_INVALID, "/base_lr", "above 0 and at most 10"},
    {"'base_lr':-1e-3", E_INVALID, "/base_lr", "\"base_lr\" is -0.001: a number above 0"},
    {"'base_lr':11", E_INVALID, "/base_lr", "at most 10"},
    {"'lr_mult':0.5", E_INVALID, "/lr_mult", "from 1 to 1000000"},
    {"'pct_start':1", E_INVALID, "/pct_start", "from 0 to 0.99"},
    {"'div':0", E_INVALID, "/div", "from 1"},

    {"'preset':'lesson_1'", E_INVALID, "/preset",
     "\"preset\" is the text \"lesson_1\": one of \"auto\", \"fine_tune\", \"lesson1\", "
     "\"ulmfit\" is expected."},
    {"'preset':3", E_SYNTAX, "/preset", "\"preset\" is 3: one of"},
    {"'task':'text_regression'", E_INVALID, "/task",
     "one of \"image_classification\", \"image_multilabel\", \"text_classification\""},
    {"'frozen_batchnorm':'evil'", E_INVALID, "/frozen_batchnorm", "one of \"train\", \"eval\""},
    {"'weights':'none'", E_INVALID, "/weights", "one of \"pretrained\", \"random\""},
    {"'head':'keep'", E_INVALID, "/head", "one of \"auto\", \"new\""},
    {"'head_form':'v3'", E_INVALID, "/head_form", "one of \"v1\", \"v2\""},
    {"'augment':'all'", E_INVALID, "/augment",
     "one of \"default\", \"none\", \"full\" or an object"},
    {"'augment':{'min_scale':0}", E_INVALID, "/augment/min_scale", "above 0 and at most 1"},
    {"'augment':{'flip':1.5}", E_INVALID, "/augment/flip", "a number from 0 to 1"},
    {"'augment':{'rotate':200}", E_INVALID, "/augment/rotate", "a number from 0 to 180"},
    {"'augment':{'rotat':10}", E_SYNTAX, "/augment/rotat", "did you mean \"rotate\"?"},

    {"'batch_size':1", E_INVALID, "/batch_size", "an integer from 2 to 4096"},
    {"'batch_size':'large'", E_SYNTAX, "/batch_size",
     "is the text \"large\": \"auto\" or an integer from 2 to 4096"},
    {"'image':{'size':16}", E_INVALID, "/image/size", "an integer from 32 to 1024 or null"},
    {"'image':224", E_SYNTAX, "/image", "\"image\" is 224: an object is expected."},
    {"'valid_fraction':1", E_INVALID, "/valid_fraction", "from 0 to 0.9"},
    {"'valid_fraction':-0.1", E_INVALID, "/valid_fraction", "from 0 to 0.9"},
    {"'seed':-1", E_INVALID, "/seed", "from 0 to 9007199254740991"},
    {"'seed':1.5", E_SYNTAX, "/seed", "an integer"},
    {"'split_seed':'x'", E_SYNTAX, "/split_seed", "an integer"},
    {"'threads':0", E_INVALID, "/threads", "\"auto\" or an integer from 1 to 256"},
    {"'threads':'all'", E_SYNTAX, "/threads", "\"auto\" or an integer from 1 to 256"},
    {"'priority':101", E_INVALID, "/priority", "from -100 to 100"},
    {"'name':''", E_INVALID, "/name", "a text of 1 to 200 bytes or null"},
    {"'name':7", E_SYNTAX, "/name", "a text"},
    {"'metadata':{'a':[1]}", E_SYNTAX, "/metadata", "holds an array under \"a\""},
    {"'metadata':'x'", E_SYNTAX, "/metadata", "an object is expected"},

    {"'optimizer':{'name':'lion'}", E_INVALID, "/optimizer/name",
     "one of \"adamw\", \"adam\", \"sgd\" is expected"},
    {"'optimizer':{'name':'sgd','eps':1e-8}", E_INVALID, "/optimizer/eps",
     "The optimizer sgd has no \"eps\": remove it."},
    {"'optimizer':{'momentum':0.9}", E_INVALID, "/optimizer/momentum",
     "The optimizer adamw has no \"momentum\""},
    {"'optimizer':{'eps':0}", E_INVALID, "/optimizer/eps", "above 0"},
    {"'optimizer':{'betas':[0.9]}", E_INVALID, "/optimizer/betas",
     "\"betas\" has 1 element: exactly 2 are expected."},
    {"'optimizer':{'betas':[0.9,1]}", E_INVALID, "/optimizer/betas/1", "from 0 to 0.99999"},
    {"'optimizer':{'betas':0.9}", E_SYNTAX, "/optimizer/betas",
     "an array of 2 elements, each a number from 0"},
    {"'optimizer':{'weight_decay':-1}", E_INVALID, "/optimizer/weight_decay", "from 0 to 1"},
    {"'optimizer':{'decay_norm_bias':1}", E_SYNTAX, "/optimizer/decay_norm_bias",
     "true or false is expected"},
    {"'optimizer':{'clip':0}", E_INVALID, "/optimizer/clip", "above 0 and at most 1000000 or null"},
    {"'save_best':{'monitor':'acuracy'}", E_INVALID, "/save_best/monitor", "\"accuracy\""},
    {"'save_best':true", E_SYNTAX, "/save_best", "an object or null is expected"},

    {"'stages':[]", E_INVALID, "/stages", "\"stages\" has 0 elements: 1 to 64 are expected."},
    {"'stages':{}", E_SYNTAX, "/stages", "an array of 1 to 64 elements"},
    {"'stages':[3]", E_SYNTAX, "/stages/0", "an object is expected"},
    {"'stages':[{'epochs':1,'name':'best'}]", E_INVALID, "/stages/0/name", "cannot be called"},
    {"'stages':[{}]", E_SYNTAX, "/stages/0/epochs", "\"epochs\" is missing in a stage"},
    {"'stages':[{'epochs':0}]", E_INVALID, "/stages/0/epochs", "from 1 to 10000"},
    {"'stages':[{'epochs':6000},{'epochs':6000}]", E_INVALID, "/stages", "12000 epochs together"},
    {"'stages':[{'epochs':1}],'epochs':3", E_INVALID, "/epochs",
     "\"epochs\" is a parameter of the preset, but \"stages\" replaces the preset's stages: remove "
     "one of the two."},
    {"'div':5,'stages':[{'epochs':1}]", E_INVALID, "/div", "\"div\" is a parameter of the preset"},
    {"'stages':[{'epochs':1,'name':'a'},{'epochs':1,'name':'a'}]", E_INVALID, "/stages/1/name",
     "Two stages are called \"a\""},
    {"'stages':[{'epochs':1,'name':'stage-2'},{'epochs':1}]", E_INVALID, "/stages/1/name",
     "Two stages are called \"stage-2\""},
    {"'stages':[{'epochs':1,'name':'../x'}]", E_INVALID, "/stages/0/name",
     "a name of 1 to 63 letters, digits, dots, dashes, underscores or @"},
    {"'stages':[{'epochs':1,'name':'.x'}]", E_INVALID, "/stages/0/name", "a name of"},
    {"'stages':[{'epochs':1,'freeze_to':-1.5}]", E_SYNTAX, "/stages/0/freeze_to", "an integer"},
    {"'stages':[{'epochs':1,'lr':'NaN'}]", E_SYNTAX, "/stages/0/lr",
     "\"lr\" is the text \"NaN\": \"auto\" or a number above 0 and at most 10 or an object "
     "is expected."},
    {"'stages':[{'epochs':1,'lr':0}]", E_INVALID, "/stages/0/lr", "above 0"},
    {"'stages':[{'epochs':1,'lr':{}}]", E_INVALID, "/stages/0/lr",
     "either \"slice\" or \"groups\""},
    {"'stages':[{'epochs':1,'lr':{'slice':[null,1e-3],'groups':[1]}}]", E_INVALID, "/stages/0/lr",
     "either \"slice\" or \"groups\""},
    {"'stages':[{'epochs':1,'lr':{'slice':[1e-3]}}]", E_INVALID, "/stages/0/lr/slice",
     "\"slice\" has 1 element: exactly 2 are expected."},
    {"'stages':[{'epochs':1,'lr':{'slice':[1e-3,null]}}]", E_INVALID, "/stages/0/lr",
     "The second number of \"slice\" is null"},
    {"'stages':[{'epochs':1,'lr':{'slice':['NaN',1e-3]}}]", E_SYNTAX, "/stages/0/lr/slice/0",
     "the text \"NaN\""},
    {"'stages':[{'epochs':1,'lr':{'groups':[]}}]", E_INVALID, "/stages/0/lr/groups", "0 elements"},
    {"'stages':[{'epochs':1,'lr':{'groups':[-1]}}]", E_INVALID, "/stages/0/lr/groups/0", "from 0"},
    {"'stages':[{'epochs':1,'schedule':'one_cicle'}]", E_INVALID, "/stages/0/schedule",
     "one of \"one_cycle\", \"flat\", \"flat_cos\", \"sgdr\", \"triangular\" or an object"},
    {"'stages':[{'epochs':1,'schedule':{'name':'flat','pct_start':0.5}}]", E_INVALID,
     "/stages/0/schedule", "The schedule flat has no \"pct_start\": remove it."},
    {"'stages':[{'epochs':1,'schedule':{'name':'flat_cos','div':5}}]", E_INVALID,
     "/stages/0/schedule", "The schedule flat_cos has no \"div\""},
    {"'stages':[{'epochs':1,'schedule':{'momentum':[0.9,0.8]}}]", E_INVALID,
     "/stages/0/schedule/momentum", "\"momentum\" has 2 elements"},
};

static void what_breaks_a_rule_is_refused_with_its_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_refused(&refused[i]);
}

static void a_misspelt_choice_names_the_nearest(void **state)
{
    (void)state;
    struct json *spec = spec_of("'preset':'finetune'"), *resolved = NULL;
    struct err err = {0};
    assert_int_equal(jobspec_resolve(spec, &resolved, &err), E_INVALID);
    assert_string_equal(err.hint, "Did you mean \"fine_tune\"?");
    json_free(spec);
}

static void what_is_required_must_be_there(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"{}", "\"dataset\" is missing in the job spec: the id of the dataset to train on."},
        {"{\"dataset\":\"d\"}", "\"model\" is missing"},
        {"{\"dataset\":\"\",\"model\":\"m\"}", "\"dataset\" is \"\": a text of 1 to 100 bytes"},
        {"[]", "A job spec is an object, this is an array."},
        {"null", "this is null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json *spec = NULL, *resolved = NULL;
        struct err err = {0};
        assert_int_equal(json_parse(cases[i].text, strlen(cases[i].text), &spec, &err), OK);
        assert_int_not_equal(jobspec_resolve(spec, &resolved, &err), OK);
        if (!strstr(err.detail, cases[i].sentence))
            fail_msg("%s: %s", cases[i].text, err.detail);
        json_free(spec);
    }
}

static void too_much_of_anything_is_refused(void **state)
{
    (void)state;
    struct json *resolved = NULL;
    struct err err = {0};
    struct json *spec = spec_of("");
    struct json *stages = json_set_array(spec, "stages");
    for (int i = 0; i < 65; i++)
        json_set_integer(json_add_object(stages), "epochs", 1);
    assert_int_equal(jobspec_resolve(spec, &resolved, &err), E_INVALID);
    assert_string_equal(err.pointer, "/stages");
    json_remove(spec, "stages");
    struct json *metadata = json_set_object(spec, "metadata");
    for (int i = 0; i < 33; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%d", i);
        json_set_integer(metadata, key, i);
    }
    assert_int_equal(jobspec_resolve(spec, &resolved, &err), E_INVALID);
    metadata = json_set_object(spec, "metadata");
    char text[502];
    memset(text, 'x', 501);
    text[501] = '\0';
    json_set_string(metadata, "k", text);
    assert_int_equal(jobspec_resolve(spec, &resolved, &err), E_INVALID);
    text[500] = '\0';
    json_set_string(metadata, "k", text);
    assert_int_equal(jobspec_resolve(spec, &resolved, &err), OK);
    json_free(resolved);
    json_free(spec);
}

/* --- What stays --- */

static const struct {
    const char *members, *field, *resolved;
} fields[] = {
    {"'augment':'default'", "augment", AUGMENT("0.5")},
    {"'augment':'none'", "augment", "'none'"},
    {"'augment':{'flip':0}", "augment", AUGMENT("0")},
    {"'image':{'size':96}", "image", "{'size':96}"},
    {"'save_best':{}", "save_best", "{'monitor':'valid_loss'}"},
    {"'optimizer':{'form':'v1','clip':0.1}", "optimizer",
     "{'name':'adamw','form':'v1','betas':[0.9,0.99],'eps':1e-08,'weight_decay':0.01,"
     "'decay_norm_bias':true,'clip':0.1}"},
    {"'preset':'lesson1','head_form':'v2'", "head_form", "'v2'"},
    {"'threads':2", "threads", "2"},
    {"'metadata':{'owner':'lab 3','n':3,'b':true}", "metadata", "{'owner':'lab 3','n':3,'b':true}"},
    {"'seed':9007199254740991", "seed", "9007199254740991"},
};

static void a_given_value_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct json *spec = resolve(fields[i].members);
        assert_json(json_get(spec, fields[i].field), fields[i].resolved);
        json_free(spec);
    }
}

static void what_was_sent_is_left_as_it_was(void **state)
{
    (void)state;
    struct json *spec = spec_of("'epochs':3,'augment':'default'"), *copy = json_copy(spec);
    struct json *resolved = NULL;
    assert_int_equal(jobspec_resolve(spec, &resolved, NULL), OK);
    assert_true(json_equal(spec, copy));
    json_free(spec);
    json_free(copy);
    json_free(resolved);
}

static void the_table_documents_every_field(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1u << 16);
    jobspec_print_table(&out);
    jobspec_print_presets(&out);
    struct json *spec = resolve("");
    json_each(field, spec)
    {
        char row[80];
        snprintf(row, sizeof(row), "| `%s` |", json_key(field));
        assert_non_null(strstr(out.data, row));
    }
    assert_non_null(strstr(out.data, "| `stages[].schedule.pct_start` |"));
    assert_non_null(
        strstr(out.data,
               "| `lesson1` | v1 | 2 | 4 | 0.003 | 100 | - | - | 0.3 | 25 | 64 | train | none |"));
    assert_null(strstr(out.data, "(null)"));
    json_free(spec);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_breaks_a_rule_is_refused_with_its_sentence),
        cmocka_unit_test(a_misspelt_choice_names_the_nearest),
        cmocka_unit_test(what_is_required_must_be_there),
        cmocka_unit_test(too_much_of_anything_is_refused),
        cmocka_unit_test(a_given_value_stays),
        cmocka_unit_test(what_was_sent_is_left_as_it_was),
        cmocka_unit_test(the_table_documents_every_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
