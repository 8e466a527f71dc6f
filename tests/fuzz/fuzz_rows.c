/* fuzz_rows.c -- an upload of text, cut into pieces as the second byte says, read as the first
 * says: every row is UTF-8 without NUL, on a line that grows; an error is a sentence; and however
 * it is cut, the rows are the same. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>

#include "base/utf8.h"
#include "engine/data/text_table.h"

struct piecewise {
    const uint8_t *bytes;
    size_t left, step;
};

static enum status read_piece(void *context, void *bytes, size_t size, size_t *got, struct err *err)
{
    struct piecewise *source = context;
    (void)err;
    size_t n = source->left < source->step ? source->left : source->step;
    *got = n < size ? n : size;
    if (*got)
        memcpy(bytes, source->bytes, *got);
    source->bytes += *got;
    source->left -= *got;
    return OK;
}

struct seen {
    int64_t line;
    uint64_t hash;
};

static void mix(struct seen *seen, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        seen->hash = (seen->hash ^ (uint8_t)text[i]) * 1099511628211u;
    seen->hash = (seen->hash ^ len) * 1099511628211u;
}

static void advance(struct seen *seen, int64_t line)
{
    promise(line > seen->line);
    seen->line = line;
}

static enum status on_row(void *context, const struct text_row *row, struct err *err)
{
    struct seen *seen = context;
    (void)err;
    advance(seen, row->line);
    promise(row->len > 0 && row->len <= TEXT_MAX_BYTES && row->split <= N_SPLITS);
    promise(utf8_is_valid(row->text, row->len) && !memchr(row->text, 0, row->len));
    if (row->label)
        promise(row->label_len > 0 && row->label_len <= PACK_MAX_NAME &&
                utf8_is_valid(row->label, row->label_len) &&
                !memchr(row->label, 0, row->label_len));
    mix(seen, row->text, row->len);
    if (row->label)
        mix(seen, row->label, row->label_len);
    return OK;
}

static void on_rejected(void *context, int64_t line, const char *reason)
{
    struct seen *seen = context;
    advance(seen, line);
    promise(reason[0] != 0);
    mix(seen, reason, strlen(reason));
}

static void read_by(const uint8_t *data, size_t size, const struct text_options *options,
                    size_t step, struct seen *seen)
{
    struct piecewise pieces = {data, size, step};
    struct text_sink sink = {on_row, on_rejected, seen};
    struct err err = {0};
    if (text_table_read((struct source){read_piece, &pieces}, options, &sink, &err) == OK)
        return;
    promise(err.detail[0] && err.code[0]);
    mix(seen, err.detail, strlen(err.detail));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ways[] = {
        "{}",
        "{\"format\": \"csv\", \"header\": \"false\", \"text_column\": \"0\", \"label_column\": "
        "\"1\"}",
        "{\"format\": \"tsv\", \"text_column\": \"b,a\", \"label_column\": \"none\"}",
        "{\"format\": \"jsonl\", \"text_column\": \"a,text\", \"label_column\": \"none\"}",
        "{\"line_regex\": \"(?<label>[A-Z]+):(?<text>.*)\"}",
        "{\"encoding\": \"utf-16\"}",
        "{\"encoding\": \"shift_jis\"}",
        "{\"format\": \"semicolons\", \"quotes\": \"false\", \"group_column\": \"g\"}",
    };
    struct json *object = NULL;
    struct text_options options;
    struct err err = {0};
    struct seen whole = {0}, cut = {0};
    if (size < 2)
        return 0;
    const char *way = ways[data[0] % (sizeof ways / sizeof *ways)];
    promise(json_parse(way, strlen(way), &object, &err) == OK);
    promise(text_options_init(&options, object, &err) == OK);
    read_by(data + 2, size - 2, &options, SIZE_MAX, &whole);
    read_by(data + 2, size - 2, &options, 1 + data[1] % 32, &cut);
    promise(whole.hash == cut.hash && whole.line == cut.line);
    text_options_deinit(&options);
    json_free(object);
    return 0;
}
