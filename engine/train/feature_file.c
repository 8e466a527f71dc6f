#include "engine/train/feature_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

#define MAGIC       "THAWFEAT"
#define VERSION     1
#define BLOCK_MAGIC 0x4b4c4246u /* "FBLK" */
#define SPARE_BYTES (256u << 20)
#define CHUNK       (256u << 10) /* bytes that are hashed at a time */

struct header {
    char magic[8];
    uint32_t version, reserved;
    uint64_t row_floats;
    uint8_t key[SHA256_BYTES];
    uint8_t sha256[SHA256_BYTES]; /* of all before */
};

struct block {
    uint32_t magic, n;
    uint8_t sha256[SHA256_BYTES]; /* of the item numbers and rows */
};

_Static_assert(sizeof(struct header) == 88, "the header has no gaps");
_Static_assert(sizeof(struct block) == 40, "a block's head has no gaps");

/* Where the rows of a block are. */
struct extent {
    uint32_t first_slot; /* rows are numbered over the whole file */
    uint64_t offset;
};

struct feature_file {
    int fd; /* owned */
    uint64_t row_floats;
    uint32_t max_items;
    uint64_t bytes;  /* that are good; the next block goes here */
    uint32_t *slots; /* owned; by item: 1 + the number of its row; 0: not there */
    uint32_t n_slots;
    struct extent *extents; /* owned */
    size_t n_extents;
};

static uint64_t row_bytes(const struct feature_file *file)
{
    return file->row_floats * sizeof(float);
}

/* Item numbers are followed by rows at a multiple of 8. */
static uint64_t items_bytes(uint32_t n)
{
    return ((uint64_t)n * sizeof(uint32_t) + 7) / 8 * 8;
}

/* --- opening ---------------------------------------------------------------------------------- */

static struct header make_header(const struct feature_file *file, const uint8_t key[SHA256_BYTES])
{
    struct header header = {.magic = MAGIC, .version = VERSION, .row_floats = file->row_floats};
    memcpy(header.key, key, sizeof header.key);
    sha256_bytes(&header, offsetof(struct header, sha256), header.sha256);
    return header;
}

static enum status begin_anew(struct feature_file *file, const struct header *header,
                              struct err *err)
{
    if (ftruncate(file->fd, 0) != 0)
        return err_errno(err, "The feature cache could not be emptied");
    if (lseek(file->fd, 0, SEEK_SET) < 0)
        return err_errno(err, "The feature cache could not be written");
    return fs_write_all(file->fd, header, sizeof *header, err);
}

/* *good false: damaged, or of another kind. An error is the machine's. */
static enum status read_header(struct feature_file *file, const struct header *expected,
                               uint64_t size, bool *good, struct err *err)
{
    struct header header;
    *good = false;
    if (size < sizeof header)
        return OK;
    enum status status = fs_read_at(file->fd, &header, sizeof header, 0, err);
    *good = status == OK && memcmp(&header, expected, sizeof header) == 0;
    return status;
}

static enum status hash_range(const struct feature_file *file, uint64_t offset, uint64_t len,
                              uint8_t sha256[SHA256_BYTES], struct err *err)
{
    struct sha256 *digest = sha256_new();
    char *chunk = mem_alloc(CHUNK);
    enum status status = OK;
    while (len > 0 && status == OK) {
        size_t n = len < CHUNK ? (size_t)len : CHUNK;
        status = fs_read_at(file->fd, chunk, n, offset, err);
        if (status == OK)
            sha256_update(digest, chunk, n);
        offset += n;
        len -= n;
    }
    sha256_finish(digest, sha256);
    sha256_free(digest);
    mem_free(chunk);
    return status;
}

static void note_block(struct feature_file *file, const uint32_t *items, uint32_t n)
{
    file->extents = mem_realloc(file->extents, (file->n_extents + 1) * sizeof *file->extents);
    file->extents[file->n_extents++] =
        (struct extent){file->n_slots, file->bytes + sizeof(struct block) + items_bytes(n)};
    for (uint32_t i = 0; i < n; i++)
        file->slots[items[i]] = ++file->n_slots;
    file->bytes += sizeof(struct block) + items_bytes(n) + n * row_bytes(file);
}

