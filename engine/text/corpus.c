#include "engine/text/corpus.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/text/corpus_file.h"
#include "engine/text/reader.h"

#define ASK_BYTES (1u << 20) /* of documents between two questions to the watch */

struct corpus {
    struct corpus_map map;
    bool was_there;
};

/* --- documents, one after the other ----------------------------------------------------------- */

struct pass {
    const struct corpus_items *items;
    const struct corpus_watch *watch; /* NULL: nobody asks */
    struct reader *reader;            /* owned */
    char *bytes;                      /* owned; of the document under way */
    size_t capacity;
};

static void pass_deinit(struct pass *pass)
{
    reader_free(pass->reader);
    mem_free(pass->bytes);
}

static enum status read_item(struct pass *pass, uint32_t item, size_t *len, struct err *err)
{
    *len = pack_item(pass->items->pack, item)->size;
    if (*len > pass->capacity) {
        void *bytes = NULL;
        mem_free(pass->bytes);
        pass->bytes = NULL;
        pass->capacity = 0;
        if (mem_try_alloc(*len + *len / 2, 1, "a document", &bytes, err) != OK)
            return err->status;
        pass->bytes = bytes;
        pass->capacity = *len + *len / 2;
    }
    return *len > 0 ? pack_read(pass->items->pack, item, pass->bytes, err) : OK;
}

/* Every document's tokens to `emit`; before each, `begin` (which may be NULL). */
static enum status run_pass(struct pass *pass, enum status (*begin)(void *context, struct err *err),
                            void (*emit)(void *context, const char *token, size_t len),
                            void *context, struct err *err)
{
    const struct corpus_items *items = pass->items;
    const struct corpus_watch *watch = pass->watch;
    size_t unasked = ASK_BYTES, len = 0;
    enum status status = OK;
    for (uint32_t i = 0; i < items->n && status == OK; i++) {
        if (unasked >= ASK_BYTES && watch && !watch->go_on(watch->context, i, items->n))
            return err_set(err, E_CANCELLED, "The reading of the texts was told to stop.");
        unasked = unasked >= ASK_BYTES ? 0 : unasked;
        status = read_item(pass, items->items[i], &len, err);
        if (status == OK && begin)
            status = begin(context, err);
        if (status == OK)
            reader_each(pass->reader, pass->bytes, len, emit, context);
        unasked += len + 64;
    }
    if (status == OK && watch && !watch->go_on(watch->context, items->n, items->n))
        return err_set(err, E_CANCELLED, "The reading of the texts was told to stop.");
    return status;
}

static void count_word(void *context, const char *token, size_t len)
{
    word_counts_add(context, token, len);
}

enum status corpus_count(const struct corpus_items *items, const struct corpus_watch *watch,
                         struct word_counts *counts, struct err *err)
{
    struct pass pass = {.items = items, .watch = watch, .reader = reader_new()};
    enum status status = run_pass(&pass, NULL, count_word, counts, err);
    pass_deinit(&pass);
    return status;
}

/* --- making the file -------------------------------------------------------------------------- */

/* What the file is made of: the reader, the vocabulary, the documents' contents in their order. */
static void make_key(const struct corpus_items *items, const struct vocab *vocab,
                     uint8_t key[SHA256_BYTES])
{
    struct sha256 *digest = sha256_new();
    uint32_t version = READER_VERSION;
    vocab_digest(vocab, key);
    sha256_update(digest, &version, sizeof version);
    sha256_update(digest, key, SHA256_BYTES);
    for (uint32_t i = 0; i < items->n; i++)
        sha256_update(digest, pack_item(items->pack, items->items[i])->sha256, SHA256_BYTES);
    sha256_finish(digest, key);
    sha256_free(digest);
}

struct encoding {
    const struct vocab *vocab;
    struct corpus_writer *writer;
    uint64_t n_unknown;
};

static enum status begin_document(void *context, struct err *err)
{
    struct encoding *encoding = context;
    corpus_writer_document(encoding->writer);
    return corpus_writer_status(encoding->writer, err);
}

