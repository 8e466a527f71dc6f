/* text_writer.c -- see text_writer.h.
 *
 * Index of a text pack: header, records, groups (if any), classes, strings. While rows come, a
 * record holds its group in the two fields that a text does not use (`height`, `label_set`), and a
 * label as the caller numbers it. */
#include "engine/data/text_writer.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/mem.h"

#define OUT_BUFFER (1u << 20)
#define PIECE      4096 /* records that are read back at once */

struct text_writer {
    int pack_fd, index_fd; /* borrowed */
    struct buf texts;      /* of the pack, not yet written */
    struct buf records;    /* of the index, not yet written */
    struct buf strings;    /* paths, then class names, terminated */
    uint64_t path_offset;
    uint32_t path_len;
    uint64_t bytes, index_bytes; /* so far, with what the buffers hold */
    uint32_t n;
    bool grouped;
};

struct text_writer *text_writer_new(int pack_fd, int index_fd)
{
    struct text_writer *writer = mem_alloc(sizeof *writer);
    writer->pack_fd = pack_fd;
    writer->index_fd = index_fd;
    writer->index_bytes = sizeof(struct pack_header);
    buf_init(&writer->texts, OUT_BUFFER);
    buf_init(&writer->records, OUT_BUFFER);
    buf_init(&writer->strings, PACK_MAX_STRINGS);
    buf_append(&writer->strings, "", 1);
    return writer;
}

void text_writer_free(struct text_writer *writer)
{
    if (!writer)
        return;
    buf_deinit(&writer->texts);
    buf_deinit(&writer->records);
    buf_deinit(&writer->strings);
    mem_free(writer);
}

uint32_t text_writer_n_items(const struct text_writer *writer)
{
    return writer->n;
}

uint64_t text_writer_bytes(const struct text_writer *writer)
{
    return writer->bytes;
}

static enum status add_string(struct text_writer *writer, const char *text, uint64_t *offset,
                              struct err *err)
{
    *offset = writer->strings.len;
    if (!buf_append(&writer->strings, text, strlen(text) + 1))
        return err_set(err, E_TOO_LARGE,
                       "The names of all files and classes take more than %u MiB.",
                       PACK_MAX_STRINGS >> 20);
    return OK;
}

enum status text_writer_file(struct text_writer *writer, const char *path, struct err *err)
{
    writer->path_len = (uint32_t)strlen(path);
    writer->path_offset = 0;
    return *path ? add_string(writer, path, &writer->path_offset, err) : OK;
}

/* --- Rows ------------------------------------------------------------------------------------- */

/* Collects small pieces of what goes behind `*end` of a file. */
static enum status put(int fd, struct buf *out, uint64_t *end, const void *bytes, size_t len,
                       struct err *err)
{
    enum status status = OK;
    if (out->len + len > OUT_BUFFER) {
        status = fs_write_at(fd, out->data, out->len, *end - out->len, err);
        buf_clear(out);
    }
    if (!status && len > OUT_BUFFER)
        status = fs_write_at(fd, bytes, len, *end, err);
    else if (!status)
        buf_append(out, bytes, len);
    *end += len;
    return status;
}

static enum status flush(int fd, struct buf *out, uint64_t end, struct err *err)
{
    enum status status = fs_write_at(fd, out->data, out->len, end - out->len, err);
    buf_clear(out);
    return status;
}