static bool items_are_new(const struct feature_file *file, const uint32_t *items, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (items[i] >= file->max_items || file->slots[items[i]] != 0)
            return false;
    return true;
}

/* How many bytes of a block's content the file must still have; 0 for what is no block. */
static uint64_t content_bytes(const struct feature_file *file, const struct block *block)
{
    if (block->magic != BLOCK_MAGIC || block->n == 0 || block->n > file->max_items)
        return 0;
    return items_bytes(block->n) + block->n * row_bytes(file);
}

/* The block at file->bytes. *good false: it is not whole; *damaged, if not for being cut short, as
 * a killed process leaves it. */
static enum status read_block(struct feature_file *file, uint64_t size, bool *good, bool *damaged,
                              struct err *err)
{
    struct block block;
    uint8_t sha256[SHA256_BYTES];
    uint64_t left = size - file->bytes;
    *good = false;
    if (left < sizeof block)
        return OK;
    enum status status = fs_read_at(file->fd, &block, sizeof block, file->bytes, err);
    left -= sizeof block;
    uint64_t content = content_bytes(file, &block);
    *damaged |= content == 0;
    if (status != OK || content == 0 || content > left)
        return status;
    status = hash_range(file, file->bytes + sizeof block, content, sha256, err);
    bool same = status == OK && memcmp(sha256, block.sha256, sizeof sha256) == 0;
    *damaged |= !same;
    if (!same)
        return status;
    uint32_t *items = mem_alloc(items_bytes(block.n));
    status = fs_read_at(file->fd, items, items_bytes(block.n), file->bytes + sizeof block, err);
    *good = status == OK && items_are_new(file, items, block.n);
    *damaged |= !*good;
    if (*good)
        note_block(file, items, block.n);
    mem_free(items);
    return status;
}

static enum status read_blocks(struct feature_file *file, uint64_t size, bool *damaged,
                               struct err *err)
{
    bool good = true;
    enum status status = OK;
    while (status == OK && good && file->bytes < size)
        status = read_block(file, size, &good, damaged, err);
    if (status != OK || good)
        return status;
    if (ftruncate(file->fd, (off_t)file->bytes) != 0)
        return err_errno(err, "The feature cache could not be cut to what is good of it");
    return OK;
}

static enum status open_contents(struct feature_file *file, const uint8_t key[SHA256_BYTES],
                                 bool *damaged, struct err *err)
{
    struct header header = make_header(file, key);
    struct stat st;
    bool good;
    if (fstat(file->fd, &st) != 0)
        return err_errno(err, "The feature cache could not be examined");
    uint64_t size = (uint64_t)st.st_size;
    enum status status = read_header(file, &header, size, &good, err);
    file->bytes = sizeof header;
    if (status != OK)
        return status;
    if (good)
        return read_blocks(file, size, damaged, err);
    *damaged = size > 0;
    return begin_anew(file, &header, err);
}

enum status feature_file_open(const char *path, const uint8_t key[SHA256_BYTES],
                              uint64_t row_floats, uint32_t max_items, struct feature_file **out,
                              bool *damaged, struct err *err)
{
    struct feature_file *file = mem_alloc(sizeof *file);
    void *slots;
    *damaged = false;
    *file = (struct feature_file){.row_floats = row_floats, .max_items = max_items};
    file->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum status status =
        file->fd < 0 ? err_errno(err, "The feature cache %s could not be opened", path) : OK;
    if (status == OK)
        status = mem_try_alloc(max_items, sizeof *file->slots, "the feature cache", &slots, err);
    if (status == OK) {
        file->slots = slots;
        status = open_contents(file, key, damaged, err);
    }
    if (status == OK)
        *out = file;
    else
        feature_file_close(file);
    return status;
}

