/* Logistic regression at its minimum; the baseline of a pack. scikit-learn is asked in tests/text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/train/baseline.h"
#include "engine/train/logistic.h"

#define ROWS    60
#define COLUMNS 7
#define CLASSES 3

/* Drawn rows of three numbers each, and labels. */
static struct sparse_rows drawn_rows(uint32_t *labels, uint32_t n_classes)
{
    struct sparse_rows rows = {.n_rows = ROWS, .n_columns = COLUMNS};
    struct rng rng = rng_stream("rows", 3, 0, 0);
    rows.begins = mem_alloc((ROWS + 1) * sizeof *rows.begins);
    rows.columns = mem_alloc(3 * ROWS * sizeof *rows.columns);
    rows.values = mem_alloc(3 * ROWS * sizeof *rows.values);
    for (uint32_t r = 0; r < ROWS; r++) {
        rows.begins[r + 1] = 3 * (r + 1);
        for (uint32_t k = 0; k < 3; k++) {
            rows.columns[3 * r + k] = 2 * k + rng_below(&rng, k == 2 ? 3 : 2);
            rows.values[3 * r + k] = rng_normal(&rng);
        }
        labels[r] = rng_below(&rng, n_classes);
    }
    return rows;
}

static void rows_deinit(struct sparse_rows *rows)
{
    mem_free(rows->begins);
    mem_free(rows->columns);
    mem_free(rows->values);
}

/* C * cross-entropies + |W|^2 / 2, written a second time. */
static double objective(const struct sparse_rows *rows, const uint32_t *labels,
                        const struct logistic *model, double c)
{
    double sum = 0, squares = 0, scores[CLASSES];
    uint32_t n_outputs = model->n_classes == 2 ? 1 : model->n_classes;
    for (uint32_t r = 0; r < rows->n_rows; r++) {
        double all = 0;
        logistic_scores(model, rows, r, scores);
        for (uint32_t k = 0; k < model->n_classes; k++)
            all += exp(scores[k]);
        sum += log(all) - scores[labels[r]];
    }
    for (uint32_t i = 0; i < n_outputs * rows->n_columns; i++)
        squares += model->weights[i] * model->weights[i];
    return c * sum + squares / 2;
}

/* Every weight and bias, moved either way, makes it worse; by central differences, the slope is 0.
 */
static void the_answer_is_the_minimum(void **state)
{
    (void)state;
    for (uint32_t n_classes = 2; n_classes <= CLASSES; n_classes++) {
        uint32_t labels[ROWS], n = (n_classes == 2 ? 1 : n_classes) * (COLUMNS + 1);
        struct sparse_rows rows = drawn_rows(labels, n_classes);
        struct logistic_options options = {.c = 5, .max_steps = 500};
        struct logistic model;
        struct err err = {0};
        assert_int_equal(logistic_fit(&rows, labels, n_classes, &options, &model, &err), OK);
        assert_in_range(model.steps, 3, 499);
        double least = objective(&rows, labels, &model, 5);
        for (uint32_t i = 0; i < n; i++) {
            double at = model.weights[i], step = 1e-4;
            model.weights[i] = at + step;
            double above = objective(&rows, labels, &model, 5);
            model.weights[i] = at - step;
            double below = objective(&rows, labels, &model, 5);
            model.weights[i] = at;
            assert_true(above >= least - 1e-10 && below >= least - 1e-10);
            assert_true(fabs(above - below) / (2 * step) < 1e-5);
        }
        logistic_deinit(&model);
        rows_deinit(&rows);
    }
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static void work_can_be_stopped(void **state)
{
    (void)state;
    uint32_t labels[ROWS];
    struct sparse_rows rows = drawn_rows(labels, 2);
    struct logistic_options options = {.c = 1, .max_steps = 5, .go_on = never};
    struct logistic model = {0};
    struct err err = {0};
    assert_int_equal(logistic_fit(&rows, labels, 2, &options, &model, &err), E_CANCELLED);
    assert_null(model.weights);
    rows_deinit(&rows);
}

/* Texts of classes 0 and 2 of three; item i is labels[i], PACK_NO_LABEL without. */
static struct pack *text_pack(const char *const *texts, const int *labels, uint32_t n)
{
    static const char *const names[] = {"bad", "best", "good"};
    int bytes = memfd_create("pack", MFD_CLOEXEC), index = memfd_create("index", MFD_CLOEXEC);
    struct pack_writer *writer = pack_writer_new(bytes, index);
    struct pack *pack = NULL;
    struct err err = {0};
    for (uint32_t i = 0; i < n; i++) {
        struct pack_record record = {.label = labels[i],
                                     .split = labels[i] < 0 ? SPLIT_UNLABELLED : SPLIT_TRAIN,
                                     .format = PACK_TEXT};
        char path[16];
        snprintf(path, sizeof path, "%08u", i);
        assert_int_equal(pack_writer_add(writer, &record, path, texts[i], strlen(texts[i]), &err),
                         OK);
    }
    assert_int_equal(pack_writer_finish(writer, names, 3, &err), OK);
    assert_int_equal(pack_open_fds(bytes, index, &pack, &err), OK);
    pack_writer_free(writer);
    close(bytes);
    close(index);
    return pack;
}

static const char *const texts[] = {"a good film",   "good fun", "very good",
                                    "bad film",      "very bad", "no label",
                                    "a bad idea",    "so good",  "good and bad and bad",
                                    "something else"};
static const int labels[] = {2, 2, 2, 0, 0, PACK_NO_LABEL, 0, 2, 0, 1};
static const uint32_t items[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static void a_pack_is_learned_and_scored(void **state)
{
    (void)state;
    struct pack *pack = text_pack(texts, labels, 10);
    struct baseline_options options = {BASELINE_DEFAULTS};
    struct baseline *baseline = NULL;
    struct baseline_result result;
    struct err err = {0};
    double scores[3];
    assert_int_equal(baseline_fit(pack, items, 6, &options, &baseline, &err), OK);
    assert_int_equal(baseline_n_used(baseline), 5);
    assert_int_equal(baseline_n_terms(baseline), 4); /* good, film, very, bad */
    baseline_scores(baseline, "Good!", 5, scores);
    assert_true(scores[2] > scores[0] && scores[1] == -INFINITY);
    assert_int_equal(baseline_score(baseline, pack, items + 5, 5, &result, &err), OK);
    assert_int_equal(result.n_items, 4);
    assert_true(result.accuracy == .75); /* class "best" never trained */
    assert_true(result.majority == .25);
    assert_true(fabs(result.macro_f1 - (1 + 2 / 3. + 0) / 3) < 1e-12);
    baseline_free(baseline);
    pack_close(pack);
}

static void one_class_is_none(void **state)
{
    (void)state;
    struct pack *pack = text_pack(texts, labels, 10);
    struct baseline_options options = {BASELINE_DEFAULTS};
    struct baseline *baseline = NULL;
    struct err err = {0};
    assert_int_equal(baseline_fit(pack, items, 3, &options, &baseline, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "there is one"));
    assert_int_equal(baseline_fit(pack, items + 5, 1, &options, &baseline, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "there are none"));
    options.go_on = never;
    assert_int_equal(baseline_fit(pack, items, 6, &options, &baseline, &err), E_CANCELLED);
    pack_close(pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_the_minimum),
        cmocka_unit_test(work_can_be_stopped),
        cmocka_unit_test(a_pack_is_learned_and_scored),
        cmocka_unit_test(one_class_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
