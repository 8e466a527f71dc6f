/* fuzz_corpus.c -- a file of tokens that is accepted has every document inside and every token in
 * the vocabulary. The digests are put right first: else no bytes would ever pass. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "engine/text/corpus_file.h"

static void put_right(uint8_t *bytes, size_t size)
{
    struct corpus_header *header = (struct corpus_header *)bytes;
    uint64_t left = size - sizeof *header, offsets = header->n_documents + 1;
    if (offsets > 0 && offsets <= left / 8) {
        const uint8_t *at = bytes + sizeof *header;
        sha256_bytes(at, offsets * 8, header->offsets_sha256);
        sha256_bytes(at + offsets * 8, left - offsets * 8, header->tokens_sha256);
    }
    sha256_bytes(header, offsetof(struct corpus_header, sha256), header->sha256);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct corpus_map map;
    struct err err = {0};
    uint8_t *bytes = mem_alloc(size + 1);
    memcpy(bytes, data, size);
    if (size >= sizeof(struct corpus_header))
        put_right(bytes, size);
    int fd = fuzz_file(bytes, size);
    if (corpus_map_open(fd, &map, &err) == OK) {
        for (uint64_t i = 0; i < map.header->n_documents; i++)
            promise(map.offsets[i] <= map.offsets[i + 1]);
        promise(map.offsets[map.header->n_documents] == map.header->n_tokens);
        for (uint64_t i = 0; i < map.header->n_tokens; i++)
            promise((uint32_t)map.tokens[i] < map.header->n_words);
        corpus_map_close(&map);
    } else {
        promise(err.detail[0] && !map.map);
    }
    close(fd);
    mem_free(bytes);
    return 0;
}
