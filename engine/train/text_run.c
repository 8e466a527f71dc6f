#include "engine/train/text_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/word_counts.h"
#include "engine/train/text_items.h"

static bool has_language_stage(const struct json *spec)
{
    json_each(stage, json_get(spec, "stages"))
    {
        if (strcmp(json_string(stage, "phase", ""), "language_model") == 0)
            return true;
    }
    return false;
}

/* The largest share of the data that a stage takes: smaller ones are part of it. */
static double largest_sample(const struct json *spec)
{
    double largest = 0, jobs = json_number(json_get(spec, "sample"), "fraction", 1);
    json_each(stage, json_get(spec, "stages"))
    {
        double own = json_number(json_get(stage, "sample"), "fraction", jobs);
        largest = own > largest ? own : largest;
    }
    return largest > 0 ? largest : jobs;
}

static enum status language_items(const struct text_run *text, double sample, struct split *items,
                                  struct err *err)
{
    struct text_items_options options = {
        .pack = text->pack,
        .split = text->split,
        .valid_fraction = text->options.lm_valid_fraction,
        .on_valid = text->options.lm_on_valid,
        .sample = sample,
        .seed = text->seed,
    };
    return text_items(&options, items, err);
}

enum status text_run_items(const struct text_run *text, const struct recipe_stage *stage,
                           struct split *items, struct err *err)
{
    return language_items(text, stage->sampled ? stage->sample.fraction : 1, items, err);
}

/* --- vocabulary ------------------------------------------------------------------------------- */

/* The words of the texts that the language model learns from; the start's rows are found. */
static enum status make_vocab(struct text_run *text, const struct text_run_options *options,
                              const struct split *items, struct err *err)
{
    struct word_counts *counts = NULL;
    struct vocab *old = NULL;
    struct text_corpus_work work = {options->go_on, options->context};
    enum status status =
        text_corpus_count(text->pack, items->train, items->n_train, &work, &counts, err);
    if (status != OK)
        return status;
    struct vocab_options wanted = {.min_count = text->options.min_freq,
                                   .max_words = text->options.max_vocab};
    text->vocab = vocab_from_counts(counts, &wanted);
    if (options->start)
        status = model_text_vocab(&options->start->text, &old, err);
    if (status == OK && old) {
        uint32_t n = vocab_n_words(text->vocab);
        text->rows = mem_alloc((size_t)n * sizeof *text->rows);
        text->n_known = vocab_match(text->vocab, old, text->rows);
        text->known = word_counts_known(counts, old);
    }
    vocab_free(old);
    word_counts_free(counts);
    return status;
}

static int compare_items(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Keeps items of at most so many bytes in all, spread over the list. */
static void thin(const struct pack *pack, uint64_t most, uint32_t *items, uint32_t *n)
{
    uint64_t bytes = 0, taken = 0, passed = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *n; i++)
        bytes += pack_item(pack, items[i])->size;
    if (most == 0 || bytes <= most)
        return;
    for (uint32_t i = 0; i < *n; i++) {
        passed += pack_item(pack, items[i])->size;
        if ((double)taken / (double)most > (double)passed / (double)bytes)
            continue;
        taken += pack_item(pack, items[i])->size;
        items[kept++] = items[i];
    }
    *n = kept;
}

/* All items that a stage may ask for, ascending, each once. */
static uint32_t *all_items(const struct text_run *text, const struct split *items, uint32_t *n)
{
    const struct split none = {0}, *split = text->split ? text->split : &none;
    size_t most = (size_t)items->n_train + items->n_valid + split->n_train + split->n_valid;
    uint32_t *all = mem_alloc((most + 1) * sizeof *all), *end = all;
    const struct {
        const uint32_t *items;
        uint32_t n;
    } parts[] = {{items->train, items->n_train},
                 {items->valid, items->n_valid},
                 {split->train, split->n_train},
                 {split->valid, split->n_valid}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].n > 0)
            memcpy(end, parts[i].items, parts[i].n * sizeof *all);
        end += parts[i].n;
    }
    qsort(all, most, sizeof *all, compare_items);
    *n = 0;
    for (size_t i = 0; i < most; i++)
        if (i == 0 || all[i] != all[i - 1])
            all[(*n)++] = all[i];
    return all;
}

