/* pack.c -- see pack.h: opening, proving and reading. */
#include "engine/data/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/utf8.h"

_Static_assert((int)PACK_JPEG == IMAGE_JPEG && (int)PACK_PNG == IMAGE_PNG &&
                   (int)PACK_WEBP == IMAGE_WEBP,
               "an index numbers formats as image.h does");

struct pack {
    int pack_fd;  /* owned */
    uint8_t *map; /* owned; the index */
    size_t map_len;
    struct pack_header header;         /* what version 1 lacks is 0 */
    const struct pack_class *classes;  /* in the map */
    const struct pack_record *records; /* in the map */
    const uint32_t *label_sets;        /* in the map */
    const uint64_t *groups;            /* in the map */
    const char *strings;               /* in the map */
};

static enum status damaged(struct err *err, const char *what)
{
    return err_set(err, E_INVALID, "The data set's index is damaged: %s.", what);
}

static uint64_t header_bytes(const struct pack_header *header)
{
    return header->version == PACK_ONE_LABEL ? PACK_HEADER_BYTES_1 : sizeof *header;
}

/* [offset, offset + n * size) lies in the file behind the header, at a multiple of 8. */
static bool part_fits(const struct pack_header *header, uint64_t offset, uint64_t n, uint64_t size)
{
    return offset % 8 == 0 && offset >= header_bytes(header) && offset <= header->index_bytes &&
           n <= (header->index_bytes - offset) / size;
}

static bool parts_of_2_fit(const struct pack_header *header)
{
    return header->version == PACK_ONE_LABEL ||
           (part_fits(header, header->label_sets_offset, header->label_sets_len,
                      sizeof(uint32_t)) &&
            part_fits(header, header->groups_offset, header->n_groups, sizeof(uint64_t)) &&
            (header->n_groups == 0 || header->n_groups == header->n_items));
}

static enum status check_header(const struct pack *pack, uint64_t pack_size, struct err *err)
{
    const struct pack_header *header = &pack->header;
    if (memcmp(header->magic, PACK_MAGIC, sizeof header->magic) != 0)
        return damaged(err, "it does not begin as an index does");
    if (header->version < 1 || header->version > PACK_VERSION)
        return err_set(err, E_INVALID,
                       "The data set's index has version %u, and this program reads 1 to %d.",
                       header->version, PACK_VERSION);
    if (header->record_bytes != sizeof(struct pack_record))
        return damaged(err, "its records have another size");
    if (header->index_bytes != pack->map_len)
        return damaged(err, "the file is not as long as its header says");
    if (header->pack_bytes != pack_size)
        return damaged(err, "the pack is not as long as the header says");
    bool no_classes = header->n_classes == 0 && header->version != PACK_TEXTS;
    if (header->n_items == 0 || header->n_items > PACK_MAX_ITEMS || no_classes ||
        header->n_classes > PACK_MAX_CLASSES)
        return damaged(err, "its number of items or classes is out of range");
    if (!part_fits(header, header->classes_offset, header->n_classes, sizeof(struct pack_class)) ||
        !part_fits(header, header->records_offset, header->n_items, sizeof(struct pack_record)) ||
        !part_fits(header, header->strings_offset, header->strings_len, 1) ||
        !parts_of_2_fit(header) || header->strings_len == 0)
        return damaged(err, "a part of it lies outside the file");
    /* With a terminator at the very end, strlen stays inside wherever it begins. */
    if (pack->map[header->strings_offset + header->strings_len - 1] != '\0')
        return damaged(err, "its last name has no end");
    return OK;
}

static bool string_is_valid(const struct pack *pack, uint64_t offset, uint64_t len)
{
    uint64_t strings_len = pack->header.strings_len;
    return len > 0 && len <= PACK_MAX_NAME && offset < strings_len && len < strings_len - offset &&
           strlen(pack->strings + offset) == len && utf8_is_valid(pack->strings + offset, len);
}

