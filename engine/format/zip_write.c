/* zip_write.c -- local headers are written again once an entry's size and checksum are known
 * (APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16). */
#include "engine/format/zip_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"

#define ALIGNMENT     64
#define MAX_NAME      255
#define MAX_DIRECTORY (64u << 20)
#define MAX_ENTRIES   65534
#define DATE          0x21 /* 1 January 1980, the first there is */
#define LOCAL_BYTES   30
#define PADDING_ID    0x4246 /* "FB", the extra field that torch pads with */

struct entry {
    char name[MAX_NAME + 1];
    uint64_t offset, size;
    size_t padding; /* of its extra field, head included */
    uint32_t crc;
};

struct zip_writer {
    char *path, *temporary; /* owned */
    int fd;                 /* owned */
    uint64_t at;
    struct entry entry;   /* the one that is being written */
    bool is_open;         /* there is one */
    struct buf directory; /* of those before */
    unsigned n_entries;
};

static void put(struct buf *out, uint64_t value, int n)
{
    uint8_t bytes[8];
    for (int i = 0; i < n; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    buf_append(out, bytes, (size_t)n);
}

/* What local header and directory have in common, from the version on. */
static void put_common(struct buf *out, const struct entry *entry, size_t extra)
{
    put(out, 20, 2); /* version that is needed */
    put(out, 0, 2);  /* flags */
    put(out, 0, 2);  /* stored */
    put(out, 0, 2);
    put(out, DATE, 2);
    put(out, entry->crc, 4);
    put(out, entry->size, 4);
    put(out, entry->size, 4);
    put(out, strlen(entry->name), 2);
    put(out, extra, 2);
}

static void put_local(struct buf *out, const struct entry *entry)
{
    put(out, 0x04034b50, 4);
    put_common(out, entry, entry->padding);
    buf_puts(out, entry->name);
    put(out, PADDING_ID, 2);
    put(out, entry->padding - 4, 2);
    for (size_t i = 4; i < entry->padding; i++)
        put(out, 0, 1);
}

static void put_directory(struct buf *out, const struct entry *entry)
{
    put(out, 0x02014b50, 4);
    put(out, 20, 2); /* version that wrote it */
    put_common(out, entry, 0);
    put(out, 0, 2); /* comment */
    put(out, 0, 2); /* disk */
    put(out, 0, 2); /* internal attributes */
    put(out, 0, 4); /* external ones */
    put(out, entry->offset, 4);
    buf_puts(out, entry->name);
}

static enum status check_size(const struct zip_writer *writer, uint64_t more, struct err *err)
{
    if (writer->at + more <= UINT32_MAX)
        return OK;
    return err_set(err, E_TOO_LARGE, "%s would have more than 4 GiB.", writer->path);
}

static enum status write_bytes(struct zip_writer *writer, const void *bytes, size_t len,
                               struct err *err)
{
    enum status status = check_size(writer, len, err);
    if (status == OK)
        status = fs_write_all(writer->fd, bytes, len, err);
    writer->at += len;
    return status;
}

enum status zip_writer_open(const char *path, struct zip_writer **out, struct err *err)
{
    struct zip_writer *writer = mem_alloc(sizeof *writer);
    writer->path = mem_strdup(path);
    writer->temporary = mem_printf("%s.tmp", path);
    buf_init(&writer->directory, MAX_DIRECTORY);
    writer->fd =
        open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (writer->fd < 0) {
        enum status status = err_errno(err, "Creating %s failed", writer->temporary);
        zip_writer_close(writer);
        return status;
    }
    *out = writer;
    return OK;
}

/* The header again, with what is known now. */
static enum status end_entry(struct zip_writer *writer, struct err *err)
{
    struct buf header;
    if (!writer->is_open)
        return OK;
    writer->is_open = false;
    buf_init(&header, LOCAL_BYTES + MAX_NAME + 2 * ALIGNMENT);
    put_local(&header, &writer->entry);
    put_directory(&writer->directory, &writer->entry);
    writer->n_entries++;
    enum status status = OK;
    for (size_t done = 0; status == OK && done < header.len;) {
        ssize_t n = pwrite(writer->fd, header.data + done, header.len - done,
                           (off_t)(writer->entry.offset + done));
        if (n < 0 && errno != EINTR)
            status = err_errno(err, "Writing %s failed", writer->temporary);
        done += n > 0 ? (size_t)n : 0;
    }
    buf_deinit(&header);
    return status;
}

enum status zip_writer_begin(struct zip_writer *writer, const char *name, struct err *err)
{
    struct buf header;
    enum status status = end_entry(writer, err);
    size_t len = strlen(name);
    if (status != OK)
        return status;
    if (writer->n_entries >= MAX_ENTRIES || len > MAX_NAME)
        return err_set(err, E_TOO_LARGE, "%s would have too many entries.", writer->path);
    struct entry *entry = &writer->entry;
    *entry = (struct entry){.offset = writer->at};
    memcpy(entry->name, name, len + 1);
    entry->padding = ALIGNMENT - (writer->at + LOCAL_BYTES + len) % ALIGNMENT;
    if (entry->padding < 4)
        entry->padding += ALIGNMENT;
    writer->is_open = true;
    buf_init(&header, LOCAL_BYTES + MAX_NAME + 2 * ALIGNMENT);
    put_local(&header, entry);
    status = write_bytes(writer, header.data, header.len, err);
    buf_deinit(&header);
    return status;
}

enum status zip_writer_bytes(struct zip_writer *writer, const void *bytes, size_t len,
                             struct err *err)
{
    writer->entry.crc = (uint32_t)crc32_z(writer->entry.crc, bytes, len);
    writer->entry.size += len;
    return write_bytes(writer, bytes, len, err);
}

enum status zip_writer_finish(struct zip_writer *writer, struct err *err)
{
    enum status status = end_entry(writer, err);
    uint64_t begin = writer->at, len = writer->directory.len;
    put(&writer->directory, 0x06054b50, 4);
    put(&writer->directory, 0, 4); /* this disk, and the directory's */
    put(&writer->directory, writer->n_entries, 2);
    put(&writer->directory, writer->n_entries, 2);
    put(&writer->directory, len, 4);
    put(&writer->directory, begin, 4);
    put(&writer->directory, 0, 2); /* comment */
    if (status == OK)
        status = write_bytes(writer, writer->directory.data, writer->directory.len, err);
    if (status == OK)
        status = fs_commit(writer->temporary, writer->path, err);
    if (status == OK) {
        mem_free(writer->temporary);
        writer->temporary = NULL;
    }
    return status;
}

void zip_writer_close(struct zip_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->temporary)
        unlink(writer->temporary);
    buf_deinit(&writer->directory);
    mem_free(writer->path);
    mem_free(writer->temporary);
    mem_free(writer);
}
