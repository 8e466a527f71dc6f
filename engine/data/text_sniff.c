/* text_sniff.c -- see text_sniff.h. */
#include "engine/data/text_sniff.h"

#include <string.h>

#include "base/mem.h"
#include "engine/data/csv.h"

#define RARE      50 /* one control character among so many bytes: a slip in a text; else no text */
#define ROWS_SEEN 20 /* of a table, the first one included */

bool text_is_likely(const void *bytes, size_t len)
{
    const unsigned char *text = bytes;
    size_t controls = 0;
    for (size_t i = 0; i < len; i++)
        controls += text[i] < ' ' && (text[i] == 0 || !strchr("\t\n\v\f\r\x1b\x1f", text[i]));
    return len > 0 && controls <= len / RARE;
}

const char *text_wide_encoding(const void *bytes, size_t len)
{
    const unsigned char *text = bytes;
    size_t zeros[2] = {0};
    if (len >= 2 && ((text[0] == 0xff && text[1] == 0xfe) || (text[0] == 0xfe && text[1] == 0xff)))
        return "utf-16";
    for (size_t i = 0; i < len; i++)
        zeros[i % 2] += text[i] == 0;
    if (len < 8 || zeros[0] + zeros[1] < len / 3)
        return NULL;
    return zeros[1] > 8 * zeros[0] ? "utf-16le" : zeros[0] > 8 * zeros[1] ? "utf-16be" : NULL;
}

char text_separator(enum text_format format)
{
    static const char separators[] = {[TEXT_CSV] = ',',
                                      [TEXT_SEMICOLONS] = ';',
                                      [TEXT_TSV] = '\t',
                                      [TEXT_JSONL] = CSV_LINES,
                                      [TEXT_LINES] = CSV_LINES};
    return separators[format];
}

bool text_has_quotes(enum text_format format, const struct text_options *options)
{
    if (format == TEXT_JSONL || format == TEXT_LINES)
        return false;
    return options->quotes_given ? options->quotes : format != TEXT_TSV;
}

/* What a separator makes of the first rows. */
struct guess {
    size_t columns; /* of the first row */
    size_t rows;    /* seen whole */
    bool even;      /* each has so many */
    bool known;     /* the first row names a column that is looked for */
};

static bool names_a_column(const struct csv_row *row, const struct text_options *options)
{
    for (size_t i = 0; i < row->n && i < CSV_MAX_FIELDS; i++)
        for (int role = 0; role < N_TEXT_ROLES; role++)
            if (text_column_is(options, role, row->fields[i].text))
                return true;
    return false;
}

static struct guess guess(const char *bytes, size_t len, enum text_format format,
                          const struct text_options *options)
{
    struct source_memory memory = {bytes, len};
    struct csv_options parts = {.separator = text_separator(format),
                                .quotes = text_has_quotes(format, options),
                                .max_row = TEXT_SNIFF};
    struct csv *csv = csv_new(source_of_memory(&memory), &parts);
    struct guess guess = {.even = true};
    struct csv_row row;
    struct err cut; /* the bytes may end inside quotes */
    while (guess.rows < ROWS_SEEN && csv_next(csv, &row, &cut) == OK && row.n > 0) {
        if (guess.rows == 0) {
            guess.columns = row.n;
            guess.known = options->header && names_a_column(&row, options);
        }
        guess.even &= row.n == guess.columns;
        guess.rows++;
    }
    csv_free(csv);
    return guess;
}

static bool begins_an_object(const char *bytes, size_t len)
{
    struct json *object = NULL;
    struct err ignored;
    const char *stop = memchr(bytes, '\n', len);
    if (len == 0 || *bytes != '{')
        return false;
    if (!stop && len >= TEXT_SNIFF / 2)
        return true; /* a long one */
    enum status status = json_parse(bytes, stop ? (size_t)(stop - bytes) : len, &object, &ignored);
    bool is_object = !status && json_type(object) == JSON_OBJECT;
    json_free(object);
    return is_object;
}

/* Up to the last line end: what is cut off would look like a short row. */
static size_t whole_lines(const char *bytes, size_t len, bool whole)
{
    const char *last = whole ? NULL : memrchr(bytes, '\n', len);
    return last ? (size_t)(last - bytes) + 1 : len;
}

enum text_format text_sniff(const char *bytes, size_t len, bool whole,
                            const struct text_options *options)
{
    static const enum text_format tables[] = {TEXT_CSV, TEXT_SEMICOLONS, TEXT_TSV};
    bool asked = options->wanted[COLUMN_OF_TEXT] || options->wanted[COLUMN_OF_LABEL];
    size_t mark = len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    size_t blank = mark;
    while (blank < len && memchr(" \t\r\n", bytes[blank], 4))
        blank++;
    if (begins_an_object(bytes + blank, len - blank))
        return TEXT_JSONL;
    enum text_format widest = asked ? TEXT_CSV : TEXT_LINES;
    len = whole_lines(bytes, len, whole);
    size_t most = 2;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        struct guess seen = guess(bytes, len, tables[i], options);
        bool even = seen.even && seen.rows > 1;
        if (seen.known)
            return tables[i];
        if ((asked || even) && seen.columns >= most) {
            most = seen.columns;
            widest = tables[i];
        }
    }
    return widest;
}