void feature_file_close(struct feature_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    mem_free(file->slots);
    mem_free(file->extents);
    mem_free(file);
}

/* --- reading and growing ---------------------------------------------------------------------- */

bool feature_file_has(const struct feature_file *file, uint32_t item)
{
    return item < file->max_items && file->slots[item] != 0;
}

uint64_t feature_file_bytes(const struct feature_file *file)
{
    return file->bytes;
}

/* The last extent that begins at or before the slot. */
static const struct extent *find_extent(const struct feature_file *file, uint32_t slot)
{
    size_t low = 0, high = file->n_extents;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (file->extents[middle].first_slot <= slot)
            low = middle;
        else
            high = middle;
    }
    return &file->extents[low];
}

enum status feature_file_read(const struct feature_file *file, uint32_t item, float *row,
                              struct err *err)
{
    if (!feature_file_has(file, item))
        return err_set(err, E_NOT_FOUND, "The feature cache has no item %u.", item);
    uint32_t slot = file->slots[item] - 1;
    const struct extent *extent = find_extent(file, slot);
    uint64_t offset = extent->offset + (slot - extent->first_slot) * row_bytes(file);
    return fs_read_at(file->fd, row, row_bytes(file), offset, err);
}

static enum status write_block(struct feature_file *file, const uint32_t *items, uint32_t n,
                               const float *rows, struct err *err)
{
    struct block block = {.magic = BLOCK_MAGIC, .n = n};
    size_t len = items_bytes(n), rows_len = n * row_bytes(file);
    uint32_t *padded = mem_alloc(len);
    struct sha256 *digest = sha256_new();
    memcpy(padded, items, n * sizeof *items);
    sha256_update(digest, padded, len);
    sha256_update(digest, rows, rows_len);
    sha256_finish(digest, block.sha256);
    sha256_free(digest);
    enum status status = OK;
    if (lseek(file->fd, (off_t)file->bytes, SEEK_SET) < 0)
        status = err_errno(err, "The feature cache could not be written");
    if (status == OK)
        status = fs_write_all(file->fd, &block, sizeof block, err);
    if (status == OK)
        status = fs_write_all(file->fd, padded, len, err);
    if (status == OK)
        status = fs_write_all(file->fd, rows, rows_len, err);
    mem_free(padded);
    return status;
}

enum status feature_file_append(struct feature_file *file, const uint32_t *items, uint32_t n,
                                const float *rows, struct err *err)
{
    if (n == 0 || !items_are_new(file, items, n))
        return err_set(err, E_INTERNAL, "The feature cache was given items that it has.");
    enum status status = write_block(file, items, n, rows, err);
    if (status == OK)
        note_block(file, items, n);
    else if (ftruncate(file->fd, (off_t)file->bytes) != 0)
        err_prefix(err, "The file could not be cut back either. ");
    return status;
}

enum status feature_file_need(const struct feature_file *file, uint64_t bytes, struct err *err)
{
    struct statvfs st;
    struct rlimit limit;
    if (fstatvfs(file->fd, &st) != 0)
        return err_errno(err, "The free space of the disk could not be read");
    uint64_t free = (uint64_t)st.f_bavail * st.f_frsize;
    if (free < SPARE_BYTES || free - SPARE_BYTES < bytes)
        return err_set(err, E_NO_SPACE,
                       "The features would take %llu MB, and of the disk's %llu MB free %u MB stay "
                       "for checkpoints.",
                       (unsigned long long)(bytes >> 20), (unsigned long long)(free >> 20),
                       SPARE_BYTES >> 20);
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        (limit.rlim_cur < file->bytes || limit.rlim_cur - file->bytes < bytes))
        return err_set(err, E_NO_SPACE,
                       "The features would take %llu MB, more than a file may have here (%llu MB).",
                       (unsigned long long)(bytes >> 20),
                       (unsigned long long)(limit.rlim_cur >> 20));
    return OK;
}
