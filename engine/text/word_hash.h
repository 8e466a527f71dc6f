/* word_hash.h -- a hash of a word's bytes for the tables of words; no result depends on it. */
#ifndef THAW_ENGINE_TEXT_WORD_HASH_H
#define THAW_ENGINE_TEXT_WORD_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t word_hash(const char *word, size_t len)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ len, piece = 0;
    for (; len >= 8; word += 8, len -= 8) {
        memcpy(&piece, word, 8);
        hash = (hash ^ piece) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    for (piece = 0; len > 0; len--)
        piece = piece << 8 | (uint8_t)word[len - 1];
    hash = (hash ^ piece) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 33;
    return (uint32_t)((hash * 0xc4ceb9fe1a85ec53u) >> 32);
}

#endif
