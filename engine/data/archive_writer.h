/* archive_writer.h -- writes files into a zip, a tar, a tar.gz, a tar.zst or a folder, by the
 * target's name.
 *
 * The same files give the same bytes: times and owners are fixed. An archive is written beside its
 * target and renamed when it is closed; closing without finishing leaves nothing. */
#ifndef THAW_ENGINE_DATA_ARCHIVE_WRITER_H
#define THAW_ENGINE_DATA_ARCHIVE_WRITER_H

#include <stddef.h>

#include "base/status.h"

struct archive_writer;

/* A target that ends in .zip, .tar, .tar.gz, .tgz or .tar.zst is a file, every other a folder. */
enum status archive_writer_open(const char *target, struct archive_writer **writer,
                                struct err *err);
/* `name` is ours: relative, without "..". */
enum status archive_writer_add(struct archive_writer *writer, const char *name, const void *bytes,
                               size_t len, struct err *err);
enum status archive_writer_finish(struct archive_writer *writer, struct err *err);
void archive_writer_close(struct archive_writer *writer);

#endif
