#include "engine/train/bptt.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

struct cursor {
    uint32_t at;         /* place in the order */
    uint32_t n;          /* words of that document */
    uint32_t word;       /* next one in it */
    const int32_t *text; /* its words, borrowed */
};

struct bptt {
    struct bptt_options options;
    uint32_t *order;        /* owned; (n_documents) as this epoch takes them */
    struct cursor *cursors; /* owned; (B) */
    int64_t words, row;     /* of all; of a row */
    int64_t done;           /* steps of time of this epoch that were given */
};

int64_t bptt_count(int64_t words, int64_t batch, int64_t seq_len)
{
    int64_t row = words > 0 ? (words - 1) / batch : 0;
    return (row + seq_len - 1) / seq_len;
}

static int64_t count_words(const struct bptt_options *options)
{
    int64_t words = 0;
    for (uint32_t i = 0; i < options->n_documents; i++)
        words += text_corpus_words(options->corpus, options->documents[i]);
    return words;
}

enum status bptt_open(const struct bptt_options *options, struct bptt **out, struct err *err)
{
    int64_t words = count_words(options);
    void *order;
    if (words - 1 < options->batch)
        return err_set(err, E_INVALID,
                       "The texts have %lld words in all: a language model with %lld rows needs "
                       "more than that.",
                       (long long)words, (long long)options->batch);
    enum status status = mem_try_alloc((size_t)options->n_documents, sizeof(uint32_t),
                                       "the order of an epoch", &order, err);
    if (status != OK)
        return status;
    struct bptt *bptt = mem_alloc(sizeof *bptt);
    *bptt = (struct bptt){.options = *options, .order = order, .words = words};
    bptt->row = (words - 1) / options->batch;
    bptt->done = bptt->row;
    bptt->cursors = mem_alloc((size_t)options->batch * sizeof *bptt->cursors);
    *out = bptt;
    return OK;
}

void bptt_close(struct bptt *bptt)
{
    if (!bptt)
        return;
    mem_free(bptt->order);
    mem_free(bptt->cursors);
    mem_free(bptt);
}

int64_t bptt_steps(const struct bptt *bptt)
{
    return bptt_count(bptt->words, bptt->options.batch, bptt->options.seq_len);
}

/* The document at the cursor's place; past documents without words. */
static void enter(const struct bptt *bptt, struct cursor *cursor)
{
    while (cursor->at < bptt->options.n_documents) {
        cursor->text =
            text_corpus_document(bptt->options.corpus, bptt->order[cursor->at], &cursor->n);
        if (cursor->word < cursor->n)
            return;
        cursor->word -= cursor->n;
        cursor->at++;
    }
}

/* Rows begin every `row` words; a pass over the order finds where. */
static void place(struct bptt *bptt, int64_t offset)
{
    int64_t begins = 0, rows = bptt->options.batch, b = 0;
    for (uint32_t at = 0; at < bptt->options.n_documents && b < rows; at++) {
        int64_t n = text_corpus_words(bptt->options.corpus, bptt->order[at]);
        while (b < rows && b * bptt->row + offset < begins + n) {
            bptt->cursors[b] =
                (struct cursor){.at = at, .word = (uint32_t)(b * bptt->row + offset - begins)};
            enter(bptt, &bptt->cursors[b++]);
        }
        begins += n;
    }
}

void bptt_begin(struct bptt *bptt, uint32_t stage, uint32_t epoch, int64_t first_step)
{
    const struct bptt_options *o = &bptt->options;
    memcpy(bptt->order, o->documents, o->n_documents * sizeof *bptt->order);
    if (o->shuffle) {
        struct rng rng = rng_stream("documents", o->seed, stage, epoch);
        rng_shuffle(&rng, bptt->order, o->n_documents);
    }
    bptt->done = first_step * o->seq_len < bptt->row ? first_step * o->seq_len : bptt->row;
    if (bptt->done < bptt->row)
        place(bptt, bptt->done);
}

/* The word at the cursor, which goes on. */
static int32_t take(const struct bptt *bptt, struct cursor *cursor)
{
    uint32_t word = cursor->word++;
    int32_t id = cursor->text[bptt->options.backwards ? cursor->n - 1 - word : word];
    if (cursor->word == cursor->n) {
        cursor->at++;
        cursor->word = 0;
        enter(bptt, cursor);
    }
    return id;
}

/* The same without going on. */
static int32_t peek(const struct bptt *bptt, const struct cursor *cursor)
{
    struct cursor copy = *cursor;
    return take(bptt, &copy);
}

int64_t bptt_next(struct bptt *bptt, int32_t *tokens, int32_t *targets)
{
    int64_t batch = bptt->options.batch, left = bptt->row - bptt->done;
    int64_t steps = left < bptt->options.seq_len ? left : bptt->options.seq_len;
    for (int64_t b = 0; b < batch && steps > 0; b++) {
        struct cursor *cursor = &bptt->cursors[b];
        int32_t next = take(bptt, cursor);
        for (int64_t t = 0; t < steps; t++) {
            tokens[t * batch + b] = next;
            next = t + 1 < steps ? take(bptt, cursor) : peek(bptt, cursor);
            targets[t * batch + b] = next;
        }
    }
    bptt->done += steps;
    return steps;
}
