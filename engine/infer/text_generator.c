/* text_generator.c -- a language model reads a text, then goes on with it.
 *
 * The text is read in pieces with the state carried on; of the remainder behind the last whole
 * piece the steps are powers of two, so that few kernels serve every length. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/core/plan.h"
#include "engine/infer/text_model.h"

#define NEVER (-1e30f)

struct text_generator {
    struct text_model *model; /* borrowed */
    struct plan *plan;        /* owned; one row */
    int64_t seq_len, n_words;
    float *logits;  /* owned; (words): of the word that comes next */
    bool *is_never; /* owned; (words): special tokens that are no text, and xxfake */
};

enum status text_generator_new(struct text_model *model, struct text_generator **out,
                               struct err *err)
{
    struct text_generator *g = mem_alloc(sizeof *g);
    g->model = model;
    g->seq_len = model->info.text.seq_len;
    g->n_words = model->info.text.n_words;
    g->logits = mem_alloc((size_t)g->n_words * sizeof *g->logits);
    g->is_never = mem_alloc((size_t)g->n_words * sizeof *g->is_never);
    for (int64_t i = 0; i < g->n_words; i++)
        g->is_never[i] = i == SPECIAL_UNK || i == SPECIAL_PAD ||
                         strcmp(vocab_word(model->vocab, (uint32_t)i), MODEL_PADDING_WORD) == 0;
    struct plan_options options = {.mode = PLAN_INFER, .batch = 1, .steps = g->seq_len};
    enum status status = plan_new(model->graph, &options, &g->plan, err);
    if (status == OK)
        *out = g;
    else
        text_generator_free(g);
    return status;
}

void text_generator_free(struct text_generator *g)
{
    if (!g)
        return;
    plan_free(g->plan);
    mem_free(g->logits);
    mem_free(g->is_never);
    mem_free(g);
}

