/* csv.c -- see csv.h. */
#include "engine/data/csv.h"

#include <stdbool.h>
#include <string.h>

void csv_init(struct csv *csv, char *text, size_t len, char separator)
{
    static const char mark[3] = {'\xef', '\xbb', '\xbf'};
    *csv = (struct csv){.at = text, .end = text + len, .separator = separator, .next_line = 1};
    if (len >= sizeof mark && memcmp(text, mark, sizeof mark) == 0)
        csv->at += sizeof mark;
}

/* Bytes of the line end at `at`: 1, 2, or 0 when there is none. */
static size_t line_end(const struct csv *csv, const char *at)
{
    if (at < csv->end && *at == '\n')
        return 1;
    return csv->end - at >= 2 && at[0] == '\r' && at[1] == '\n' ? 2 : 0;
}

static bool is_over(const struct csv *csv, const char *at)
{
    return at >= csv->end || *at == csv->separator || line_end(csv, at) > 0;
}

/* The field behind the quote at csv->at, moved down over its quotes. */
static enum status take_quoted(struct csv *csv, char **last, struct err *err)
{
    char *from = csv->at + 1, *to = csv->at;
    int64_t opened = csv->next_line;
    while (from < csv->end && (*from != '"' || (from + 1 < csv->end && from[1] == '"'))) {
        csv->next_line += *from == '\n';
        from += *from == '"';
        *to++ = *from++;
    }
    if (from >= csv->end)
        return err_set(err, E_INVALID, "The quote that opens on line %lld is never closed.",
                       (long long)opened);
    csv->at = from + 1;
    *last = to;
    if (!is_over(csv, csv->at))
        return err_set(err, E_INVALID,
                       "On line %lld text follows a closing quote: a quote inside a quoted field "
                       "is written twice.",
                       (long long)csv->next_line);
    return OK;
}

static enum status take_field(struct csv *csv, char **field, bool *row_ends, struct err *err)
{
    char *last = csv->at;
    enum status status = OK;
    *field = csv->at;
    if (csv->at < csv->end && *csv->at == '"') {
        status = take_quoted(csv, &last, err);
    } else {
        while (!is_over(csv, csv->at))
            csv->at++;
        last = csv->at;
    }
    if (status)
        return status;
    if (memchr(*field, 0, (size_t)(last - *field)))
        return err_set(err, E_INVALID, "There is a NUL byte on line %lld: this is no text file.",
                       (long long)csv->line);
    size_t ends = line_end(csv, csv->at);
    *row_ends = csv->at >= csv->end || ends > 0;
    csv->next_line += ends > 0;
    csv->at += *row_ends ? ends : 1;
    *last = 0;
    return OK;
}

enum status csv_next(struct csv *csv, char **fields, size_t max, size_t *n, struct err *err)
{
    bool row_ends = false;
    for (size_t ends; (ends = line_end(csv, csv->at)) > 0; csv->at += ends)
        csv->next_line++;
    csv->line = csv->next_line;
    *n = 0;
    if (csv->at >= csv->end)
        return OK;
    while (!row_ends) {
        if (*n == max)
            return err_set(err, E_INVALID, "Line %lld has more than %zu fields.",
                           (long long)csv->line, max);
        enum status status = take_field(csv, &fields[(*n)++], &row_ends, err);
        if (status)
            return status;
    }
    return OK;
}
