#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/train/snapshot.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

/* Two stages; [0] names the first alone, [1] both. */
static const char stages[][SHA256_HEX] = {HEX "0", HEX "1"};
static const char other_second[][SHA256_HEX] = {HEX "0", HEX "2"};
static const struct snapshot_run run = {HEX "a", stages, 2, NULL, NULL, NULL};
static const struct snapshot_run another_run = {HEX "b", stages, 2, NULL, NULL, NULL};
static const struct snapshot_run changed_run = {HEX "a", other_second, 2, NULL, NULL, NULL};

struct fixture {
    char folder[64];
    struct graph *graph;
    struct model_info info;
};

/* A convolution that is frozen and a batch norm and a linear layer that train. */
static struct graph *small_graph(void)
{
    struct err err;
    struct graph *graph = graph_new();
    int x = graph_conv(graph, graph_input(graph, 3), "conv", 4, 3, 1, 1, true);
    x = graph_batchnorm(graph, x, "bn");
    x = graph_global_average_pool(graph, x);
    graph_begin_group(graph, 1);
    graph_linear(graph, x, "fc", 2, true);
    static const char *const trainable[] = {"bn.weight", "bn.bias", "fc.weight", "fc.bias"};
    for (size_t i = 0; i < ARRAY_LEN(trainable); i++)
        assert_int_equal(param_set_trainable(graph_find_param(graph, trainable[i]), true, &err),
                         OK);
    return graph;
}

/* Every part that is there gets numbers of its own. */
static void fill(struct graph *graph, float salt)
{
    for (int i = 0; i < graph->n_params; i++)
        for (int part = 0; part < N_PARAM_PARTS; part++)
            for (size_t k = 0; graph->params[i]->parts[part] && k < graph->params[i]->n_stored; k++)
                graph->params[i]->parts[part][k] =
                    salt + (float)i + .1f * (float)part + .001f * (float)k;
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/thaw-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->graph = small_graph();
    f->info = model_info_default("thaw-small");
    snprintf(f->info.head, sizeof f->info.head, "original");
    f->info.classes = json_new_array();
    json_add_string(f->info.classes, "no");
    json_add_string(f->info.classes, "yes");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(fs_remove_tree(f->folder, &err), OK);
    graph_free(f->graph);
    model_info_deinit(&f->info);
    mem_free(f);
    return 0;
}

static struct position some_position(void)
{
    struct position at = position_start();
    at.stage = 1;
    at.step = 17;
    at.total_steps = 117;
    at.optim_steps = 17;
    at.threads = 3;
    memset(at.plans, 'a', sizeof at.plans - 1);
    at.loss = (struct smooth_loss){.1 + .2, 17};
    at.latest = (struct scores){.5, 1. / 3, .75, .25, NAN};
    at.accumulated = 24;
    at.found_rate = 1. / 7;
    at.seconds = 12.5;
    at.callbacks.early_stop = (struct patience){1. / 9, 2};
    at.callbacks.rate_factor = .1;
    memset(at.best_weights, 'b', sizeof at.best_weights - 1);
    return at;
}

static const char *write_at(struct fixture *f, struct position *at, float salt)
{
    struct err err = {0};
    const char *slot = NULL;
    fill(f->graph, salt);
    if (snapshot_write_resume(f->folder, f->graph, &f->info, at, &run, &slot, &err) != OK)
        fail_msg("%s", err.detail);
    return slot;
}

static bool resume(struct fixture *f, const struct snapshot_run *of, struct graph *graph,
                   struct position *at, char *warning)
{
    struct err err = {0};
    bool found = false;
    if (snapshot_resume(f->folder, of, graph, at, &found, warning, &err) != OK)
        fail_msg("%s", err.detail);
    return found;
}

static void assert_same_graph(const struct graph *a, const struct graph *b)
{
    static const enum param_part parts[] = {PARAM_VALUE, PARAM_MOMENT1, PARAM_MOMENT2};
    for (int i = 0; i < a->n_params; i++) {
        for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
            const struct param *x = a->params[i], *y = b->params[i];
            assert_int_equal(x->parts[parts[k]] != NULL, y->parts[parts[k]] != NULL);
            if (x->parts[parts[k]])
                assert_memory_equal(x->parts[parts[k]], y->parts[parts[k]],
                                    x->n_stored * sizeof(float));
        }
    }
}