static double words_a_byte(const struct text_run *text, const uint32_t *items, uint32_t n)
{
    double words = 0, bytes = 1;
    for (uint32_t i = 0; i < n; i++) {
        words += (double)text_corpus_words(text->corpus, i);
        bytes += (double)pack_item(text->pack, items[i])->size;
    }
    return words / bytes;
}

/* Of the language model's texts; without one of the classifier's. */
static enum status new_vocab(struct text_run *text, const struct text_run_options *options,
                             const struct split *items, struct err *err)
{
    const struct split *from = items->n_train > 0 || !text->split ? items : text->split;
    struct split read = {.train = mem_alloc(((size_t)from->n_train + 1) * sizeof *read.train),
                         .n_train = from->n_train};
    if (from->n_train > 0)
        memcpy(read.train, from->train, from->n_train * sizeof *read.train);
    thin(text->pack, options->most_bytes, read.train, &read.n_train);
    enum status status = make_vocab(text, options, &read, err);
    split_deinit(&read);
    return status;
}

/* Else the first checkpoint could not be written, and all until then would be lost. */
static enum status check_size(const struct text_run *text, bool classifier, struct err *err)
{
    enum recipe_phase phase = classifier ? PHASE_CLASSIFIER : PHASE_LANGUAGE_MODEL;
    struct model_info info = text_run_info(text, phase, text->pack);
    struct err why = {0};
    enum status status = model_info_check_size(&info, &why);
    if (status != OK)
        err_at(err, status, "/text/max_vocab",
               "%s: lower \"max_vocab\" (%u words were taken), or raise \"min_freq\".", why.detail,
               vocab_n_words(text->vocab));
    model_info_deinit(&info);
    return status;
}

static enum status open_words(struct text_run *text, const struct text_run_options *options,
                              struct err *err)
{
    struct split items = {0};
    bool language = has_language_stage(options->spec);
    enum status status = OK;
    if (language)
        status = language_items(text, largest_sample(options->spec), &items, err);
    if (status == OK && (language || !options->start))
        status = new_vocab(text, options, &items, err);
    else if (status == OK)
        status = model_text_vocab(&options->start->text, &text->vocab, err);
    if (status == OK)
        status = check_size(text, !recipe_is_language_model(options->spec), err);
    if (status == OK) {
        uint32_t n, *all = all_items(text, &items, &n);
        thin(text->pack, options->most_bytes, all, &n);
        struct text_corpus_work work = {options->go_on, options->context};
        char *words = mem_printf("%s/" TEXT_CORPUS_FILE, options->folder);
        status =
            text_corpus_open(text->pack, all, n, text->vocab, words, &work, &text->corpus, err);
        mem_free(words);
        if (status == OK)
            text->words_a_byte = words_a_byte(text, all, n);
        if (status == OK && !language && options->start)
            text->known = text_corpus_known(text->corpus);
        mem_free(all);
    }
    split_deinit(&items);
    return status;
}

enum status text_run_open(const struct text_run_options *options, struct text_run **out,
                          struct err *err)
{
    struct text_run *text = mem_alloc(sizeof *text);
    *text = (struct text_run){.pack = options->pack,
                              .split = options->split,
                              .seed = (uint64_t)json_integer(options->spec, "seed", 0),
                              .starts = options->start != NULL,
                              .known = 1};
    enum status status = text_options_parse(&text->options, options->spec, options->start, err);
    if (status == OK)
        status = open_words(text, options, err);
    if (status == OK)
        *out = text;
    else
        text_run_close(text);
    return status;
}

void text_run_close(struct text_run *text)
{
    if (!text)
        return;
    text_corpus_close(text->corpus);
    vocab_free(text->vocab);
    mem_free(text->rows);
    mem_free(text);
}

