/* zip.c -- the central directory of a zip in memory (APPNOTE 6.3.10, sections 4.3 and 4.5). */
#include "engine/format/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

#define LOCAL_SIGNATURE     0x04034b50u
#define ENTRY_SIGNATURE     0x02014b50u
#define END_SIGNATURE       0x06054b50u
#define END64_SIGNATURE     0x06064b50u
#define LOCATOR64_SIGNATURE 0x07064b50u

#define LOCAL_BYTES     30
#define ENTRY_BYTES     46
#define END_BYTES       22
#define END64_BYTES     56
#define LOCATOR64_BYTES 20
#define MAX_COMMENT     65535

#define FLAG_ENCRYPTED  0x0001
#define FLAG_DESCRIPTOR 0x0008 /* sizes follow the data; the directory has them */
#define METHOD_STORED   0
#define EXTRA_ZIP64     1

static uint64_t little(const uint8_t *bytes, int n)
{
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static uint16_t u16(const uint8_t *bytes)
{
    return (uint16_t)little(bytes, 2);
}

static uint32_t u32(const uint8_t *bytes)
{
    return (uint32_t)little(bytes, 4);
}

bool zip_recognise(const uint8_t *bytes, size_t len)
{
    return len >= END_BYTES && u32(bytes) == LOCAL_SIGNATURE;
}

/* Where the central directory is; entries lie in front of it. */
struct directory {
    uint64_t begin, len, n_entries;
};

static const uint8_t *find_end(const uint8_t *bytes, size_t len)
{
    size_t lowest = len > END_BYTES + MAX_COMMENT ? len - END_BYTES - MAX_COMMENT : 0;
    for (size_t at = len - END_BYTES + 1; at-- > lowest;) {
        if (u32(bytes + at) == END_SIGNATURE && at + END_BYTES + u16(bytes + at + 20) == len)
            return bytes + at;
    }
    return NULL;
}

static enum status broken(struct err *err, const char *what)
{
    return err_set(err, E_INVALID, "The zip file is damaged or truncated: %s.", what);
}

/* The zip64 end record, if there is a locator in front of the end record. */
static enum status read_end64(const uint8_t *bytes, size_t end, struct directory *directory,
                              struct err *err)
{
    if (end < LOCATOR64_BYTES || u32(bytes + end - LOCATOR64_BYTES) != LOCATOR64_SIGNATURE)
        return OK;
    uint64_t at = little(bytes + end - LOCATOR64_BYTES + 8, 8);
    uint64_t limit = end - LOCATOR64_BYTES;
    if (at > limit || limit - at < END64_BYTES || u32(bytes + at) != END64_SIGNATURE)
        return broken(err, "its zip64 end record is not where it should be");
    *directory = (struct directory){.n_entries = little(bytes + at + 32, 8),
                                    .len = little(bytes + at + 40, 8),
                                    .begin = little(bytes + at + 48, 8)};
    return OK;
}

static enum status find_directory(const uint8_t *bytes, size_t len, struct directory *directory,
                                  struct err *err)
{
    const uint8_t *end = len < END_BYTES ? NULL : find_end(bytes, len);
    if (!end)
        return broken(err, "its central directory is missing");
    if (u16(end + 4) != u16(end + 6))
        return err_set(err, E_INVALID, "The zip file is one of several parts.");
    *directory = (struct directory){
        .n_entries = u16(end + 10), .len = u32(end + 12), .begin = u32(end + 16)};
    size_t end_at = (size_t)(end - bytes);
    enum status status = read_end64(bytes, end_at, directory, err);
    if (status != OK)
        return status;
    if (directory->begin > end_at || directory->len > end_at - directory->begin)
        return broken(err, "its central directory lies outside the file");
    if (directory->n_entries > ZIP_MAX_ENTRIES ||
        directory->n_entries * ENTRY_BYTES > directory->len)
        return err_set(err, E_INVALID,
                       "The zip file claims %llu entries; at most %d that fit into "
                       "its directory are read.",
                       (unsigned long long)directory->n_entries, ZIP_MAX_ENTRIES);
    return OK;
}

/* The parts of a directory entry that matter; 64-bit values still as the entry has them. */
struct raw_entry {
    uint16_t flags, method;
    uint64_t stored, size, offset;
};

/* Takes the values that did not fit in 32 bits from the zip64 extra field, in their fixed order. */
static bool widen(struct raw_entry *raw, const uint8_t *extra, size_t extra_len)
{
    uint64_t *fields[] = {&raw->size, &raw->stored, &raw->offset};
    while (extra_len >= 4) {
        size_t id = u16(extra), len = u16(extra + 2);
        if (len > extra_len - 4)
            return false;
        const uint8_t *at = extra + 4, *end = at + len;
        for (size_t i = 0; id == EXTRA_ZIP64 && i < ARRAY_LEN(fields); i++) {
            if (*fields[i] != UINT32_MAX)
                continue;
            if (end - at < 8)
                return false;
            *fields[i] = little(at, 8);
            at += 8;
        }
        extra += 4 + len;
        extra_len -= 4 + len;
    }
    return true;
}

static enum status refuse_entry(const struct zip_entry *entry, const char *why, struct err *err)
{
    int len = entry->name_len > 64 ? 64 : (int)entry->name_len;
    return err_set(err, E_INVALID, "The zip file's entry %.*s %s.", len, entry->name, why);
}

/* The local header must agree with the directory; the data follow it. */
static enum status find_data(const uint8_t *bytes, uint64_t limit, const struct raw_entry *raw,
                             struct zip_entry *entry, struct err *err)
{
    if (raw->offset > limit || limit - raw->offset < LOCAL_BYTES)
        return refuse_entry(entry, "lies outside the file", err);
    const uint8_t *local = bytes + raw->offset;
    uint64_t room = limit - raw->offset - LOCAL_BYTES;
    size_t name_len = u16(local + 26), extra_len = u16(local + 28);
    if (u32(local) != LOCAL_SIGNATURE || room < name_len + extra_len)
        return refuse_entry(entry, "has no local header", err);
    if (name_len != entry->name_len || memcmp(local + LOCAL_BYTES, entry->name, name_len) != 0 ||
        u16(local + 8) != raw->method || ((u16(local + 6) ^ raw->flags) & FLAG_ENCRYPTED))
        return refuse_entry(entry, "has a local header that contradicts the directory", err);
    uint32_t local_size = u32(local + 22);
    if (!(u16(local + 6) & FLAG_DESCRIPTOR) && local_size != UINT32_MAX && local_size != raw->size)
        return refuse_entry(entry, "has two different sizes", err);
    if (raw->size > room - name_len - extra_len)
        return refuse_entry(entry, "reaches beyond the file", err);
    entry->data = local + LOCAL_BYTES + name_len + extra_len;
    entry->size = (size_t)raw->size;
    return OK;
}

static enum status check_entry(const struct zip_entry *entry, const struct raw_entry *raw,
                               struct err *err)
{
    if (entry->name_len == 0 || entry->name_len > ZIP_MAX_NAME)
        return err_set(err, E_INVALID,
                       "The zip file holds an entry whose name is empty or longer "
                       "than %d bytes.",
                       ZIP_MAX_NAME);
    for (size_t i = 0; i < entry->name_len; i++) {
        if (entry->name[i] < 0x20 || entry->name[i] > 0x7e)
            return err_set(err, E_INVALID,
                           "The zip file holds an entry whose name is not "
                           "printable ASCII.");
    }
    if (raw->flags & FLAG_ENCRYPTED)
        return refuse_entry(entry, "is encrypted", err);
    if (raw->method != METHOD_STORED || raw->stored != raw->size)
        return refuse_entry(entry, "is compressed; torch.save stores its entries plainly", err);
    return OK;
}

/* The directory's entry at *position, which moves on to the next one. */
static enum status read_entry(const uint8_t *bytes, const struct directory *directory,
                              uint64_t *position, struct zip_entry *entry, struct err *err)
{
    const uint8_t *at = bytes + *position;
    uint64_t room = directory->begin + directory->len - *position;
    if (room < ENTRY_BYTES || u32(at) != ENTRY_SIGNATURE)
        return broken(err, "its central directory is cut short");
    size_t name_len = u16(at + 28), extra_len = u16(at + 30), comment_len = u16(at + 32);
    size_t used = ENTRY_BYTES + name_len + extra_len + comment_len;
    if (used > room)
        return broken(err, "its central directory is cut short");
    *position += used;
    struct raw_entry raw = {.flags = u16(at + 8),
                            .method = u16(at + 10),
                            .stored = u32(at + 20),
                            .size = u32(at + 24),
                            .offset = u32(at + 42)};
    *entry = (struct zip_entry){
        .name = (const char *)at + ENTRY_BYTES, .name_len = name_len, .crc32 = u32(at + 16)};
    if (!widen(&raw, at + ENTRY_BYTES + name_len, extra_len))
        return broken(err, "an entry's zip64 field is cut short");
    enum status status = check_entry(entry, &raw, err);
    if (status != OK)
        return status;
    return find_data(bytes, directory->begin, &raw, entry, err);
}

static int compare_names(const void *a, const void *b)
{
    const struct zip_entry *x = a, *y = b;
    size_t len = x->name_len < y->name_len ? x->name_len : y->name_len;
    int order = memcmp(x->name, y->name, len);
    return order ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

static int compare_places(const void *a, const void *b)
{
    const struct zip_entry *x = a, *y = b;
    return (x->data > y->data) - (x->data < y->data);
}

/* Leaves the entries sorted by name. */
static enum status check_together(struct zip *zip, struct err *err)
{
    struct zip_entry *e = zip->entries;
    if (zip->n_entries == 0)
        return err_set(err, E_INVALID, "The zip file is empty.");
    qsort(e, zip->n_entries, sizeof *e, compare_places);
    for (size_t i = 1; i < zip->n_entries; i++) {
        size_t apart = (size_t)(e[i].data - e[i - 1].data);
        if (apart < e[i - 1].size + LOCAL_BYTES + e[i].name_len)
            return refuse_entry(&e[i], "overlaps another entry", err);
    }
    qsort(e, zip->n_entries, sizeof *e, compare_names);
    for (size_t i = 1; i < zip->n_entries; i++) {
        if (compare_names(&e[i - 1], &e[i]) == 0)
            return refuse_entry(&e[i], "is there twice", err);
    }
    return OK;
}

enum status zip_open(const uint8_t *bytes, size_t len, struct zip *zip, struct err *err)
{
    *zip = (struct zip){0};
    struct directory directory = {0};
    enum status status = find_directory(bytes, len, &directory, err);
    if (status != OK)
        return status;
    zip->entries = mem_alloc((size_t)(directory.n_entries + 1) * sizeof *zip->entries);
    uint64_t position = directory.begin;
    while (zip->n_entries < directory.n_entries && status == OK)
        status = read_entry(bytes, &directory, &position, &zip->entries[zip->n_entries++], err);
    if (status == OK)
        status = check_together(zip, err);
    if (status != OK)
        zip_close(zip);
    return status;
}

void zip_close(struct zip *zip)
{
    mem_free(zip->entries);
    *zip = (struct zip){0};
}

const struct zip_entry *zip_find(const struct zip *zip, const char *name)
{
    if (zip->n_entries == 0)
        return NULL;
    struct zip_entry key = {.name = name, .name_len = strlen(name)};
    return bsearch(&key, zip->entries, zip->n_entries, sizeof key, compare_names);
}

enum status zip_check(const struct zip_entry *entry, struct err *err)
{
    if (crc32_z(0, entry->data, entry->size) == entry->crc32)
        return OK;
    return refuse_entry(entry,
                        "does not match its checksum: the file is damaged, or was saved with "
                        "checksums switched off (torch.serialization.set_crc32_options)",
                        err);
}
