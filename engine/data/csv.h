/* csv.h -- rows of separated text (RFC 4180), unquoted where they stand.
 *
 * A field may be quoted; then it may hold separators, line ends and, doubled, quotes. Lines end in
 * LF or CRLF; blank lines are passed over, a byte order mark too. Fields are terminated in place,
 * so the text is the reader's to write to, and nothing is allocated. */
#ifndef THAW_ENGINE_DATA_CSV_H
#define THAW_ENGINE_DATA_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct csv {
    char *at, *end; /* borrowed */
    char separator;
    int64_t line; /* on which the row last read begins, from 1 */
    int64_t next_line;
};

/* `text` has `len` bytes and room for one more. */
void csv_init(struct csv *csv, char *text, size_t len, char separator);

/* The next row's fields, at most `max`; *n is 0 at the end. E_INVALID, with the line: a quote that
 * is never closed, text behind a closing quote, a NUL byte, more than `max` fields. */
enum status csv_next(struct csv *csv, char **fields, size_t max, size_t *n, struct err *err);

#endif
