/* feature_file.h -- rows of floats by item number, in a file that only grows and trusts nothing.
 *
 *     header   magic "THAWFEAT", version, floats a row, the key, SHA-256 of all that
 *     block    magic, how many rows, SHA-256 of the rest; item numbers (u32); rows
 *     block    ...
 *
 * A block is one append. Opening reads the whole file and checks every digest: it ends before the
 * first block that is not whole, which a killed process or a failing disk may leave. Nothing is
 * synced: what is lost can be computed again. Rows are read with pread, so that a failing disk is
 * an error and no SIGBUS. One thread uses a file. */
#ifndef THAW_ENGINE_TRAIN_FEATURE_FILE_H
#define THAW_ENGINE_TRAIN_FEATURE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/status.h"

struct feature_file; /* owns its descriptor */

/* Opens or makes the file at `path` for rows of row_floats, of items below max_items. One of
 * another key or kind is emptied. *damaged: something that was there could not be used. */
enum status feature_file_open(const char *path, const uint8_t key[SHA256_BYTES],
                              uint64_t row_floats, uint32_t max_items, struct feature_file **file,
                              bool *damaged, struct err *err);
void feature_file_close(struct feature_file *file); /* NULL is fine */

bool feature_file_has(const struct feature_file *file, uint32_t item);
uint64_t feature_file_bytes(const struct feature_file *file);

/* Rows of items that are not there yet. E_NO_SPACE when the disk is full; what could not be written
 * whole is taken back. */
enum status feature_file_append(struct feature_file *file, const uint32_t *items, uint32_t n,
                                const float *rows, struct err *err);
/* E_NOT_FOUND when the item is not there. */
enum status feature_file_read(const struct feature_file *file, uint32_t item, float *row,
                              struct err *err);

/* E_NO_SPACE unless `bytes` more can be written, with some to spare for others: for checkpoints,
 * and for a machine that must not run full. */
enum status feature_file_need(const struct feature_file *file, uint64_t bytes, struct err *err);

#endif