static void write_token(void *context, const char *token, size_t len)
{
    struct encoding *encoding = context;
    int32_t id = vocab_find(encoding->vocab, token, len);
    encoding->n_unknown += id == VOCAB_NONE;
    corpus_writer_token(encoding->writer,
                        id != VOCAB_NONE ? id
                                         : (int32_t)vocab_special(encoding->vocab, SPECIAL_UNK));
}

static enum status write_file(int fd, const struct corpus_items *items, const struct vocab *vocab,
                              const struct corpus_watch *watch, const uint8_t key[SHA256_BYTES],
                              struct err *err)
{
    struct pass pass = {.items = items, .watch = watch, .reader = reader_new()};
    struct encoding encoding = {.vocab = vocab, .writer = corpus_writer_new(fd, items->n)};
    struct corpus_header header = {.n_words = vocab_n_words(vocab)};
    enum status status = run_pass(&pass, begin_document, write_token, &encoding, err);
    memcpy(header.key, key, SHA256_BYTES);
    header.n_unknown = encoding.n_unknown;
    if (status == OK)
        status = corpus_writer_finish(encoding.writer, &header, err);
    corpus_writer_free(encoding.writer);
    pass_deinit(&pass);
    return status;
}

static enum status make_file(const struct corpus_items *items, const struct vocab *vocab,
                             const char *path, const struct corpus_watch *watch,
                             const uint8_t key[SHA256_BYTES], struct err *err)
{
    char *part = mem_printf("%s.part", path);
    int fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum status status = fd < 0 ? err_errno(err, "The file %s could not be made", part)
                                : write_file(fd, items, vocab, watch, key, err);
    if (fd >= 0 && close(fd) != 0 && status == OK)
        status = err_errno(err, "The file %s could not be written", part);
    if (status == OK && rename(part, path) != 0)
        status = err_errno(err, "The file %s could not be named %s", part, path);
    if (status != OK)
        unlink(part);
    mem_free(part);
    return status;
}

/* --- the corpus ------------------------------------------------------------------------------- */

/* OK with map->map NULL: there is none, or one of other documents, or a damaged one. */
static enum status open_good(const char *path, const uint8_t key[SHA256_BYTES],
                             struct corpus_map *map, struct err *err)
{
    struct err damage = {0};
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return OK;
    enum status status = corpus_map_open(fd, map, &damage);
    close(fd);
    if (status != OK && status != E_INVALID) {
        *err = damage;
        return status;
    }
    if (status == OK && memcmp(map->header->key, key, SHA256_BYTES) != 0)
        corpus_map_close(map);
    return OK;
}

enum status corpus_open(const struct corpus_items *items, const struct vocab *vocab,
                        const char *path, const struct corpus_watch *watch, struct corpus **out,
                        struct err *err)
{
    uint8_t key[SHA256_BYTES];
    struct corpus *corpus = mem_alloc(sizeof *corpus);
    make_key(items, vocab, key);
    enum status status = open_good(path, key, &corpus->map, err);
    corpus->was_there = corpus->map.map != NULL;
    if (status == OK && !corpus->was_there) {
        status = make_file(items, vocab, path, watch, key, err);
        if (status == OK)
            status = open_good(path, key, &corpus->map, err);
        if (status == OK && !corpus->map.map)
            status = err_set(err, E_IO,
                             "The file %s is not what was written to it: does the disk "
                             "fail?",
                             path);
    }
    if (status == OK)
        *out = corpus;
    else
        corpus_close(corpus);
    return status;
}

void corpus_close(struct corpus *corpus)
{
    if (!corpus)
        return;
    corpus_map_close(&corpus->map);
    mem_free(corpus);
}

bool corpus_was_there(const struct corpus *corpus)
{
    return corpus->was_there;
}

uint32_t corpus_n_documents(const struct corpus *corpus)
{
    return (uint32_t)corpus->map.header->n_documents;
}

uint64_t corpus_n_tokens(const struct corpus *corpus)
{
    return corpus->map.header->n_tokens;
}

uint64_t corpus_n_unknown(const struct corpus *corpus)
{
    return corpus->map.header->n_unknown;
}

const int32_t *corpus_document(const struct corpus *corpus, uint32_t document, uint32_t *n)
{
    const uint64_t *offsets = corpus->map.offsets;
    *n = (uint32_t)(offsets[document + 1] - offsets[document]);
    return corpus->map.tokens + offsets[document];
}
