/* zip_write.h -- a zip of stored entries, as torch.save writes one: what zip.h reads.
 *
 * The bytes of each entry begin at a multiple of 64, so that a reader may map them. Times are
 * fixed: the same content gives the same bytes. An archive of 4 GiB or more is refused. */
#ifndef THAW_ENGINE_FORMAT_ZIP_WRITE_H
#define THAW_ENGINE_FORMAT_ZIP_WRITE_H

#include <stddef.h>

#include "base/status.h"

struct zip_writer;

/* Writes PATH.tmp, which zip_writer_finish renames. */
enum status zip_writer_open(const char *path, struct zip_writer **writer, struct err *err);
/* `name` is ours: printable ASCII, at most 255 bytes. Its bytes follow, in as many pieces as are
 * wanted, before the next entry begins. */
enum status zip_writer_begin(struct zip_writer *writer, const char *name, struct err *err);
enum status zip_writer_bytes(struct zip_writer *writer, const void *bytes, size_t len,
                             struct err *err);
enum status zip_writer_finish(struct zip_writer *writer, struct err *err);
/* Without a finish before, nothing is left. */
void zip_writer_close(struct zip_writer *writer);

#endif