enum status text_writer_add(struct text_writer *writer, const struct text_item *item,
                            struct err *err)
{
    struct pack_record record = {.offset = writer->bytes,
                                 .size = item->len,
                                 .label = item->label,
                                 .split = (uint8_t)item->split,
                                 .format = PACK_TEXT,
                                 .line = item->line,
                                 .height = (uint32_t)(item->group >> 32),
                                 .label_set = (uint32_t)item->group,
                                 .path_offset = writer->path_offset,
                                 .path_len = writer->path_len};
    if (writer->n == PACK_MAX_ITEMS)
        return err_set(err, E_TOO_LARGE, "A data set holds at most %u items.", PACK_MAX_ITEMS);
    sha256_bytes(item->text, item->len, record.sha256);
    writer->grouped |= item->group != 0;
    writer->n++;
    enum status status =
        put(writer->pack_fd, &writer->texts, &writer->bytes, item->text, item->len, err);
    return status ? status
                  : put(writer->index_fd, &writer->records, &writer->index_bytes, &record,
                        sizeof record, err);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void put_right(struct pack_record *record, const struct text_classes *classes)
{
    if (classes->n > 0 && record->label != PACK_NO_LABEL)
        record->label = classes->class_of[record->label];
    else
        record->label = PACK_NO_LABEL;
    bool splits = record->label != PACK_NO_LABEL || classes->n == 0;
    if (!splits || (record->label == PACK_NO_LABEL && record->split == SPLIT_TRAIN))
        record->split = SPLIT_UNLABELLED;
}

struct rewriting {
    struct pack_record records[PIECE];
    uint64_t groups[PIECE];
};

/* The records from `first` on, `n` of them, become records from `*kept` on. */
static enum status rewrite_piece(struct text_writer *writer, const struct text_classes *classes,
                                 struct rewriting *piece, uint32_t first, uint32_t n,
                                 uint32_t *kept, struct err *err)
{
    const uint64_t begin = sizeof(struct pack_header);
    uint32_t stay = 0;
    enum status status = fs_read_at(writer->index_fd, piece->records, n * sizeof *piece->records,
                                    begin + first * sizeof(struct pack_record), err);
    for (uint32_t i = 0; !status && i < n; i++) {
        struct pack_record record = piece->records[i];
        piece->groups[stay] = (uint64_t)record.height << 32 | record.label_set;
        record.height = record.label_set = 0;
        put_right(&record, classes);
        if (record.label != TEXT_WRITER_DROP)
            piece->records[stay++] = record;
        else
            classes->dropped(classes->context,
                             record.path_len ? writer->strings.data + record.path_offset : "",
                             record.line);
    }
    if (!status)
        status = fs_write_at(writer->index_fd, piece->records, stay * sizeof *piece->records,
                             begin + *kept * sizeof(struct pack_record), err);
    /* Groups stand behind where all records would end: no record is there, dropped or not. */
    if (!status && writer->grouped)
        status = fs_write_at(writer->index_fd, piece->groups, stay * sizeof *piece->groups,
                             begin + (uint64_t)writer->n * sizeof(struct pack_record) +
                                 *kept * sizeof *piece->groups,
                             err);
    *kept += stay;
    return status;
}

static enum status rewrite(struct text_writer *writer, const struct text_classes *classes,
                           uint32_t *kept, struct err *err)
{
    struct rewriting *piece = mem_alloc(sizeof *piece);
    enum status status = OK;
    *kept = 0;
    for (uint32_t first = 0, n; !status && first < writer->n; first += n) {
        n = writer->n - first < PIECE ? writer->n - first : PIECE;
        status = rewrite_piece(writer, classes, piece, first, n, kept, err);
    }
    mem_free(piece);
    return status;
}

/* Class entries, strings and the header, behind records and groups. */
static enum status write_rest(struct text_writer *writer, const struct text_classes *classes,
                              uint32_t kept, struct err *err)
{
    struct pack_class *entries = mem_alloc((classes->n + 1) * sizeof *entries);
    enum status status = OK;
    for (uint32_t i = 0; i < classes->n && !status; i++) {
        entries[i].len = strlen(classes->names[i]);
        status = add_string(writer, classes->names[i], &entries[i].offset, err);
    }
    struct pack_header header = {.magic = PACK_MAGIC,
                                 .version = PACK_TEXTS,
                                 .record_bytes = sizeof(struct pack_record),
                                 .n_items = kept,
                                 .n_classes = classes->n,
                                 .pack_bytes = writer->bytes,
                                 .records_offset = sizeof header,
                                 .n_groups = writer->grouped ? kept : 0,
                                 .strings_len = writer->strings.len};
    header.groups_offset = sizeof header + (uint64_t)writer->n * sizeof(struct pack_record);
    header.label_sets_offset = header.groups_offset;
    header.classes_offset = header.groups_offset + header.n_groups * sizeof(uint64_t);
    header.strings_offset = header.classes_offset + classes->n * sizeof *entries;
    header.index_bytes = header.strings_offset + header.strings_len;
    if (!status)
        status = fs_write_at(writer->index_fd, entries, classes->n * sizeof *entries,
                             header.classes_offset, err);
    if (!status)
        status = fs_write_at(writer->index_fd, writer->strings.data, writer->strings.len,
                             header.strings_offset, err);
    if (!status)
        status = fs_write_at(writer->index_fd, &header, sizeof header, 0, err);
    if (!status && ftruncate(writer->index_fd, (off_t)header.index_bytes) != 0)
        status = err_errno(err, "The data set cannot be written");
    mem_free(entries);
    return status;
}

enum status text_writer_finish(struct text_writer *writer, const struct text_classes *classes,
                               struct err *err)
{
    uint32_t kept = 0;
    enum status status = flush(writer->pack_fd, &writer->texts, writer->bytes, err);
    if (!status)
        status = flush(writer->index_fd, &writer->records, writer->index_bytes, err);
    if (!status)
        status = rewrite(writer, classes, &kept, err);
    if (!status)
        status = write_rest(writer, classes, kept, err);
    if (!status && (fsync(writer->pack_fd) != 0 || fsync(writer->index_fd) != 0))
        status = err_errno(err, "The data set cannot be written to disk");
    return status;
}
