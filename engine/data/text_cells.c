/* text_cells.c -- see text_reading.h: the next row of an upload of text, and what a row's cells
 * say. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/data/layout.h"
#include "engine/data/text_reading.h"

void text_reading_reject(const struct text_reading *reading, int64_t line, const char *reason)
{
    reading->sink->rejected(reading->sink->context, line, reason);
}

void text_reading_note(struct text_reading *reading, const char *name)
{
    size_t len = strlen(reading->names);
    snprintf(reading->names + len, sizeof reading->names - len, "%s%.60s", len ? ", " : "", name);
}

static const char *wanted_or(const struct text_reading *reading, enum text_column role,
                             const char *usual)
{
    const char *wanted = reading->options->wanted[role];
    return wanted ? wanted : usual;
}

/* Columns that were asked for, or that must be, and are not there. */
enum status text_reading_no_column(const struct text_reading *reading, enum text_column role,
                                   struct err *err)
{
    static const struct {
        const char *usual, *hint;
    } texts[N_TEXT_ROLES] = {
        [COLUMN_OF_TEXT] = {"text",
                            "Name it by ?text_column=; where the first row names no columns, say "
                            "?header=false and count them from 0; where it is no table, say "
                            "?format=lines."},
        [COLUMN_OF_LABEL] = {"label", "Name it by ?label_column=; label_column=none if there are "
                                      "no labels."},
        [COLUMN_OF_SPLIT] = {"split", "Name it by ?split_column=, or leave that out."},
        [COLUMN_OF_GROUP] = {"group", "Name it by ?group_column=, or leave that out."},
    };
    err_set(err, E_INVALID, "The upload (%s) has no column \"%.100s\"; it has: %s.",
            text_format_name(reading->format), wanted_or(reading, role, texts[role].usual),
            reading->names);
    err_name(err, "no_column", texts[role].hint);
    return E_INVALID;
}

/* --- Reading -----------------------------------------------------------------------------------
 */

static enum status bad_table(struct err *err)
{
    err_name(err, "bad_table", NULL);
    return E_INVALID;
}

static enum status check_bytes(const struct text_reading *reading, const struct csv_row *row,
                               struct err *err)
{
    size_t n = row->n < CSV_MAX_FIELDS ? row->n : CSV_MAX_FIELDS;
    int64_t line = row->line;
    if (!reading->is_utf8 || row->too_long)
        return OK;
    for (size_t i = 0; i < n; i++) {
        const char *text = row->fields[i].text;
        size_t len = row->fields[i].len, good = 0, step = 1;
        if (utf8_is_valid(text, len)) {
            for (const char *at = text; (at = memchr(at, '\n', len - (size_t)(at - text))); at++)
                line++;
            continue;
        }
        for (; good < len && (step = utf8_sequence(text + good, len - good)); good += step)
            line += text[good] == '\n';
        err_set(err, E_INVALID,
                "Line %lld is not in UTF-8: the byte 0x%02x is wrong there. Name the upload's "
                "encoding by ?encoding= (latin-1, windows-1252, utf-16, ...), or save it as UTF-8.",
                (long long)line, (unsigned char)text[good]);
        err_name(err, "bad_encoding", NULL);
        return E_INVALID;
    }
    return OK;
}

/* The next row that can be looked into. */
enum status text_reading_next(const struct text_reading *reading, struct csv_row *row,
                              struct err *err)
{
    for (;;) {
        enum status status = csv_next(reading->csv, row, err);
        if (status == E_INVALID && !err->code[0])
            return bad_table(err);
        if (status || row->n == 0)
            return status;
        if ((status = check_bytes(reading, row, err)))
            return status;
        if (row->too_long)
            text_reading_reject(reading, row->line,
                                "It is longer than the 64 MiB that one row may have.");
        else if (csv_row_has_nul(row))
            text_reading_reject(reading, row->line, "There is a NUL byte in it.");
        else
            return OK;
    }
}

