/* text_table.c -- see text_table.h. */
#include "engine/data/text_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/data/encoding.h"
#include "engine/data/text_reading.h"
#include "engine/data/text_sniff.h"

/* --- Columns ---------------------------------------------------------------------------------- */

static void add_column(struct text_reading *reading, enum text_column role, int column)
{
    if (role == COLUMN_OF_TEXT && reading->n_text < TEXT_MAX_COLUMNS)
        reading->text[reading->n_text++] = column;
    else if (role != COLUMN_OF_TEXT && reading->n_others[role] < 2)
        reading->others[role][reading->n_others[role]++] = column;
}

/* Whether all roles that must have a column have one; `n_free` columns have no role. */
static enum status check_columns(const struct text_reading *reading, size_t n_free, struct err *err)
{
    const struct text_options *options = reading->options;
    bool no_labels = text_options_forbid_labels(options);
    if (reading->n_text == 0)
        return text_reading_no_column(reading, COLUMN_OF_TEXT, err);
    for (int role = 0; role < COLUMN_OF_TEXT; role++)
        if (options->wanted[role] && reading->n_others[role] == 0 &&
            !(role == COLUMN_OF_LABEL && no_labels))
            return text_reading_no_column(reading, role, err);
    /* What nobody named may be the labels: better asked than trained without. */
    if (reading->n_others[COLUMN_OF_LABEL] == 0 && n_free > 0 && !no_labels)
        return text_reading_no_column(reading, COLUMN_OF_LABEL, err);
    return OK;
}

/* Several columns of text are taken in the order in which they were asked for. */
static void find_text_columns(struct text_reading *reading, const struct csv_row *header,
                              bool *taken)
{
    char list[1024];
    const char *wanted = reading->options->wanted[COLUMN_OF_TEXT];
    snprintf(list, sizeof list, "%s", wanted);
    for (char *name = list, *next; name; name = next) {
        struct text_options one = {.wanted = {[COLUMN_OF_TEXT] = name}};
        if ((next = strchr(name, ',')))
            *next++ = 0;
        for (size_t i = 0; i < header->n; i++)
            if (!taken[i] && text_column_is(&one, COLUMN_OF_TEXT, header->fields[i].text)) {
                add_column(reading, COLUMN_OF_TEXT, (int)i);
                taken[i] = true;
                break;
            }
    }
}

static enum status find_columns(struct text_reading *reading, const struct csv_row *header,
                                struct err *err)
{
    bool taken[CSV_MAX_FIELDS] = {false};
    size_t n_free = 0;
    for (size_t i = 0; i < header->n; i++)
        text_reading_note(reading, header->fields[i].text);
    if (reading->options->wanted[COLUMN_OF_TEXT])
        find_text_columns(reading, header, taken);
    for (size_t i = 0; i < header->n; i++) {
        for (int role = 0; role < N_TEXT_ROLES && !taken[i]; role++) {
            bool full = role == COLUMN_OF_TEXT
                            ? reading->n_text > 0
                            : reading->n_others[role] >= (role == COLUMN_OF_SPLIT ? 2 : 1);
            if (full || !text_column_is(reading->options, role, header->fields[i].text))
                continue;
            add_column(reading, role, (int)i);
            taken[i] = true;
        }
        n_free += !taken[i];
    }
    return check_columns(reading, n_free, err);
}

/* Columns by number, from 0. */
static enum status count_columns(struct text_reading *reading, struct err *err)
{
    size_t n_free = reading->n_columns;
    snprintf(reading->names, sizeof reading->names, "%zu, counted from 0", reading->n_columns);
    for (int role = 0; role < N_TEXT_ROLES; role++) {
        const char *at = reading->options->wanted[role];
        bool none = role == COLUMN_OF_LABEL && text_options_forbid_labels(reading->options);
        while (at && *at && !none) {
            char *end;
            unsigned long number = strtoul(at, &end, 10);
            bool is_number = at[strspn(at, " ")] >= '0' && at[strspn(at, " ")] <= '9';
            if (!is_number || (*end && *end != ',') || number >= reading->n_columns)
                return text_reading_no_column(reading, role, err);
            add_column(reading, role, (int)number);
            n_free -= n_free > 0;
            at = *end ? end + 1 : end;
        }
    }
    if (reading->n_columns == 1 && reading->n_text == 0) {
        add_column(reading, COLUMN_OF_TEXT, 0);
        n_free = 0;
    }
    return check_columns(reading, n_free, err);
}

/* --- Rows ---------------------------------------------------------------------------------------
 */

static enum status take_table_row(struct text_reading *reading, const struct csv_row *row,
                                  struct err *err)
{
    struct text_cells cells = {.n_text = reading->n_text};
    char reason[120];
    if (row->n != reading->n_columns) {
        snprintf(reason, sizeof reason, "It has %zu fields, and the first row has %zu.", row->n,
                 reading->n_columns);
        text_reading_reject(reading, row->line, reason);
        return OK;
    }
    for (int i = 0; i < reading->n_text; i++)
        cells.text[i] = row->fields[reading->text[i]];
    for (int role = 0; role < COLUMN_OF_TEXT; role++)
        for (int i = 0; i < reading->n_others[role]; i++)
            cells.others[role][i] = row->fields[reading->others[role][i]];
    return text_reading_take(reading, &cells, row->line, err);
}

