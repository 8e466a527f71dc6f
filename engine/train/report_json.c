/* report_json.c -- report.json, member by member from one table.
 *
 * Each member is made, printed and freed by itself, and the matrix is printed row by row: a report
 * of a thousand classes has a million cells. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/train/report_parts.h"

#define MOST_CONFUSED 100
#define MOST_OF_TEXT  1000 /* bytes that are shown of one */

/* What members are made from. */
struct view {
    const struct run_report *report;
    const struct json *curve;
    const struct warnings *warnings;
    const double *average_precision; /* (classes); NULL unless multi-label */
    double mean_average_precision;
};

/* --- Numbers ---------------------------------------------------------------------------------- */

static bool is_single(const struct view *view)
{
    return !view->report->options.multilabel;
}

static double accuracy(const struct view *view)
{
    return is_single(view) ? confusion_accuracy(&view->report->confusion) : NAN;
}

static double error_rate(const struct view *view)
{
    return is_single(view) ? run_report_scores(view->report).error_rate : NAN;
}

static double subset_accuracy(const struct view *view)
{
    return is_single(view) ? NAN : run_report_scores(view->report).accuracy;
}

static double loss(const struct view *view)
{
    return run_report_scores(view->report).loss;
}

static double majority_rate(const struct view *view)
{
    return is_single(view) ? confusion_majority_rate(&view->report->confusion) : NAN;
}

static double balanced_accuracy(const struct view *view)
{
    return is_single(view) ? confusion_balanced_accuracy(&view->report->confusion) : NAN;
}

static const struct class_count *counts(const struct view *view)
{
    return is_single(view) ? view->report->confusion.per_class : view->report->multilabel.per_class;
}

static double macro_f1(const struct view *view)
{
    return class_macro_f1(counts(view), view->report->classes);
}

static double micro_f1(const struct view *view)
{
    return is_single(view) ? NAN : multilabel_micro_f1(&view->report->multilabel);
}

static double mean_average_precision(const struct view *view)
{
    return view->mean_average_precision;
}

static double threshold(const struct view *view)
{
    return is_single(view) ? NAN : view->report->options.threshold;
}

static double ece(const struct view *view)
{
    return is_single(view) ? calibration_error(&view->report->calibration) : NAN;
}

/* --- Objects and lists ------------------------------------------------------------------------ */

static void set_n(struct json *json, const char *name, const struct view *view)
{
    json_set_integer(json, name, view->report->n);
}

static void set_items(struct json *json, const char *name, const struct view *view)
{
    json_set_integer(json, name, view->report->items);
}

static void set_tta(struct json *json, const char *name, const struct view *view)
{
    int64_t tta = view->report->options.tta;
    json_set_number(json, name, tta > 0 ? (double)tta : NAN);
}

static void set_task(struct json *json, const char *name, const struct view *view)
{
    json_set_string(json, name, view->report->options.task);
}

static void set_split(struct json *json, const char *name, const struct view *view)
{
    json_set_string(json, name, view->report->options.split);
}

static bool is_of_several(const struct view *view)
{
    return view->report->options.models != NULL;
}

static void set_models(struct json *json, const char *name, const struct view *view)
{
    json_set(json, name, json_copy(view->report->options.models));
}

static void set_classes(struct json *json, const char *name, const struct view *view)
{
    json_set(json, name, json_copy(view->report->options.classes));
}

static void set_splits(struct json *json, const char *name, const struct view *view)
{
    static const char *const names[N_SPLITS] = {[SPLIT_TRAIN] = "train",
                                                [SPLIT_VALID] = "valid",
                                                [SPLIT_TEST] = "test",
                                                [SPLIT_UNLABELLED] = "unlabelled"};
    const struct run_report_options *options = &view->report->options;
    int64_t n[N_SPLITS] = {0};
    for (uint32_t i = 0; i < pack_n_items(options->pack); i++)
        n[pack_item(options->pack, i)->split]++;
    if (options->parts) {
        n[SPLIT_TRAIN] = options->parts->n_train;
        n[SPLIT_VALID] = options->parts->n_valid;
    }
    struct json *object = json_set_object(json, name);
    for (int i = 0; i < N_SPLITS; i++)
        json_set_integer(object, names[i], n[i]);
}

