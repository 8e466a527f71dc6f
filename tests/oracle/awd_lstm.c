/* awd_lstm.c -- runs AWD-LSTM on the engine for awd_lstm.py: numbers in, numbers out.
 *
 *     awd_lstm CASE.json IN.safetensors OUT.safetensors
 *
 * CASE.json
 *   classes      0: a language model; else a classifier of so many
 *   vocabulary, embedding, hidden, layers, alpha, beta, head_bias, dropouts {output, hidden, input,
 *                embedding, weight}
 *   mode         "train" | "infer"; batch, frozen_groups, seed
 *   steps        most time steps of the encoder's plan; kept: of the head's
 *   runs         how many; add: gradients add up over them
 *   optimizer    null, or {beta2, eps, weight_decay, decay_norm_bias, clip, rates: [one a group],
 *                momentum}: a step after each run
 * IN   param.NAME; for run K tokens.K (T,B), and of a language model targets.K (T,B), of a
 *      classifier begins.K, ends.K and labels.K (B): texts fill the steps [begin,end), where a
 *      begin is a multiple of `steps`
 * OUT  loss.K (row losses, or the mean), output.K (the classifier's logits), words.K and logits.K
 *      (language models that infer), state.K (language model), mask.K[.CHUNK].NODE, gradient.NAME
 *      of the end, param.NAME of the end */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/core/plan_build.h"
#include "engine/format/safetensors.h"
#include "engine/op/xent.h"
#include "engine/train/optim.h"
#include "engine/zoo/awd_lstm.h"
#include "engine/zoo/zoo.h"
#include "tests/oracle/support/results.h"
#include "tests/unit/engine/op/network.h"

#define MAX_CASE_BYTES (1u << 20)
#define MAX_CHUNKS     64 /* of a classifier's text */

struct run {
    struct json *spec;           /* owned */
    struct tensor_source source; /* owned; open where `opened` */
    bool opened;
    struct graph *graph;         /* owned */
    struct plan *encoder, *head; /* owned; head: of a classifier */
    struct optim optim;
    double rates[ZOO_MAX_GROUPS];
    struct results results;
    int64_t batch, steps, kept, classes;
    uint64_t seed;
};

static int64_t integer(const struct run *run, const char *key)
{
    return json_integer(run->spec, key, 0);
}

static enum status read_spec(struct run *run, const char *path, struct err *err)
{
    struct buf text;
    buf_init(&text, MAX_CASE_BYTES);
    enum status status = fs_read_file(path, &text, err);
    if (!status)
        status = json_parse(text.data, text.len, &run->spec, err);
    buf_deinit(&text);
    if (status)
        return status;
    run->batch = integer(run, "batch");
    run->steps = integer(run, "steps");
    run->kept = integer(run, "kept");
    run->classes = integer(run, "classes");
    run->seed = (uint64_t)integer(run, "seed");
    return OK;
}

static struct graph *build_graph(const struct run *run)
{
    const struct json *d = json_get(run->spec, "dropouts");
    struct awd_lstm_options options = {
        .kind = run->classes ? AWD_LSTM_CLASSIFIER : AWD_LSTM_LANGUAGE_MODEL,
        .vocabulary = integer(run, "vocabulary"),
        .embedding = integer(run, "embedding"),
        .hidden = integer(run, "hidden"),
        .layers = (int)integer(run, "layers"),
        .dropouts = {.output = json_number(d, "output", 0),
                     .hidden = json_number(d, "hidden", 0),
                     .input = json_number(d, "input", 0),
                     .embedding = json_number(d, "embedding", 0),
                     .weight = json_number(d, "weight", 0)},
        .alpha = json_number(run->spec, "alpha", 0),
        .beta = json_number(run->spec, "beta", 0),
        .classes = run->classes,
        .head_bias = json_bool(run->spec, "head_bias", false),
    };
    return awd_lstm_build(&options);
}

static enum status build_plans(struct run *run, struct err *err)
{
    bool trains = strcmp(json_string(run->spec, "mode", "train"), "train") == 0;
    struct plan_options options = {.mode = trains ? PLAN_TRAIN : PLAN_INFER,
                                   .batch = run->batch,
                                   .steps = run->steps,
                                   .frozen_groups = (int)integer(run, "frozen_groups"),
                                   .frozen_norm_trains = true};
    if (run->classes)
        options.output_node = awd_lstm_encoder_output(run->graph);
    enum status status = plan_new(run->graph, &options, &run->encoder, err);
    if (status || !run->classes)
        return status;
    options.input_node = options.output_node;
    options.output_node = 0;
    options.input_gradient = trains;
    options.steps = run->kept;
    return plan_new(run->graph, &options, &run->head, err);
}

