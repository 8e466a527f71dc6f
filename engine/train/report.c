#include "engine/train/report.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/op/bce.h"
#include "engine/op/xent.h"
#include "engine/train/report_parts.h"

#define MAX_TEXT (1u << 20) /* bytes of an item's labels */

/* No loss is larger when only probabilities are known: they lack the digits (torch's BCELoss). */
#define MAX_LOSS 100.0

enum { ACTUAL, PREDICTED };

static void list_names(struct run_report *report)
{
    int64_t i = 0;
    report->names = mem_alloc((size_t)report->classes * sizeof *report->names);
    json_each(name, report->options.classes)
    {
        report->names[i++] = json_as_string(name, "");
    }
}

enum status run_report_open(const struct run_report_options *options, struct run_report **out,
                            struct err *err)
{
    struct run_report *report = mem_alloc(sizeof *report);
    report->options = *options;
    report->classes = (int64_t)json_len(options->classes);
    list_names(report);
    report->row = mem_alloc((size_t)report->classes * sizeof *report->row);
    report->targets = mem_alloc((size_t)report->classes * sizeof *report->targets);
    buf_init(&report->texts[ACTUAL], MAX_TEXT);
    buf_init(&report->texts[PREDICTED], MAX_TEXT);
    enum status status = confusion_init(&report->confusion, report->classes, err);
    if (status == OK && options->multilabel)
        status = multilabel_init(&report->multilabel, report->classes, options->threshold,
                                 options->folder, err);
    if (status == OK)
        status = predictions_open(&report->predictions, options->folder, options->classes, err);
    if (status == OK)
        *out = report;
    else
        run_report_close(report);
    return status;
}

void run_report_close(struct run_report *report)
{
    if (!report)
        return;
    predictions_close(&report->predictions);
    confusion_deinit(&report->confusion);
    multilabel_deinit(&report->multilabel);
    top_losses_deinit(&report->top);
    buf_deinit(&report->texts[ACTUAL]);
    buf_deinit(&report->texts[PREDICTED]);
    mem_free(report->names);
    mem_free(report->row);
    mem_free(report->targets);
    mem_free(report);
}

/* --- One row ---------------------------------------------------------------------------------- */

/* One item's outcome on its way into the files and counts. */
struct outcome {
    uint32_t item;
    const float *logits;  /* NULL: only probabilities are known */
    const float *targets; /* multi-label: NULL when not known */
    int32_t label;        /* single label: -1 when not known to the model */
    int32_t best;         /* the most probable class */
    double loss;          /* NaN without a label */
    const char *label_text, *predicted_text;
};

static double minus_log(double probability)
{
    return probability > 0 ? fmin(-log(probability), MAX_LOSS) : MAX_LOSS;
}

/* -log softmax(logits)[label] */
static double single_loss(const struct run_report *report, const struct outcome *outcome)
{
    if (!outcome->logits)
        return minus_log((double)report->row[outcome->label]);
    return xent_loss(outcome->logits, &outcome->label, 1, report->classes, NULL, NULL);
}

/* Mean over classes of the binary cross-entropy. */
static double binary_loss(const struct run_report *report, const struct outcome *outcome)
{
    double sum = 0, classes = (double)report->classes;
    if (outcome->logits)
        return bce_sum(outcome->logits, outcome->targets, NULL, 1, report->classes, 1, NULL, NULL) /
               classes;
    for (int64_t i = 0; i < report->classes; i++) {
        double p = (double)report->row[i];
        sum += minus_log(outcome->targets[i] > .5f ? p : 1 - p);
    }
    return sum / classes;
}

static void append_name(struct buf *text, const char *name)
{
    if (text->len > 0)
        buf_puts(text, ";");
    buf_puts(text, name);
}

static void name_labels(struct run_report *report, struct outcome *outcome)
{
    buf_clear(&report->texts[ACTUAL]);
    buf_clear(&report->texts[PREDICTED]);
    for (int64_t i = 0; i < report->classes; i++) {
        if (outcome->targets && outcome->targets[i] > .5f)
            append_name(&report->texts[ACTUAL], report->names[i]);
        if ((double)report->row[i] >= report->options.threshold)
            append_name(&report->texts[PREDICTED], report->names[i]);
    }
    outcome->label_text = outcome->targets ? report->texts[ACTUAL].data : NULL;
    outcome->predicted_text = report->texts[PREDICTED].data;
}

/* What the data set calls an item whose label the model may not know. */
static const char *label_name(const struct run_report *report, const struct outcome *outcome)
{
    if (outcome->label >= 0)
        return report->names[outcome->label];
    int32_t label = pack_item(report->options.pack, outcome->item)->label;
    return label >= 0 ? pack_class_name(report->options.pack, (uint32_t)label) : NULL;
}

static void count_single(struct run_report *report, struct outcome *outcome)
{
    outcome->label_text = label_name(report, outcome);
    outcome->predicted_text = report->names[outcome->best];
    if (outcome->label < 0)
        return;
    outcome->loss = single_loss(report, outcome);
    confusion_add(&report->confusion, outcome->label, outcome->best);
    calibration_add(&report->calibration, (double)report->row[outcome->best],
                    outcome->label == outcome->best);
}

static enum status count_multiple(struct run_report *report, struct outcome *outcome,
                                  struct err *err)
{
    name_labels(report, outcome);
    if (!outcome->targets)
        return OK;
    outcome->loss = binary_loss(report, outcome);
    return multilabel_add(&report->multilabel, report->row, outcome->targets, err);
}