static enum status check_classes(const struct pack *pack, struct err *err)
{
    for (uint32_t i = 0; i < pack->header.n_classes; i++) {
        if (!string_is_valid(pack, pack->classes[i].offset, pack->classes[i].len))
            return damaged(err, "a class has no valid name");
        if (i > 0 && strcmp(pack_class_name(pack, i - 1), pack_class_name(pack, i)) >= 0)
            return damaged(err, "its class names are not sorted");
    }
    return OK;
}

/* `set`: count, then the labels, with `left` numbers up to the end of all sets. */
static bool set_is_valid(const uint32_t *set, uint64_t left, const struct pack_record *record,
                         uint32_t n_classes)
{
    uint32_t n = set[0];
    if (n > PACK_MAX_LABELS || n >= left)
        return false;
    for (uint32_t i = 1; i <= n; i++)
        if (set[i] >= n_classes || (i > 1 && set[i] <= set[i - 1]))
            return false;
    return record->label == (n > 0 ? (int32_t)set[1] : PACK_NO_LABEL);
}

static bool label_is_valid(const struct pack *pack, const struct pack_record *record)
{
    const struct pack_header *header = &pack->header;
    if (header->version == PACK_LABEL_SETS && record->label_set > 0) {
        uint64_t at = record->label_set - 1u;
        return at < header->label_sets_len &&
               set_is_valid(pack->label_sets + at, header->label_sets_len - at, record,
                            header->n_classes);
    }
    return record->label >= 0 && (uint32_t)record->label < header->n_classes;
}

static bool picture_is_valid(const struct pack *pack, const struct pack_record *record)
{
    return record->format < N_IMAGE_FORMATS && record->orientation >= 1 &&
           record->orientation <= 8 && record->width >= 1 && record->width <= IMAGE_MAX_SIDE &&
           record->height >= 1 && record->height <= IMAGE_MAX_SIDE &&
           string_is_valid(pack, record->path_offset, record->path_len);
}

/* `previous` is the record before it, which is valid, or NULL: millions may share one path. */
static bool text_is_valid(const struct pack *pack, const struct pack_record *record,
                          const struct pack_record *previous)
{
    bool same = previous && previous->path_offset == record->path_offset &&
                previous->path_len == record->path_len;
    bool nameless = record->path_len == 0 && record->path_offset == 0 && record->line > 0;
    return record->format == PACK_TEXT && record->orientation == 0 && record->height == 0 &&
           record->label_set == 0 &&
           (same || nameless || string_is_valid(pack, record->path_offset, record->path_len));
}

static bool record_is_valid(const struct pack *pack, const struct pack_record *record,
                            const struct pack_record *previous)
{
    const struct pack_header *header = &pack->header;
    bool may_lack = record->split == SPLIT_UNLABELLED || header->n_classes == 0;
    bool labelled = record->split != SPLIT_UNLABELLED && label_is_valid(pack, record);
    return record->offset <= header->pack_bytes && record->size > 0 &&
           record->size <= PACK_MAX_ITEM_BYTES &&
           record->size <= header->pack_bytes - record->offset && record->split < N_SPLITS &&
           (labelled || (may_lack && record->label == PACK_NO_LABEL)) &&
           (pack_is_text(pack) ? text_is_valid(pack, record, previous)
                               : picture_is_valid(pack, record));
}

struct extent {
    uint64_t offset, size;
};

static int compare_extents(const void *a, const void *b)
{
    uint64_t x = ((const struct extent *)a)->offset, y = ((const struct extent *)b)->offset;
    return x < y ? -1 : x > y;
}

/* The rows of a table lie in the pack in their own order, and nothing needs to be sorted. */
static bool one_behind_the_other(const struct pack *pack)
{
    for (uint32_t i = 1; i < pack->header.n_items; i++) {
        const struct pack_record *a = &pack->records[i - 1], *b = &pack->records[i];
        if (b->offset < a->offset || b->offset - a->offset < a->size)
            return false;
    }
    return true;
}