static bool trains(const struct run *run)
{
    return run->encoder->options.mode == PLAN_TRAIN;
}

static void prepare_optimizer(struct run *run)
{
    const struct json *o = json_get(run->spec, "optimizer");
    struct optim_options options = {
        .beta2 = json_number(o, "beta2", .99),
        .eps = json_number(o, "eps", 1e-5),
        .weight_decay = json_number(o, "weight_decay", .01),
        .decay_norm_bias = json_bool(o, "decay_norm_bias", false),
        .clip = json_number(o, "clip", 0),
    };
    optim_init(&run->optim, &options);
    for (size_t g = 0; g < ZOO_MAX_GROUPS; g++)
        run->rates[g] = json_as_number(json_at(json_get(o, "rates"), g), 0);
    optim_reset(&run->optim, run->graph);
}

/* --- tensors ------------------------------------------------------------------------------------
 */

/* Numbers of the tensor WHAT.K, as integers; owned by the caller. */
static enum status read_integers(struct run *run, const char *what, int64_t k, int32_t **out,
                                 size_t *n, struct err *err)
{
    char *name = mem_printf("%s.%lld", what, (long long)k);
    const struct tensor_view *view = tensor_source_find(&run->source, name);
    enum status status =
        view ? OK : err_set(err, E_INVALID, "The tensor %s is missing from the case.", name);
    mem_free(name);
    if (status)
        return status;
    *n = view->n_elements;
    float *numbers = mem_alloc((*n + 1) * sizeof *numbers);
    *out = mem_alloc((*n + 1) * sizeof **out);
    tensor_read(view, numbers);
    for (size_t i = 0; i < *n; i++)
        (*out)[i] = (int32_t)numbers[i];
    mem_free(numbers);
    return OK;
}

static void add(struct run *run, const char *what, const char *key, int64_t a, int64_t b, int64_t c,
                const float *data)
{
    int64_t dims[] = {a, b, c};
    results_add(&run->results, mem_printf("%s.%s", what, key), 3, dims, data);
}

static void add_masks(struct run *run, const struct plan *plan, const char *key)
{
    for (int i = 0; i < run->graph->n_nodes; i++) {
        const struct node *node = &run->graph->nodes[i];
        const float *mask = plan_dropout_mask(plan, i);
        int64_t rows = node->op == OP_EMBEDDING ? node->params[0]->dims[0] : 4 * node->channels;
        int64_t columns = node->op == OP_EMBEDDING ? 1 : node->channels;
        char *name = mem_printf("%s.%d", key, i);
        float *drawn = mem_alloc((size_t)(rows * columns) * sizeof *drawn);
        if (mask)
            add(run, "mask", name, 1, run->batch, node->channels, mask);
        else if (plan_runs(plan, i) && plan_read_mask(plan, i, drawn))
            add(run, "mask", name, 1, rows, columns, drawn);
        mem_free(drawn);
        mem_free(name);
    }
}

static void take_step(struct run *run)
{
    const struct json *o = json_get(run->spec, "optimizer");
    if (json_len(o))
        optim_step(&run->optim, run->graph, run->rates, json_number(o, "momentum", .9));
}

/* --- the language model -------------------------------------------------------------------------
 */

static void add_predictions(struct run *run, const char *key)
{
    int64_t t = plan_steps(run->encoder), v = integer(run, "vocabulary"), n = t * run->batch;
    float *words = mem_alloc((size_t)n * sizeof *words);
    float *logits = mem_alloc((size_t)(n * v) * sizeof *logits);
    int32_t *rows = mem_alloc((size_t)n * sizeof *rows);
    for (int64_t i = 0; i < n; i++) {
        words[i] = (float)plan_words(run->encoder)[i];
        rows[i] = (int32_t)i;
    }
    add(run, "words", key, 1, t, run->batch, words);
    if (!trains(run)) {
        plan_word_logits(run->encoder, rows, n, logits);
        add(run, "logits", key, t, run->batch, v, logits);
    }
    mem_free(words);
    mem_free(logits);
    mem_free(rows);
}

