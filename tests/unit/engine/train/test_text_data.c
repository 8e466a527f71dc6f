/* What a stage on texts reads: streams, batches by length, which texts, chunk by chunk. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/train/bptt.h"
#include "engine/train/text_batches.h"
#include "engine/train/text_chunks.h"
#include "engine/train/text_items.h"
#include "engine/zoo/awd_lstm.h"
#include "tests/unit/engine/train/text_fixture.h"

/* The fixture's texts as words. */
struct world {
    void *fixture;
    struct pack *pack;
    struct vocab *vocab;
    struct text_corpus *corpus;
    uint32_t items[N_TEXTS + N_UNLABELLED];
};

static int set_up(void **state)
{
    struct world *w = mem_alloc(sizeof *w);
    struct text_corpus_work work = {0};
    struct word_counts *counts = NULL;
    struct vocab_options wanted = {.min_count = 1, .max_words = 1000};
    struct err err = {0};
    text_fixture_set_up(&w->fixture);
    struct fixture *f = w->fixture;
    assert_int_equal(pack_open(f->pack, f->index, &w->pack, &err), OK);
    for (uint32_t i = 0; i < ARRAY_LEN(w->items); i++)
        w->items[i] = i;
    uint32_t n = ARRAY_LEN(w->items);
    assert_int_equal(text_corpus_count(w->pack, w->items, n, &work, &counts, &err), OK);
    w->vocab = vocab_from_counts(counts, &wanted);
    word_counts_free(counts);
    char words[120];
    snprintf(words, sizeof words, "%s/" TEXT_CORPUS_FILE, f->out);
    if (text_corpus_open(w->pack, w->items, n, w->vocab, words, &work, &w->corpus, &err) != OK)
        fail_msg("%s", err.detail);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    text_corpus_close(w->corpus);
    vocab_free(w->vocab);
    pack_close(w->pack);
    text_fixture_tear_down(&w->fixture);
    mem_free(w);
    return 0;
}

/* --- The stream ------------------------------------------------------------------------------- */

#define ROWS    4
#define SEQ_LEN 7

static struct bptt *stream(const struct world *w, bool shuffle, bool backwards)
{
    struct bptt_options options = {.corpus = w->corpus,
                                   .documents = w->items,
                                   .n_documents = ARRAY_LEN(w->items),
                                   .batch = ROWS,
                                   .seq_len = SEQ_LEN,
                                   .shuffle = shuffle,
                                   .backwards = backwards,
                                   .seed = 5};
    struct bptt *bptt = NULL;
    struct err err = {0};
    assert_int_equal(bptt_open(&options, &bptt, &err), OK);
    return bptt;
}

static int64_t count_words(const struct world *w)
{
    int64_t words = 0;
    for (uint32_t i = 0; i < ARRAY_LEN(w->items); i++)
        words += text_corpus_words(w->corpus, i);
    return words;
}

/* A whole epoch, row after row: what each row reads, and its targets. Owned by the caller. */
static int32_t *read_rows(struct bptt *bptt, int64_t row, int64_t first_step, bool targets)
{
    int32_t *all = mem_alloc((size_t)(ROWS * row) * sizeof *all);
    int32_t x[ROWS * SEQ_LEN], y[ROWS * SEQ_LEN];
    int64_t done = first_step * SEQ_LEN, steps;
    while ((steps = bptt_next(bptt, x, y)) > 0) {
        for (int64_t t = 0; t < steps; t++)
            for (int64_t b = 0; b < ROWS; b++)
                all[b * row + done + t] = (targets ? y : x)[t * ROWS + b];
        done += steps;
    }
    assert_int_equal(done, row);
    return all;
}

