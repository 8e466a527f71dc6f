/* archive.h -- members of an uploaded zip, tar, tar.gz or tar.zst, one after the other (the library
 * is known to archive.c alone).
 *
 * Only those formats are enabled. Names are data, never paths: nothing is ever opened by them. A
 * member that cannot be used says so in `refusal` and the archive goes on; a status is the
 * archive's own failure: damaged, cut off, or beyond a limit. What is unpacked is bounded by what
 * is actually seen, not by what headers promise. */
#ifndef THAW_ENGINE_DATA_ARCHIVE_H
#define THAW_ENGINE_DATA_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define ARCHIVE_MAX_NAME 1024 /* bytes of a member's name */

struct archive_limits {
    uint64_t max_bytes;      /* unpacked in all */
    uint64_t max_ratio;      /* unpacked / uploaded, ... */
    uint64_t free_bytes;     /* ... not counting so many unpacked bytes */
    uint64_t max_entries;    /* members, folders included */
    uint64_t max_item_bytes; /* of one member */
};

/* 1 TiB, 100 times beyond 64 MiB, 4 million, 256 MiB. */
struct archive_limits archive_default_limits(void);

struct archive_member {
    int64_t ordinal;      /* 0 for the first in the archive, every member counted */
    const char *name;     /* borrowed until the next call; UTF-8, no "./", no empty components */
    bool ignored;         /* a folder, or what operating systems leave behind: not worth a word */
    char refusal[256];    /* "" or one sentence: why this member cannot be used */
    const uint8_t *bytes; /* of archive_reader_fill; borrowed until the next call */
    size_t len;
};

struct archive_reader; /* owns libarchive's state and the buffer; borrows the descriptor */

/* `fd` is a regular file, read from its start. E_INVALID: empty, or none of the formats. */
enum status archive_reader_open(int fd, const struct archive_limits *limits,
                                struct archive_reader **reader, struct err *err);
void archive_reader_close(struct archive_reader *reader);

/* The next member, without its bytes; *member is NULL at the end of the archive. */
enum status archive_reader_next(struct archive_reader *reader, struct archive_member **member,
                                struct err *err);

/* Unpacks the first `n` bytes of the member, or all of it when it has fewer; called again with a
 * larger `n` it goes on. Sets the member's `refusal` when it is damaged or too large. */
enum status archive_reader_fill(struct archive_reader *reader, size_t n, struct err *err);
#define ARCHIVE_WHOLE SIZE_MAX /* all of it */

/* The next bytes of the member, for those that need not be there as a whole: at most `size`; *got
 * is 0 at its end. E_INVALID: it is damaged. */
enum status archive_reader_read(struct archive_reader *reader, void *bytes, size_t size,
                                size_t *got, struct err *err);

/* Passes over up to `n` of the member's bytes that were not filled; *done once there are no more.
 * Without it archive_reader_next does so in one go, for as long as that takes. */
enum status archive_reader_drain(struct archive_reader *reader, uint64_t n, bool *done,
                                 struct err *err);

/* Writes all of a member of which nothing was filled to `fd`, so that it is never in memory as a
 * whole. Sets `refusal`, with some bytes written, as archive_reader_fill does. */
enum status archive_reader_save(struct archive_reader *reader, int fd, struct err *err);

/* Does the content begin as an archive or a compressed file does? */
bool archive_is_known(const void *bytes, size_t len);
#define ARCHIVE_SNIFF 512 /* bytes that this wants to see */

uint64_t archive_reader_size(const struct archive_reader *reader);     /* of the upload */
uint64_t archive_reader_position(const struct archive_reader *reader); /* of it, read so far */

#endif
