#include "engine/train/text_chunks.h"

#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "engine/zoo/awd_lstm.h"
#include "engine/zoo/text_rows.h"

#define DRAWS_A_BATCH ((uint64_t)1 << 20) /* chunks of a batch draw apart; of longer ones again */

struct text_chunks {
    struct text_chunks_options options;
    struct plan *encoder, *head; /* owned */
    bool encoder_trains;
    size_t width;          /* floats of one output */
    struct text_row *rows; /* owned; (batch) */
    float *states;     /* owned; (kept chunks, state): as the encoder was before each kept chunk */
    size_t state;      /* floats of one */
    int64_t length;    /* steps of time of the batch */
    int64_t kept_from; /* the first one that is kept: a multiple of seq_len */
    uint64_t seed, draw;
    int64_t last_chunk; /* that the encoder went over: its activations are still there */
};

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Outputs that the head sees at most. */
static int64_t most_kept(const struct text_chunks_options *o)
{
    int64_t longest = o->longest > 0 ? o->longest : 1;
    return min64(longest, o->max_len > o->seq_len ? o->max_len : o->seq_len);
}

struct plan_options text_chunks_encoder(const struct text_chunks_options *o,
                                        const struct graph *graph)
{
    return (struct plan_options){.mode = o->mode,
                                 .batch = o->batch,
                                 .steps = min64(o->seq_len, most_kept(o)),
                                 .frozen_groups = o->frozen_groups,
                                 .output_node = awd_lstm_encoder_output(graph)};
}

struct plan_options text_chunks_head(const struct text_chunks_options *o, const struct graph *graph)
{
    bool head_alone = o->frozen_groups >= graph->n_groups - 1;
    return (struct plan_options){.mode = o->mode,
                                 .batch = o->batch,
                                 .steps = most_kept(o),
                                 .frozen_groups = o->frozen_groups,
                                 .input_node = awd_lstm_encoder_output(graph),
                                 .input_gradient = o->mode == PLAN_TRAIN && !head_alone};
}

static int64_t most_chunks(const struct text_chunks_options *o)
{
    return (most_kept(o) + o->seq_len - 1) / o->seq_len;
}

enum status text_chunks_new(struct graph *graph, const struct text_chunks_options *options,
                            struct text_chunks **out, struct err *err)
{
    struct text_chunks *chunks = mem_alloc(sizeof *chunks);
    *chunks = (struct text_chunks){.options = *options};
    struct plan_options encoder = text_chunks_encoder(options, graph);
    struct plan_options head = text_chunks_head(options, graph);
    chunks->encoder_trains = head.input_gradient;
    enum status status = plan_new(graph, &encoder, &chunks->encoder, err);
    if (status == OK)
        status = plan_new(graph, &head, &chunks->head, err);
    void *states = NULL;
    if (status == OK) {
        chunks->width = (size_t)graph->nodes[awd_lstm_encoder_output(graph)].channels;
        chunks->state = plan_state_floats(chunks->encoder);
    }
    if (status == OK && chunks->encoder_trains)
        status = mem_try_alloc((size_t)most_chunks(options) * chunks->state, sizeof(float),
                               "the states between chunks", &states, err);
    chunks->states = states;
    chunks->rows = mem_alloc((size_t)options->batch * sizeof *chunks->rows);
    if (status == OK)
        *out = chunks;
    else
        text_chunks_free(chunks);
    return status;
}

void text_chunks_free(struct text_chunks *chunks)
{
    if (!chunks)
        return;
    plan_free(chunks->encoder);
    plan_free(chunks->head);
    mem_free(chunks->states);
    mem_free(chunks->rows);
    mem_free(chunks);
}

void text_chunks_refresh(struct text_chunks *chunks)
{
    plan_refresh(chunks->encoder);
    plan_refresh(chunks->head);
}

void text_chunks_hash(const struct text_chunks *chunks, char hex[65])
{
    char text[2 * SHA256_HEX];
    uint8_t bytes[SHA256_BYTES];
    plan_hash(chunks->encoder, text);
    plan_hash(chunks->head, text + strlen(text));
    sha256_bytes(text, strlen(text), bytes);
    digest_hex(bytes, sizeof bytes, hex);
}

/* --- one chunk -------------------------------------------------------------------------------- */

static int64_t chunk_steps(const struct text_chunks *c, int64_t chunk)
{
    return min64(c->options.seq_len, c->length - chunk * c->options.seq_len);
}

static enum status run_chunk(struct text_chunks *c, int64_t chunk, struct err *err)
{
    int64_t batch = c->options.batch;
    enum status status = text_rows_read(c->encoder, c->rows, batch, batch,
                                        chunk * c->options.seq_len, chunk_steps(c, chunk), err);
    if (status != OK)
        return status;
    plan_forward(c->encoder, c->seed, c->draw * DRAWS_A_BATCH + (uint64_t)chunk % DRAWS_A_BATCH);
    c->last_chunk = chunk;
    return OK;
}

