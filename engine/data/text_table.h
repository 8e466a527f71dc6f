/* text_table.h -- reads an upload of text row by row: csv, tsv, JSON lines, one text a line.
 *
 * A row that cannot be used is rejected by its line and stops nothing. What makes all that follows
 * doubtful is an error: a wrong encoding, a quote that is never closed, a column that is not there.
 * No more than one row is ever in memory. */
#ifndef THAW_ENGINE_DATA_TEXT_TABLE_H
#define THAW_ENGINE_DATA_TEXT_TABLE_H

#include <stdint.h>

#include "engine/data/pack.h"
#include "engine/data/source.h"
#include "engine/data/text_options.h"

#define TEXT_MAX_BYTES (64u << 20) /* of one text, and of one row */

/* Borrowed for the call. */
struct text_row {
    const char *text; /* UTF-8 without NUL; columns stand with PACK_TEXT_JOINT between */
    size_t len;
    const char *label, *group; /* NULL: none */
    size_t label_len, group_len;
    enum pack_split split; /* N_SPLITS: the row does not say */
    int64_t line;
};

struct text_sink {
    enum status (*row)(void *context, const struct text_row *row, struct err *err);
    void (*rejected)(void *context, int64_t line, const char *reason);
    void *context;
};

/* Reads all of it; bytes are in the options' encoding. Errors begin with "Line 17 ..." where there
 * is one; err->code: bad_encoding, bad_table, no_column. */
enum status text_table_read(struct source source, const struct text_options *options,
                            const struct text_sink *sink, struct err *err);

/* What the column of splits may say: a split's name, true, false, 1, 0, yes, no, or nothing. False:
 * none of these. */
bool text_split_named(const char *word, size_t len, enum pack_split *split);

#endif