static enum status run_language_model(struct run *run, int64_t k, struct err *err)
{
    size_t n, n_targets;
    int32_t *tokens = NULL, *targets = NULL;
    struct plan *plan = run->encoder;
    enum status status = read_integers(run, "tokens", k, &tokens, &n, err);
    if (!status)
        status = read_integers(run, "targets", k, &targets, &n_targets, err);
    if (!status)
        status = plan_set_steps(plan, (int64_t)n / run->batch, err);
    if (!status) {
        char *key = mem_printf("%lld", (long long)k);
        memcpy(plan_tokens(plan), tokens, n * sizeof *tokens);
        memcpy(plan_targets(plan), targets, n * sizeof *targets);
        plan_add_gradients(plan, json_bool(run->spec, "add", false) && k > 0);
        plan_forward(plan, run->seed, (uint64_t)k);
        add(run, "loss", key, 1, plan_steps(plan), run->batch, plan_output(plan));
        add_predictions(run, key);
        add_masks(run, plan, key);
        float *state = mem_alloc(plan_state_floats(plan) * sizeof *state);
        plan_read_state(plan, state);
        add(run, "state", key, 1, 1, (int64_t)plan_state_floats(plan), state);
        mem_free(state);
        if (trains(run))
            plan_backward(plan);
        mem_free(key);
    }
    mem_free(tokens);
    mem_free(targets);
    return status;
}

/* --- the classifier -----------------------------------------------------------------------------
 */

struct texts {
    int32_t *tokens, *begins, *ends, *labels; /* owned */
    int64_t steps, first_kept;
    float *entry[MAX_CHUNKS]; /* owned; the state before each chunk */
};

static enum status read_texts(struct run *run, int64_t k, struct texts *texts, struct err *err)
{
    size_t n, rows;
    enum status status = read_integers(run, "tokens", k, &texts->tokens, &n, err);
    if (!status)
        status = read_integers(run, "begins", k, &texts->begins, &rows, err);
    if (!status)
        status = read_integers(run, "ends", k, &texts->ends, &rows, err);
    if (!status)
        status = read_integers(run, "labels", k, &texts->labels, &rows, err);
    texts->steps = status ? 0 : (int64_t)n / run->batch;
    while (texts->steps - texts->first_kept > run->kept)
        texts->first_kept += run->steps;
    return status;
}

static enum status encode_chunk(struct run *run, const struct texts *texts, int64_t k,
                                int64_t begin, struct err *err)
{
    int64_t b = run->batch, t = texts->steps - begin;
    enum status status = plan_set_steps(run->encoder, t < run->steps ? t : run->steps, err);
    if (status)
        return status;
    memcpy(plan_tokens(run->encoder), texts->tokens + begin * b,
           (size_t)(plan_steps(run->encoder) * b) * sizeof(int32_t));
    plan_forward(run->encoder, run->seed, (uint64_t)(k << 16 | (begin / run->steps + 1)));
    return OK;
}

/* Rows that have begun, to the head's input, the others as zeros; or from its gradient. */
static void exchange(struct run *run, const struct texts *texts, int64_t begin, bool to_head)
{
    size_t c = plan_output_row(run->encoder) / (size_t)run->steps;
    const float *d = plan_input_gradient(run->head);
    for (int64_t t = 0; t < plan_steps(run->encoder); t++)
        for (int64_t b = 0; b < run->batch; b++) {
            size_t at = (size_t)(t * run->batch + b) * c;
            size_t in_head = (size_t)((begin - texts->first_kept + t) * run->batch + b) * c;
            float *to =
                to_head ? plan_input(run->head) + in_head : plan_output_gradient(run->encoder) + at;
            const float *from = to_head ? plan_output(run->encoder) + at : d + in_head;
            if (texts->begins[b] <= begin)
                memcpy(to, from, c * sizeof *to);
            else
                memset(to, 0, c * sizeof *to);
        }
}

static enum status encode(struct run *run, struct texts *texts, int64_t k, struct err *err)
{
    enum status status = OK;
    plan_clear_state(run->encoder, -1);
    for (int64_t begin = 0; begin < texts->steps && !status; begin += run->steps) {
        int64_t chunk = begin / run->steps;
        char *key = mem_printf("%lld.%lld", (long long)k, (long long)chunk);
        for (int64_t b = 0; b < run->batch; b++)
            if (texts->begins[b] == begin)
                plan_clear_state(run->encoder, b);
        texts->entry[chunk] = mem_alloc(plan_state_floats(run->encoder) * sizeof(float));
        plan_read_state(run->encoder, texts->entry[chunk]);
        status = encode_chunk(run, texts, k, begin, err);
        if (!status && begin >= texts->first_kept)
            exchange(run, texts, begin, true);
        add_masks(run, run->encoder, key);
        mem_free(key);
    }
    return status;
}