static void keep_loss(struct run_report *report, const struct outcome *outcome)
{
    if (isnan(outcome->loss))
        return;
    report->n++;
    report->loss += outcome->loss;
    if (!top_losses_wants(&report->top, outcome->loss, outcome->item))
        return;
    top_losses_add(&report->top, &(struct top_loss){.loss = outcome->loss,
                                                    .item = outcome->item,
                                                    .probability = report->row[outcome->best],
                                                    .label = outcome->label_text,
                                                    .predicted = outcome->predicted_text});
}

static enum status check_row(const struct run_report *report, uint32_t item, struct err *err)
{
    for (int64_t i = 0; i < report->classes; i++)
        if (!isfinite(report->row[i]))
            return err_set(err, E_INVALID,
                           "The model's output for item %s is no number: its weights overflow.",
                           pack_item_path(report->options.pack, item));
    return OK;
}

static enum status add_row(struct run_report *report, struct outcome *outcome, struct err *err)
{
    enum status status = check_row(report, outcome->item, err);
    if (status != OK)
        return status;
    outcome->best = (int32_t)row_largest(report->row, report->classes);
    outcome->loss = NAN;
    if (report->options.multilabel)
        status = count_multiple(report, outcome, err);
    else
        count_single(report, outcome);
    if (status != OK)
        return status;
    keep_loss(report, outcome);
    report->items++;
    char name[PACK_NAME_TEXT];
    struct prediction_row row = {.path = pack_item_name(report->options.pack, outcome->item, name),
                                 .label = outcome->label_text,
                                 .predicted = outcome->predicted_text,
                                 .probabilities = report->row};
    return predictions_add(&report->predictions, &row, err);
}

/* --- Many rows -------------------------------------------------------------------------------- */

void report_probabilities(bool multilabel, const float *logits, int64_t classes,
                          float *probabilities)
{
    if (multilabel)
        sigmoid_rows(logits, 1, classes, probabilities);
    else
        softmax_rows(logits, 1, classes, probabilities);
}

static void take_row(struct run_report *report, const struct run_report_rows *rows, int64_t at)
{
    int64_t offset = at * report->classes;
    if (rows->logits)
        report_probabilities(report->options.multilabel, rows->logits + offset, report->classes,
                             report->row);
    else
        memcpy(report->row, rows->probabilities + offset,
               (size_t)report->classes * sizeof *report->row);
}

/* -1 for a label that the model does not know. */
static int32_t class_of(const struct run_report *report, uint32_t label)
{
    const int32_t *map = report->options.label_map;
    return map ? map[label] : (int32_t)label;
}

static void take_label(struct run_report *report, struct outcome *outcome)
{
    const uint32_t *labels;
    uint32_t n = pack_labels(report->options.pack, outcome->item, &labels);
    outcome->label = -1;
    if (pack_item(report->options.pack, outcome->item)->split == SPLIT_UNLABELLED)
        return;
    if (!report->options.multilabel) {
        outcome->label = n > 0 ? class_of(report, labels[0]) : -1;
        return;
    }
    memset(report->targets, 0, (size_t)report->classes * sizeof *report->targets);
    for (uint32_t i = 0; i < n; i++)
        if (class_of(report, labels[i]) >= 0)
            report->targets[class_of(report, labels[i])] = 1;
    outcome->targets = report->targets;
}

enum status run_report_add(struct run_report *report, const struct run_report_rows *rows,
                           struct err *err)
{
    enum status status = OK;
    for (int64_t i = 0; status == OK && i < rows->rows; i++) {
        struct outcome outcome = {.item = rows->items[i],
                                  .logits =
                                      rows->logits ? rows->logits + i * report->classes : NULL};
        take_row(report, rows, i);
        take_label(report, &outcome);
        status = add_row(report, &outcome, err);
    }
    return status;
}

struct run_report_scores run_report_scores(const struct run_report *report)
{
    double n = (double)report->n;
    int64_t right = report->options.multilabel ? report->multilabel.right : report->confusion.right;
    if (report->n == 0)
        return (struct run_report_scores){0, NAN, NAN, NAN};
    return (struct run_report_scores){.n = report->n,
                                      .loss = report->loss / n,
                                      .accuracy = (double)right / n,
                                      .error_rate = (double)(report->n - right) / n};
}

/* --- The end ---------------------------------------------------------------------------------- */

static void warn_after(const struct run_report *report, struct warnings *warnings)
{
    double accuracy = confusion_accuracy(&report->confusion);
    double baseline = json_number(report->options.baseline, "accuracy", -1);
    if (report->confusion.n > 0 && accuracy < baseline)
        warnings_add(warnings, "below_baseline",
                     "The accuracy of %.4g on %lld texts is below the %.4g that TF-IDF and "
                     "logistic regression reach in seconds: train longer, or begin with a language "
                     "model that knows more.",
                     accuracy, (long long)report->n, baseline);
    double majority = confusion_majority_rate(&report->confusion);
    if (report->confusion.n > 0 && accuracy <= majority)
        warnings_add(warnings, "accuracy_not_above_majority",
                     "The accuracy of %.3f on %lld items is not above %.3f, which always naming "
                     "the commonest class would reach: the model has learned nothing that helps.",
                     accuracy, (long long)report->n, majority);
}

enum status run_report_finish(struct run_report *report, const struct json *curve,
                              const struct warnings *before, struct warnings *warnings,
                              struct err *err)
{
    *warnings = before ? *before : (struct warnings){0};
    warn_after(report, warnings);
    top_losses_sort(&report->top);
    enum status status = predictions_commit(&report->predictions, err);
    return status == OK ? report_json_write(report, curve, warnings, err) : status;
}