static void what_was_written_comes_back_to_the_last_bit(void **state)
{
    struct fixture *f = *state;
    struct position at = some_position(), back = position_start();
    char warning[SNAPSHOT_WARNING];
    write_at(f, &at, 1.f / 3);
    struct graph *graph = small_graph();
    assert_true(resume(f, &run, graph, &back, warning));
    assert_string_equal(warning, "");
    assert_same_graph(f->graph, graph);
    assert_true(back.loss.average == at.loss.average && back.loss.count == 17);
    assert_true(back.generation == 1 && back.stage == 1 && back.step == 17);
    assert_true(back.total_steps == 117 && back.optim_steps == 17);
    assert_true(back.threads == 3 && strcmp(back.plans, at.plans) == 0);
    assert_true(back.latest.valid_loss == 1. / 3 && isnan(back.best.valid_loss));
    assert_true(back.accumulated == 24 && back.found_rate == 1. / 7 && back.seconds == 12.5);
    assert_true(back.callbacks.early_stop.best == 1. / 9 && back.callbacks.early_stop.wait == 2);
    assert_true(isnan(back.callbacks.plateau.best) && back.callbacks.rate_factor == .1);
    assert_string_equal(back.best_weights, at.best_weights);
    graph_free(graph);
}

static void files_alternate_and_the_newest_is_taken(void **state)
{
    struct fixture *f = *state;
    struct position at = some_position(), back;
    char warning[SNAPSHOT_WARNING];
    const char *first = write_at(f, &at, 1);
    at.step = 18;
    const char *second = write_at(f, &at, 2);
    assert_string_not_equal(first, second);
    assert_true(resume(f, &run, f->graph, &back, warning) && back.step == 18);
    at.step = 19;
    assert_string_equal(write_at(f, &at, 3), first);
    assert_true(resume(f, &run, f->graph, &back, warning) && back.step == 19);
}

static char *slot_path(const struct fixture *f, const char *slot)
{
    return mem_printf("%s/%s.safetensors", f->folder, slot);
}

static void cut(const struct fixture *f, const char *slot, off_t bytes)
{
    char *path = slot_path(f, slot);
    assert_int_equal(truncate(path, bytes), 0);
    mem_free(path);
}

static void a_damaged_file_is_passed_over_for_the_one_before(void **state)
{
    struct fixture *f = *state;
    struct position at = some_position(), back;
    char warning[SNAPSHOT_WARNING];
    write_at(f, &at, 1);
    struct graph *before = small_graph();
    fill(before, 1);
    at.step = 18;
    const char *newest = write_at(f, &at, 2);
    static const off_t lengths[] = {900, 100, 4, 0};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        cut(f, newest, lengths[i]);
        struct graph *graph = small_graph();
        assert_true(resume(f, &run, graph, &back, warning));
        assert_int_equal(back.step, 17);
        assert_same_graph(graph, before);
        assert_non_null(strstr(warning, newest));
        graph_free(graph);
    }
    graph_free(before);
}

static off_t size_of(const char *path)
{
    struct err err;
    uint64_t bytes = 0;
    assert_int_equal(fs_file_size(path, &bytes, &err), OK);
    return (off_t)bytes;
}

