/* items.c -- see items.h. */
#include "store/items.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "store/blobs.h"

#define PIECE 1024 /* records that are looked at together */

static const char *const split_names[N_SPLITS] = {
    [SPLIT_TRAIN] = "train",
    [SPLIT_VALID] = "valid",
    [SPLIT_TEST] = "test",
    [SPLIT_UNLABELLED] = "unlabelled",
};

struct items {
    int pack_fd, index_fd; /* owned */
    uint64_t pack_bytes;
    struct pack_header header; /* of a size that the file has */
};

static enum status damaged(struct err *err)
{
    return err_set(err, E_INTERNAL,
                   "The dataset's index is damaged: delete the dataset and upload it again.");
}

static bool part_fits(const struct pack_header *header, uint64_t offset, uint64_t n, uint64_t size)
{
    return offset <= header->index_bytes && n <= (header->index_bytes - offset) / size;
}

static enum status read_header(struct items *items, struct err *err)
{
    struct stat pack, index;
    struct pack_header *header = &items->header;
    if (fstat(items->pack_fd, &pack) != 0 || fstat(items->index_fd, &index) != 0)
        return err_errno(err, "The dataset's index cannot be examined");
    size_t size = (size_t)index.st_size < sizeof *header ? PACK_HEADER_BYTES_1 : sizeof *header;
    enum status status = fs_read_at(items->index_fd, header, size, 0, err);
    if (status)
        return status;
    items->pack_bytes = (uint64_t)pack.st_size;
    if (memcmp(header->magic, PACK_MAGIC, sizeof header->magic) != 0 || header->version < 1 ||
        header->version > PACK_VERSION || header->record_bytes != sizeof(struct pack_record) ||
        header->index_bytes != (uint64_t)index.st_size ||
        !part_fits(header, header->records_offset, header->n_items, sizeof(struct pack_record)) ||
        !part_fits(header, header->classes_offset, header->n_classes, sizeof(struct pack_class)) ||
        !part_fits(header, header->strings_offset, header->strings_len, 1))
        return damaged(err);
    return OK;
}

enum status items_open(struct store *store, const struct dataset_row *row, struct items **out,
                       struct err *err)
{
    if (row->status != DATASET_READY || !row->pack || !row->index)
        return err_set(err, E_CONFLICT,
                       "The dataset %s is %s: its items can be looked at when it is ready.",
                       row->id, dataset_status_name(row->status));
    struct items *items = mem_alloc(sizeof *items);
    items->pack_fd = items->index_fd = -1;
    enum status status = blob_open(store, row->pack, &items->pack_fd, err);
    if (!status)
        status = blob_open(store, row->index, &items->index_fd, err);
    if (!status)
        status = read_header(items, err);
    if (status)
        items_close(items);
    else
        *out = items;
    return status;
}

void items_close(struct items *items)
{
    if (!items)
        return;
    if (items->pack_fd >= 0)
        close(items->pack_fd);
    if (items->index_fd >= 0)
        close(items->index_fd);
    mem_free(items);
}

int items_take_pack(struct items *items)
{
    int fd = items->pack_fd;
    items->pack_fd = -1;
    return fd;
}

/* --- One item --------------------------------------------------------------------------------- */

static enum status read_string(const struct items *items, uint64_t offset, uint64_t len,
                               struct arena *arena, const char **text, struct err *err)
{
    const struct pack_header *header = &items->header;
    if (len > PACK_MAX_NAME || offset > header->strings_len || len > header->strings_len - offset)
        return damaged(err);
    char *read = arena_alloc(arena, len + 1);
    enum status status =
        fs_read_at(items->index_fd, read, len, header->strings_offset + offset, err);
    if (!status && (!utf8_is_valid(read, len) || strlen(read) != len))
        return damaged(err);
    *text = read;
    return status;
}

static enum status class_name(const struct items *items, uint32_t label, struct arena *arena,
                              const char **name, struct err *err)
{
    struct pack_class class;
    if (label >= items->header.n_classes)
        return damaged(err);
    enum status status = fs_read_at(items->index_fd, &class, sizeof class,
                                    items->header.classes_offset + label * sizeof class, err);
    return status ? status : read_string(items, class.offset, class.len, arena, name, err);
}

static enum status describe(const struct items *items, const struct pack_record *record,
                            int64_t number, struct arena *arena, struct item *item, struct err *err)
{
    const char *path;
    *item = (struct item){.number = number,
                          .format = (enum pack_format)record->format,
                          .offset = record->offset,
                          .bytes = record->size};
    if (record->split >= N_SPLITS || record->offset > items->pack_bytes ||
        record->size > items->pack_bytes - record->offset)
        return damaged(err);
    item->split = split_names[record->split];
    digest_hex(record->sha256, sizeof record->sha256, item->sha256);
    enum status status =
        read_string(items, record->path_offset, record->path_len, arena, &path, err);
    if (!status && record->label != PACK_NO_LABEL)
        status = class_name(items, (uint32_t)record->label, arena, &item->label, err);
    bool is_row = items->header.version == PACK_TEXTS && record->line > 0;
    if (!status)
        item->path = !is_row ? path
                     : *path ? arena_printf(arena, "%s:%u", path, record->line)
                             : arena_printf(arena, "line %u", record->line);
    return status;
}

