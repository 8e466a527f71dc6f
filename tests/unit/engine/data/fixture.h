/* fixture.h -- what the data tests share: a folder of their own, drawn files, packs and archives.
 */
#ifndef THAW_TESTS_UNIT_ENGINE_DATA_FIXTURE_H
#define THAW_TESTS_UNIT_ENGINE_DATA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "engine/data/pack.h"

/* A fresh folder, removed by fixture_folder_remove: for a test's setup and teardown. *state. */
int fixture_folder_make(void **state);
int fixture_folder_remove(void **state);

/* FOLDER/name; free with mem_free. */
char *fixture_path(void **state, const char *name);
void fixture_write(const char *path, const void *bytes, size_t len);
void fixture_read(const char *path, struct buf *out); /* out is inited here */

/* A drawn picture (engine/data/synth.h) as a file in memory; `out` is inited here. */
void fixture_jpeg(struct buf *out, size_t label, uint64_t index, int size);
void fixture_png(struct buf *out, size_t label, uint64_t index, int size);

/* The file with an EXIF block of this orientation put behind its start marker. */
void fixture_turn_jpeg(struct buf *jpeg, int orientation);

/* A pack of drawn pictures of `size` in FOLDER: items[i] = {split, label}; paths are
 * SPLIT/LABEL/NUMBER, so items keep this order only where it is theirs. */
struct fixture_item {
    enum pack_split split;
    int label;
};
struct pack *fixture_pack(void **state, const struct fixture_item *items, uint32_t n,
                          uint32_t n_classes, int size);

/* The same, item i in group groups[i]. */
struct pack *fixture_grouped_pack(void **state, const struct fixture_item *items,
                                  const uint64_t *groups, uint32_t n, uint32_t n_classes, int size);

/* The same, all in SPLIT_TRAIN, item i with the labels whose bits are set in sets[i]. */
struct pack *fixture_multilabel_pack(void **state, const uint32_t *sets, uint32_t n,
                                     uint32_t n_classes, int size);

/* A tar under construction: members by hand, so that they can be wrong. */
void fixture_tar_add(struct buf *tar, const char *name, char kind, const void *bytes, size_t len);
void fixture_tar_end(struct buf *tar);

#endif
