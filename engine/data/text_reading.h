/* text_reading.h -- an upload of text while it is read: what text_table.c (tables), text_objects.c
 * (JSON lines) and text_cells.c (what a row says) share. */
#ifndef THAW_ENGINE_DATA_TEXT_READING_H
#define THAW_ENGINE_DATA_TEXT_READING_H

#include "base/buf.h"
#include "engine/data/csv.h"
#include "engine/data/text_table.h"

struct text_reading {
    const struct text_options *options;
    const struct text_sink *sink;
    enum text_format format;
    bool is_utf8; /* as it comes: to be checked; else the decoder has seen to it */
    struct csv *csv;
    struct buf joined; /* a text of several columns */
    char names[400];   /* of the columns there are, for sentences */
    /* Of csv and tsv: */
    size_t n_columns; /* of the first row */
    int text[TEXT_MAX_COLUMNS], n_text;
    int others[N_TEXT_ROLES][2], n_others[N_TEXT_ROLES]; /* two columns may say a split */
    /* Of JSON lines, where every row names its own: */
    bool saw_text, saw_label, saw_others;
};

/* A row's cells by role. What is not there has no text. */
struct text_cells {
    struct csv_field text[TEXT_MAX_COLUMNS];
    int n_text;
    struct csv_field others[N_TEXT_ROLES][2];
};

/* The next row that can be looked into; those that cannot are rejected. n is 0 at the end. */
enum status text_reading_next(const struct text_reading *reading, struct csv_row *row,
                              struct err *err);
/* Hands the row to the sink, or rejects it. */
enum status text_reading_take(struct text_reading *reading, struct text_cells *cells, int64_t line,
                              struct err *err);
void text_reading_reject(const struct text_reading *reading, int64_t line, const char *reason);

bool text_is_blank(const char *text, size_t len); /* spaces, or nothing */

/* For the sentence below: another column that there is. */
void text_reading_note(struct text_reading *reading, const char *name);
/* E_INVALID: a column that was asked for, or that must be, is not there. */
enum status text_reading_no_column(const struct text_reading *reading, enum text_column role,
                                   struct err *err);

/* All rows of a JSON-lines file. */
enum status text_objects_read(struct text_reading *reading, struct err *err);

#endif
