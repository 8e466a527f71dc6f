/* csv.c -- see csv.h.
 *
 * A row is [row, to) of the buffer, its bytes without quotes; [at, end) was read and not yet looked
 * at. `to` never passes `at`, so unquoting moves bytes down and needs no second buffer; and since
 * the byte that ended a field was consumed, there is room for its terminator. What crosses the end
 * of the buffer is only the state below: any cut of the stream gives the same rows. */
#include "engine/data/csv.h"

#include <string.h>

#include "base/mem.h"

#define BLOCK (256u << 10)

enum state {
    FIELD_BEGINS,
    PLAIN,
    QUOTED,
    QUOTE_SEEN, /* inside a quoted field: it ends here, or the next byte is a quote too */
    LINE_ENDING /* behind a closing quote and CR: LF has to follow */
};

struct csv {
    struct source source;
    struct csv_options options;
    char *buffer;    /* owned; one byte more than capacity */
    size_t capacity; /* grows to max_row and two blocks */
    size_t row, to, at, end;
    bool ended;   /* the source has */
    bool started; /* the byte order mark is behind */
    int64_t next_line, quote_line;
    enum state state;
    size_t field; /* where the present one begins */
    bool too_long;
    struct csv_field fields[CSV_MAX_FIELDS]; /* their text is set when the row is whole */
    size_t offsets[CSV_MAX_FIELDS];          /* from `row` */
    size_t n;
};

struct csv *csv_new(struct source source, const struct csv_options *options)
{
    struct csv *csv = mem_alloc(sizeof *csv);
    csv->source = source;
    csv->options = *options;
    csv->capacity = BLOCK;
    csv->buffer = mem_alloc(csv->capacity + 1);
    csv->next_line = 1;
    return csv;
}

void csv_free(struct csv *csv)
{
    if (!csv)
        return;
    mem_free(csv->buffer);
    mem_free(csv);
}

/* --- The buffer ------------------------------------------------------------------------------- */

static enum status grow(struct csv *csv, struct err *err)
{
    void *larger;
    size_t most = csv->options.max_row + 2 * (size_t)BLOCK;
    size_t capacity = csv->capacity * 2 < most ? csv->capacity * 2 : most;
    enum status status = mem_try_alloc(capacity + 1, 1, "a row of a table", &larger, err);
    if (status)
        return status;
    memcpy(larger, csv->buffer, csv->end);
    mem_free(csv->buffer);
    csv->buffer = larger;
    csv->capacity = capacity;
    return OK;
}

/* What the row is made of is not wanted any more; where it ends is. */
static void forget(struct csv *csv)
{
    csv->too_long = true;
    csv->field = csv->to = csv->row;
}

/* Everything was looked at: moves the row to the front and reads on behind it. */
static enum status refill(struct csv *csv, struct err *err)
{
    size_t kept = csv->to - csv->row, got;
    enum status status = OK;
    if (kept > csv->options.max_row || csv->too_long) {
        forget(csv);
        kept = 0;
    }
    if (kept && csv->row)
        memmove(csv->buffer, csv->buffer + csv->row, kept);
    csv->field -= csv->row;
    csv->row = 0;
    csv->to = csv->at = csv->end = kept;
    if (csv->capacity - kept < BLOCK / 2)
        status = grow(csv, err);
    if (!status)
        status = csv->source.read(csv->source.context, csv->buffer + csv->end,
                                  csv->capacity - csv->end, &got, err);
    if (status)
        return status;
    csv->end += got;
    csv->ended = got == 0;
    return OK;
}

static enum status skip_mark(struct csv *csv, struct err *err)
{
    static const char mark[3] = {'\xef', '\xbb', '\xbf'};
    enum status status = OK;
    csv->started = true;
    while (!status && !csv->ended && csv->end < sizeof mark) {
        size_t got;
        status = csv->source.read(csv->source.context, csv->buffer + csv->end,
                                  csv->capacity - csv->end, &got, err);
        csv->end += status ? 0 : got;
        csv->ended = !status && got == 0;
    }
    if (!status && csv->end >= sizeof mark && memcmp(csv->buffer, mark, sizeof mark) == 0)
        csv->at = sizeof mark;
    return status;
}

/* --- Fields ----------------------------------------------------------------------------------- */

/* Takes the `n` bytes at `at` into the field. */
static void take(struct csv *csv, size_t n)
{
    if (csv->to != csv->at)
        memmove(csv->buffer + csv->to, csv->buffer + csv->at, n);
    csv->to += n;
    csv->at += n;
}

/* The field is whole; the byte that ended it has been consumed, or nothing follows. */
static void end_field(struct csv *csv)
{
    if (csv->n < CSV_MAX_FIELDS) {
        csv->offsets[csv->n] = csv->field - csv->row;
        csv->fields[csv->n].len = csv->to - csv->field;
    }
    csv->n++;
    csv->buffer[csv->to] = 0;
    csv->to = csv->to < csv->at ? csv->to + 1 : csv->to;
    csv->field = csv->to;
    csv->state = FIELD_BEGINS;
}

/* A line end was consumed. False: the line was blank, and nothing of it stays. */
static bool end_row(struct csv *csv)
{
    bool plain = csv->state == PLAIN || csv->state == FIELD_BEGINS;
    if (plain && csv->to > csv->field && csv->buffer[csv->to - 1] == '\r')
        csv->to--;
    if (plain && csv->n == 0 && csv->to == csv->field && !csv->too_long) {
        csv->row = csv->to = csv->field = csv->at;
        csv->state = FIELD_BEGINS;
        return false;
    }
    end_field(csv);
    return true;
}