/* Of an item, read or not. */
static int64_t words_of(const struct text_run *text, uint32_t item)
{
    if (text_corpus_has(text->corpus, item))
        return text_corpus_words(text->corpus, text_corpus_find(text->corpus, item));
    return 1 + (int64_t)((double)pack_item(text->pack, item)->size * text->words_a_byte);
}

/* --- the recipe's questions ------------------------------------------------------------------- */

static enum status count(void *context, const struct recipe_stage *stage,
                         struct recipe_counts *counts, struct err *err)
{
    const struct text_run *text = context;
    struct split items;
    enum status status = text_run_items(text, stage, &items, err);
    if (status != OK)
        return status;
    *counts = (struct recipe_counts){.n_train = items.n_train, .n_valid = items.n_valid};
    for (uint32_t i = 0; i < items.n_train; i++)
        counts->words += words_of(text, items.train[i]);
    for (uint32_t i = 0; i < items.n_valid; i++)
        counts->valid_words += words_of(text, items.valid[i]);
    split_deinit(&items);
    return OK;
}

/* Of the classifier's items: the longest, and the mean. */
static int64_t longest_text(const struct text_run *text, double *mean)
{
    int64_t longest = 1, all = 0;
    const struct split *split = text->split;
    *mean = 1;
    for (uint32_t i = 0; split && i < split->n_train + split->n_valid; i++) {
        uint32_t item = i < split->n_train ? split->train[i] : split->valid[i - split->n_train];
        int64_t words = words_of(text, item);
        longest = words > longest ? words : longest;
        all += words;
        *mean = (double)all / (i + 1);
    }
    return longest;
}

struct recipe_texts text_run_recipe(struct text_run *text)
{
    double mean;
    int64_t longest = longest_text(text, &mean);
    return (struct recipe_texts){.options = &text->options,
                                 .vocabulary = vocab_n_words(text->vocab),
                                 .classes = pack_n_classes(text->pack),
                                 .longest = longest,
                                 .mean_words = mean,
                                 .count = count,
                                 .context = text};
}

struct text_chunks_options text_run_chunks(const struct text_options *options,
                                           const struct recipe_stage *stage, enum plan_mode mode)
{
    return (struct text_chunks_options){.mode = mode,
                                        .batch = stage->batch,
                                        .seq_len = options->seq_len,
                                        .max_len = options->max_len,
                                        .longest = stage->longest,
                                        .frozen_groups = stage->frozen_groups,
                                        .backwards = options->backwards};
}

struct json *text_run_vocabulary(const struct text_run *text)
{
    struct json *json = json_new_object();
    uint32_t n = vocab_n_words(text->vocab);
    json_set_integer(json, "words", n);
    json_set_number(json, "matched_rows", !text->starts ? NAN : text->rows ? text->n_known : n);
    json_set_number(json, "known", text->starts ? text->known : NAN);
    return json;
}

/* --- models ----------------------------------------------------------------------------------- */

struct model_info text_run_info(const struct text_run *text, enum recipe_phase phase,
                                const struct pack *pack)
{
    struct model_info info = model_info_default(MODEL_ARCHITECTURE_TEXT);
    bool classifier = phase == PHASE_CLASSIFIER;
    snprintf(info.head, sizeof info.head, "%s",
             classifier ? MODEL_HEAD_POOLING : MODEL_HEAD_DECODER);
    if (classifier) {
        info.classes = json_new_array();
        for (uint32_t i = 0; i < pack_n_classes(pack); i++)
            json_add_string(info.classes, pack_class_name(pack, i));
    }
    info.text = (struct model_text){
        .vocabulary = json_new_array(),
        .n_words = vocab_n_words(text->vocab),
        .embedding = text->options.embedding,
        .hidden = text->options.hidden,
        .layers = text->options.layers,
        .backwards = text->options.backwards,
        .seq_len = text->options.seq_len,
        .max_len = text->options.max_len,
    };
    for (uint32_t i = 0; i < vocab_n_words(text->vocab); i++)
        json_add_string(info.text.vocabulary, vocab_word(text->vocab, i));
    return info;
}