void text_generator_hash(const struct text_generator *g, char hex[65])
{
    plan_hash(g->plan, hex);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static int64_t piece_of(const struct text_generator *g, int64_t left)
{
    if (left >= g->seq_len)
        return g->seq_len;
    int64_t piece = 1;
    while (2 * piece <= left)
        piece *= 2;
    return piece;
}

/* Reads n words; *loss gets the sum of -log p of every word but the first. The logits are those of
 * the word behind the last. */
static enum status read_words(struct text_generator *g, const int32_t *words, int64_t n,
                              double *loss, struct err *err)
{
    enum status status = OK;
    int64_t steps = 0;
    plan_clear_state(g->plan, -1);
    *loss = 0;
    for (int64_t at = 0; status == OK && at < n; at += steps) {
        steps = piece_of(g, n - at);
        status = plan_set_steps(g->plan, steps, err);
        if (status != OK)
            break;
        memcpy(plan_tokens(g->plan), words + at, (size_t)steps * sizeof *words);
        for (int64_t t = 0; t < steps; t++)
            plan_targets(g->plan)[t] = at + t + 1 < n ? words[at + t + 1] : -1;
        plan_forward(g->plan, 0, 0);
        for (int64_t t = 0; t < steps; t++)
            *loss += (double)plan_output(g->plan)[t];
    }
    const int32_t last = (int32_t)steps - 1;
    if (status == OK)
        plan_word_logits(g->plan, &last, 1, g->logits);
    return status;
}

/* --- Going on --------------------------------------------------------------------------------- */

static int64_t most_probable(const struct text_generator *g)
{
    int64_t best = 0;
    for (int64_t i = 1; i < g->n_words; i++)
        if (g->logits[i] > g->logits[best])
            best = i;
    return best;
}

/* Draws from softmax(logits / temperature). */
static int64_t draw(const struct text_generator *g, double temperature, struct rng *rng)
{
    int64_t best = most_probable(g), last = best;
    if (temperature <= 0)
        return best;
    double most = (double)g->logits[best], sum = 0, passed = 0;
    for (int64_t i = 0; i < g->n_words; i++)
        sum += exp(((double)g->logits[i] - most) / temperature);
    double wanted = rng_uniform(rng, 0, 1) * sum;
    for (int64_t i = 0; i < g->n_words; i++) {
        double share = exp(((double)g->logits[i] - most) / temperature);
        passed += share;
        if (share > 0)
            last = i;
        if (passed > wanted)
            break;
    }
    return last;
}

static enum status go_on(struct text_generator *g, const struct text_item *item, int32_t *words,
                         struct err *err)
{
    const int32_t first = 0;
    struct rng rng = rng_stream("predict", item->seed, 0, 0);
    enum status status = item->next > 0 ? plan_set_steps(g->plan, 1, err) : OK;
    for (int i = 0; status == OK && i < item->next; i++) {
        for (int64_t word = 0; word < g->n_words; word++) {
            if (g->is_never[word])
                g->logits[word] = NEVER;
            else if (!isfinite(g->logits[word]))
                return err_set(err, E_INVALID, "The model's output for this text is no number.");
        }
        words[i] = (int32_t)draw(g, item->temperature, &rng);
        plan_tokens(g->plan)[0] = words[i];
        plan_targets(g->plan)[0] = -1;
        plan_forward(g->plan, 0, 0);
        plan_word_logits(g->plan, &first, 1, g->logits);
    }
    return status;
}

/* --- Words as text ---------------------------------------------------------------------------- */

static void decode(const struct text_generator *g, const int32_t *words, int64_t n, struct buf *out)
{
    text_decode(g->model->vocab, words, (size_t)n, out);
}

/* What stands behind `before` (whose last word is given) or, read backwards, in front of it: the
 * new words, with a space towards the text where there should be one. */
static void write_words(const struct text_generator *g, const int32_t *words, int64_t n,
                        int32_t neighbour, struct buf *out)
{
    bool backwards = g->model->info.text.backwards;
    int32_t *line = mem_alloc(((size_t)n + 1) * sizeof *line);
    struct buf all, alone;
    buf_init(&all, TEXT_MAX_WRITTEN);
    buf_init(&alone, TEXT_MAX_WRITTEN);
    for (int64_t i = 0; i < n; i++)
        line[backwards ? n - 1 - i : i + 1] = words[i];
    line[backwards ? n : 0] = neighbour;
    decode(g, line, n + 1, &all);
    decode(g, &neighbour, 1, &alone);
    size_t rest = all.len >= alone.len ? all.len - alone.len : 0;
    if (!backwards && rest && memcmp(all.data, alone.data, alone.len) == 0)
        buf_append(out, all.data + alone.len, rest);
    else if (backwards && rest && memcmp(all.data + rest, alone.data, alone.len) == 0)
        buf_append(out, all.data, rest);
    else { /* a word that changes its neighbour: a capital, a repetition */
        buf_puts(out, backwards ? "" : " ");
        decode(g, line + !backwards, n, out);
        buf_puts(out, backwards ? " " : "");
    }
    buf_deinit(&all);
    buf_deinit(&alone);
    mem_free(line);
}

static enum status answer(struct text_generator *g, struct text_item *item, const int32_t *words,
                          int64_t n, struct err *err)
{
    double loss = 0;
    int32_t written[TEXT_MAX_NEXT];
    bool backwards = g->model->info.text.backwards;
    enum status status = read_words(g, words, n, &loss, err);
    item->n_words = n;
    item->perplexity = exp(loss / (double)(n - 1));
    if (status == OK && !isfinite(item->perplexity))
        status = err_set(err, E_INVALID, "The model's output for this text is no number.");
    if (status == OK && item->next > 0 && backwards) /* not what comes before another text */
        status = read_words(g, words, n - 1, &loss, err);
    if (status == OK)
        status = go_on(g, item, written, err);
    if (status == OK && item->next > 0)
        write_words(g, written, item->next, words[n - 1 - backwards], &item->written);
    return status;
}

void text_generator_run(struct text_generator *g, struct text_item *item)
{
    int32_t *words = NULL;
    int64_t n = 0;
    item->err = (struct err){0};
    item->status = text_model_words(g->model, item->text, item->len, &words, &n, &item->err);
    if (item->status == OK && n > TEXT_MAX_WORDS)
        item->status = err_set(&item->err, E_TOO_LARGE,
                               "The text has %lld tokens; a language model reads at most %d at "
                               "once.",
                               (long long)n, TEXT_MAX_WORDS);
    if (item->status == OK && (item->next < 0 || item->next > TEXT_MAX_NEXT))
        item->status = err_set(&item->err, E_INVALID, "next is 0 to %d words.", TEXT_MAX_NEXT);
    if (item->status == OK)
        item->status = answer(g, item, words, n, &item->err);
    mem_free(words);
}
