/* labelling.h -- where items get their labels, splits and groups from.
 *
 * In this order: the option label_regex, whose first group in a path is the class; tables of labels
 * in the archive (label_table.h); the folders (layout.h). A split is what the table says, else the
 * folder called train, valid or test, else training. Groups are the option group_regex's first
 * group in a path, or the tables' column that group_column names. */
#ifndef THAW_ENGINE_DATA_LABELLING_H
#define THAW_ENGINE_DATA_LABELLING_H

#include "base/json.h"
#include "engine/data/label_table.h"
#include "engine/data/layout.h"
#include "engine/data/pattern.h"

struct labelling {
    struct pattern *label, *group; /* owned; NULL: not asked for */
    struct label_table *table;     /* owned; NULL: label_regex makes tables unnecessary */
    bool needs_table;              /* an option names a column */
    struct layout layout;
    bool text;    /* the caller's to set, before labelling_begin: items may lack a label */
    bool several; /* labels are separated by ";": items may have several, or none */
};

/* `options`: label_regex, label_column, group_regex, group_column, each a text or absent; borrowed
 * until labelling_deinit. E_INVALID: a regular expression that is none, two options that exclude
 * each other. */
enum status labelling_init(struct labelling *labelling, const struct json *options,
                           struct err *err);
void labelling_deinit(struct labelling *labelling);

/* Once the tables were read, and before the first place: `layout` is that of all items. E_INVALID:
 * an option names a column, and there is no table. */
enum status labelling_begin(struct labelling *labelling, struct layout layout,
                            label_table_rejected *rejected, void *context, struct err *err);
/* After the last place: rejects the rows of tables that no item was found for. */
void labelling_end(struct labelling *labelling, label_table_rejected *rejected, void *context);

/* The place of an item; its labels are borrowed from the labelling or from `path`. *group is 0
 * where it has none. */
enum status labelling_place(struct labelling *labelling, const char *path, struct place *place,
                            uint64_t *group, struct err *err);

/* The labels of a place, one after the other, without spaces around them: *at begins at 0. False
 * when there are no more. */
bool labelling_next(const struct labelling *labelling, const struct place *place, size_t *at,
                    const char **name, size_t *len);

/* The number of a group (pack.h): its name's hash, so that it means the same in every data set. */
uint64_t labelling_group(const char *group, size_t len);

#endif