/* Records are in path order and bytes in the archive's, so overlap is seen on a sorted copy. */
static enum status check_overlap(const struct pack *pack, struct err *err)
{
    uint32_t n = pack->header.n_items;
    void *block;
    if (one_behind_the_other(pack))
        return OK;
    enum status status = mem_try_alloc(n, sizeof(struct extent), "checking the index", &block, err);
    if (status)
        return status;
    struct extent *extents = block;
    for (uint32_t i = 0; i < n; i++)
        extents[i] = (struct extent){pack->records[i].offset, pack->records[i].size};
    qsort(extents, n, sizeof *extents, compare_extents);
    for (uint32_t i = 1; i < n && !status; i++)
        if (extents[i].offset - extents[i - 1].offset < extents[i - 1].size)
            status = damaged(err, "two items share bytes of the pack");
    mem_free(extents);
    return status;
}

/* By path; the texts of one file by line. */
static bool comes_before(const struct pack *pack, uint32_t a, uint32_t b)
{
    const struct pack_record *x = &pack->records[a], *y = &pack->records[b];
    bool same = pack_is_text(pack) && x->path_offset == y->path_offset;
    int order = same ? 0 : strcmp(pack_item_path(pack, a), pack_item_path(pack, b));
    return order < 0 || (order == 0 && pack_is_text(pack) && x->line < y->line);
}

static enum status check_records(const struct pack *pack, struct err *err)
{
    for (uint32_t i = 0; i < pack->header.n_items; i++) {
        const struct pack_record *record = &pack->records[i], *previous = i ? record - 1 : NULL;
        if (!record_is_valid(pack, record, previous))
            return damaged(err, "an item's entry is out of range");
        if (previous && !comes_before(pack, i - 1, i))
            return damaged(err, "its items are not sorted by path");
    }
    return check_overlap(pack, err);
}

static enum status file_size(int fd, const char *what, uint64_t *size, struct err *err)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return err_errno(err, "The size of the data set's %s cannot be read", what);
    if (!S_ISREG(stat.st_mode))
        return err_set(err, E_INVALID, "The data set's %s is not a regular file.", what);
    *size = (uint64_t)stat.st_size;
    return OK;
}

static enum status map_index(struct pack *pack, int index_fd, struct err *err)
{
    uint64_t size;
    enum status status = file_size(index_fd, "index", &size, err);
    if (status)
        return status;
    if (size < PACK_HEADER_BYTES_1)
        return damaged(err, "it is shorter than its header");
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, index_fd, 0);
    if (map == MAP_FAILED)
        return err_errno(err, "The data set's index cannot be mapped");
    pack->map = map;
    pack->map_len = size;
    memcpy(&pack->header, map, PACK_HEADER_BYTES_1);
    if (pack->header.version > PACK_ONE_LABEL && size >= sizeof pack->header)
        memcpy(&pack->header, map, sizeof pack->header);
    return OK;
}

enum status pack_open_fds(int pack_fd, int index_fd, struct pack **out, struct err *err)
{
    struct pack *pack = mem_alloc(sizeof *pack);
    uint64_t pack_size;
    enum status status;
    pack->pack_fd = fcntl(pack_fd, F_DUPFD_CLOEXEC, 0);
    if (pack->pack_fd < 0) {
        status = err_errno(err, "The data set's pack cannot be opened");
        goto done;
    }
    if ((status = file_size(pack->pack_fd, "pack", &pack_size, err)) ||
        (status = map_index(pack, index_fd, err)) || (status = check_header(pack, pack_size, err)))
        goto done;
    pack->classes = (const void *)(pack->map + pack->header.classes_offset);
    pack->records = (const void *)(pack->map + pack->header.records_offset);
    pack->label_sets = (const void *)(pack->map + pack->header.label_sets_offset);
    pack->groups = (const void *)(pack->map + pack->header.groups_offset);
    pack->strings = (const char *)pack->map + pack->header.strings_offset;
    if ((status = check_classes(pack, err)) || (status = check_records(pack, err)))
        goto done;
    *out = pack;
    pack = NULL;
done:
    pack_close(pack);
    return status;
}

