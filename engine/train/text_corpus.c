#include "engine/train/text_corpus.h"

#include <string.h>

#include "base/mem.h"
#include "engine/text/corpus.h"

struct text_corpus {
    uint32_t *items; /* owned; ascending */
    uint32_t n;
    struct corpus *corpus; /* owned; NULL: there are no items */
};

static bool watch(void *context, uint64_t documents, uint64_t of)
{
    const struct text_corpus_work *work = context;
    return !work->go_on || work->go_on(work->context, (int64_t)documents, (int64_t)of);
}

static struct corpus_watch watch_of(const struct text_corpus_work *work)
{
    return (struct corpus_watch){.go_on = watch, .context = (void *)(uintptr_t)work};
}

enum status text_corpus_count(const struct pack *pack, const uint32_t *items, uint32_t n,
                              const struct text_corpus_work *work, struct word_counts **counts,
                              struct err *err)
{
    struct corpus_items wanted = {pack, items, n};
    struct corpus_watch watching = watch_of(work);
    struct word_counts *made = word_counts_new(0);
    enum status status = corpus_count(&wanted, &watching, made, err);
    if (status == OK)
        *counts = made;
    else
        word_counts_free(made);
    return status;
}

static enum status open_corpus(struct text_corpus *corpus, const struct pack *pack,
                               const struct vocab *vocab, const char *path,
                               const struct text_corpus_work *work, struct err *err)
{
    struct corpus_items wanted = {pack, corpus->items, corpus->n};
    struct corpus_watch watching = watch_of(work);
    return corpus_open(&wanted, vocab, path, &watching, &corpus->corpus, err);
}

enum status text_corpus_open(const struct pack *pack, const uint32_t *items, uint32_t n,
                             const struct vocab *vocab, const char *path,
                             const struct text_corpus_work *work, struct text_corpus **out,
                             struct err *err)
{
    struct text_corpus *corpus = mem_alloc(sizeof *corpus);
    void *copy = NULL;
    enum status status =
        mem_try_alloc((size_t)n + 1, sizeof *corpus->items, "the list of texts", &copy, err);
    *corpus = (struct text_corpus){.items = copy, .n = n};
    if (status == OK && n > 0) {
        memcpy(corpus->items, items, n * sizeof *items);
        status = open_corpus(corpus, pack, vocab, path, work, err);
    }
    if (status == OK)
        *out = corpus;
    else
        text_corpus_close(corpus);
    return status;
}

void text_corpus_close(struct text_corpus *corpus)
{
    if (!corpus)
        return;
    corpus_close(corpus->corpus);
    mem_free(corpus->items);
    mem_free(corpus);
}

uint32_t text_corpus_find(const struct text_corpus *corpus, uint32_t item)
{
    uint32_t low = 0, high = corpus->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (corpus->items[middle] < item)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool text_corpus_has(const struct text_corpus *corpus, uint32_t item)
{
    uint32_t document = text_corpus_find(corpus, item);
    return document < corpus->n && corpus->items[document] == item;
}

uint32_t *text_corpus_find_all(const struct text_corpus *corpus, const uint32_t *items, uint32_t n)
{
    uint32_t *documents = mem_alloc(((size_t)n + 1) * sizeof *documents);
    for (uint32_t i = 0; i < n; i++)
        documents[i] = text_corpus_find(corpus, items[i]);
    return documents;
}

int64_t text_corpus_words(const struct text_corpus *corpus, uint32_t document)
{
    uint32_t n;
    corpus_document(corpus->corpus, document, &n);
    return n;
}

double text_corpus_known(const struct text_corpus *corpus)
{
    uint64_t all = corpus->corpus ? corpus_n_tokens(corpus->corpus) : 0;
    return all > 0 ? 1 - (double)corpus_n_unknown(corpus->corpus) / (double)all : 1;
}

const int32_t *text_corpus_document(const struct text_corpus *corpus, uint32_t document,
                                    uint32_t *n)
{
    return corpus_document(corpus->corpus, document, n);
}
