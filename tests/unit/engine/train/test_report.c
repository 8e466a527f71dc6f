/* What a report says is what scikit-learn says of the same rows, however they are cut; its files
 * are there wholly or not at all. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/train/calibration.h"
#include "engine/train/report.h"
#include "tests/unit/engine/train/golden.h"
#include "tests/unit/engine/train/tiny_pack.h"

#define MAX_ROWS 2000

struct fixture {
    char folder[64];
    struct pack *pack;
    struct json *classes;
    struct run_report_options options;
    int labels[MAX_ROWS];
    uint32_t items[MAX_ROWS];
    float logits[MAX_ROWS * 6];
    int n, n_classes;
};

static void setup(struct fixture *f, const int *labels, int n, int n_classes, bool sets)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    *f = (struct fixture){.folder = "/tmp/thaw-test-XXXXXX", .n = n, .n_classes = n_classes};
    assert_non_null(mkdtemp(f->folder));
    f->pack = sets ? tiny_multilabel_pack(labels, (uint32_t)n, (uint32_t)n_classes)
                   : tiny_pack(labels, (uint32_t)n, (uint32_t)n_classes);
    f->classes = json_new_array();
    for (int i = 0; i < n_classes; i++)
        json_add_string(f->classes, names[i]);
    for (int i = 0; i < n; i++)
        f->items[i] = (uint32_t)i;
    f->options = (struct run_report_options){.folder = f->folder,
                                             .task = "image_classification",
                                             .split = "valid",
                                             .pack = f->pack,
                                             .classes = f->classes,
                                             .multilabel = sets,
                                             .threshold = .5};
}

static void teardown(struct fixture *f)
{
    struct err err;
    json_free(f->classes);
    pack_close(f->pack);
    assert_int_equal(fs_remove_tree(f->folder, &err), OK);
}

static struct run_report *open_report(const struct fixture *f)
{
    struct run_report *report = NULL;
    struct err err = {0};
    if (run_report_open(&f->options, &report, &err) != OK)
        fail_msg("%s", err.detail);
    return report;
}

static enum status add(struct run_report *report, const struct fixture *f, int from, int rows,
                       struct err *err)
{
    struct run_report_rows chunk = {.rows = rows,
                                    .items = f->items + from,
                                    .logits = f->logits + (ptrdiff_t)from * f->n_classes};
    return run_report_add(report, &chunk, err);
}

static void read_file(const struct fixture *f, const char *name, struct buf *text)
{
    struct err err = {0};
    char *path = mem_printf("%s/%s", f->folder, name);
    buf_init(text, 16u << 20);
    if (fs_read_file(path, text, &err) != OK)
        fail_msg("%s", err.detail);
    mem_free(path);
}

static struct json *read_json(const struct fixture *f)
{
    struct buf text;
    struct err err = {0};
    struct json *json = NULL;
    read_file(f, REPORT_JSON, &text);
    if (json_parse(text.data, text.len, &json, &err) != OK)
        fail_msg("%s", err.detail);
    buf_deinit(&text);
    return json;
}

/* The whole report, rows added `at_once` at a time. */
static struct json *report_of(const struct fixture *f, int at_once)
{
    struct run_report *report = open_report(f);
    struct warnings warnings;
    struct err err = {0};
    for (int from = 0; from < f->n; from += at_once)
        assert_int_equal(add(report, f, from, from + at_once < f->n ? at_once : f->n - from, &err),
                         OK);
    if (run_report_finish(report, NULL, NULL, &warnings, &err) != OK)
        fail_msg("%s", err.detail);
    run_report_close(report);
    return read_json(f);
}

static void close_to(double actual, double expected, double within)
{
    if (!(fabs(actual - expected) <= within))
        fail_msg("%.17g is not %.17g", actual, expected);
}

/* Numbers, or both null. */
static void same(const struct json *actual, const struct json *expected, double within)
{
    assert_int_equal(json_type(actual), json_type(expected));
    if (json_type(expected) == JSON_NUMBER)
        close_to(json_as_number(actual, NAN), json_as_number(expected, NAN), within);
}

static void same_member(const struct json *report, const struct json *golden, const char *name,
                        double within)
{
    assert_non_null(json_get(report, name));
    same(json_get(report, name), json_get(golden, name), within);
}

