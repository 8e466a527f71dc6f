/* reader.h -- documents read: rules, tokeniser, vocabulary, one after the other; and back again. */
#ifndef THAW_ENGINE_TEXT_READER_H
#define THAW_ENGINE_TEXT_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "engine/text/vocab.h"

#define READER_VERSION    1          /* of rules and tokeniser: other tokens, another number */
#define READER_MAX_TOKENS (1u << 26) /* of a document that is kept in memory */

struct reader; /* owns buffers that it uses again; one thread uses it at a time */

struct reader *reader_new(void);
void reader_free(struct reader *reader); /* NULL is fine */

/* Calls `emit` for every token, xxbos first. `document` is any bytes, its fields parted by 0x1f. */
void reader_each(struct reader *reader, const char *document, size_t len,
                 void (*emit)(void *context, const char *token, size_t len), void *context);

/* The numbers of its words: *ids[*n], borrowed until the next call. E_TOO_LARGE beyond
 * READER_MAX_TOKENS. */
enum status reader_ids(struct reader *reader, const struct vocab *vocab, const char *document,
                       size_t len, const int32_t **ids, size_t *n, struct err *err);

/* Tokens as people read them, appended to `out`: capitals and repetitions written out, no space
 * before a full stop or behind a bracket, fields and documents on lines of their own. What was lost
 * stays lost: an unknown word is "xxunk". A number that is no word's is passed over. */
void text_decode(const struct vocab *vocab, const int32_t *ids, size_t n, struct buf *out);

#endif