static void set_wilson(struct json *json, const char *name, const struct view *view)
{
    const struct run_report *report = view->report;
    int64_t right = is_single(view) ? report->confusion.right : report->multilabel.right;
    struct interval interval = wilson_interval(right, report->n);
    struct json *list = json_set_array(json, name);
    json_add_number(list, interval.low);
    json_add_number(list, interval.high);
}

static void set_reliability(struct json *json, const char *name, const struct view *view)
{
    if (is_single(view))
        json_set(json, name, calibration_bins(&view->report->calibration));
    else
        json_set_null(json, name);
}

static void set_most_confused(struct json *json, const char *name, const struct view *view)
{
    const struct run_report *report = view->report;
    struct pair_count worst[MOST_CONFUSED];
    size_t n = confusion_worst(&report->confusion, worst, MOST_CONFUSED);
    struct json *list = json_set_array(json, name);
    for (size_t i = 0; i < n; i++) {
        struct json *pair = json_add_object(list);
        json_set_string(pair, "actual", report->names[worst[i].actual]);
        json_set_string(pair, "predicted", report->names[worst[i].predicted]);
        json_set_integer(pair, "count", worst[i].count);
    }
}

/* The beginning of a text, its columns one a line. */
static void set_text(struct json *object, const struct pack *pack, uint32_t item)
{
    struct err ignored;
    size_t size = pack_item(pack, item)->size;
    char *text = mem_alloc(size + 1);
    if (pack_read(pack, item, text, &ignored) != OK)
        size = 0;
    if (size > MOST_OF_TEXT) {
        size = MOST_OF_TEXT;
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
            size--; /* not within a character */
    }
    text[size] = '\0';
    for (char *p = strchr(text, PACK_TEXT_JOINT); p; p = strchr(p, PACK_TEXT_JOINT))
        *p = '\n';
    json_set_string(object, "text", text);
    mem_free(text);
}

static void set_top_losses(struct json *json, const char *name, const struct view *view)
{
    const struct top_losses *top = &view->report->top;
    struct json *list = json_set_array(json, name);
    for (int i = 0; i < top->n; i++) {
        const struct top_loss *entry = &top->list[i];
        const struct pack *pack = view->report->options.pack;
        char path[PACK_NAME_TEXT];
        struct json *object = json_add_object(list);
        json_set_integer(object, "item", entry->item);
        json_set_string(object, "path", pack_item_name(pack, entry->item, path));
        if (pack_is_text(pack))
            set_text(object, pack, entry->item);
        json_set_string(object, "label", entry->label);
        json_set_string(object, "predicted", entry->predicted);
        json_set_number(object, "loss", entry->loss);
        json_set_number(object, "probability", (double)entry->probability);
    }
}

static void set_per_class(struct json *json, const char *name, const struct view *view)
{
    const struct class_count *per_class = counts(view);
    struct json *list = json_set_array(json, name);
    for (int64_t i = 0; i < view->report->classes; i++) {
        struct json *object = json_add_object(list);
        json_set_string(object, "class", view->report->names[i]);
        json_set_integer(object, "n", per_class[i].actual);
        json_set_integer(object, "predicted", per_class[i].predicted);
        json_set_number(object, "precision", class_precision(&per_class[i]));
        json_set_number(object, "recall", class_recall(&per_class[i]));
        json_set_number(object, "f1", class_f1(&per_class[i]));
        json_set_number(object, "average_precision",
                        view->average_precision ? view->average_precision[i] : NAN);
    }
}

/* learning_curve and power_law have the names that curve_report gives them. */
static void set_of_curve(struct json *json, const char *name, const struct view *view)
{
    json_set(json, name, json_copy(json_get(view->curve, name)));
}

static bool has_baseline(const struct view *view)
{
    return view->report->options.baseline != NULL;
}

static void set_baseline(struct json *json, const char *name, const struct view *view)
{
    json_set(json, name, json_copy(view->report->options.baseline));
}

static void set_warnings(struct json *json, const char *name, const struct view *view)
{
    json_set(json, name, warnings_json(view->warnings));
}

/* vocabulary and stages, under these names. */
static void set_part(struct json *json, const char *name, const struct view *view)
{
    json_set(json, name, json_copy(json_get(view->report->options.run, name)));
}

