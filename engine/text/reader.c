#include "engine/text/reader.h"

#include "base/mem.h"
#include "engine/text/rules.h"
#include "engine/text/token.h"

struct reader {
    struct rules *rules;         /* owned */
    struct tokeniser *tokeniser; /* owned */
    const struct vocab *vocab;   /* borrowed, during reader_ids */
    int32_t *ids;                /* owned */
    size_t n, capacity;
};

struct reader *reader_new(void)
{
    struct reader *reader = mem_alloc(sizeof *reader);
    reader->rules = rules_new();
    reader->tokeniser = tokeniser_new();
    return reader;
}

void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    rules_free(reader->rules);
    tokeniser_free(reader->tokeniser);
    mem_free(reader->ids);
    mem_free(reader);
}

void reader_each(struct reader *reader, const char *document, size_t len,
                 void (*emit)(void *context, const char *token, size_t len), void *context)
{
    const char *text;
    size_t text_len;
    rules_begin(reader->rules, document, len);
    while (rules_next(reader->rules, &text, &text_len))
        tokeniser_split(reader->tokeniser, text, text_len, emit, context);
}

static void append_id(void *context, const char *token, size_t len)
{
    struct reader *reader = context;
    if (reader->n > READER_MAX_TOKENS)
        return;
    if (reader->n == reader->capacity) {
        reader->capacity = 2 * reader->capacity + 256;
        reader->ids = mem_realloc(reader->ids, reader->capacity * sizeof *reader->ids);
    }
    reader->ids[reader->n++] = (int32_t)vocab_id(reader->vocab, token, len);
}

enum status reader_ids(struct reader *reader, const struct vocab *vocab, const char *document,
                       size_t len, const int32_t **ids, size_t *n, struct err *err)
{
    reader->vocab = vocab;
    reader->n = 0;
    reader_each(reader, document, len, append_id, reader);
    if (reader->n > READER_MAX_TOKENS)
        return err_set(err, E_TOO_LARGE, "The text has more than %u words; cut it into several.",
                       READER_MAX_TOKENS);
    *ids = reader->ids;
    *n = reader->n;
    return OK;
}
