#include "engine/train/report_run.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/data/split.h"
#include "engine/train/baseline.h"
#include "engine/train/curve.h"
#include "engine/train/language_report.h"
#include "engine/train/report_pass.h"
#include "engine/train/text_pass.h"
#include "engine/train/text_run.h"

#define LEAST_KNOWN .85 /* share of the texts' words that a base model should know */

static const char *task_name(const struct recipe *recipe)
{
    return recipe->texts                     ? "text_classification"
           : recipe->task == TASK_MULTILABEL ? "image_multilabel"
                                             : "image_classification";
}

static const struct recipe_stage *last_stage(const struct recipe *recipe)
{
    return &recipe->stages[recipe->n_stages - 1];
}

static bool starts_from_drawn_images(const struct run *run)
{
    return run->start.open &&
           strcmp(json_string(run->start.info.lineage, "origin", ""), MODEL_ORIGIN_BUNDLED) == 0;
}

/* A classifier or an encoder, which a language model is to go on from. */
static bool lacks_decoder(const struct run *run)
{
    return run->text && run->start.open && run->recipe.n_stages > 0 &&
           run->recipe.stages[0].phase == PHASE_LANGUAGE_MODEL &&
           !tensor_source_find(&run->start.source, "decoder.bias");
}

void report_run_warnings(const struct run *run, struct warnings *warnings)
{
    const struct recipe *recipe = &run->recipe;
    double flip = 0;
    for (int i = 0; i < recipe->n_stages; i++) {
        const struct augment_options *augment = &recipe->stages[i].augment;
        if (augment->enabled && augment->flip > flip)
            flip = augment->flip;
    }
    bool weighted = json_type(recipe->loss.class_weights) != JSON_NULL;
    *warnings = (struct warnings){0};
    warnings_before(warnings, run->pack, &run->split, flip, weighted || recipe->balanced);
    if (run->text && run->text->known < LEAST_KNOWN && !run->text->rows)
        warnings_add(warnings, "vocabulary_differs",
                     "The model that the job starts from knows %.0f %% of the texts' words (less "
                     "than %.0f %%), and its classifier takes the others for one unknown word: let "
                     "the job train the language model as well (\"lm_epochs\"), with a vocabulary "
                     "of these texts.",
                     100 * run->text->known, 100 * LEAST_KNOWN);
    else if (run->text && run->text->known < LEAST_KNOWN)
        warnings_add(warnings, "vocabulary_differs",
                     "The model that the job starts from knows %.0f %% of the texts' words (less "
                     "than %.0f %%): %u of %u words of the new vocabulary begin as the mean of all "
                     "others. Another base model, or a longer training of the language model, may "
                     "do better.",
                     100 * run->text->known, 100 * LEAST_KNOWN,
                     vocab_n_words(run->text->vocab) - run->text->n_known,
                     vocab_n_words(run->text->vocab));
    if (lacks_decoder(run))
        warnings_add(warnings, "decoder_is_new",
                     "The model that the job starts from is no language model: the decoder's bias "
                     "begins at zero, and the classifier gets a new head. Name the language model "
                     "that it was made from (its lineage says which), or say \"lm_epochs\": 0.");
    if (starts_from_drawn_images(run))
        warnings_add(warnings, "bundled_body",
                     "The bundled body of %s was pretrained on drawn images alone: it shows how "
                     "things work. For real work import or pull a published model, as resnet34.",
                     recipe->net->name);
}

/* `text` is filled in for texts. */
static struct model_pass pass_of(const struct report_run *report, const struct recipe_stage *stage,
                                 const struct split *split, struct text_pass *text)
{
    const struct text_run *words = report->run->text;
    if (words)
        *text =
            (struct text_pass){words->corpus, text_run_chunks(&words->options, stage, PLAN_INFER)};
    return (struct model_pass){
        .text = words ? text : NULL,
        .graph = report->run->graph,
        .pack = report->run->pack,
        .items = split->valid,
        .n_items = split->n_valid,
        .size = (int)stage->size,
        .batch = (int)stage->batch,
        .threads = report->threads,
        .augment = stage->augment,
        .seed = report->run->recipe.seed,
        .go_on = report->go_on,
        .context = report->context,
    };
}

/* --- The learning curve ----------------------------------------------------------------------- */

/* The stages of a fraction are called NAME@FRACTION; NULL: it is of none. */
static const char *fraction_name(const struct recipe *recipe, int64_t stage)
{
    return stage < recipe->n_stages ? strrchr(recipe->stages[stage].name, '@') : NULL;
}

