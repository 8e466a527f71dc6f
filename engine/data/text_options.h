/* text_options.h -- how an upload of text is to be read, as the client says it.
 *
 * Everything is optional. `format` and `quotes` are found out by looking where nothing is said
 * (text_sniff.h), columns by their usual names:
 *
 *     text   text, texts, sentence, review, message, content, document
 *     label  label, labels, class, category
 *     split  split (train, valid, val, validation, test, unsup), is_valid (true, false, 1, 0) */
#ifndef THAW_ENGINE_DATA_TEXT_OPTIONS_H
#define THAW_ENGINE_DATA_TEXT_OPTIONS_H

#include <stdbool.h>

#include "base/json.h"
#include "engine/data/pattern.h"

enum text_format { TEXT_UNKNOWN, TEXT_CSV, TEXT_SEMICOLONS, TEXT_TSV, TEXT_JSONL, TEXT_LINES };

const char *text_format_name(enum text_format format); /* "csv" */

enum text_column {
    COLUMN_OF_LABEL,
    COLUMN_OF_SPLIT,
    COLUMN_OF_GROUP,
    COLUMN_OF_TEXT,
    N_TEXT_ROLES
};

#define TEXT_MAX_COLUMNS 16 /* of text */

struct text_options {
    enum text_format format;
    bool header;                      /* the first row names the columns */
    bool quotes, quotes_given;        /* quoted fields; else csv has them and tsv has not */
    const char *wanted[N_TEXT_ROLES]; /* borrowed; text: names with commas between; or NULL */
    const char *encoding;             /* borrowed, or NULL */
    struct pattern *line;             /* owned; groups text, label; or NULL */
};

/* `options` is borrowed until text_options_deinit; keys that are not about texts are passed over.
 * E_INVALID: a value that means nothing, options that exclude each other. */
enum status text_options_init(struct text_options *options, const struct json *object,
                              struct err *err);
void text_options_deinit(struct text_options *options);

/* Is a column of this name what the options want for the role, or, where they say nothing, one of
 * its usual names? */
bool text_column_is(const struct text_options *options, enum text_column role, const char *name);
/* "none" as label_column: the rows have no labels. */
bool text_options_forbid_labels(const struct text_options *options);

#endif