static enum status read_table(struct text_reading *reading, struct err *err)
{
    struct csv_row row;
    enum status status = text_reading_next(reading, &row, err);
    if (status || row.n == 0)
        return status;
    if (row.n > CSV_MAX_FIELDS) {
        err_set(err, E_INVALID, "Line %lld has %zu columns; a table has at most %d.",
                (long long)row.line, row.n, CSV_MAX_FIELDS);
        err_name(err, "bad_table", NULL);
        return E_INVALID;
    }
    reading->n_columns = row.n;
    status =
        reading->options->header ? find_columns(reading, &row, err) : count_columns(reading, err);
    if (!status && !reading->options->header)
        status = take_table_row(reading, &row, err);
    while (!status && !(status = text_reading_next(reading, &row, err)) && row.n > 0)
        status = take_table_row(reading, &row, err);
    return status;
}

static enum status take_line(struct text_reading *reading, const struct csv_row *row,
                             struct err *err)
{
    struct text_cells cells = {.n_text = 1, .text = {row->fields[0]}};
    struct pattern_group groups[2];
    bool found = true;
    enum status status = OK;
    if (!reading->options->line && text_is_blank(row->fields[0].text, row->fields[0].len))
        return OK; /* as a line without spaces would be */
    if (reading->options->line)
        status = pattern_match_named(reading->options->line, row->fields[0].text,
                                     row->fields[0].len, groups, &found, err);
    if (status)
        return err_prefix(err, "Line %lld: ", (long long)row->line);
    if (!found) {
        text_reading_reject(reading, row->line, "line_regex does not match it.");
        return OK;
    }
    if (reading->options->line) {
        char *line = row->fields[0].text;
        cells.text[0] =
            (struct csv_field){line + (groups[0].text ? groups[0].text - line : 0), groups[0].len};
        if (groups[1].text)
            cells.others[COLUMN_OF_LABEL][0] =
                (struct csv_field){line + (groups[1].text - line), groups[1].len};
    }
    return text_reading_take(reading, &cells, row->line, err);
}

static enum status read_lines(struct text_reading *reading, struct err *err)
{
    struct csv_row row;
    enum status status;
    while (!(status = text_reading_next(reading, &row, err)) && row.n > 0)
        if ((status = take_line(reading, &row, err)))
            break;
    return status;
}

/* --- All of it ---------------------------------------------------------------------------------
 */

/* The first bytes, looked at already, and then the rest. */
struct ahead {
    struct source rest;
    char *bytes; /* owned */
    size_t at, len;
    bool whole; /* there is no rest */
};

static enum status read_ahead(void *context, void *bytes, size_t size, size_t *got, struct err *err)
{
    struct ahead *ahead = context;
    size_t left = ahead->len - ahead->at;
    if (left == 0 && !ahead->whole)
        return ahead->rest.read(ahead->rest.context, bytes, size, got, err);
    *got = left < size ? left : size;
    memcpy(bytes, ahead->bytes + ahead->at, *got);
    ahead->at += *got;
    return OK;
}

static enum status look_ahead(struct ahead *ahead, struct err *err)
{
    size_t got = 1;
    enum status status = OK;
    while (!status && got && ahead->len < TEXT_SNIFF) {
        status = ahead->rest.read(ahead->rest.context, ahead->bytes + ahead->len,
                                  TEXT_SNIFF - ahead->len, &got, err);
        ahead->len += status ? 0 : got;
    }
    ahead->whole = !got;
    return status;
}

static enum status read_format(struct text_reading *reading, struct source source, struct err *err)
{
    struct csv_options options = {.separator = text_separator(reading->format),
                                  .quotes = text_has_quotes(reading->format, reading->options),
                                  .max_row = TEXT_MAX_BYTES};
    reading->csv = csv_new(source, &options);
    buf_init(&reading->joined, TEXT_MAX_BYTES);
    enum status status = reading->format == TEXT_JSONL   ? text_objects_read(reading, err)
                         : reading->format == TEXT_LINES ? read_lines(reading, err)
                                                         : read_table(reading, err);
    csv_free(reading->csv);
    buf_deinit(&reading->joined);
    return status;
}

enum status text_table_read(struct source source, const struct text_options *options,
                            const struct text_sink *sink, struct err *err)
{
    struct text_reading reading = {.options = options, .sink = sink, .format = options->format};
    struct decoder *decoder = NULL;
    struct ahead ahead = {.rest = source};
    enum status status = OK;
    reading.is_utf8 = encoding_is_utf8(options->encoding);
    if (!reading.is_utf8) {
        status = decoder_new(options->encoding, source, &decoder, err);
        if (status)
            return status;
        ahead.rest = decoder_source(decoder);
    }
    ahead.bytes = mem_alloc(TEXT_SNIFF);
    status = look_ahead(&ahead, err);
    if (!status && reading.format == TEXT_UNKNOWN)
        reading.format = text_sniff(ahead.bytes, ahead.len, ahead.whole, options);
    if (!status)
        status = read_format(&reading, (struct source){read_ahead, &ahead}, err);
    mem_free(ahead.bytes);
    decoder_free(decoder);
    return status;
}
