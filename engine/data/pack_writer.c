/* pack_writer.c -- see pack.h: writing a pack and its index. */
#include "engine/data/pack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/mem.h"

#define OUT_BUFFER         (1u << 20) /* index bytes collected before each write */
#define PACK_MAX_SET_BYTES (1u << 30) /* a multiple of 8: so padding always fits */

struct pack_writer {
    int pack_fd, index_fd;       /* borrowed */
    struct pack_record *records; /* owned; path_offset points into `strings` */
    uint32_t n, capacity;
    uint64_t bytes;        /* appended to the pack */
    struct buf strings;    /* paths, then class names, terminated */
    struct buf label_sets; /* u32: how many, then the labels; again and again */
    uint64_t *groups;      /* owned; of each item, NULL: none has one */
};

struct pack_writer *pack_writer_new(int pack_fd, int index_fd)
{
    struct pack_writer *writer = mem_alloc(sizeof *writer);
    writer->pack_fd = pack_fd;
    writer->index_fd = index_fd;
    buf_init(&writer->strings, PACK_MAX_STRINGS);
    buf_init(&writer->label_sets, PACK_MAX_SET_BYTES);
    return writer;
}

void pack_writer_free(struct pack_writer *writer)
{
    if (!writer)
        return;
    mem_free(writer->records);
    mem_free(writer->groups);
    buf_deinit(&writer->strings);
    buf_deinit(&writer->label_sets);
    mem_free(writer);
}

uint32_t pack_writer_n_items(const struct pack_writer *writer)
{
    return writer->n;
}

uint64_t pack_writer_bytes(const struct pack_writer *writer)
{
    return writer->bytes;
}

struct pack_record *pack_writer_item(struct pack_writer *writer, uint32_t item)
{
    return &writer->records[item];
}

const char *pack_writer_path(const struct pack_writer *writer, uint32_t item)
{
    return writer->strings.data + writer->records[item].path_offset;
}

static enum status reserve_record(struct pack_writer *writer, struct err *err)
{
    if (writer->n < writer->capacity)
        return OK;
    if (writer->n == PACK_MAX_ITEMS)
        return err_set(err, E_TOO_LARGE, "A data set holds at most %u items.", PACK_MAX_ITEMS);
    uint32_t capacity = writer->capacity ? writer->capacity * 2 : 1024;
    void *larger;
    enum status status =
        mem_try_alloc(capacity, sizeof *writer->records, "the index", &larger, err);
    if (status)
        return status;
    if (writer->n)
        memcpy(larger, writer->records, writer->n * sizeof *writer->records);
    mem_free(writer->records);
    writer->records = larger;
    writer->capacity = capacity;
    return OK;
}

static enum status add_string(struct pack_writer *writer, const char *text, uint64_t *offset,
                              struct err *err)
{
    *offset = writer->strings.len;
    if (!buf_append(&writer->strings, text, strlen(text) + 1))
        return err_set(err, E_TOO_LARGE, "The names of all items take more than %u MiB.",
                       PACK_MAX_STRINGS >> 20);
    return OK;
}

enum status pack_writer_add(struct pack_writer *writer, const struct pack_record *record,
                            const char *path, const void *bytes, size_t len, struct err *err)
{
    enum status status = reserve_record(writer, err);
    if (status)
        return status;
    struct pack_record *added = &writer->records[writer->n];
    *added = *record;
    added->offset = writer->bytes;
    added->size = len;
    added->path_len = (uint32_t)strlen(path);
    added->reserved = 0;
    added->label_set = 0;
    sha256_bytes(bytes, len, added->sha256);
    if ((status = add_string(writer, path, &added->path_offset, err)) ||
        (status = fs_write_all(writer->pack_fd, bytes, len, err)))
        return status;
    writer->bytes += len;
    writer->n++;
    return OK;
}

enum status pack_writer_set_labels(struct pack_writer *writer, uint32_t item,
                                   const uint32_t *labels, uint32_t n, struct err *err)
{
    struct pack_record *record = &writer->records[item];
    if (n > PACK_MAX_LABELS)
        return err_set(err, E_TOO_LARGE, "%s has %u labels; an item holds at most %d.",
                       pack_writer_path(writer, item), n, PACK_MAX_LABELS);
    for (uint32_t i = 1; i < n; i++)
        if (labels[i] <= labels[i - 1])
            return err_set(err, E_INTERNAL, "The labels of %s are not sorted.",
                           pack_writer_path(writer, item));
    uint64_t at = writer->label_sets.len / sizeof n;
    if (!buf_append(&writer->label_sets, &n, sizeof n) ||
        !buf_append(&writer->label_sets, labels, n * sizeof *labels))
        return err_set(err, E_TOO_LARGE, "The labels of all items take more than %u MiB.",
                       PACK_MAX_SET_BYTES >> 20);
    record->label_set = (uint32_t)(at + 1);
    record->label = n > 0 ? (int32_t)labels[0] : PACK_NO_LABEL;
    return OK;
}

enum status pack_writer_set_group(struct pack_writer *writer, uint32_t item, uint64_t group,
                                  struct err *err)
{
    void *block;
    if (!writer->groups) {
        enum status status =
            mem_try_alloc(writer->n, sizeof *writer->groups, "the groups", &block, err);
        if (status)
            return status;
        writer->groups = block;
        memset(block, 0, writer->n * sizeof *writer->groups);
    }
    writer->groups[item] = group;
    return OK;
}

static int compare_paths(const void *a, const void *b, void *context)
{
    const struct pack_writer *writer = context;
    return strcmp(pack_writer_path(writer, *(const uint32_t *)a),
                  pack_writer_path(writer, *(const uint32_t *)b));
}