static float *state_before(const struct text_chunks *c, int64_t chunk)
{
    return c->states + (size_t)(chunk - c->kept_from / c->options.seq_len) * c->state;
}

/* Floats of the outputs before the chunk, among those that are kept. */
static size_t kept_offset(const struct text_chunks *c, int64_t chunk)
{
    return (size_t)((chunk * c->options.seq_len - c->kept_from) * c->options.batch) * c->width;
}

static size_t chunk_floats(const struct text_chunks *c, int64_t chunk)
{
    return (size_t)(chunk_steps(c, chunk) * c->options.batch) * c->width;
}

/* --- forward ---------------------------------------------------------------------------------- */

/* Where each text begins: whole chunks of padding stand in front of it. Rows without a document
 * read one word of padding. */
static void place_rows(struct text_chunks *c, const struct text_corpus *corpus,
                       const uint32_t *documents, int64_t count)
{
    static const int32_t padding[] = {AWD_LSTM_PADDING};
    int64_t seq_len = c->options.seq_len;
    c->length = 1;
    for (int64_t b = 0; b < c->options.batch; b++) {
        struct text_row *row = &c->rows[b];
        uint32_t n = 0;
        const int32_t *words = b < count ? text_corpus_document(corpus, documents[b], &n) : padding;
        *row = (struct text_row){.words = n > 0 ? words : padding,
                                 .n = n > 0 ? n : 1,
                                 .backwards = c->options.backwards};
        c->length = row->n > c->length ? row->n : c->length;
    }
    for (int64_t b = 0; b < c->options.batch; b++)
        c->rows[b].begins = (c->length - c->rows[b].n) / seq_len * seq_len;
    c->kept_from = 0;
    while (c->length - c->kept_from > most_kept(&c->options))
        c->kept_from += seq_len;
}

static void place_pool(struct text_chunks *c)
{
    int32_t *begins = plan_begins(c->head), *ends = plan_ends(c->head);
    for (int64_t b = 0; b < c->options.batch; b++) {
        const struct text_row *row = &c->rows[b];
        int64_t first = row->begins > c->kept_from ? row->begins : c->kept_from;
        begins[b] = (int32_t)(first - c->kept_from);
        ends[b] = (int32_t)(row->begins + row->n - c->kept_from);
    }
}

enum status text_chunks_forward(struct text_chunks *c, const struct text_corpus *corpus,
                                const uint32_t *documents, int64_t count, uint64_t seed,
                                uint64_t draw, struct err *err)
{
    int64_t seq_len = c->options.seq_len;
    c->seed = seed;
    c->draw = draw;
    place_rows(c, corpus, documents, count);
    enum status status = plan_set_steps(c->head, c->length - c->kept_from, err);
    plan_clear_state(c->encoder, -1);
    for (int64_t chunk = 0; status == OK && chunk * seq_len < c->length; chunk++) {
        bool kept = chunk * seq_len >= c->kept_from;
        text_rows_begin(c->encoder, c->rows, c->options.batch, chunk * seq_len);
        if (kept && c->encoder_trains)
            plan_read_state(c->encoder, state_before(c, chunk));
        status = run_chunk(c, chunk, err);
        if (status == OK && kept)
            memcpy(plan_input(c->head) + kept_offset(c, chunk), plan_output(c->encoder),
                   chunk_floats(c, chunk) * sizeof(float));
    }
    if (status != OK)
        return status;
    place_pool(c);
    plan_forward(c->head, seed, draw);
    return OK;
}

const float *text_chunks_logits(const struct text_chunks *chunks)
{
    return plan_output(chunks->head);
}

/* --- backward --------------------------------------------------------------------------------- */

float *text_chunks_gradient(struct text_chunks *chunks)
{
    return plan_output_gradient(chunks->head);
}

enum status text_chunks_backward(struct text_chunks *c, struct err *err)
{
    enum status status = OK;
    plan_backward(c->head);
    if (!c->encoder_trains)
        return OK;
    int64_t first = c->kept_from / c->options.seq_len, last = c->last_chunk;
    for (int64_t chunk = last; status == OK && chunk >= first; chunk--) {
        plan_add_gradients(c->encoder, chunk != last);
        if (chunk != last) {
            plan_write_state(c->encoder, state_before(c, chunk));
            status = run_chunk(c, chunk, err);
        }
        if (status != OK)
            break;
        memcpy(plan_output_gradient(c->encoder),
               plan_input_gradient(c->head) + kept_offset(c, chunk),
               chunk_floats(c, chunk) * sizeof(float));
        plan_backward(c->encoder);
    }
    plan_add_gradients(c->encoder, false);
    return status;
}
