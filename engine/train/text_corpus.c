/* stand-in until engine/text/corpus lands */
#include "engine/train/text_corpus.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "engine/text/rules.h"
#include "engine/text/token.h"
struct text_corpus {
    uint32_t *items;
    uint32_t n;
    int64_t *begins;
    int32_t *words;
    int64_t cap;
    const struct vocab *vocab;
};
struct sink {
    struct word_counts *counts;
    struct text_corpus *corpus;
    int64_t at;
};
static void emit(void *context, const char *token, size_t len)
{
    struct sink *sink = context;
    if (sink->counts) {
        word_counts_add(sink->counts, token, len);
        return;
    }
    struct text_corpus *c = sink->corpus;
    if (sink->at == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 1024;
        c->words = realloc(c->words, (size_t)c->cap * 4);
    }
    c->words[sink->at++] = (int32_t)vocab_id(c->vocab, token, len);
}
static enum status pass(const struct pack *pack, const uint32_t *items, uint32_t n,
                        struct sink *sink, struct err *err)
{
    struct rules *rules = rules_new();
    struct tokeniser *tok = tokeniser_new();
    enum status status = OK;
    for (uint32_t i = 0; status == OK && i < n; i++) {
        size_t size = pack_item(pack, items[i])->size;
        char *bytes = mem_alloc(size + 1);
        if (sink->corpus)
            sink->corpus->begins[i] = sink->at;
        status = pack_read(pack, items[i], bytes, err);
        const char *text;
        size_t len;
        if (status == OK) {
            rules_begin(rules, bytes, size);
            while (rules_next(rules, &text, &len))
                tokeniser_split(tok, text, len, emit, sink);
        }
        mem_free(bytes);
    }
    if (sink->corpus)
        sink->corpus->begins[n] = sink->at;
    rules_free(rules);
    tokeniser_free(tok);
    return status;
}
enum status text_corpus_count(const struct pack *pack, const uint32_t *items, uint32_t n,
                              const struct text_corpus_work *work, struct word_counts **counts,
                              struct err *err)
{
    (void)work;
    *counts = word_counts_new(0);
    struct sink sink = {.counts = *counts};
    return pass(pack, items, n, &sink, err);
}
enum status text_corpus_open(const struct pack *pack, const uint32_t *items, uint32_t n,
                             const struct vocab *vocab, const char *folder,
                             const struct text_corpus_work *work, struct text_corpus **corpus,
                             struct err *err)
{
    (void)work;
    (void)folder;
    struct text_corpus *c = mem_alloc(sizeof *c);
    c->items = mem_alloc((n + 1) * 4u);
    memcpy(c->items, items, n * 4u);
    c->n = n;
    c->begins = mem_alloc((n + 1) * 8u);
    c->vocab = vocab;
    struct sink sink = {.corpus = c};
    *corpus = c;
    return pass(pack, items, n, &sink, err);
}
void text_corpus_close(struct text_corpus *c)
{
    if (!c)
        return;
    mem_free(c->items);
    mem_free(c->begins);
    free(c->words);
    mem_free(c);
}
uint32_t text_corpus_find(const struct text_corpus *c, uint32_t item)
{
    uint32_t lo = 0, hi = c->n;
    while (lo < hi) {
        uint32_t m = (lo + hi) / 2;
        if (c->items[m] < item)
            lo = m + 1;
        else
            hi = m;
    }
    return lo;
}
uint32_t *text_corpus_find_all(const struct text_corpus *c, const uint32_t *items, uint32_t n)
{
    uint32_t *d = mem_alloc((n + 1) * 4u);
    for (uint32_t i = 0; i < n; i++)
        d[i] = text_corpus_find(c, items[i]);
    return d;
}
int64_t text_corpus_words(const struct text_corpus *c, uint32_t d)
{
    return c->begins[d + 1] - c->begins[d];
}
const int32_t *text_corpus_document(const struct text_corpus *c, uint32_t d, uint32_t *n)
{
    *n = (uint32_t)text_corpus_words(c, d);
    return c->words + c->begins[d];
}