static void a_stream_in_order_is_the_documents_cut_into_rows(void **state)
{
    const struct world *w = *state;
    for (int backwards = 0; backwards < 2; backwards++) {
        struct bptt *bptt = stream(w, false, backwards);
        int64_t row = (count_words(w) - 1) / ROWS, at = 0;
        assert_int_equal(bptt_steps(bptt), (row + SEQ_LEN - 1) / SEQ_LEN);
        bptt_begin(bptt, 0, 0, 0);
        int32_t *x = read_rows(bptt, row, 0, false);
        bptt_begin(bptt, 0, 0, 0);
        int32_t *y = read_rows(bptt, row, 0, true);
        for (uint32_t d = 0; d < ARRAY_LEN(w->items); d++) {
            uint32_t n;
            const int32_t *words = text_corpus_document(w->corpus, d, &n);
            for (uint32_t i = 0; i < n && at <= ROWS * row; i++, at++) {
                int32_t word = words[backwards ? n - 1 - i : i];
                if (at < ROWS * row)
                    assert_int_equal(x[at], word);
                if (at > 0)
                    assert_int_equal(y[at - 1], word); /* the word behind, over rows' ends, too */
            }
        }
        mem_free(x);
        mem_free(y);
        bptt_close(bptt);
    }
}

static void a_stream_goes_on_in_the_middle(void **state)
{
    const struct world *w = *state;
    struct bptt *bptt = stream(w, true, false), *again = stream(w, true, false);
    int64_t row = (count_words(w) - 1) / ROWS;
    bptt_begin(bptt, 2, 3, 0);
    int32_t *whole = read_rows(bptt, row, 0, false);
    for (int64_t step = 1; step < bptt_steps(bptt); step += 3) {
        bptt_begin(again, 2, 3, step);
        int32_t *rest = read_rows(again, row, step, false);
        for (int64_t b = 0; b < ROWS; b++)
            assert_memory_equal(rest + b * row + step * SEQ_LEN, whole + b * row + step * SEQ_LEN,
                                (size_t)(row - step * SEQ_LEN) * sizeof *whole);
        mem_free(rest);
    }
    bptt_begin(bptt, 2, 4, 0);
    int32_t *next = read_rows(bptt, row, 0, false);
    assert_memory_not_equal(next, whole, (size_t)(ROWS * row) * sizeof *whole); /* shuffled anew */
    mem_free(next);
    mem_free(whole);
    bptt_close(bptt);
    bptt_close(again);
}

/* --- Batches by length ------------------------------------------------------------------------ */

static struct text_batches *batches(const struct world *w, bool train)
{
    struct text_batches_options options = {.pack = w->pack,
                                           .corpus = w->corpus,
                                           .items = w->items,
                                           .n_items = N_TEXTS,
                                           .batch = 8,
                                           .train = train,
                                           .seed = 5};
    struct text_batches *made = NULL;
    struct err err = {0};
    assert_int_equal(text_batches_open(&options, &made, &err), OK);
    return made;
}

static void an_epoch_takes_each_text_once_the_longest_first(void **state)
{
    const struct world *w = *state;
    struct text_batches *made = batches(w, true);
    int seen[N_TEXTS] = {0}, n = 0;
    int64_t longest = 0;
    struct batch batch;
    for (uint32_t i = 0; i < N_TEXTS; i++)
        if (text_corpus_words(w->corpus, i) > longest)
            longest = text_corpus_words(w->corpus, i);
    text_batches_begin(made, 0, 0, 0);
    for (text_batches_next(made, &batch); batch.count > 0; text_batches_next(made, &batch)) {
        assert_int_equal(batch.count, 8);
        if (n == 0)
            assert_int_equal(text_corpus_words(w->corpus, batch.items[0]), longest);
        for (int i = 0; i < batch.count; i++) {
            assert_int_equal(seen[batch.items[i]]++, 0);
            assert_int_equal(batch.labels[i], (int)batch.items[i] % 2);
            if (i > 0)
                assert_true(text_corpus_words(w->corpus, batch.items[i]) <=
                            text_corpus_words(w->corpus, batch.items[i - 1]));
        }
        n++;
    }
    assert_int_equal(n, N_TEXTS / 8);
    text_batches_close(made);
}

static void an_epoch_goes_on_in_the_middle(void **state)
{
    const struct world *w = *state;
    struct text_batches *made = batches(w, true), *again = batches(w, true);
    struct batch batch, other;
    text_batches_begin(made, 1, 2, 0);
    for (int k = 0; k < 4; k++)
        text_batches_next(made, &batch);
    text_batches_begin(again, 1, 2, 3);
    text_batches_next(again, &other);
    assert_memory_equal(other.items, batch.items, 8 * sizeof *batch.items);
    text_batches_close(made);
    text_batches_close(again);
}

