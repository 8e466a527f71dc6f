/* Texts side by side: where each begins, padding in front of and behind it, both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "engine/zoo/awd_lstm.h"
#include "engine/zoo/text_rows.h"

#define BATCH 4
#define STEPS 4
#define PAD   AWD_LSTM_PADDING

static const int32_t words[] = {21, 22, 23, 24, 25, 26};
static const struct text_row rows[] = {
    {words, 6, 0, false}, {words, 6, 0, true}, {words, 2, 4, false}};

struct world {
    struct graph *graph;
    struct plan *encoder;
};

static int set_up(void **state)
{
    struct world *w = mem_alloc(sizeof *w);
    struct err err = {0};
    struct awd_lstm_options network = awd_lstm_defaults(AWD_LSTM_CLASSIFIER, 0);
    network.vocabulary = 40;
    network.embedding = 8;
    network.hidden = 8;
    network.layers = 1;
    network.classes = 2;
    w->graph = awd_lstm_build(&network);
    awd_lstm_init(w->graph, 1);
    struct plan_options options = {.mode = PLAN_INFER,
                                   .batch = BATCH,
                                   .steps = STEPS,
                                   .output_node = awd_lstm_encoder_output(w->graph)};
    assert_int_equal(plan_new(w->graph, &options, &w->encoder, &err), OK);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    plan_free(w->encoder);
    graph_free(w->graph);
    mem_free(w);
    return 0;
}

static void words_stand_where_the_rows_say_and_padding_elsewhere(void **state)
{
    static const int32_t first[STEPS][BATCH] = {
        {21, 26, PAD, PAD}, {22, 25, PAD, PAD}, {23, 24, PAD, PAD}, {24, 23, PAD, PAD}};
    static const int32_t second[3][BATCH] = {
        {25, 22, 21, PAD}, {26, 21, 22, PAD}, {PAD, PAD, PAD, PAD}};
    struct world *w = *state;
    struct err err = {0};
    assert_int_equal(text_rows_read(w->encoder, rows, 3, BATCH, 0, STEPS, &err), OK);
    assert_memory_equal(plan_tokens(w->encoder), first, sizeof first);
    assert_int_equal(text_rows_read(w->encoder, rows, 3, BATCH, STEPS, 3, &err), OK);
    assert_memory_equal(plan_tokens(w->encoder), second, sizeof second);
}

static void a_row_forgets_only_where_its_text_begins(void **state)
{
    struct world *w = *state;
    size_t n = plan_state_floats(w->encoder);
    float *before = mem_alloc(n * sizeof *before), *after = mem_alloc(n * sizeof *after);
    for (size_t i = 0; i < n; i++)
        before[i] = 1;
    plan_write_state(w->encoder, before);
    text_rows_begin(w->encoder, rows, 3, STEPS);
    plan_read_state(w->encoder, after);
    size_t cleared = 0;
    for (size_t i = 0; i < n; i++)
        cleared += after[i] == 0;
    assert_int_equal(cleared, n / BATCH);
    text_rows_begin(w->encoder, rows, 3, 0);
    plan_read_state(w->encoder, after);
    cleared = 0;
    for (size_t i = 0; i < n; i++)
        cleared += after[i] == 0;
    assert_int_equal(cleared, 3 * (n / BATCH));
    mem_free(before);
    mem_free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_stand_where_the_rows_say_and_padding_elsewhere,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_forgets_only_where_its_text_begins, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