static void same_per_class(const struct json *report, const struct json *golden, const char *name)
{
    const struct json *classes = json_get(report, "per_class");
    assert_int_equal(json_len(classes), json_len(json_get(golden, name)));
    for (size_t i = 0; i < json_len(classes); i++)
        same(json_get(json_at(classes, i), name), json_at(json_get(golden, name), i), 1e-12);
}

static void take_logits(struct fixture *f, const struct json *rows)
{
    size_t at = 0;
    json_each(row, rows)
    {
        json_each(value, row)
        {
            f->logits[at++] = (float)json_as_number(value, NAN);
        }
    }
    assert_int_equal(at, (size_t)f->n * (size_t)f->n_classes);
}

static void from_golden(struct fixture *f, const struct json *golden, const char *labels,
                        int n_classes)
{
    int list[MAX_ROWS], n = 0;
    json_each(label, json_get(golden, labels))
    {
        list[n++] = (int)json_as_number(label, 0);
    }
    setup(f, list, n, n_classes, strcmp(labels, "sets") == 0);
    f->options.threshold = json_number(golden, "threshold", .5);
    take_logits(f, json_get(golden, "logits"));
}

/* --- Formulas --------------------------------------------------------------------------------- */

static void scores_of_one_label_are_scikit_learns(void **state)
{
    (void)state;
    static const char *const members[] = {"accuracy", "macro_f1", "balanced_accuracy",
                                          "majority_rate"};
    struct json *all = golden_read("report.json");
    const struct json *golden = json_get(all, "single_label");
    struct fixture f;
    from_golden(&f, golden, "labels", 5);
    struct json *report = report_of(&f, 7);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        same_member(report, golden, members[i], 1e-12);
    same_member(report, golden, "loss", 1e-6); /* of float32 losses */
    same_member(report, golden, "ece", 1e-7);  /* of float32 probabilities */
    same_per_class(report, golden, "precision");
    same_per_class(report, golden, "recall");
    same_per_class(report, golden, "f1");
    assert_true(json_equal(json_get(report, "confusion_matrix"), json_get(golden, "matrix")));
    for (size_t i = 0; i < 2; i++)
        same(json_at(json_get(report, "wilson"), i), json_at(json_get(golden, "wilson"), i), 1e-12);
    for (size_t i = 0; i < CALIBRATION_BINS; i++)
        same(json_get(json_at(json_get(report, "reliability"), i), "n"),
             json_at(json_get(golden, "bins"), i), 0);
    for (size_t i = 0; i < (size_t)f.n; i++) {
        const struct json *top = json_at(json_get(report, "top_losses"), i);
        same(json_get(top, "item"), json_at(json_get(golden, "worst"), i), 0);
        same(json_get(top, "loss"), json_at(json_get(golden, "losses"), i), 2e-6);
    }
    json_free(report);
    json_free(all);
    teardown(&f);
}

static void scores_of_several_labels_are_scikit_learns(void **state)
{
    (void)state;
    static const char *const members[] = {"mean_average_precision", "macro_f1", "micro_f1",
                                          "subset_accuracy"};
    struct json *all = golden_read("report.json");
    const struct json *golden = json_get(all, "several_labels");
    struct fixture f;
    from_golden(&f, golden, "sets", 4);
    struct json *report = report_of(&f, 11);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        same_member(report, golden, members[i], 1e-12);
    same_member(report, golden, "loss", 1e-6);
    same_per_class(report, golden, "average_precision");
    same_per_class(report, golden, "f1");
    assert_int_equal(json_type(json_get(report, "accuracy")), JSON_NULL);
    assert_int_equal(json_type(json_get(report, "confusion_matrix")), JSON_NULL);
    json_free(report);
    json_free(all);
    teardown(&f);
}

static void a_report_does_not_depend_on_how_rows_were_cut(void **state)
{
    (void)state;
    struct json *all = golden_read("report.json");
    struct fixture f;
    from_golden(&f, json_get(all, "single_label"), "labels", 5);
    struct json *one = report_of(&f, 1), *many = report_of(&f, 90);
    assert_true(json_equal(one, many));
    json_free(one);
    json_free(many);
    json_free(all);
    teardown(&f);
}

