/* utf8.c -- well-formed byte sequences, table 3-7 of the Unicode standard. */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Lead bytes from first to last are followed by `more` bytes, the first of them in low..high. */
static const struct {
    uint8_t first, last, more, low, high;
} sequences[] = {
    {0x00, 0x7f, 0, 0, 0},       {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf},
    {0xe1, 0xec, 2, 0x80, 0xbf}, {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf},
    {0xf0, 0xf0, 3, 0x90, 0xbf}, {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

size_t utf8_sequence(const char *text, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t i = 0; len && i < sizeof(sequences) / sizeof(*sequences); i++) {
        if (bytes[0] < sequences[i].first || bytes[0] > sequences[i].last)
            continue;
        size_t more = sequences[i].more;
        if (more >= len)
            return 0;
        if (more && (bytes[1] < sequences[i].low || bytes[1] > sequences[i].high))
            return 0;
        for (size_t k = 2; k <= more; k++)
            if ((bytes[k] & 0xc0) != 0x80)
                return 0;
        return more + 1;
    }
    return 0;
}

/* The ASCII at the front: eight bytes at a time, since most text is little else. */
static size_t ascii_len(const char *text, size_t len)
{
    size_t n = 0;
    for (uint64_t word; len - n >= sizeof word; n += sizeof word) {
        memcpy(&word, text + n, sizeof word);
        if (word & 0x8080808080808080u)
            break;
    }
    return n;
}

bool utf8_is_valid(const char *text, size_t len)
{
    while (len) {
        size_t plain = ascii_len(text, len);
        text += plain;
        len -= plain;
        if (!len)
            break;
        size_t n = utf8_sequence(text, len);
        if (!n)
            return false;
        text += n;
        len -= n;
    }
    return true;
}
