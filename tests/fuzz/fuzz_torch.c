/* fuzz_torch.c -- the input is the pickle of a torch file, zip and legacy, around storages "0" and
 * "1" of 64 bytes. (Changed bytes of a whole zip mostly end at its checksums: fuzz_weights.) */
#include "tests/fuzz/fuzz_weights.h"

#include <zlib.h>

#include "base/buf.h"

#define N_PARTS 3

static const uint8_t storage[64] = {1, 2, 3, 4};

static void put(struct buf *out, uint64_t value, int n)
{
    for (int i = 0; i < n; i++)
        buf_append(out, &(char){(char)(i < 8 ? value >> (8 * i) : 0)}, 1);
}

/* The fields that a local header and a directory entry share, from the version on. */
static void put_fields(struct buf *out, const char *name, const uint8_t *bytes, size_t size)
{
    put(out, 20, 2);
    put(out, 0, 8); /* flags, method, time, date */
    put(out, crc32(0, bytes, (unsigned)size), 4);
    put(out, size, 4);
    put(out, size, 4);
    put(out, strlen(name), 2);
    put(out, 0, 2);
}

static void make_zip(struct buf *out, const uint8_t *pickle, size_t size)
{
    static const char *const names[N_PARTS] = {"x/data.pkl", "x/data/0", "x/data/1"};
    const uint8_t *const parts[N_PARTS] = {pickle, storage, storage};
    const size_t sizes[N_PARTS] = {size, sizeof storage, sizeof storage};
    size_t offsets[N_PARTS];
    for (int i = 0; i < N_PARTS; i++) {
        offsets[i] = out->len;
        put(out, 0x04034b50, 4);
        put_fields(out, names[i], parts[i], sizes[i]);
        buf_puts(out, names[i]);
        buf_append(out, parts[i], sizes[i]);
    }
    size_t begin = out->len;
    for (int i = 0; i < N_PARTS; i++) {
        put(out, 0x02014b50, 4);
        put(out, 20, 2);
        put_fields(out, names[i], parts[i], sizes[i]);
        put(out, 0, 10); /* comment, disk, attributes */
        put(out, offsets[i], 4);
        buf_puts(out, names[i]);
    }
    size_t end = out->len;
    put(out, 0x06054b50, 4);
    put(out, 0, 4);
    put(out, N_PARTS, 2);
    put(out, N_PARTS, 2);
    put(out, end - begin, 4);
    put(out, begin, 4);
    put(out, 0, 2);
}

/* Magic number, protocol 1001, an empty system, the pickle, the keys ["0", "1"], the storages. */
static void make_legacy(struct buf *out, const uint8_t *pickle, size_t size)
{
    static const char head[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
                               "\x80\x02M\xe9\x03.\x80\x02}.";
    static const char keys[] = "\x80\x02](X\1\0\0\0"
                               "0X\1\0\0\0"
                               "1e.";
    buf_append(out, head, sizeof head - 1);
    buf_append(out, pickle, size);
    buf_append(out, keys, sizeof keys - 1);
    for (int i = 0; i < 2; i++) {
        put(out, sizeof storage / sizeof(float), 8);
        buf_append(out, storage, sizeof storage);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void (*const make[])(struct buf *, const uint8_t *, size_t) = {make_zip, make_legacy};
    for (size_t i = 0; i < ARRAY_LEN(make); i++) {
        struct buf file;
        buf_init(&file, size + 4096);
        make[i](&file, data, size);
        fuzz_weights((const uint8_t *)file.data, file.len);
        buf_deinit(&file);
    }
    return 0;
}