static void validation_takes_every_text(void **state)
{
    struct text_batches *made = batches(*state, false);
    struct batch batch;
    int n = 0;
    text_batches_begin(made, 0, 0, 0);
    for (text_batches_next(made, &batch); batch.count > 0; text_batches_next(made, &batch))
        n += batch.count;
    assert_int_equal(n, N_TEXTS);
    text_batches_close(made);
}

/* --- Which texts ------------------------------------------------------------------------------ */

static bool has(const uint32_t *items, uint32_t n, uint32_t item)
{
    for (uint32_t i = 0; i < n; i++)
        if (items[i] == item)
            return true;
    return false;
}

static void a_language_model_sees_no_validation_text_unless_told(void **state)
{
    const struct world *w = *state;
    struct split split, texts;
    struct err err = {0};
    assert_int_equal(split_make(w->pack, .2, 0, &split, &err), OK);
    struct text_items_options options = {
        .pack = w->pack, .split = &split, .valid_fraction = .1, .sample = 1};
    for (int on_valid = 0; on_valid < 2; on_valid++) {
        options.on_valid = on_valid;
        assert_int_equal(text_items(&options, &texts, &err), OK);
        uint32_t all = split.n_train + N_UNLABELLED + (on_valid ? split.n_valid : 0);
        assert_int_equal(texts.n_train + texts.n_valid, all);
        assert_true(texts.n_valid >= 2 && texts.n_valid < all / 4);
        for (uint32_t i = 0; i < split.n_valid; i++)
            assert_int_equal(has(texts.train, texts.n_train, split.valid[i]) ||
                                 has(texts.valid, texts.n_valid, split.valid[i]),
                             on_valid);
        for (uint32_t i = 0; i < texts.n_valid; i++)
            assert_false(has(texts.train, texts.n_train, texts.valid[i]));
        split_deinit(&texts);
    }
    options.valid_fraction = 1 - 1e-9; /* every text's turn: one is left to learn from */
    assert_int_equal(text_items(&options, &texts, &err), OK);
    assert_int_equal(texts.n_train, 1);
    split_deinit(&texts);
    split_deinit(&split);
}

/* --- Chunk by chunk --------------------------------------------------------------------------- */

static void logits_of(struct graph *graph, const struct world *w, const uint32_t *documents,
                      int64_t batch, int64_t longest, float *logits)
{
    struct text_chunks_options options = {
        .mode = PLAN_INFER, .batch = batch, .seq_len = 5, .max_len = 1000, .longest = longest};
    struct text_chunks *chunks = NULL;
    struct err err = {0};
    if (text_chunks_new(graph, &options, &chunks, &err) != OK ||
        text_chunks_forward(chunks, w->corpus, documents, batch, 0, 0, &err) != OK)
        fail_msg("%s", err.detail);
    memcpy(logits, text_chunks_logits(chunks), (size_t)batch * 2 * sizeof *logits);
    text_chunks_free(chunks);
}

static void a_text_is_read_alike_whatever_stands_beside_it(void **state)
{
    const struct world *w = *state;
    struct awd_lstm_options network = awd_lstm_defaults(AWD_LSTM_CLASSIFIER, .5);
    network.vocabulary = vocab_n_words(w->vocab);
    network.embedding = 12;
    network.hidden = 16;
    network.layers = 2;
    network.classes = 2;
    struct graph *graph = awd_lstm_build(&network);
    awd_lstm_init(graph, 1);
    uint32_t documents[6] = {0, 10, 11, 12, 40, 55}; /* the first is long */
    int64_t longest = text_corpus_words(w->corpus, 0);
    float together[12], alone[2];
    assert_true(longest > 10 * 5);
    logits_of(graph, w, documents, 6, longest, together);
    for (int i = 0; i < 6; i++) {
        logits_of(graph, w, &documents[i], 1, longest, alone);
        for (int k = 0; k < 2; k++)
            assert_true(fabsf(alone[k] - together[2 * i + k]) < 1e-5f);
    }
    assert_true(fabsf(together[0] - together[2]) > 1e-4f);
    graph_free(graph);
}

