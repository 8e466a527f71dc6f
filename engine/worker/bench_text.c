/* bench_text.c -- `bench` for networks over text: steps on made-up words.
 *
 *   awd-lstm             a language model: a step is a chunk of `steps` words a row, state carried
 *   awd-lstm-classifier  a step is a batch of documents of `document` words each: the encoder over
 *                        its chunks, the head, then each chunk again, backwards as in training
 * Both with published dropouts and penalties, AdamW over every layer. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/op/xent.h"
#include "engine/train/optim.h"
#include "engine/worker/bench_text.h"
#include "engine/zoo/awd_lstm.h"
#include "engine/zoo/zoo.h"

#define CLASSES 2

struct bench_text {
    struct graph *graph;         /* owned */
    struct plan *encoder, *head; /* owned; head: of a classifier */
    struct optim optim;
    int64_t batch, steps, chunks;
    int32_t *words, *labels; /* owned; (chunks + 1, steps, batch) and (batch) */
    float *states;           /* owned; the state before each chunk */
};

bool bench_text_knows(const char *model)
{
    return strcmp(model, AWD_LSTM_NAME) == 0 || strcmp(model, AWD_LSTM_NAME "-classifier") == 0;
}

static enum status make_plans(struct bench_text *bench, bool classifier, struct err *err)
{
    struct plan_options options = {
        .mode = PLAN_TRAIN, .batch = bench->batch, .steps = bench->steps};
    if (classifier)
        options.output_node = awd_lstm_encoder_output(bench->graph);
    enum status status = plan_new(bench->graph, &options, &bench->encoder, err);
    if (status || !classifier)
        return status;
    options.input_node = options.output_node;
    options.output_node = 0;
    options.input_gradient = true;
    options.steps = bench->steps * bench->chunks;
    return plan_new(bench->graph, &options, &bench->head, err);
}

static void make_words(struct bench_text *bench, int64_t vocabulary)
{
    int64_t n = bench->steps * bench->batch * (bench->chunks + 1);
    struct rng rng = rng_stream("bench", 0, 0, 0);
    bench->words = mem_alloc((size_t)n * sizeof *bench->words);
    bench->labels = mem_alloc((size_t)bench->batch * sizeof *bench->labels);
    for (int64_t i = 0; i < n; i++)
        bench->words[i] = (int32_t)rng_below(&rng, (uint32_t)vocabulary);
    for (int64_t b = 0; b < bench->batch; b++)
        bench->labels[b] = (int32_t)rng_below(&rng, CLASSES);
    bench->states =
        mem_alloc((size_t)bench->chunks * plan_state_floats(bench->encoder) * sizeof(float));
}

enum status bench_text_new(const struct json *document, struct bench_text **made, struct err *err)
{
    const char *model = json_string(document, "model", "");
    bool classifier = strcmp(model, AWD_LSTM_NAME) != 0;
    struct awd_lstm_options options = awd_lstm_defaults(
        classifier ? AWD_LSTM_CLASSIFIER : AWD_LSTM_LANGUAGE_MODEL, classifier ? .5 : 1);
    options.vocabulary = json_integer(document, "vocabulary", 30000);
    options.classes = CLASSES;
    int64_t batch = json_integer(document, "batch", 32);
    int64_t words = json_integer(document, "document", 216);
    int64_t steps = 72, chunks = classifier ? words / steps : 1;
    if (options.vocabulary < 10 || options.vocabulary > 1000000 || batch < 1 || batch > 1024 ||
        chunks < 1 || chunks > 20)
        return err_set(err, E_INVALID,
                       "A bench of text takes --vocabulary 10 to 1000000, --batch 1 to 1024 and "
                       "--document 72 to 1440.");
    struct bench_text *bench = *made = mem_alloc(sizeof *bench);
    bench->batch = batch;
    bench->steps = steps;
    bench->chunks = chunks;
    bench->graph = awd_lstm_build(&options);
    awd_lstm_init(bench->graph, 0);
    if (make_plans(bench, classifier, err))
        return err->status;
    struct optim_options optim = optim_defaults(FORM_V2);
    optim_init(&bench->optim, &optim);
    make_words(bench, options.vocabulary);
    return OK;
}

