#include "tests/unit/engine/format/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/fs.h"

static char folder[64], path[256];

const char *scratch_make(void)
{
    snprintf(folder, sizeof folder, "/tmp/thaw-format-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

void scratch_remove(void)
{
    struct err err;
    assert_int_equal(fs_remove_tree(folder, &err), OK);
}

const char *scratch_path(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

const char *golden_path(const char *name)
{
    snprintf(path, sizeof path, "tests/golden/torch/%s", name);
    return path;
}

void read_file(const char *file, struct buf *out)
{
    struct err err = {0};
    buf_init(out, 64u << 20);
    if (fs_read_file(file, out, &err) != OK)
        fail_msg("%s (tests run from the top of the tree)", err.detail);
}

void assert_sentence(const struct err *err, const char *words)
{
    if (!strstr(err->detail, words))
        fail_msg("\"%s\" does not say \"%s\"", err->detail, words);
}

void put(struct buf *out, uint64_t value, int n)
{
    for (int i = 0; i < n; i++) {
        char byte = (char)(value >> (8 * i));
        assert_true(buf_append(out, &byte, 1));
    }
}

static void put_local(const struct zip_part *part, const struct zip_twist *twist, struct buf *out)
{
    const char *name = twist->local_name ? twist->local_name : part->name;
    put(out, 0x04034b50, 4);
    put(out, 20, 2);
    put(out, (uint64_t)twist->flags, 2);
    put(out, (uint64_t)twist->method, 2);
    put(out, 0, 4);
    put(out, 0, 4); /* crc32: the directory's counts */
    put(out, twist->zip64 ? UINT32_MAX : part->len, 4);
    put(out, twist->zip64 ? UINT32_MAX : part->len, 4);
    put(out, strlen(name), 2);
    put(out, 0, 2);
    buf_puts(out, name);
    buf_append(out, part->bytes, part->len);
}

static void put_entry(const struct zip_part *part, const struct zip_twist *twist, uint64_t offset,
                      struct buf *out)
{
    uint64_t size = part->len + (uint64_t)twist->size_added;
    uint32_t crc = (uint32_t)crc32(0, part->bytes, (unsigned)part->len);
    offset += (uint64_t)twist->offset_added;
    put(out, 0x02014b50, 4);
    put(out, 20, 2);
    put(out, 20, 2);
    put(out, (uint64_t)twist->flags, 2);
    put(out, (uint64_t)twist->method, 2);
    put(out, 0, 4);
    put(out, twist->wrong_crc ? crc ^ 1 : crc, 4);
    put(out, twist->zip64 ? UINT32_MAX : size, 4);
    put(out, twist->zip64 ? UINT32_MAX : size, 4);
    put(out, strlen(part->name), 2);
    put(out, twist->zip64 ? 28 : 0, 2);
    put(out, 0, 2);
    put(out, 0, 2);
    put(out, 0, 2);
    put(out, 0, 4);
    put(out, twist->zip64 ? UINT32_MAX : offset, 4);
    buf_puts(out, part->name);
    if (twist->zip64) {
        put(out, 1, 2);
        put(out, 24, 2);
        put(out, size, 8);
        put(out, size, 8);
        put(out, offset, 8);
    }
}

static void put_end(size_t n, uint64_t begin, const struct zip_twist *twist, struct buf *out)
{
    uint64_t end = out->len, len = end - begin, count = n + (uint64_t)twist->entries_added;
    if (twist->zip64) {
        put(out, 0x06064b50, 4);
        put(out, 44, 8);
        put(out, 45, 2);
        put(out, 45, 2);
        put(out, 0, 8);
        put(out, count, 8);
        put(out, count, 8);
        put(out, len, 8);
        put(out, begin, 8);
        put(out, 0x07064b50, 4);
        put(out, 0, 4);
        put(out, end, 8);
        put(out, 1, 4);
    }
    put(out, 0x06054b50, 4);
    put(out, 0, 4);
    put(out, twist->zip64 ? UINT16_MAX : count, 2);
    put(out, twist->zip64 ? UINT16_MAX : count, 2);
    put(out, twist->zip64 ? UINT32_MAX : len, 4);
    put(out, twist->zip64 ? UINT32_MAX : begin, 4);
    put(out, 0, 2);
}

void make_zip(const struct zip_part *parts, size_t n, const struct zip_twist *twist,
              struct buf *out)
{
    static const struct zip_twist straight;
    uint64_t offsets[8];
    assert_true(n <= 8);
    twist = twist ? twist : &straight;
    buf_init(out, 1u << 20);
    for (size_t i = 0; i < n; i++) {
        offsets[i] = twist->same_offset ? 0 : out->len;
        put_local(&parts[i], twist, out);
    }
    uint64_t begin = out->len;
    for (size_t i = 0; i < n; i++)
        put_entry(&parts[i], twist, offsets[i], out);
    put_end(n, begin, twist, out);
}