/* --- What it says ------------------------------------------------------------------------------
 */

bool text_split_named(const char *word, size_t len, enum pack_split *split)
{
    static const struct {
        const char *word;
        enum pack_split split;
    } words[] = {
        {"true", SPLIT_VALID},       {"1", SPLIT_VALID},
        {"yes", SPLIT_VALID},        {"false", SPLIT_TRAIN},
        {"0", SPLIT_TRAIN},          {"no", SPLIT_TRAIN},
        {"unsup", SPLIT_UNLABELLED}, {"unsupervised", SPLIT_UNLABELLED},
        {"dev", SPLIT_VALID},        {"unlabelled", SPLIT_UNLABELLED},
        {"", SPLIT_TRAIN},           {"unlabeled", SPLIT_UNLABELLED},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strlen(words[i].word) != len || strncasecmp(words[i].word, word, len) != 0)
            continue;
        *split = words[i].split;
        return true;
    }
    return layout_split_named(word, len, split);
}

bool text_is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n\v\f\x1f", text[i]) || !text[i])
            return false;
    return true;
}

/* The byte that stands between columns stands nowhere else. */
static void free_of_joints(char *text, size_t len)
{
    for (char *at = text; (at = memchr(at, PACK_TEXT_JOINT, len - (size_t)(at - text)));)
        *at = ' ';
}

static const char *join(struct text_reading *reading, struct text_cells *cells,
                        struct text_row *row)
{
    static const char joint = PACK_TEXT_JOINT;
    struct buf *joined = &reading->joined;
    for (int i = 0; i < cells->n_text; i++)
        free_of_joints(cells->text[i].text, cells->text[i].len);
    row->text = cells->text[0].text;
    row->len = cells->text[0].len;
    if (cells->n_text == 1)
        return NULL;
    buf_clear(joined);
    for (int i = 0; i < cells->n_text; i++)
        if ((i > 0 && !buf_append(joined, &joint, 1)) ||
            !buf_append(joined, cells->text[i].text, cells->text[i].len))
            break;
    row->text = joined->data;
    row->len = joined->len;
    return joined->overflow ? "Its columns of text are too long together." : NULL;
}

static const char *take_split(const struct text_cells *cells, struct text_row *row,
                              char reason[160])
{
    row->split = N_SPLITS;
    for (int i = 0; i < 2; i++) {
        const struct csv_field *cell = &cells->others[COLUMN_OF_SPLIT][i];
        if (!cell->text || (i > 0 && row->split != N_SPLITS && row->split != SPLIT_TRAIN))
            continue;
        if (text_split_named(cell->text, cell->len, &row->split))
            continue;
        snprintf(reason, 160, "Its split \"%.60s\" is none of train, valid, test and unsup.",
                 cell->text);
        return reason;
    }
    return NULL;
}

enum status text_reading_take(struct text_reading *reading, struct text_cells *cells, int64_t line,
                              struct err *err)
{
    char reason[160];
    struct text_row row = {.line = line};
    const struct csv_field *label = &cells->others[COLUMN_OF_LABEL][0],
                           *group = &cells->others[COLUMN_OF_GROUP][0];
    const char *refusal = join(reading, cells, &row);
    if (!refusal)
        refusal = take_split(cells, &row, reason);
    if (!refusal && text_is_blank(row.text, row.len))
        refusal = "Its text is empty.";
    if (!refusal && label->len > PACK_MAX_NAME)
        refusal = "Its label is longer than 1024 bytes.";
    if (refusal) {
        text_reading_reject(reading, line, refusal);
        return OK;
    }
    if (label->text && !text_is_blank(label->text, label->len)) {
        row.label = label->text;
        row.label_len = label->len;
    }
    if (group->text && group->len) {
        row.group = group->text;
        row.group_len = group->len;
    }
    return reading->sink->row(reading->sink->context, &row, err);
}