static bool ends_fraction(const struct recipe *recipe, int64_t stage)
{
    const char *name = fraction_name(recipe, stage), *next = fraction_name(recipe, stage + 1);
    return name && (!next || strcmp(name, next) != 0);
}

/* Fractions that end before this stage does. */
static int count_fractions(const struct recipe *recipe, int64_t stage)
{
    int n = 0;
    for (int64_t i = 0; i < stage; i++)
        n += ends_fraction(recipe, i);
    return n;
}

struct answers {
    const struct run *run;
    struct curve_bits bits; /* owned */
};

/* Of several labels, all must be right. */
static bool is_right(const struct run *run, uint32_t item, const float *logits)
{
    const uint32_t *labels;
    uint32_t n = pack_labels(run->pack, item, &labels), at = 0;
    bool several = run->recipe.task == TASK_MULTILABEL;
    int64_t best = 0;
    for (int64_t i = 0; i < run->classes; i++) {
        if (logits[i] > logits[best])
            best = i;
        float probability;
        if (!several)
            continue;
        loss_probabilities(LOSS_BINARY, &logits[i], 1, 1, &probability);
        bool actual = at < n && labels[at] == i;
        at += actual;
        if (actual != ((double)probability >= run->recipe.threshold))
            return false;
    }
    return several || (n == 1 && labels[0] == best);
}

static enum status take(void *context, const struct batch *batch, const float *logits,
                        struct err *err)
{
    (void)err;
    struct answers *answers = context;
    for (int i = 0; i < batch->count; i++)
        curve_bits_push(&answers->bits, is_right(answers->run, batch->items[i],
                                                 logits + i * answers->run->classes));
    return OK;
}

static enum status save_answers(const struct report_run *report, const struct recipe_stage *stage,
                                const struct curve_point *point, const struct split *split,
                                struct err *err)
{
    struct answers answers = {.run = report->run};
    struct text_pass text;
    struct model_pass pass = pass_of(report, stage, split, &text);
    enum status status = curve_bits_init(&answers.bits, split->n_valid, err);
    if (status == OK)
        status = model_pass_run(&pass, take, &answers, err);
    if (status == OK)
        status = curve_save(report->folder, report->run->sha256, point, &answers.bits, err);
    curve_bits_deinit(&answers.bits);
    return status;
}

enum status report_run_stage(const struct report_run *report, int64_t index, struct err *err)
{
    const struct run *run = report->run;
    const struct recipe_stage *stage = &run->recipe.stages[index];
    if (!ends_fraction(&run->recipe, index))
        return OK;
    struct curve_point point = {.index = count_fractions(&run->recipe, index),
                                .fraction = stage->sample.fraction,
                                .n_train = stage->n_train};
    struct split split = {0};
    enum status status =
        recipe_split(&run->recipe, last_stage(&run->recipe), run->pack, &run->split, &split, err);
    if (status == OK && split.n_valid > 0)
        status = save_answers(report, stage, &point, &split, err);
    split_deinit(&split);
    return status;
}

/* NULL where the job has no fractions, or their files are not all there: a warning then. */
static struct json *read_curve(const struct report_run *report, struct warnings *warnings)
{
    struct err err;
    struct json *curve = NULL;
    const struct run *run = report->run;
    int n = count_fractions(&run->recipe, run->recipe.n_stages);
    if (n > 0 && curve_report(report->folder, run->sha256, n, run->recipe.seed, &curve, &err) != OK)
        warnings_add(warnings, "learning_curve_lost", "%s", err.detail);
    return curve;
}

/* --- Texts: what a simple model reaches ------------------------------------------------------- */

static bool baseline_goes_on(void *context)
{
    const struct report_run *report = context;
    return !report->go_on || report->go_on(report->context, 0, 0);
}

static struct json *baseline_json(const struct baseline *baseline,
                                  const struct baseline_result *result, double seconds)
{
    struct json *json = json_new_object();
    json_set_string(json, "name", "tfidf_logistic_regression");
    json_set_integer(json, "n", result->n_items);
    json_set_integer(json, "n_train", baseline_n_used(baseline));
    json_set_integer(json, "terms", baseline_n_terms(baseline));
    json_set_number(json, "accuracy", result->accuracy);
    json_set_number(json, "macro_f1", result->macro_f1);
    json_set_number(json, "majority", result->majority);
    json_set_number(json, "seconds", seconds);
    return json;
}