void bench_text_free(struct bench_text *bench)
{
    if (!bench)
        return;
    plan_free(bench->encoder);
    plan_free(bench->head);
    graph_free(bench->graph);
    mem_free(bench->words);
    mem_free(bench->labels);
    mem_free(bench->states);
    mem_free(bench);
}

static size_t chunk_words(const struct bench_text *bench)
{
    return (size_t)(bench->steps * bench->batch);
}

static void language_step(struct bench_text *bench, uint64_t step)
{
    size_t n = chunk_words(bench);
    memcpy(plan_tokens(bench->encoder), bench->words, n * sizeof(int32_t));
    memcpy(plan_targets(bench->encoder), bench->words + bench->batch, n * sizeof(int32_t));
    plan_forward(bench->encoder, 0, step);
    plan_backward(bench->encoder);
}

static void encode(struct bench_text *bench, int64_t chunk, uint64_t step)
{
    size_t n = chunk_words(bench);
    memcpy(plan_tokens(bench->encoder), bench->words + (size_t)chunk * n, n * sizeof(int32_t));
    plan_forward(bench->encoder, 0, step << 16 | (uint64_t)chunk);
}

/* The last chunk's forward is still there when its backward comes. */
static void classifier_step(struct bench_text *bench, uint64_t step)
{
    struct plan *encoder = bench->encoder, *head = bench->head;
    size_t state = plan_state_floats(encoder);
    size_t floats = plan_output_row(encoder) * (size_t)bench->batch;
    plan_clear_state(encoder, -1);
    for (int64_t i = 0; i < bench->chunks; i++) {
        plan_read_state(encoder, bench->states + (size_t)i * state);
        encode(bench, i, step);
        memcpy(plan_input(head) + (size_t)i * floats, plan_output(encoder), floats * sizeof(float));
    }
    for (int64_t b = 0; b < bench->batch; b++) {
        plan_begins(head)[b] = 0;
        plan_ends(head)[b] = (int32_t)plan_steps(head);
    }
    plan_forward(head, 0, step << 16);
    xent_loss(plan_output(head), bench->labels, bench->batch, CLASSES, plan_output_gradient(head),
              NULL);
    plan_backward(head);
    for (int64_t i = bench->chunks - 1; i >= 0; i--) {
        if (i < bench->chunks - 1) {
            plan_write_state(encoder, bench->states + (size_t)i * state);
            encode(bench, i, step);
        }
        memcpy(plan_output_gradient(encoder), plan_input_gradient(head) + (size_t)i * floats,
               floats * sizeof(float));
        plan_add_gradients(encoder, i < bench->chunks - 1);
        plan_backward(encoder);
    }
}

double bench_text_seconds(struct bench_text *bench, uint64_t step)
{
    double rates[ZOO_MAX_GROUPS], start = clock_seconds();
    for (int i = 0; i < ZOO_MAX_GROUPS; i++)
        rates[i] = 1e-4;
    if (bench->head)
        classifier_step(bench, step);
    else
        language_step(bench, step);
    optim_step(&bench->optim, bench->graph, rates, .8);
    return clock_seconds() - start;
}

void bench_text_describe(const struct bench_text *bench, double seconds, struct json *result)
{
    size_t bytes = plan_bytes(bench->encoder) + (bench->head ? plan_bytes(bench->head) : 0);
    json_set_integer(result, "batch", bench->batch);
    if (bench->head)
        json_set_number(result, "documents_per_second", (double)bench->batch / seconds);
    json_set_number(result, "tokens_per_second",
                    (double)(bench->batch * bench->steps * bench->chunks) / seconds);
    json_set_integer(result, "plan_bytes", (int64_t)bytes);
}

const struct plan *bench_text_plan(const struct bench_text *bench)
{
    return bench->encoder;
}
