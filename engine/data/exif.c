/* exif.c -- see exif.h. TIFF: byte order, 42, offset of the first directory; a directory is a count
 * and entries of 12 bytes (tag, type, count, value). */
#include "engine/data/exif.h"

#include <stdbool.h>
#include <string.h>

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT      3
#define ENTRY_BYTES     12

struct tiff {
    const uint8_t *bytes;
    size_t len;
    bool big_endian;
};

/* 0 past the end: no tag, no count, no orientation has that value. */
static uint32_t read_u16(const struct tiff *tiff, size_t at)
{
    if (at > tiff->len || tiff->len - at < 2)
        return 0;
    uint32_t first = tiff->bytes[at], second = tiff->bytes[at + 1];
    return tiff->big_endian ? first << 8 | second : second << 8 | first;
}

static uint32_t read_u32(const struct tiff *tiff, size_t at)
{
    uint32_t first = read_u16(tiff, at), second = read_u16(tiff, at + 2);
    return tiff->big_endian ? first << 16 | second : second << 16 | first;
}

int exif_orientation(const uint8_t *bytes, size_t len)
{
    if (len < 8 || (memcmp(bytes, "II", 2) != 0 && memcmp(bytes, "MM", 2) != 0))
        return 1;
    struct tiff tiff = {bytes, len, bytes[0] == 'M'};
    if (read_u16(&tiff, 2) != 42)
        return 1;
    size_t directory = read_u32(&tiff, 4);
    uint32_t entries = read_u16(&tiff, directory);
    for (uint32_t i = 0; i < entries; i++) {
        size_t entry = directory + 2 + (size_t)i * ENTRY_BYTES;
        if (read_u16(&tiff, entry) != TAG_ORIENTATION)
            continue;
        uint32_t value = read_u16(&tiff, entry + 8);
        bool valid = read_u16(&tiff, entry + 2) == TYPE_SHORT && value >= 1 && value <= 8;
        return valid ? (int)value : 1;
    }
    return 1;
}
