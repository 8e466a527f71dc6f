/* pack.h -- a data set as two files: the pack (the items' bytes, one after the other) and the index
 * (what each item is; base/pack_index.h has its layout). All items are pictures, in their original
 * bytes, or all are texts, in UTF-8.
 *
 * pack_open maps the index and proves all of it before it returns: every offset within its part,
 * labels and sets within the classes, names UTF-8, items inside the pack without overlap, paths and
 * lines ascending and different. (That a text is UTF-8 is for its reader to see.) Afterwards
 * nothing needs to be checked again. Item bytes are read with pread, so that a failing disk is an
 * error and no SIGBUS. A pack may be read by many threads. */
#ifndef THAW_ENGINE_DATA_PACK_H
#define THAW_ENGINE_DATA_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pack_index.h"
#include "base/status.h"
#include "engine/data/image.h"

struct pack; /* owns the mapping of the index and both descriptors */

/* Takes neither descriptor: both are duplicated. */
enum status pack_open_fds(int pack_fd, int index_fd, struct pack **pack, struct err *err);
enum status pack_open(const char *pack_path, const char *index_path, struct pack **pack,
                      struct err *err);
void pack_close(struct pack *pack);

uint32_t pack_n_items(const struct pack *pack);
uint32_t pack_n_classes(const struct pack *pack);
uint64_t pack_bytes(const struct pack *pack);
const char *pack_class_name(const struct pack *pack, uint32_t label); /* borrowed, terminated */
const struct pack_record *pack_item(const struct pack *pack, uint32_t item);
struct image_header pack_item_header(const struct pack *pack, uint32_t item);
bool pack_is_text(const struct pack *pack);
/* For who reads one kind alone. E_INVALID (err->code wrong_kind): it is of the other. */
enum status pack_want_text(const struct pack *pack, bool text, struct err *err);

/* The path of the item's file, borrowed and terminated; texts may share one, or have none (""). */
const char *pack_item_path(const struct pack *pack, uint32_t item);
/* What people call the item: its path, "reviews.csv:17", or "line 17" of an upload without a name.
 * Borrowed from the pack or in `name`. */
#define PACK_NAME_TEXT (PACK_MAX_NAME + 16)
const char *pack_item_name(const struct pack *pack, uint32_t item, char name[PACK_NAME_TEXT]);

/* The item's labels, ascending; their number. Of one label, an array of one; of SPLIT_UNLABELLED
 * and of an empty set none. */
uint32_t pack_labels(const struct pack *pack, uint32_t item, const uint32_t **labels);
bool pack_is_multilabel(const struct pack *pack); /* some item has a set of labels */

/* What must not be divided between training and validation (a patient, a video) has one number;
 * 0: the item belongs to nothing. */
uint64_t pack_group(const struct pack *pack, uint32_t item);
bool pack_has_groups(const struct pack *pack);

/* The bytes of an item into `bytes`, which holds pack_item(...)->size. */
enum status pack_read(const struct pack *pack, uint32_t item, void *bytes, struct err *err);

/* Writing. Items are appended in any order; what they are called and how they are labelled may be
 * decided afterwards. pack_writer_finish leaves out the items whose split is N_SPLITS (their bytes
 * stay in the pack), sorts the rest by path, writes the index and syncs both files.
 * Memory: 80 bytes and the path for each item. */
struct pack_writer; /* owns the records; borrows both descriptors */

struct pack_writer *pack_writer_new(int pack_fd, int index_fd);
void pack_writer_free(struct pack_writer *writer);
/* `record` gives label, split, format, orientation, width and height; the rest is filled in.
 * E_TOO_LARGE: more items, or longer paths in all, than a pack holds. */
enum status pack_writer_add(struct pack_writer *writer, const struct pack_record *record,
                            const char *path, const void *bytes, size_t len, struct err *err);
uint32_t pack_writer_n_items(const struct pack_writer *writer);
uint64_t pack_writer_bytes(const struct pack_writer *writer); /* appended so far */
struct pack_record *pack_writer_item(struct pack_writer *writer, uint32_t item);
const char *pack_writer_path(const struct pack_writer *writer, uint32_t item);
/* The item's labels as a set: ascending and different, at most PACK_MAX_LABELS, perhaps none. They
 * replace its `label`, and what was set before. E_INTERNAL if they are not so. */
enum status pack_writer_set_labels(struct pack_writer *writer, uint32_t item,
                                   const uint32_t *labels, uint32_t n, struct err *err);
/* Once every item has been added; `group` is as in pack_group. */
enum status pack_writer_set_group(struct pack_writer *writer, uint32_t item, uint64_t group,
                                  struct err *err);
/* class_names are sorted and different, and so are the paths: E_INTERNAL if not. */
enum status pack_writer_finish(struct pack_writer *writer, const char *const *class_names,
                               uint32_t n_classes, struct err *err);

#endif
