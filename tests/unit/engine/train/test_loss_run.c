/* Whole runs with every kind of loss: they go on from any step to the same bits, and each option
 * changes the result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/engine/train/fixture.h"

#define RUN(rest)                                                                                  \
    "{'dataset':'d','model':'thaw-small','weights':'random','image':{'size':32},'batch_size':8,"   \
    "'seed':7,'optimizer':{'name':'adamw','form':'v2'}," rest                                      \
    "'stages':[{'name':'all','freeze_to':0,'epochs':2,'lr':{'slice':[1e-4,1e-3]},"                 \
    "'schedule':{'name':'one_cycle','form':'v2','pct_start':0.3,'div':5,'div_final':1e5}}]}"

static const char *const specs[] = {
    RUN(""),
    RUN("'mixup':0.4,"),
    RUN("'cutmix':1,"),
    RUN("'label_smoothing':0.1,"),
    RUN("'class_weights':{'red':3},"),
    RUN("'sampler':'balanced',"),
    RUN("'task':'image_multilabel',"),
    RUN("'mixup':0.4,'label_smoothing':0.1,'class_weights':'balanced','sampler':'balanced',"),
    RUN("'task':'image_multilabel','cutmix':1,'class_weights':{'blue':0.5},"),
};

static void every_loss_goes_on_from_a_step_to_the_same_bits(void **state)
{
    struct fixture *f = *state;
    char whole[ARRAY_LEN(specs)][65], resumed[65];
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        fixture_new_run(f);
        fixture_run_ok(f, specs[i], NULL);
        fixture_result(f, whole[i]);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(whole[i], whole[k]);
        fixture_new_run(f);
        f->request = TRAINER_PAUSE;
        f->request_at = 3;
        fixture_run_ok(f, specs[i], NULL);
        assert_int_equal(fixture_count(f, "paused"), 1);
        f->request_at = 0;
        fixture_run_ok(f, specs[i], NULL);
        assert_string_equal(fixture_result(f, resumed), whole[i]);
    }
}

static void what_does_not_fit_the_data_ends_before_the_run_starts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_run(f, RUN("'class_weights':{'green':2},"), NULL), E_INVALID);
    assert_string_equal(f->err.pointer, "/class_weights");
    assert_non_null(strstr(f->err.detail, "\"green\""));
    assert_int_equal(fixture_count(f, "started"), 0);
}

int main(void)
{
#define WITH_DATA(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_DATA(every_loss_goes_on_from_a_step_to_the_same_bits),
        WITH_DATA(what_does_not_fit_the_data_ends_before_the_run_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