static void flip_bit(const char *path, off_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Wherever a bit of the file flips, the run goes on from the file before, unless the bit decides
 * nothing (a class's name, a space). */
static void a_flipped_bit_is_found_wherever_it_is(void **state)
{
    struct fixture *f = *state;
    struct position at = some_position(), back;
    char warning[SNAPSHOT_WARNING];
    write_at(f, &at, 1);
    at.step = 18;
    char *path = slot_path(f, write_at(f, &at, 2));
    struct graph *graph = small_graph();
    int n_found = 0, n = 0;
    for (off_t i = 0; i < size_of(path); i += 7, n++) {
        flip_bit(path, i);
        assert_true(resume(f, &run, graph, &back, warning));
        if (back.step == 18)
            assert_same_graph(graph, f->graph);
        n_found += back.step == 17 && strstr(warning, "passed over");
        flip_bit(path, i);
    }
    assert_true(n > 300 && n_found > n * 3 / 4);
    off_t size = size_of(path);
    for (off_t i = size - 700; i < size; i += 3) { /* among the numbers every bit counts */
        flip_bit(path, i);
        assert_true(resume(f, &run, graph, &back, warning));
        assert_int_equal(back.step, 17);
        assert_non_null(strstr(warning, "damaged"));
        flip_bit(path, i);
    }
    graph_free(graph);
    mem_free(path);
}

static void stages_that_have_not_begun_may_change(void **state)
{
    struct fixture *f = *state;
    struct position at = some_position(), back = position_start();
    char warning[SNAPSHOT_WARNING];
    at.stage = 0;
    write_at(f, &at, 1);
    assert_true(resume(f, &changed_run, f->graph, &back, warning));
    at.stage = 1;
    write_at(f, &at, 2);
    assert_true(resume(f, &changed_run, f->graph, &back, warning));
    assert_int_equal(back.stage, 0); /* the file before it */
    assert_non_null(strstr(warning, "other stages"));
}

static void sums_of_gradients_are_kept_between_two_steps_of_the_optimiser(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct position at = some_position(), back;
    char warning[SNAPSHOT_WARNING];
    struct param *weight = graph_find_param(f->graph, "fc.weight");
    fill(f->graph, 3);
    assert_int_equal(param_sum_gradient(weight, .5f, &err), OK);
    at.accumulated = 0;
    write_at(f, &at, 1); /* fills the sum too, which counts for nothing here */
    struct graph *graph = small_graph();
    assert_true(resume(f, &run, graph, &back, warning));
    assert_null(graph_find_param(graph, "fc.weight")->parts[PARAM_SUM]);
    at.accumulated = 8;
    write_at(f, &at, 2);
    assert_true(resume(f, &run, graph, &back, warning));
    assert_memory_equal(graph_find_param(graph, "fc.weight")->parts[PARAM_SUM],
                        weight->parts[PARAM_SUM], weight->n_stored * sizeof(float));
    graph_free(graph);
}

static void a_checkpoint_with_other_weights_than_wanted_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err;
    char hex[SHA256_HEX];
    fill(f->graph, 5);
    assert_int_equal(snapshot_write(f->folder, "best", f->graph, &f->info, hex, &err), OK);
    char *path = slot_path(f, "best");
    flip_bit(path, size_of(path) - 5);
    assert_int_equal(snapshot_load(f->folder, "best", hex, f->graph, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "best"));
    mem_free(path);
}

static void a_file_of_another_run_or_another_network_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct position at = some_position(), back = position_start();
    char warning[SNAPSHOT_WARNING];
    write_at(f, &at, 1);
    assert_false(resume(f, &another_run, f->graph, &back, warning));
    assert_non_null(strstr(warning, "another run"));
    struct graph *other = graph_new();
    graph_linear(other, graph_input(other, 3), "fc", 2, true);
    assert_false(resume(f, &run, other, &back, warning));
    assert_non_null(strstr(warning, "fc.weight"));
    graph_free(other);
    assert_int_equal(back.step, 0);
}

static void without_a_file_there_is_nothing_to_go_on_from(void **state)
{
    struct fixture *f = *state;
    struct position back;
    char warning[SNAPSHOT_WARNING];
    assert_false(resume(f, &run, f->graph, &back, warning));
    assert_string_equal(warning, "");
}

static void a_checkpoint_holds_weights_and_no_moments(void **state)
{
    struct fixture *f = *state;
    struct err err;
    char hex[SHA256_HEX];
    struct tensor_source source;
    fill(f->graph, 5);
    assert_int_equal(snapshot_write(f->folder, "stage-1", f->graph, &f->info, hex, &err), OK);
    char *path = slot_path(f, "stage-1");
    assert_int_equal(tensor_source_open(path, &source, &err), OK);
    assert_int_equal(source.n_tensors, f->graph->n_params);
    assert_null(tensor_source_find(&source, "fc.weight.moment1"));
    tensor_source_close(&source);
    mem_free(path);
    struct graph *graph = small_graph();
    assert_int_equal(snapshot_load(f->folder, "stage-1", hex, graph, &err), OK);
    for (int i = 0; i < graph->n_params; i++)
        assert_memory_equal(graph->params[i]->parts[PARAM_VALUE],
                            f->graph->params[i]->parts[PARAM_VALUE],
                            graph->params[i]->n_stored * sizeof(float));
    graph_free(graph);
}

static void a_folder_that_is_gone_is_an_error_and_no_file(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_not_equal(
        snapshot_write("/nonexistent-folder", "best", f->graph, &f->info, NULL, &err), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_comes_back_to_the_last_bit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(files_alternate_and_the_newest_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_passed_over_for_the_one_before, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_another_run_or_another_network_is_passed_over,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flipped_bit_is_found_wherever_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stages_that_have_not_begun_may_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            sums_of_gradients_are_kept_between_two_steps_of_the_optimiser, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_checkpoint_with_other_weights_than_wanted_is_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_file_there_is_nothing_to_go_on_from, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_checkpoint_holds_weights_and_no_moments, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_is_gone_is_an_error_and_no_file, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
