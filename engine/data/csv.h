/* csv.h -- rows of separated text (RFC 4180), read from a stream, unquoted where they stand.
 *
 * A field may be quoted; then it may hold separators, line ends and, doubled, quotes. Lines end in
 * LF or CRLF; blank lines are passed over, a byte order mark too. Without quotes and separator
 * (CSV_LINES) a row is a line with one field.
 *
 * One row is in memory at a time: the buffer grows to the longest, and no further than max_row. A
 * longer row is scanned to its end, but not kept. Bytes are not looked at otherwise: whether they
 * are UTF-8 is the caller's to ask. */
#ifndef THAW_ENGINE_DATA_CSV_H
#define THAW_ENGINE_DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/data/source.h"

#define CSV_LINES      '\n' /* as separator: fields are lines */
#define CSV_MAX_FIELDS 1024 /* of a row; further ones are counted and not kept */

struct csv_options {
    char separator;
    bool quotes; /* else a quote is a letter as any other */
    size_t max_row;
};

struct csv_field {
    char *text; /* terminated; may be written to */
    size_t len;
};

/* Valid until the next call. */
struct csv_row {
    struct csv_field *fields;
    size_t n;      /* 0: no more rows; may exceed CSV_MAX_FIELDS */
    int64_t line;  /* on which the row begins, from 1 */
    bool too_long; /* longer than max_row: no field is there */
};

struct csv; /* owns its buffer */

struct csv *csv_new(struct source source, const struct csv_options *options);
void csv_free(struct csv *csv);

/* The next row. E_INVALID, with the line: a quote that is never closed, text behind a closing
 * quote; and whatever the source says. After an error there is nothing more to read. */
enum status csv_next(struct csv *csv, struct csv_row *row, struct err *err);

/* Whether some field holds a NUL byte: the text that people see would end there. */
bool csv_row_has_nul(const struct csv_row *row);

#endif