/* TF-IDF and logistic regression on the same texts. NULL: it cannot be had, which is told. */
static struct json *make_baseline(const struct report_run *report, const struct split *split)
{
    const struct pack *pack = report->run->pack;
    struct baseline_options options = {BASELINE_DEFAULTS, .go_on = baseline_goes_on,
                                       .context = (void *)(uintptr_t)report};
    struct baseline *baseline = NULL;
    struct baseline_result result;
    struct err err = {0};
    struct json *json = NULL;
    double began = clock_seconds();
    enum status status =
        baseline_fit(pack, split->train, split->n_train, &options, &baseline, &err);
    if (status == OK)
        status = baseline_score(baseline, pack, split->valid, split->n_valid, &result, &err);
    if (status == OK) {
        json = baseline_json(baseline, &result, clock_seconds() - began);
        events_log(report->events,
                   "TF-IDF and logistic regression, learned from the same %u texts in %.1f "
                   "seconds, name %.4g of the %u validation texts rightly.",
                   baseline_n_used(baseline), json_number(json, "seconds", 0), result.accuracy,
                   result.n_items);
    } else if (status != E_CANCELLED) {
        events_warning(report->events, "no_baseline", err.detail);
    }
    baseline_free(baseline);
    return json;
}

/* --- The final model -------------------------------------------------------------------------- */

/* What became of its stages, and of the texts' words. Owned by the caller. */
static struct json *tell_run(const struct report_run *report)
{
    const struct run *run = report->run;
    struct json *told = json_new_object();
    if (run->text)
        json_set(told, "vocabulary", text_run_vocabulary(run->text));
    json_set(told, "stages", stage_records_report(report->at->stages, &run->recipe));
    return told;
}

static enum status run_language_model(const struct report_run *report, const struct scores *scores,
                                      struct err *err)
{
    struct warnings warnings;
    struct json *told = tell_run(report);
    report_run_warnings(report->run, &warnings);
    enum status status = language_report_write(report->folder, scores, told, &warnings, err);
    if (status == OK)
        events_artifact(report->events, REPORT_JSON);
    json_free(told);
    return status;
}

static enum status run_final(const struct report_run *report, const struct split *split,
                             struct err *err)
{
    static const char *const files[] = {REPORT_CSV, REPORT_NDJSON, REPORT_JSON};
    const struct run *run = report->run;
    struct json *told = tell_run(report);
    struct run_report_options options = {
        .folder = report->folder,
        .task = task_name(&run->recipe),
        .split = "valid",
        .pack = run->pack,
        .parts = split,
        .classes = run->info.classes,
        .multilabel = run->recipe.task == TASK_MULTILABEL,
        .threshold = run->recipe.threshold,
        .run = told,
        .tta = run->recipe.tta,
    };
    struct text_pass text;
    struct report_model model = {.pass = pass_of(report, last_stage(&run->recipe), split, &text)};
    struct warnings before, warnings;
    struct run_report_scores scores;
    report_run_warnings(run, &before);
    int known = before.n;
    struct json *curve = read_curve(report, &before);
    struct json *baseline = run->text ? make_baseline(report, split) : NULL;
    options.baseline = baseline;
    enum status status =
        report_pass_run(&model, 1, &options, curve, &before, &warnings, &scores, err);
    for (int i = known; status == OK && i < warnings.n; i++)
        events_warning(report->events, warnings.list[i].code, warnings.list[i].detail);
    for (size_t i = 0; status == OK && i < ARRAY_LEN(files); i++)
        events_artifact(report->events, files[i]);
    json_free(curve);
    json_free(baseline);
    json_free(told);
    return status;
}

static enum status run_classifier(const struct report_run *report, struct err *err)
{
    const struct run *run = report->run;
    struct split split = {0};
    enum status status =
        recipe_split(&run->recipe, last_stage(&run->recipe), run->pack, &run->split, &split, err);
    if (status == OK && split.n_valid > 0)
        status = run_final(report, &split, err);
    split_deinit(&split);
    return status;
}

enum status report_run_final(const struct report_run *report, const struct scores *scores,
                             struct err *err)
{
    bool language = report->run->phase == PHASE_LANGUAGE_MODEL; /* the task's, or time is over */
    enum status status =
        language ? run_language_model(report, scores, err) : run_classifier(report, err);
    if (status == OK || status == E_CANCELLED)
        return status;
    events_warning(report->events, "report_failed", err->detail);
    return OK;
}
