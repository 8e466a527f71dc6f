/* corpus_file.h -- tokens of many documents in one file, proved when it is opened.
 *
 *     header   magic "THAWTOK\0", version, counts, key, SHA-256 of offsets, of tokens, of the
 * header offsets  n_documents + 1 x u64: where each document begins, counted in tokens tokens
 * n_tokens x i32, each below n_words
 *
 * The key says what the file was made of. Nothing is synced: what a crash damages, its digests
 * show, and it is made again. */
#ifndef THAW_ENGINE_TEXT_CORPUS_FILE_H
#define THAW_ENGINE_TEXT_CORPUS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/status.h"

struct corpus_header {
    char magic[8];
    uint32_t version, n_words;
    uint64_t n_documents, n_tokens, n_unknown;
    uint8_t key[SHA256_BYTES];
    uint8_t offsets_sha256[SHA256_BYTES], tokens_sha256[SHA256_BYTES];
    uint8_t sha256[SHA256_BYTES]; /* of all before */
};

_Static_assert(sizeof(struct corpus_header) == 168, "the header has no gaps");

struct corpus_map { /* owns the mapping */
    void *map;
    size_t len;
    const struct corpus_header *header; /* the rest: in the map */
    const uint64_t *offsets;
    const int32_t *tokens;
};

/* Maps the file and proves all of it. E_INVALID: it is none, cut short or damaged. */
enum status corpus_map_open(int fd, struct corpus_map *map, struct err *err);
void corpus_map_close(struct corpus_map *map); /* zeroed is fine */

struct corpus_writer; /* borrows the descriptor; memory of two buffers, whatever is written */

struct corpus_writer *corpus_writer_new(int fd, uint64_t n_documents);
void corpus_writer_free(struct corpus_writer *writer);
void corpus_writer_document(struct corpus_writer *writer);             /* begins the next */
void corpus_writer_token(struct corpus_writer *writer, int32_t token); /* one more of it */
/* What has gone wrong so far: OK, or why the file could not be written. */
enum status corpus_writer_status(const struct corpus_writer *writer, struct err *err);
/* Once n_documents were written. `header` gives n_words, n_unknown and key. */
enum status corpus_writer_finish(struct corpus_writer *writer, struct corpus_header *header,
                                 struct err *err);

#endif