enum status pack_open(const char *pack_path, const char *index_path, struct pack **pack,
                      struct err *err)
{
    int pack_fd = open(pack_path, O_RDONLY | O_CLOEXEC);
    int index_fd = open(index_path, O_RDONLY | O_CLOEXEC);
    enum status status;
    if (pack_fd < 0 || index_fd < 0)
        status = err_errno(err, "The data set %s cannot be opened",
                           pack_fd < 0 ? pack_path : index_path);
    else
        status = pack_open_fds(pack_fd, index_fd, pack, err);
    if (pack_fd >= 0)
        close(pack_fd);
    if (index_fd >= 0)
        close(index_fd);
    return status;
}

void pack_close(struct pack *pack)
{
    if (!pack)
        return;
    if (pack->map)
        munmap(pack->map, pack->map_len);
    if (pack->pack_fd >= 0)
        close(pack->pack_fd);
    mem_free(pack);
}

uint32_t pack_n_items(const struct pack *pack)
{
    return pack->header.n_items;
}

uint32_t pack_n_classes(const struct pack *pack)
{
    return pack->header.n_classes;
}

uint64_t pack_bytes(const struct pack *pack)
{
    return pack->header.pack_bytes;
}

const char *pack_class_name(const struct pack *pack, uint32_t label)
{
    return pack->strings + pack->classes[label].offset;
}

const struct pack_record *pack_item(const struct pack *pack, uint32_t item)
{
    return &pack->records[item];
}

struct image_header pack_item_header(const struct pack *pack, uint32_t item)
{
    const struct pack_record *record = &pack->records[item];
    return (struct image_header){(enum image_format)record->format, (int)record->width,
                                 (int)record->height, record->orientation};
}

const char *pack_item_path(const struct pack *pack, uint32_t item)
{
    const struct pack_record *record = &pack->records[item];
    return record->path_len ? pack->strings + record->path_offset : "";
}

const char *pack_item_name(const struct pack *pack, uint32_t item, char name[PACK_NAME_TEXT])
{
    const struct pack_record *record = &pack->records[item];
    const char *path = pack_item_path(pack, item);
    if (!pack_is_text(pack) || record->line == 0)
        return path;
    if (*path)
        snprintf(name, PACK_NAME_TEXT, "%s:%u", path, record->line);
    else
        snprintf(name, PACK_NAME_TEXT, "line %u", record->line);
    return name;
}

bool pack_is_text(const struct pack *pack)
{
    return pack->header.version == PACK_TEXTS;
}

enum status pack_want_text(const struct pack *pack, bool text, struct err *err)
{
    if (pack_is_text(pack) == text)
        return OK;
    err_at(err, E_INVALID, "/dataset",
           text ? "The data set holds pictures, and this task and model are for texts."
                : "The data set holds texts, and this task and model are for pictures.");
    err_name(err, "wrong_kind",
             "Name a data set of the model's kind, or a model of the data set's.");
    return E_INVALID;
}

uint32_t pack_labels(const struct pack *pack, uint32_t item, const uint32_t **labels)
{
    const struct pack_record *record = &pack->records[item];
    if (record->label_set > 0 && pack_is_multilabel(pack)) {
        *labels = pack->label_sets + record->label_set;
        return pack->label_sets[record->label_set - 1];
    }
    *labels = (const uint32_t *)&record->label;
    return record->label >= 0;
}

bool pack_is_multilabel(const struct pack *pack)
{
    return pack->header.version == PACK_LABEL_SETS && pack->header.label_sets_len > 0;
}

uint64_t pack_group(const struct pack *pack, uint32_t item)
{
    return pack->header.n_groups > 0 ? pack->groups[item] : 0;
}

bool pack_has_groups(const struct pack *pack)
{
    return pack->header.n_groups > 0;
}

enum status pack_read(const struct pack *pack, uint32_t item, void *bytes, struct err *err)
{
    const struct pack_record *record = &pack->records[item];
    return fs_read_at(pack->pack_fd, bytes, record->size, record->offset, err);
}