/* One row for each word of the run: the old row of a known one, the mean of all old rows else. */
static void match_rows(const struct text_run *text, const float *old, int64_t n_old, int64_t width,
                       float *rows)
{
    double *mean = mem_alloc((size_t)width * sizeof *mean);
    for (int64_t c = 0; c < width; c++) {
        mean[c] = 0;
        for (int64_t r = 0; r < n_old; r++)
            mean[c] += old[r * width + c];
        mean[c] /= (double)n_old;
    }
    for (uint32_t i = 0; i < vocab_n_words(text->vocab); i++)
        for (int64_t c = 0; c < width; c++)
            rows[i * width + c] =
                text->rows[i] == VOCAB_NONE ? (float)mean[c] : old[text->rows[i] * width + c];
    mem_free(mean);
}

static bool goes_by_word(const struct param *param)
{
    return strcmp(param->name, "encoder.weight") == 0 || strcmp(param->name, "decoder.bias") == 0;
}

static enum status load_param(const struct text_run *text, struct param *param,
                              const struct tensor_view *view, struct err *err)
{
    bool match = text->rows && goes_by_word(param);
    int64_t width = param->n_dims > 1 ? param->dims[1] : 1;
    int64_t n_old = view->n_dims > 0 ? view->dims[0] : 0;
    bool fits = match ? view->n_dims == param->n_dims && n_old > 0 &&
                            view->n_elements == (size_t)(n_old * width)
                      : tensor_has_shape(view, param->n_dims, param->dims);
    if (!fits)
        return err_at(err, E_INVALID, "/model",
                      "The tensor %s of the model does not have the shape that its sizes say.",
                      param->name);
    void *old = NULL, *plain = NULL;
    enum status status =
        mem_try_alloc(view->n_elements, sizeof(float), "a tensor of the model", &old, err);
    if (status == OK)
        status = mem_try_alloc(param->n_elements, sizeof(float), "a tensor", &plain, err);
    if (status == OK) {
        tensor_read(view, old);
        if (match)
            match_rows(text, old, n_old, width, plain);
        param_write(param, PARAM_VALUE, match ? plain : old);
        if (!param_is_finite(param))
            status = err_at(err, E_INVALID, "/model",
                            "The tensor %s of the model holds infinities or what is no number.",
                            param->name);
    }
    mem_free(old);
    mem_free(plain);
    return status;
}

enum status text_run_start(const struct text_run *text, struct graph *graph,
                           const struct tensor_source *source, bool with_head, struct err *err)
{
    enum status status = OK;
    awd_lstm_init(graph, text->seed);
    for (int i = 0; source && status == OK && i < graph->n_params; i++) {
        struct param *param = graph->params[i];
        bool encoder = awd_lstm_is_encoder_param(param);
        bool decoder = strcmp(param->name, "decoder.bias") == 0;
        const struct tensor_view *view = tensor_source_find(source, param->name);
        if (view && (encoder || decoder || with_head))
            status = load_param(text, param, view, err);
        else if (!view && encoder)
            status =
                err_at(err, E_INVALID, "/model", "The model lacks the tensor %s.", param->name);
    }
    return status;
}

void text_run_carry(const struct text_run *text, const struct graph *language_model,
                    struct graph *classifier)
{
    awd_lstm_init(classifier, text->seed);
    for (int i = 0; i < classifier->n_params; i++) {
        struct param *to = classifier->params[i];
        const struct param *from = graph_find_param(language_model, to->name);
        if (!from || !awd_lstm_is_encoder_param(to))
            continue;
        float *plain = mem_alloc(to->n_elements * sizeof *plain);
        param_read(from, PARAM_VALUE, plain);
        param_write(to, PARAM_VALUE, plain);
        mem_free(plain);
    }
}