static void probabilities_give_the_scores_that_their_logits_give(void **state)
{
    (void)state;
    const int labels[] = {0, 1, 0};
    const float probabilities[] = {.75f, .25f, .5f, .5f, 0, 1};
    struct fixture f;
    setup(&f, labels, 3, 2, false);
    struct run_report *report = open_report(&f);
    struct run_report_rows rows = {.rows = 3, .items = f.items, .probabilities = probabilities};
    struct err err = {0};
    assert_int_equal(run_report_add(report, &rows, &err), OK);
    struct run_report_scores scores = run_report_scores(report);
    close_to(scores.loss, (log(1 / .75) + log(2) + 100) / 3, 1e-6); /* no loss is above 100 */
    close_to(scores.accuracy, 1. / 3, 1e-12); /* a tie goes to the first class */
    run_report_close(report);
    teardown(&f);
}

/* --- Many items ----------------------------------------------------------------- */

static void of_many_items_the_hundred_largest_losses_are_kept_in_order(void **state)
{
    (void)state;
    struct fixture f;
    int labels[MAX_ROWS] = {0};
    setup(&f, labels, MAX_ROWS, 2, false);
    struct rng rng = rng_stream("losses", 2, 0, 0);
    for (int i = 0; i < MAX_ROWS; i++)
        f.logits[2 * i + 1] = (float)rng_below(&rng, 500) / 20; /* many are equal */
    struct json *report = report_of(&f, 333);
    const struct json *top = json_get(report, "top_losses");
    assert_int_equal(json_len(top), 100);
    int32_t last = -1;
    double least = INFINITY;
    int above = 0;
    json_each(entry, top)
    {
        int32_t item = (int32_t)json_integer(entry, "item", -1);
        double loss = json_number(entry, "loss", NAN);
        assert_true(loss < least || (loss == least && item > last)); /* ties in items' order */
        least = loss;
        last = item;
    }
    for (int i = 0; i < MAX_ROWS; i++)
        above += log1p(exp((double)f.logits[2 * i + 1])) > least + 1e-5;
    assert_true(above <= 100 && above > 50);
    json_free(report);
    teardown(&f);
}

/* --- Files ------------------------------------------------------------------------------------ */