static enum status text_follows(const struct csv *csv, struct err *err)
{
    return err_set(err, E_INVALID,
                   "On line %lld text follows a closing quote, of the field that opens on line "
                   "%lld: a quote inside a quoted field is written twice.",
                   (long long)csv->next_line, (long long)csv->quote_line);
}

/* Up to a separator or a line end, or all there is. True: the row is whole. */
static bool scan_plain(struct csv *csv)
{
    const char *text = csv->buffer + csv->at;
    size_t n = 0, left = csv->end - csv->at;
    const char separator = csv->options.separator;
    while (n < left && text[n] != '\n' && text[n] != separator)
        n++;
    csv->state = n ? PLAIN : csv->state;
    take(csv, n);
    if (n == left)
        return false;
    bool line_ends = csv->buffer[csv->at++] == '\n';
    csv->next_line += line_ends;
    if (line_ends)
        return end_row(csv);
    end_field(csv);
    return false;
}

static void scan_quoted(struct csv *csv)
{
    const char *text = csv->buffer + csv->at, *end = csv->buffer + csv->end;
    const char *quote = memchr(text, '"', (size_t)(end - text));
    const char *stop = quote ? quote : end;
    for (const char *line = text; (line = memchr(line, '\n', (size_t)(stop - line))); line++)
        csv->next_line++;
    take(csv, (size_t)(stop - text));
    if (quote) {
        csv->at++;
        csv->state = QUOTE_SEEN;
    }
}

/* The byte behind a quote that stood in a quoted field. */
static enum status scan_behind_quote(struct csv *csv, bool *whole, struct err *err)
{
    char byte = csv->buffer[csv->at];
    if (csv->state == QUOTE_SEEN && byte == '"') {
        take(csv, 1);
        csv->state = QUOTED;
        return OK;
    }
    if (csv->state == QUOTE_SEEN && byte == '\r') {
        csv->at++;
        csv->state = LINE_ENDING;
        return OK;
    }
    bool separates = csv->state == QUOTE_SEEN && byte == csv->options.separator;
    if (byte != '\n' && !separates)
        return text_follows(csv, err);
    csv->at++;
    csv->next_line += byte == '\n';
    *whole = byte == '\n';
    end_field(csv);
    return OK;
}

static enum status scan(struct csv *csv, bool *whole, struct err *err)
{
    switch (csv->state) {
    case FIELD_BEGINS:
        if (csv->options.quotes && csv->buffer[csv->at] == '"') {
            csv->quote_line = csv->next_line;
            csv->state = QUOTED;
            csv->at++;
            return OK;
        }
        *whole = scan_plain(csv);
        return OK;
    case PLAIN:
        *whole = scan_plain(csv);
        return OK;
    case QUOTED:
        scan_quoted(csv);
        return OK;
    case QUOTE_SEEN:
    case LINE_ENDING:
        return scan_behind_quote(csv, whole, err);
    }
    return OK;
}

/* The stream ended in the middle of a row, or between two. */
static enum status end_stream(struct csv *csv, struct err *err)
{
    if (csv->state == QUOTED)
        return err_set(err, E_INVALID, "The quote that opens on line %lld is never closed.",
                       (long long)csv->quote_line);
    if (csv->state == LINE_ENDING)
        return text_follows(csv, err);
    if (csv->state != FIELD_BEGINS || csv->n > 0)
        end_field(csv);
    return OK;
}

static void begin_row(struct csv *csv)
{
    csv->row = csv->to = csv->field = csv->at;
    csv->n = 0;
    csv->too_long = false;
    csv->state = FIELD_BEGINS;
}

static void hand_over(struct csv *csv, struct csv_row *row)
{
    csv->too_long |= csv->to - csv->row > csv->options.max_row;
    size_t most = csv->too_long ? 0 : CSV_MAX_FIELDS, kept = csv->n < most ? csv->n : most;
    for (size_t i = 0; i < kept; i++)
        csv->fields[i].text = csv->buffer + csv->row + csv->offsets[i];
    row->fields = csv->fields;
    row->n = csv->n;
    row->too_long = csv->too_long;
}

enum status csv_next(struct csv *csv, struct csv_row *row, struct err *err)
{
    bool whole = false;
    enum status status = csv->started ? OK : skip_mark(csv, err);
    begin_row(csv);
    while (!status && !whole) {
        if (csv->n == 0 && csv->state == FIELD_BEGINS)
            row->line = csv->next_line;
        if (csv->at < csv->end) {
            status = scan(csv, &whole, err);
        } else if (!csv->ended) {
            status = refill(csv, err);
        } else {
            status = end_stream(csv, err);
            whole = true;
        }
    }
    if (!status)
        hand_over(csv, row);
    return status;
}

bool csv_row_has_nul(const struct csv_row *row)
{
    size_t n = row->n < CSV_MAX_FIELDS ? row->n : CSV_MAX_FIELDS;
    for (size_t i = 0; i < n && !row->too_long; i++)
        if (memchr(row->fields[i].text, 0, row->fields[i].len))
            return true;
    return false;
}