/* The items that stay, by path. *order is owned by the caller. */
static enum status sort_items(struct pack_writer *writer, uint32_t **order, uint32_t *n,
                              struct err *err)
{
    void *block;
    enum status status =
        mem_try_alloc((size_t)writer->n + 1, sizeof(uint32_t), "sorting the items", &block, err);
    if (status)
        return status;
    *order = block;
    *n = 0;
    for (uint32_t i = 0; i < writer->n; i++)
        if (writer->records[i].split != N_SPLITS)
            (*order)[(*n)++] = i;
    qsort_r(*order, *n, sizeof **order, compare_paths, writer);
    for (uint32_t i = 1; i < *n; i++)
        if (compare_paths(&(*order)[i - 1], &(*order)[i], writer) == 0)
            return err_set(err, E_INTERNAL, "Two items of the pack are called %s.",
                           pack_writer_path(writer, (*order)[i]));
    return OK;
}

/* Collects small writes; `out` keeps no more than OUT_BUFFER and one piece. */
static enum status put(struct pack_writer *writer, struct buf *out, const void *bytes, size_t len,
                       struct err *err)
{
    if (out->len && out->len + len > OUT_BUFFER) {
        enum status status = fs_write_all(writer->index_fd, out->data, out->len, err);
        if (status)
            return status;
        buf_clear(out);
    }
    if (len > OUT_BUFFER)
        return fs_write_all(writer->index_fd, bytes, len, err);
    buf_append(out, bytes, len);
    return OK;
}

static enum status write_index(struct pack_writer *writer, const struct pack_header *header,
                               const struct pack_class *classes, const uint32_t *order,
                               struct err *err)
{
    struct buf out;
    buf_init(&out, OUT_BUFFER);
    size_t head = header->version == PACK_ONE_LABEL ? PACK_HEADER_BYTES_1 : sizeof *header;
    enum status status = put(writer, &out, header, head, err);
    if (!status)
        status = put(writer, &out, classes, header->n_classes * sizeof *classes, err);
    for (uint32_t i = 0; i < header->n_items && !status; i++)
        status = put(writer, &out, &writer->records[order[i]], sizeof *writer->records, err);
    if (!status)
        status = put(writer, &out, writer->label_sets.data, writer->label_sets.len, err);
    for (uint32_t i = 0; i < header->n_groups && !status; i++)
        status = put(writer, &out, &writer->groups[order[i]], sizeof *writer->groups, err);
    if (!status)
        status = put(writer, &out, writer->strings.data, writer->strings.len, err);
    if (!status)
        status = fs_write_all(writer->index_fd, out.data, out.len, err);
    buf_deinit(&out);
    return status;
}

/* What follows the sets begins at a multiple of 8; an empty set more does not matter. */
static void pad_label_sets(struct pack_writer *writer)
{
    static const uint32_t none = 0;
    if (writer->label_sets.len % 8 != 0)
        buf_append(&writer->label_sets, &none, sizeof none);
}

/* Where each part stands; the header has the counts. */
static void place_parts(struct pack_header *header)
{
    bool first = header->version == PACK_ONE_LABEL;
    header->classes_offset = first ? PACK_HEADER_BYTES_1 : sizeof *header;
    header->records_offset = header->classes_offset + header->n_classes * sizeof(struct pack_class);
    uint64_t end = header->records_offset + header->n_items * sizeof(struct pack_record);
    header->label_sets_offset = end;
    end += header->label_sets_len * sizeof(uint32_t);
    header->groups_offset = end;
    end += header->n_groups * sizeof(uint64_t);
    header->strings_offset = end;
    header->index_bytes = end + header->strings_len;
}

static enum status sync_file(int fd, struct err *err)
{
    return fsync(fd) == 0 ? OK : err_errno(err, "The data set cannot be written to disk");
}

static uint32_t version_of(const struct pack_writer *writer)
{
    if (writer->n > 0 && writer->records[0].format == PACK_TEXT)
        return PACK_TEXTS;
    return writer->label_sets.len > 0 || writer->groups ? PACK_LABEL_SETS : PACK_ONE_LABEL;
}

enum status pack_writer_finish(struct pack_writer *writer, const char *const *class_names,
                               uint32_t n_classes, struct err *err)
{
    struct pack_header header = {.magic = PACK_MAGIC,
                                 .version = version_of(writer),
                                 .record_bytes = sizeof(struct pack_record)};
    pad_label_sets(writer);
    struct pack_class *classes = mem_alloc((n_classes + 1) * sizeof *classes);
    uint32_t *order = NULL;
    enum status status = OK;
    for (uint32_t i = 0; i < n_classes; i++) {
        if (i > 0 && strcmp(class_names[i - 1], class_names[i]) >= 0) {
            status = err_set(err, E_INTERNAL, "The classes of a pack are not sorted.");
            goto done;
        }
        classes[i].len = strlen(class_names[i]);
        if ((status = add_string(writer, class_names[i], &classes[i].offset, err)))
            goto done;
    }
    if ((status = sort_items(writer, &order, &header.n_items, err)))
        goto done;
    header.n_classes = n_classes;
    header.pack_bytes = writer->bytes;
    header.label_sets_len = writer->label_sets.len / sizeof(uint32_t);
    header.n_groups = writer->groups ? header.n_items : 0;
    header.strings_len = writer->strings.len;
    place_parts(&header);
    if ((status = write_index(writer, &header, classes, order, err)) ||
        (status = sync_file(writer->pack_fd, err)) || (status = sync_file(writer->index_fd, err)))
        goto done;
done:
    mem_free(order);
    mem_free(classes);
    return status;
}
