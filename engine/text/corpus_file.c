#include "engine/text/corpus_file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define MAGIC   "THAWTOK" /* and its NUL */
#define VERSION 1
#define BUFFER  (256u << 10)

/* --- reading ---------------------------------------------------------------------------------- */

static bool has_digest(const void *bytes, size_t len, const uint8_t expected[SHA256_BYTES])
{
    uint8_t sha256[SHA256_BYTES];
    sha256_bytes(bytes, len, sha256);
    return memcmp(sha256, expected, sizeof sha256) == 0;
}

static bool header_is_good(const struct corpus_map *map)
{
    const struct corpus_header *header = map->header;
    if (map->len < sizeof *header || memcmp(header->magic, MAGIC, sizeof header->magic) != 0 ||
        header->version != VERSION ||
        !has_digest(header, offsetof(struct corpus_header, sha256), header->sha256))
        return false;
    uint64_t left = (map->len - sizeof *header) / 4; /* in tokens; an offset takes two */
    return (map->len - sizeof *header) % 4 == 0 && header->n_documents < left / 2 &&
           header->n_tokens == left - 2 * (header->n_documents + 1);
}

static bool parts_are_good(const struct corpus_map *map)
{
    const struct corpus_header *header = map->header;
    uint64_t n = header->n_documents;
    if (!has_digest(map->offsets, (n + 1) * sizeof *map->offsets, header->offsets_sha256) ||
        !has_digest(map->tokens, header->n_tokens * sizeof *map->tokens, header->tokens_sha256))
        return false;
    if (map->offsets[0] != 0 || map->offsets[n] != header->n_tokens)
        return false;
    for (uint64_t i = 0; i < n; i++)
        if (map->offsets[i] > map->offsets[i + 1])
            return false;
    bool good = true;
    for (uint64_t i = 0; i < header->n_tokens; i++)
        good &= (uint32_t)map->tokens[i] < header->n_words;
    return good;
}

enum status corpus_map_open(int fd, struct corpus_map *map, struct err *err)
{
    struct stat st;
    *map = (struct corpus_map){0};
    if (fstat(fd, &st) != 0)
        return err_errno(err, "The file of tokens could not be examined");
    if ((uint64_t)st.st_size < sizeof *map->header)
        return err_set(err, E_INVALID, "The file of tokens is cut short.");
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return err_errno(err, "The file of tokens could not be mapped");
    map->map = bytes;
    map->len = (size_t)st.st_size;
    map->header = bytes;
    map->offsets = (const uint64_t *)(map->header + 1);
    if (header_is_good(map)) {
        map->tokens = (const int32_t *)(map->offsets + map->header->n_documents + 1);
        if (parts_are_good(map))
            return OK;
    }
    corpus_map_close(map);
    return err_set(err, E_INVALID, "The file of tokens is damaged: it is to be made again.");
}

void corpus_map_close(struct corpus_map *map)
{
    if (map->map)
        munmap(map->map, map->len);
    *map = (struct corpus_map){0};
}

/* --- writing ---------------------------------------------------------------------------------- */

/* One part of the file, written through a buffer at a place of its own. */
struct part {
    char *buffer; /* owned */
    size_t len;
    uint64_t at; /* in the file */
    struct sha256 *digest;
};

struct corpus_writer {
    int fd;
    struct part offsets, tokens;
    uint64_t n_documents, n_begun, n_tokens;
    struct err err; /* the first that went wrong; status OK: nothing */
};

static struct part part_new(uint64_t at)
{
    return (struct part){.buffer = mem_alloc(BUFFER), .at = at, .digest = sha256_new()};
}

static void part_free(struct part *part)
{
    mem_free(part->buffer);
    sha256_free(part->digest);
}

static void part_flush(struct corpus_writer *writer, struct part *part)
{
    sha256_update(part->digest, part->buffer, part->len);
    for (size_t done = 0; done < part->len && writer->err.status == OK;) {
        ssize_t n =
            pwrite(writer->fd, part->buffer + done, part->len - done, (off_t)(part->at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            err_errno(&writer->err, "The texts' tokens could not be written (%llu MB so far)",
                      (unsigned long long)((part->at + done) >> 20));
        else
            done += (size_t)n;
    }
    part->at += part->len;
    part->len = 0;
}

static void part_put(struct corpus_writer *writer, struct part *part, const void *bytes, size_t len)
{
    if (part->len + len > BUFFER)
        part_flush(writer, part);
    memcpy(part->buffer + part->len, bytes, len);
    part->len += len;
}

struct corpus_writer *corpus_writer_new(int fd, uint64_t n_documents)
{
    struct corpus_writer *writer = mem_alloc(sizeof *writer);
    *writer = (struct corpus_writer){
        .fd = fd,
        .n_documents = n_documents,
        .offsets = part_new(sizeof(struct corpus_header)),
        .tokens = part_new(sizeof(struct corpus_header) + (n_documents + 1) * sizeof(uint64_t))};
    return writer;
}

void corpus_writer_free(struct corpus_writer *writer)
{
    if (!writer)
        return;
    part_free(&writer->offsets);
    part_free(&writer->tokens);
    mem_free(writer);
}

void corpus_writer_document(struct corpus_writer *writer)
{
    writer->n_begun++;
    part_put(writer, &writer->offsets, &writer->n_tokens, sizeof writer->n_tokens);
}

void corpus_writer_token(struct corpus_writer *writer, int32_t token)
{
    writer->n_tokens++;
    part_put(writer, &writer->tokens, &token, sizeof token);
}

enum status corpus_writer_status(const struct corpus_writer *writer, struct err *err)
{
    if (writer->err.status != OK)
        *err = writer->err;
    return writer->err.status;
}

enum status corpus_writer_finish(struct corpus_writer *writer, struct corpus_header *header,
                                 struct err *err)
{
    if (writer->n_begun != writer->n_documents)
        return err_set(err, E_INTERNAL, "%llu documents were written, %llu were announced.",
                       (unsigned long long)writer->n_begun,
                       (unsigned long long)writer->n_documents);
    part_put(writer, &writer->offsets, &writer->n_tokens, sizeof writer->n_tokens);
    part_flush(writer, &writer->offsets);
    part_flush(writer, &writer->tokens);
    memcpy(header->magic, MAGIC, sizeof header->magic);
    header->version = VERSION;
    header->n_documents = writer->n_documents;
    header->n_tokens = writer->n_tokens;
    sha256_finish(writer->offsets.digest, header->offsets_sha256);
    sha256_finish(writer->tokens.digest, header->tokens_sha256);
    sha256_bytes(header, offsetof(struct corpus_header, sha256), header->sha256);
    if (writer->err.status == OK && pwrite(writer->fd, header, sizeof *header, 0) != sizeof *header)
        err_errno(&writer->err, "The texts' tokens could not be written");
    return corpus_writer_status(writer, err);
}
