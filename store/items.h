/* items.h -- the items of a dataset, looked up one by one in its index (base/pack_index.h).
 *
 * The index is as the engine wrote it, which is not trusted: every offset is checked before it is
 * followed, and nothing is proved as a whole. So a listing of ten million items costs what it
 * shows, and memory for one page. */
#ifndef THAW_STORE_ITEMS_H
#define THAW_STORE_ITEMS_H

#include "base/digest.h"
#include "base/pack_index.h"
#include "store/datasets.h"

struct item {
    int64_t number;    /* from 0 */
    const char *path;  /* arena; as pack_item_name calls it */
    const char *label; /* arena; the first one's class, or NULL */
    const char *split; /* "train" */
    enum pack_format format;
    uint64_t offset, bytes; /* in the pack */
    char sha256[SHA256_HEX];
};

struct items; /* owns the descriptors of both blobs, which keeps them from collection */

/* E_CONFLICT: the dataset is not ready. */
enum status items_open(struct store *store, const struct dataset_row *row, struct items **items,
                       struct err *err);
void items_close(struct items *items);

enum status items_get(const struct items *items, int64_t number, struct arena *arena,
                      struct item *item, struct err *err); /* E_NOT_FOUND */

struct item_filter {
    const char *label, *split; /* NULL: all. E_INVALID where there is none of that name */
    int64_t after;             /* numbers above it */
    size_t limit;
};
struct item_list {
    struct item *rows; /* arena */
    size_t n;
    bool has_more;
};
enum status items_list(const struct items *items, const struct item_filter *filter,
                       struct arena *arena, struct item_list *list, struct err *err);

/* The first bytes of a text item, at most `most`, cut between two characters; in the arena. */
enum status items_excerpt(const struct items *items, const struct item *item, size_t most,
                          struct arena *arena, const char **text, struct err *err);

/* Hands over the pack's descriptor. */
int items_take_pack(struct items *items);

#endif
