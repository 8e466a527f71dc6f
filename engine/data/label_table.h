/* label_table.h -- labels that an archive brings as a table: labels.csv, metadata.csv or
 * metadata.jsonl (as Hugging Face's image folders have it).
 *
 * A row names a member, relative to the table's own folder, and says its label, and perhaps its
 * split and its group. Columns go by name, without case; each has the names that are in use:
 *
 *     path   path, file_name, filename, fname, name, image, file
 *     label  label, labels, class, category, tags; or what the option label_column says
 *     split  split (train, valid, val, validation, test), or is_valid (true, false, 1, 0)
 *     group  what the option group_column says
 *
 * Several labels of one item are separated by ";". */
#ifndef THAW_ENGINE_DATA_LABEL_TABLE_H
#define THAW_ENGINE_DATA_LABEL_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/data/pack.h"

struct label_row {
    const char *path;   /* the member's name in the archive */
    const char *labels; /* as written; "" where there is none */
    const char *group;  /* NULL: the table has no groups, or none for it */
    uint32_t ordinal;   /* in the order in which rows were read */
    uint8_t split;      /* enum pack_split; N_SPLITS: the table does not say */
    bool used;          /* for its reader: the archive has such a member */
};

struct label_table; /* owns its rows */

/* Hears of rows that cannot be used; borrowed for the call. */
typedef void label_table_rejected(void *context, const char *path, const char *reason);

/* Is this what a table is called, at a depth where one is looked for? */
bool label_table_is_named(const char *member);

/* Both may be NULL and are borrowed. */
struct label_table *label_table_new(const char *label_column, const char *group_column);
void label_table_free(struct label_table *table);

/* Reads one table. E_INVALID with its name and line: not UTF-8, no such columns (the ones there are
 * are listed), a row with more fields than the header. E_TOO_LARGE: more rows than a pack holds. */
enum status label_table_add(struct label_table *table, const char *member, const void *bytes,
                            size_t len, label_table_rejected *rejected, void *context,
                            struct err *err);

/* After the last table, before the first find; rejects later rows for a path that had one. */
void label_table_sort(struct label_table *table, label_table_rejected *rejected, void *context);

uint32_t label_table_n(const struct label_table *table);
struct label_row *label_table_row(struct label_table *table, uint32_t row);
struct label_row *label_table_find(struct label_table *table, const char *path); /* or NULL */

#endif