static int count_files(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void a_report_that_is_not_finished_leaves_nothing(void **state)
{
    (void)state;
    const int labels[] = {1, 2, 4};
    for (int sets = 0; sets < 2; sets++) {
        struct fixture f;
        struct err err = {0};
        setup(&f, sets ? labels : (const int[]){0, 1, 2}, 3, 3, sets);
        struct run_report *report = open_report(&f);
        assert_int_equal(add(report, &f, 0, 3, &err), OK);
        assert_int_equal(count_files(f.folder), 2); /* under other names */
        run_report_close(report);
        assert_int_equal(count_files(f.folder), 0);
        json_free(report_of(&f, 3));
        assert_int_equal(count_files(f.folder), 3);
        teardown(&f);
    }
}

static void csv_is_rfc_4180_and_no_cell_is_a_formula(void **state)
{
    (void)state;
    const int labels[] = {0, 1, 2};
    static const char *const names[] = {"=SUM(A1)", "a,\"b\"", "-x"};
    struct fixture f;
    struct buf text;
    setup(&f, labels, 3, 3, false);
    json_free(f.classes);
    f.classes = json_new_array();
    for (int i = 0; i < 3; i++) {
        json_add_string(f.classes, names[i]);
        f.logits[3 * i + i] = 20;
    }
    f.options.classes = f.classes;
    json_free(report_of(&f, 3));
    read_file(&f, REPORT_CSV, &text);
    assert_string_equal(text.data,
                        "path,label,predicted,probability:=SUM(A1),\"probability:a,\"\"b\"\"\","
                        "probability:-x\r\n"
                        "00000,\"'=SUM(A1)\",\"'=SUM(A1)\",1,2.061154e-09,2.061154e-09\r\n"
                        "00001,\"a,\"\"b\"\"\",\"a,\"\"b\"\"\",2.061154e-09,1,2.061154e-09\r\n"
                        "00002,\"'-x\",\"'-x\",2.061154e-09,2.061154e-09,1\r\n");
    buf_deinit(&text);
    teardown(&f);
}

static void classes_of_one_name_are_told_apart_in_the_columns(void **state)
{
    (void)state;
    const int labels[] = {0};
    struct fixture f;
    struct buf text;
    struct json *line;
    struct err err = {0};
    setup(&f, labels, 1, 3, false);
    json_free(f.classes);
    f.classes = json_new_array();
    json_add_string(f.classes, "crane");
    json_add_string(f.classes, "bee");
    json_add_string(f.classes, "crane");
    f.options.classes = f.classes;
    json_free(report_of(&f, 3));
    read_file(&f, REPORT_NDJSON, &text);
    assert_int_equal(json_parse(text.data, text.len - 1, &line, &err), OK);
    const struct json *probabilities = json_get(line, "probabilities");
    assert_int_equal(json_len(probabilities), 3);
    close_to(json_number(probabilities, "crane (2)", NAN), 1. / 3, 1e-6);
    assert_string_equal(json_string(line, "predicted", ""), "crane");
    json_free(line);
    buf_deinit(&text);
    teardown(&f);
}

/* --- Labels that are not there, outputs that are none ----------------------------------------- */

static void a_label_that_the_model_does_not_know_counts_for_no_score(void **state)
{
    (void)state;
    const int labels[] = {0, 1, 2, 2};
    const int32_t map[] = {1, -1, 0}; /* the model has two classes, in another order */
    struct fixture f;
    struct buf text;
    setup(&f, labels, 4, 3, false);
    f.n_classes = 2;
    f.options.label_map = map;
    json_free(f.classes);
    f.classes = json_new_array();
    json_add_string(f.classes, "c");
    json_add_string(f.classes, "a");
    f.options.classes = f.classes;
    const float logits[] = {0, 3, 0, 3, 3, 0, 0, 3};
    memcpy(f.logits, logits, sizeof logits);
    struct json *report = report_of(&f, 2);
    assert_int_equal(json_integer(report, "n", -1), 3);
    assert_int_equal(json_integer(report, "items", -1), 4);
    close_to(json_number(report, "accuracy", NAN), 2. / 3, 1e-12);
    read_file(&f, REPORT_CSV, &text);
    assert_non_null(strstr(text.data, "\r\n00001,b,a,")); /* as the data set calls it */
    buf_deinit(&text);
    json_free(report);
    teardown(&f);
}

static void an_output_that_is_no_number_is_refused_and_the_item_named(void **state)
{
    (void)state;
    const int labels[] = {0, 1};
    struct fixture f;
    struct err err = {0};
    setup(&f, labels, 2, 2, false);
    f.logits[3] = NAN;
    struct run_report *report = open_report(&f);
    assert_int_equal(add(report, &f, 0, 2, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "00001"));
    run_report_close(report);
    teardown(&f);
}

static void a_model_no_better_than_the_commonest_class_is_warned_of(void **state)
{
    (void)state;
    const int labels[] = {0, 0, 0, 1};
    struct fixture f;
    setup(&f, labels, 4, 2, false);
    for (int better = 0; better < 2; better++) {
        if (better)
            f.logits[3 * 2 + 1] = 1; /* otherwise class 0 is named for all */
        struct json *report = report_of(&f, 4);
        const struct json *warnings = json_get(report, "warnings");
        assert_int_equal(json_len(warnings), better ? 0 : 1);
        if (!better)
            assert_string_equal(json_string(json_at(warnings, 0), "code", ""),
                                "accuracy_not_above_majority");
        json_free(report);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_of_one_label_are_scikit_learns),
        cmocka_unit_test(scores_of_several_labels_are_scikit_learns),
        cmocka_unit_test(a_report_does_not_depend_on_how_rows_were_cut),
        cmocka_unit_test(probabilities_give_the_scores_that_their_logits_give),
        cmocka_unit_test(of_many_items_the_hundred_largest_losses_are_kept_in_order),
        cmocka_unit_test(a_report_that_is_not_finished_leaves_nothing),
        cmocka_unit_test(csv_is_rfc_4180_and_no_cell_is_a_formula),
        cmocka_unit_test(classes_of_one_name_are_told_apart_in_the_columns),
        cmocka_unit_test(a_label_that_the_model_does_not_know_counts_for_no_score),
        cmocka_unit_test(an_output_that_is_no_number_is_refused_and_the_item_named),
        cmocka_unit_test(a_model_no_better_than_the_commonest_class_is_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
