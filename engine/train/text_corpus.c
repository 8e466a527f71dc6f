#include "engine/train/text_corpus.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/text/rules.h"
#include "engine/text/token.h"

#define ASK_EVERY 256 /* documents */

struct text_corpus {
    uint32_t *items; /* owned; ascending */
    uint32_t n;
    uint64_t *begins; /* owned; (n + 1) where each document's words begin */
    int32_t *words;   /* owned: a mapped file that has no name any more; NULL: there are none */
    size_t bytes;
};

/* What takes the words of a pass. */
struct sink {
    struct word_counts *counts; /* or */
    const struct vocab *vocab;
    FILE *file;
    uint64_t n; /* written */
};

static void take(void *context, const char *token, size_t len)
{
    struct sink *sink = context;
    if (sink->counts) {
        word_counts_add(sink->counts, token, len);
        return;
    }
    int32_t id = (int32_t)vocab_id(sink->vocab, token, len);
    sink->n += fwrite(&id, sizeof id, 1, sink->file);
}

/* One at a time through rules and tokeniser; `begins` (may be NULL) gets where each one begins. */
static enum status read_documents(const struct pack *pack, const uint32_t *items, uint32_t n,
                                  const struct text_corpus_work *work, struct sink *sink,
                                  uint64_t *begins, struct err *err)
{
    struct rules *rules = rules_new();
    struct tokeniser *tokeniser = tokeniser_new();
    enum status status = OK;
    for (uint32_t i = 0; status == OK && i < n; i++) {
        size_t size = pack_item(pack, items[i])->size, len;
        const char *text;
        void *bytes = NULL;
        status = mem_try_alloc(size + 1, 1, "a text", &bytes, err);
        if (status == OK)
            status = pack_read(pack, items[i], bytes, err);
        if (begins)
            begins[i] = sink->n;
        if (status == OK) {
            rules_begin(rules, bytes, size);
            while (rules_next(rules, &text, &len))
                tokeniser_split(tokeniser, text, len, take, sink);
        }
        mem_free(bytes);
        if (i % ASK_EVERY == 0 && work->go_on && !work->go_on(work->context, i, n))
            status = err_set(err, E_CANCELLED, "The reading of texts was told to stop.");
    }
    rules_free(rules);
    tokeniser_free(tokeniser);
    return status;
}

enum status text_corpus_count(const struct pack *pack, const uint32_t *items, uint32_t n,
                              const struct text_corpus_work *work, struct word_counts **counts,
                              struct err *err)
{
    struct sink sink = {.counts = word_counts_new(0)};
    enum status status = read_documents(pack, items, n, work, &sink, NULL, err);
    if (status == OK)
        *counts = sink.counts;
    else
        word_counts_free(sink.counts);
    return status;
}

/* --- the file --------------------------------------------------------------------------------- */

static enum status map_words(struct text_corpus *corpus, const char *path, FILE *file,
                             struct err *err)
{
    corpus->bytes = (size_t)corpus->begins[corpus->n] * sizeof *corpus->words;
    if (ferror(file) || fflush(file) != 0)
        return err_errno(err, "The file of words %s cannot be written", path);
    if (corpus->bytes == 0)
        return OK;
    void *words = mmap(NULL, corpus->bytes, PROT_READ, MAP_SHARED, fileno(file), 0);
    if (words == MAP_FAILED)
        return err_errno(err, "The file of words %s cannot be mapped", path);
    corpus->words = words;
    return OK;
}

static enum status write_words(struct text_corpus *corpus, const struct pack *pack,
                               const struct vocab *vocab, const char *path,
                               const struct text_corpus_work *work, struct err *err)
{
    FILE *file = fopen(path, "w+e");
    if (!file)
        return err_errno(err, "The file of words %s cannot be made", path);
    struct sink sink = {.vocab = vocab, .file = file};
    enum status status =
        read_documents(pack, corpus->items, corpus->n, work, &sink, corpus->begins, err);
    corpus->begins[corpus->n] = sink.n;
    if (status == OK)
        status = map_words(corpus, path, file, err);
    fclose(file);
    unlink(path); /* the mapping keeps it */
    return status;
}

enum status text_corpus_open(const struct pack *pack, const uint32_t *items, uint32_t n,
                             const struct vocab *vocab, const char *folder,
                             const struct text_corpus_work *work, struct text_corpus **out,
                             struct err *err)
{
    struct text_corpus *corpus = mem_alloc(sizeof *corpus);
    void *copy = NULL, *begins = NULL;
    char *path = mem_printf("%s/words", folder);
    enum status status =
        mem_try_alloc((size_t)n + 1, sizeof *corpus->items, "the list of texts", &copy, err);
    if (status == OK)
        status = mem_try_alloc((size_t)n + 1, sizeof *corpus->begins, "the places of texts",
                               &begins, err);
    *corpus = (struct text_corpus){.items = copy, .n = n, .begins = begins};
    if (status == OK) {
        memcpy(corpus->items, items, n * sizeof *items);
        status = write_words(corpus, pack, vocab, path, work, err);
    }
    mem_free(path);
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
    if (corpus->words)
        munmap(corpus->words, corpus->bytes);
    mem_free(corpus->items);
    mem_free(corpus->begins);
    mem_free(corpus);
}

/* --- reading ---------------------------------------------------------------------------------- */

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
    return (int64_t)(corpus->begins[document + 1] - corpus->begins[document]);
}

const int32_t *text_corpus_document(const struct text_corpus *corpus, uint32_t document,
                                    uint32_t *n)
{
    *n = (uint32_t)text_corpus_words(corpus, document);
    return corpus->words + corpus->begins[document];
}