/* The loss of some documents, as sum of logits times fixed numbers, and its gradients. */
static double loss_of(struct text_chunks *chunks, const struct world *w, const uint32_t *documents,
                      int64_t n, bool backward)
{
    struct err err = {0};
    double loss = 0;
    assert_int_equal(text_chunks_forward(chunks, w->corpus, documents, n, 7, 3, &err), OK);
    for (int64_t i = 0; i < 2 * n; i++)
        loss += (double)text_chunks_logits(chunks)[i] * (i % 3 - 1 + .5 * (double)i);
    for (int64_t i = 0; i < 2 * n && backward; i++)
        text_chunks_gradient(chunks)[i] = (float)(i % 3 - 1 + .5 * (double)i);
    if (backward)
        assert_int_equal(text_chunks_backward(chunks, &err), OK);
    return loss;
}

/* In one chunk, where nothing is cut off: a smooth network's gradients are its differences. */
static void gradients_are_differences_of_the_loss(void **state)
{
    static const char *const names[] = {"encoder.weight", "rnns.0.weight_hh_l0",
                                        "rnns.1.bias_ih_l0", "head.2.weight"};
    const struct world *w = *state;
    struct awd_lstm_options network = awd_lstm_defaults(AWD_LSTM_CLASSIFIER, .5);
    network.vocabulary = vocab_n_words(w->vocab);
    network.embedding = 8;
    network.hidden = 8;
    network.layers = 2;
    network.classes = 2;
    network.alpha = network.beta = 0; /* penalties are no part of the loss */
    struct graph *graph = awd_lstm_build(&network);
    awd_lstm_init(graph, 1);
    struct text_chunks_options options = {
        .mode = PLAN_TRAIN, .batch = 6, .seq_len = 40, .max_len = 40, .longest = 40};
    struct text_chunks *chunks = NULL;
    struct err err = {0};
    assert_int_equal(text_chunks_new(graph, &options, &chunks, &err), OK);
    uint32_t documents[6] = {10, 11, 12, 13, 40, 55};
    for (size_t k = 0; k < ARRAY_LEN(names); k++) {
        struct param *param = graph_find_param(graph, names[k]);
        float *plain = mem_alloc(param->n_elements * sizeof *plain);
        float *gradient = mem_alloc(param->n_elements * sizeof *plain);
        loss_of(chunks, w, documents, 6, true);
        param_read(param, PARAM_GRADIENT, gradient);
        param_read(param, PARAM_VALUE, plain);
        size_t at = 0; /* where it is largest */
        for (size_t i = 0; i < param->n_elements; i++)
            at = fabsf(gradient[i]) > fabsf(gradient[at]) ? i : at;
        float was = plain[at], h = 2e-3f;
        plain[at] = was + h;
        param_write(param, PARAM_VALUE, plain);
        double up = loss_of(chunks, w, documents, 6, false);
        plain[at] = was - h;
        param_write(param, PARAM_VALUE, plain);
        double down = loss_of(chunks, w, documents, 6, false);
        plain[at] = was;
        param_write(param, PARAM_VALUE, plain);
        double difference = (up - down) / (2 * (double)h);
        if (fabs(difference - (double)gradient[at]) > .05 * fabs(difference) + 1e-3)
            fail_msg("%s: %g, but a gradient of %g", names[k], difference, (double)gradient[at]);
        mem_free(plain);
        mem_free(gradient);
    }
    text_chunks_free(chunks);
    graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_in_order_is_the_documents_cut_into_rows),
        cmocka_unit_test(a_stream_goes_on_in_the_middle),
        cmocka_unit_test(an_epoch_takes_each_text_once_the_longest_first),
        cmocka_unit_test(an_epoch_goes_on_in_the_middle),
        cmocka_unit_test(validation_takes_every_text),
        cmocka_unit_test(a_language_model_sees_no_validation_text_unless_told),
        cmocka_unit_test(a_text_is_read_alike_whatever_stands_beside_it),
        cmocka_unit_test(gradients_are_differences_of_the_loss),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