static bool has_vocabulary(const struct view *view)
{
    return json_get(view->report->options.run, "vocabulary") != NULL;
}

static bool has_stages(const struct view *view)
{
    return json_get(view->report->options.run, "stages") != NULL;
}

/* Rows are actual classes, columns predicted ones. */
static void print_matrix(FILE *file, const struct view *view)
{
    const struct run_report *report = view->report;
    if (!is_single(view) || report->n == 0 || report->classes > CONFUSION_MAX_MATRIX) {
        fputs("null", file);
        return;
    }
    for (int32_t actual = 0; actual < report->classes; actual++) {
        fputs(actual == 0 ? "[[" : ",[", file);
        for (int32_t predicted = 0; predicted < report->classes; predicted++)
            fprintf(file, predicted == 0 ? "%lld" : ",%lld",
                    (long long)confusion_count(&report->confusion, actual, predicted));
        putc(']', file);
    }
    putc(']', file);
}

/* --- The table -------------------------------------------------------------------------------- */

/* Exactly one of the three makes a member's value. */
static const struct member {
    const char *name;
    double (*number)(const struct view *);
    void (*set)(struct json *, const char *, const struct view *);
    void (*print)(FILE *, const struct view *);
    bool (*has)(const struct view *); /* NULL: always */
} members[] = {
    {"n", .set = set_n},
    {"items", .set = set_items},
    {"task", .set = set_task},
    {"split", .set = set_split},
    {"tta", .set = set_tta},
    {"models", .set = set_models, .has = is_of_several},
    {"classes", .set = set_classes},
    {"splits", .set = set_splits},
    {"loss", .number = loss},
    {"accuracy", .number = accuracy},
    {"error_rate", .number = error_rate},
    {"subset_accuracy", .number = subset_accuracy},
    {"wilson", .set = set_wilson},
    {"majority_rate", .number = majority_rate},
    {"macro_f1", .number = macro_f1},
    {"micro_f1", .number = micro_f1},
    {"balanced_accuracy", .number = balanced_accuracy},
    {"mean_average_precision", .number = mean_average_precision},
    {"threshold", .number = threshold},
    {"ece", .number = ece},
    {"reliability", .set = set_reliability},
    {"most_confused", .set = set_most_confused},
    {"top_losses", .set = set_top_losses},
    {"per_class", .set = set_per_class},
    {"learning_curve", .set = set_of_curve},
    {"power_law", .set = set_of_curve},
    {"baseline", .set = set_baseline, .has = has_baseline},
    {"vocabulary", .set = set_part, .has = has_vocabulary},
    {"stages", .set = set_part, .has = has_stages},
    {"warnings", .set = set_warnings},
    {"confusion_matrix", .print = print_matrix},
};

static void print_member(FILE *file, const struct member *member, const struct view *view)
{
    if (member->print) {
        fprintf(file, "\"%s\":", member->name);
        member->print(file, view);
        return;
    }
    struct json *object = json_new_object();
    if (member->set)
        member->set(object, member->name, view);
    else
        json_set_number(object, member->name, member->number(view));
    char *text = json_text(object); /* {"name":value} */
    fwrite(text + 1, 1, strlen(text) - 2, file);
    mem_free(text);
    json_free(object);
}

static enum status print_all(struct part_file *part, const struct view *view, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (members[i].has && !members[i].has(view))
            continue;
        fputs(i == 0 ? "{" : ",\n ", part->file);
        print_member(part->file, &members[i], view);
    }
    fputs("}\n", part->file);
    return part_file_commit(part, err);
}

enum status report_json_write(struct run_report *report, const struct json *curve,
                              const struct warnings *warnings, struct err *err)
{
    double *precision = NULL;
    struct view view = {
        .report = report, .curve = curve, .warnings = warnings, .mean_average_precision = NAN};
    struct part_file part = {0};
    enum status status = OK;
    if (report->options.multilabel) {
        precision = mem_alloc((size_t)report->classes * sizeof *precision);
        view.average_precision = precision;
        status = multilabel_average_precision(&report->multilabel, precision,
                                              &view.mean_average_precision, err);
    }
    if (status == OK)
        status = part_file_open(&part, report->options.folder, REPORT_JSON, err);
    if (status == OK)
        status = print_all(&part, &view, err);
    part_file_close(&part);
    mem_free(precision);
    return status;
}
