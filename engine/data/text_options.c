/* text_options.c -- see text_options.h. */
#include "engine/data/text_options.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "engine/data/encoding.h"

static const struct {
    const char *name;
    enum text_format format;
} formats[] = {
    {"csv", TEXT_CSV},     {"semicolons", TEXT_SEMICOLONS}, {"tsv", TEXT_TSV},
    {"jsonl", TEXT_JSONL}, {"lines", TEXT_LINES},
};

static const struct {
    const char *option; /* that names the column */
    const char *usual[8];
} roles[N_TEXT_ROLES] = {
    [COLUMN_OF_TEXT] = {"text_column",
                        {"text", "texts", "sentence", "review", "message", "content", "document"}},
    [COLUMN_OF_LABEL] = {"label_column", {"label", "labels", "class", "category"}},
    [COLUMN_OF_SPLIT] = {"split_column", {"split", "is_valid"}},
    [COLUMN_OF_GROUP] = {"group_column", {NULL}},
};

const char *text_format_name(enum text_format format)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].format == format)
            return formats[i].name;
    return "text";
}

static enum status refuse(struct err *err)
{
    err_name(err, "bad_option", NULL);
    return E_INVALID;
}

static enum status read_format(const char *name, enum text_format *format, struct err *err)
{
    *format = TEXT_UNKNOWN;
    for (size_t i = 0; name && i < ARRAY_LEN(formats); i++)
        if (strcasecmp(formats[i].name, name) == 0)
            *format = formats[i].format;
    if (!name || *format != TEXT_UNKNOWN)
        return OK;
    err_set(err, E_INVALID, "format is \"%.40s\"; it takes csv, semicolons, tsv, jsonl or lines.",
            name);
    return refuse(err);
}

static enum status read_bool(const struct json *object, const char *key, bool *value, bool *given,
                             struct err *err)
{
    const char *text = json_string(object, key, NULL);
    *given = text != NULL;
    if (!text)
        return OK;
    *value = strcmp(text, "true") == 0;
    if (*value || strcmp(text, "false") == 0)
        return OK;
    err_set(err, E_INVALID, "%s is \"%.40s\"; it takes true or false.", key, text);
    return refuse(err);
}

static enum status read_line_regex(struct text_options *options, const char *expression,
                                   struct err *err)
{
    static const char *const names[] = {"text", "label"};
    bool lines = options->format == TEXT_UNKNOWN || options->format == TEXT_LINES;
    if (!expression)
        return OK;
    if (!lines || options->wanted[COLUMN_OF_TEXT] || options->wanted[COLUMN_OF_LABEL]) {
        err_set(err, E_INVALID,
                "line_regex takes each line apart, so the upload is no table: leave out %s.",
                lines ? "text_column and label_column" : "format, or say format=lines");
        return refuse(err);
    }
    options->format = TEXT_LINES;
    return pattern_new_named("line_regex", expression, names, ARRAY_LEN(names), &options->line,
                             err);
}

enum status text_options_init(struct text_options *options, const struct json *object,
                              struct err *err)
{
    bool given;
    *options = (struct text_options){.header = true};
    for (int role = 0; role < N_TEXT_ROLES; role++)
        options->wanted[role] = json_string(object, roles[role].option, NULL);
    options->encoding = json_string(object, "encoding", NULL);
    enum status status = read_format(json_string(object, "format", NULL), &options->format, err);
    if (!status)
        status = read_bool(object, "header", &options->header, &given, err);
    if (!status)
        status = read_bool(object, "quotes", &options->quotes, &options->quotes_given, err);
    if (!status && options->encoding)
        status = encoding_check(options->encoding, err);
    if (!status)
        status = read_line_regex(options, json_string(object, "line_regex", NULL), err);
    return status;
}

void text_options_deinit(struct text_options *options)
{
    pattern_free(options->line);
    options->line = NULL;
}

/* `list` is names with commas between. */
static bool is_listed(const char *list, const char *name)
{
    for (size_t len = strlen(name); *list; list += strcspn(list, ","), list += *list == ',') {
        list += strspn(list, " ");
        size_t n = strcspn(list, ",");
        while (n > 0 && list[n - 1] == ' ')
            n--;
        if (n == len && strncasecmp(list, name, n) == 0)
            return true;
    }
    return false;
}

bool text_column_is(const struct text_options *options, enum text_column role, const char *name)
{
    const char *wanted = options->wanted[role];
    if (wanted)
        return role == COLUMN_OF_TEXT ? is_listed(wanted, name) : strcasecmp(wanted, name) == 0;
    for (const char *const *usual = roles[role].usual; *usual; usual++)
        if (strcasecmp(name, *usual) == 0)
            return true;
    return false;
}

bool text_options_forbid_labels(const struct text_options *options)
{
    const char *wanted = options->wanted[COLUMN_OF_LABEL];
    return wanted && strcasecmp(wanted, "none") == 0;
}