static enum status read_records(const struct items *items, int64_t first, size_t n,
                                struct pack_record *records, struct err *err)
{
    return fs_read_at(items->index_fd, records, n * sizeof *records,
                      items->header.records_offset + (uint64_t)first * sizeof *records, err);
}

enum status items_get(const struct items *items, int64_t number, struct arena *arena,
                      struct item *item, struct err *err)
{
    struct pack_record record;
    if (number < 0 || number >= items->header.n_items)
        return err_set(err, E_NOT_FOUND, "The dataset has no item %lld: they are 0 to %u.",
                       (long long)number, items->header.n_items - 1);
    enum status status = read_records(items, number, 1, &record, err);
    return status ? status : describe(items, &record, number, arena, item, err);
}

/* --- A page of them --------------------------------------------------------------------------- */

/* What a filter's words mean in this index. */
struct wanted {
    int32_t label, split; /* -1: any */
};

static enum status find_split(const char *name, int32_t *split, struct err *err)
{
    for (int i = 0; i < N_SPLITS; i++)
        if (strcmp(split_names[i], name) == 0)
            *split = i;
    return *split >= 0
               ? OK
               : err_set(err, E_INVALID,
                         "split is \"%.40s\"; it takes train, valid, test or unlabelled.", name);
}

/* Class names are sorted. */
static enum status find_class(const struct items *items, const char *name, struct arena *arena,
                              int32_t *label, struct err *err)
{
    uint32_t low = 0, high = items->header.n_classes;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const char *there;
        enum status status = class_name(items, middle, arena, &there, err);
        if (status)
            return status;
        int order = strcmp(name, there);
        if (order == 0) {
            *label = (int32_t)middle;
            return OK;
        }
        low = order > 0 ? middle + 1 : low;
        high = order < 0 ? middle : high;
    }
    return err_set(err, E_INVALID, "The dataset has no class \"%.100s\".", name);
}

static bool is_wanted(const struct wanted *wanted, const struct pack_record *record)
{
    return (wanted->label < 0 || record->label == wanted->label) &&
           (wanted->split < 0 || record->split == wanted->split);
}

static enum status collect(const struct items *items, const struct item_filter *filter,
                           const struct wanted *wanted, struct arena *arena, struct item_list *list,
                           struct err *err)
{
    struct pack_record *records = mem_alloc(PIECE * sizeof *records);
    enum status status = OK;
    size_t n;
    for (int64_t at = filter->after + 1; !status && !list->has_more && at < items->header.n_items;
         at += (int64_t)n) {
        int64_t left = items->header.n_items - at;
        n = left < PIECE ? (size_t)left : PIECE;
        status = read_records(items, at, n, records, err);
        for (size_t i = 0; !status && i < n && !list->has_more; i++) {
            if (!is_wanted(wanted, &records[i]))
                continue;
            list->has_more = list->n == filter->limit;
            if (!list->has_more)
                status = describe(items, &records[i], at + (int64_t)i, arena,
                                  &list->rows[list->n++], err);
        }
    }
    mem_free(records);
    return status;
}

enum status items_list(const struct items *items, const struct item_filter *filter,
                       struct arena *arena, struct item_list *list, struct err *err)
{
    struct wanted wanted = {-1, -1};
    enum status status = filter->split ? find_split(filter->split, &wanted.split, err) : OK;
    if (!status && filter->label)
        status = find_class(items, filter->label, arena, &wanted.label, err);
    if (status)
        return status;
    *list = (struct item_list){.rows = arena_alloc(arena, filter->limit * sizeof(struct item))};
    return collect(items, filter, &wanted, arena, list, err);
}

enum status items_excerpt(const struct items *items, const struct item *item, size_t most,
                          struct arena *arena, const char **text, struct err *err)
{
    size_t len = item->bytes < most ? (size_t)item->bytes : most, whole = 0, step;
    char *read = arena_alloc(arena, len + 1);
    enum status status = fs_read_at(items->pack_fd, read, len, item->offset, err);
    if (status)
        return status;
    while (whole < len && read[whole] && (step = utf8_sequence(read + whole, len - whole)))
        whole += step;
    read[whole] = 0;
    for (char *joint = read; (joint = strchr(joint, PACK_TEXT_JOINT));)
        *joint = '\n';
    *text = read;
    return OK;
}
