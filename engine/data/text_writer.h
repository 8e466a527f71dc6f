/* text_writer.h -- writes the pack of a text data set row by row: nothing is kept of a row but its
 * record, and that on disk.
 *
 * Items stay in the order in which they come. Labels are numbered as they appear; only the end
 * knows the classes, so the records are then read back, piece by piece, and put right where they
 * stand. Memory does not depend on the number of rows. */
#ifndef THAW_ENGINE_DATA_TEXT_WRITER_H
#define THAW_ENGINE_DATA_TEXT_WRITER_H

#include "engine/data/pack.h"

struct text_item {
    const char *text; /* UTF-8, not empty, at most PACK_MAX_ITEM_BYTES */
    size_t len;
    int32_t label;         /* the caller's number, or PACK_NO_LABEL */
    enum pack_split split; /* of what has a label; and, in a set without any, of what has none */
    uint64_t group;        /* as in pack_group */
    uint32_t line;         /* grows within a file */
};

struct text_writer; /* owns its buffers; borrows both descriptors, which are empty files */

struct text_writer *text_writer_new(int pack_fd, int index_fd);
void text_writer_free(struct text_writer *writer);

/* The items that follow are of this file; "" when it has no name. Ascending. */
enum status text_writer_file(struct text_writer *writer, const char *path, struct err *err);
/* E_TOO_LARGE: more items than a pack holds. */
enum status text_writer_add(struct text_writer *writer, const struct text_item *item,
                            struct err *err);
uint32_t text_writer_n_items(const struct text_writer *writer);
uint64_t text_writer_bytes(const struct text_writer *writer);

/* Writes the rest of the index and syncs both files. class_of[label], for the caller's numbers,
 * is the class, or TEXT_WRITER_DROP: `dropped` hears of each such item, which is left out. Names
 * are sorted and different; none: every item stays without a label, in its split. */
#define TEXT_WRITER_DROP (-2)
struct text_classes {
    const char *const *names;
    uint32_t n;
    const int32_t *class_of;
    void (*dropped)(void *context, const char *path, int64_t line);
    void *context;
};
enum status text_writer_finish(struct text_writer *writer, const struct text_classes *classes,
                               struct err *err);

#endif