static enum status encode_backward(struct run *run, struct texts *texts, int64_t k, struct err *err)
{
    enum status status = OK;
    bool more = false;
    for (int64_t begin = texts->first_kept; begin < texts->steps && !status; begin += run->steps) {
        plan_write_state(run->encoder, texts->entry[begin / run->steps]);
        status = encode_chunk(run, texts, k, begin, err);
        if (status)
            break;
        exchange(run, texts, begin, false);
        plan_add_gradients(run->encoder, more);
        plan_backward(run->encoder);
        more = true;
    }
    return status;
}

static enum status classify(struct run *run, struct texts *texts, int64_t k, struct err *err)
{
    int64_t kept = texts->steps - texts->first_kept;
    char *key = mem_printf("%lld", (long long)k);
    enum status status = plan_set_steps(run->head, kept, err);
    for (int64_t b = 0; b < run->batch; b++) {
        int64_t begin = texts->begins[b] - texts->first_kept;
        plan_begins(run->head)[b] = begin > 0 ? (int32_t)begin : 0;
        plan_ends(run->head)[b] = (int32_t)(texts->ends[b] - texts->first_kept);
    }
    if (!status) {
        plan_forward(run->head, run->seed, (uint64_t)(k << 16));
        add(run, "output", key, 1, run->batch, run->classes, plan_output(run->head));
        add_masks(run, run->head, key);
        float loss =
            (float)xent_loss(plan_output(run->head), texts->labels, run->batch, run->classes,
                             trains(run) ? plan_output_gradient(run->head) : NULL, NULL);
        add(run, "loss", key, 1, 1, 1, &loss);
    }
    if (!status && trains(run))
        plan_backward(run->head);
    if (!status && trains(run) && plan_input_gradient(run->head))
        status = encode_backward(run, texts, k, err);
    mem_free(key);
    return status;
}

static enum status run_classifier(struct run *run, int64_t k, struct err *err)
{
    struct texts texts = {0};
    enum status status = read_texts(run, k, &texts, err);
    if (!status && texts.steps > MAX_CHUNKS * run->steps)
        status =
            err_set(err, E_INVALID, "The texts of run %lld have too many chunks.", (long long)k);
    if (!status)
        status = encode(run, &texts, k, err);
    if (!status)
        status = classify(run, &texts, k, err);
    mem_free(texts.tokens);
    mem_free(texts.begins);
    mem_free(texts.ends);
    mem_free(texts.labels);
    for (int i = 0; i < MAX_CHUNKS; i++)
        mem_free(texts.entry[i]);
    return status;
}

/* --- one case -----------------------------------------------------------------------------------
 */

static void add_params(struct run *run)
{
    for (int i = 0; i < run->graph->n_params; i++) {
        const struct param *param = run->graph->params[i];
        static const char *const names[] = {"param.", "gradient."};
        for (int part = PARAM_VALUE; part <= PARAM_GRADIENT; part++)
            if (param->parts[part])
                param_read(param, (enum param_part)part,
                           results_add(&run->results, mem_printf("%s%s", names[part], param->name),
                                       param->n_dims, param->dims, NULL));
    }
}

static enum status run_case(struct run *run, const char *spec, const char *in, const char *out,
                            struct err *err)
{
    enum status status = read_spec(run, spec, err);
    if (!status)
        status = tensor_source_open(in, &run->source, err);
    run->opened = !status;
    if (status)
        return status;
    run->graph = build_graph(run);
    status = network_load(run->graph, &run->source, "param.", PARAM_VALUE, err);
    if (!status)
        status = build_plans(run, err);
    if (status)
        return status;
    prepare_optimizer(run);
    for (int64_t k = 0; k < integer(run, "runs") && !status; k++) {
        status = run->classes ? run_classifier(run, k, err) : run_language_model(run, k, err);
        if (!status)
            take_step(run);
    }
    if (status)
        return status;
    add_params(run);
    return results_write(&run->results, out, err);
}

int main(int argc, char **argv)
{
    struct run run = {0};
    struct err err = {0};
    if (argc != 4) {
        fputs("usage: awd_lstm CASE.json IN.safetensors OUT.safetensors\n", stderr);
        return 2;
    }
    enum status status = run_case(&run, argv[1], argv[2], argv[3], &err);
    if (status)
        fprintf(stderr, "awd_lstm: %s\n", err.detail);
    plan_free(run.encoder);
    plan_free(run.head);
    graph_free(run.graph);
    if (run.opened)
        tensor_source_close(&run.source);
    results_deinit(&run.results);
    json_free(run.spec);
    return status ? 1 : 0;
}
