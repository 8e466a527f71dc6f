#include "engine/worker/flags.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/nearest.h"

#define MAX_FLAGS     32
#define MAX_JSON_FILE (4u << 20)

/* A command line as it is read: values under the flags' whole keys, dots and all. */
struct line {
    const struct verb *verb;
    struct json *values;            /* owned */
    struct json *arrays[MAX_FLAGS]; /* of repeated flags; borrowed from values */
};

static bool is_path(enum flag_kind kind)
{
    return kind == FLAG_INPUT || kind == FLAG_INPUTS || kind == FLAG_OUTPUT;
}

static bool is_repeated(enum flag_kind kind)
{
    return kind == FLAG_TEXTS || kind == FLAG_INPUTS;
}

/* The part of "a.b" before the dot (owned by the caller), or NULL; *key is the rest. */
static char *split_key(const char *path, const char **key)
{
    const char *dot = strchr(path, '.');
    *key = dot ? dot + 1 : path;
    return dot ? mem_printf("%.*s", (int)(dot - path), path) : NULL;
}

static const struct json *value_at(const struct json *document, const char *path)
{
    const char *key;
    char *object = split_key(path, &key);
    const struct json *value = json_get(object ? json_get(document, object) : document, key);
    mem_free(object);
    return value;
}

/* Takes value. */
static void set_at(struct json *document, const char *path, struct json *value)
{
    const char *key;
    char *object = split_key(path, &key);
    if (object) {
        const struct json *old = json_get(document, object);
        struct json *changed = old ? json_copy(old) : json_new_object();
        json_set(changed, key, value);
        json_set(document, object, changed);
    } else {
        json_set(document, key, value);
    }
    mem_free(object);
}

static enum status unknown_flag(const struct verb *verb, const char *name, struct err *err)
{
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < verb->n_flags; i++)
        nearest_offer(&nearest, verb->flags[i].name);
    if (nearest.best)
        return err_set(err, E_INVALID, "%s has no flag %s; did you mean %s?", verb->name, name,
                       nearest.best);
    return err_set(err, E_INVALID, "%s has no flag %s: thaw-engine %s --help lists them.",
                   verb->name, name, verb->name);
}

static enum status add_number(struct line *line, const struct verb_flag *flag, const char *text,
                              struct err *err)
{
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    bool fits = flag->kind != FLAG_INTEGER || number == floor(number);
    if (*text == '\0' || *end != '\0' || errno != 0 || !isfinite(number) || !fits)
        return err_set(err, E_INVALID, "%s takes %s, not \"%s\".", flag->name,
                       flag->kind == FLAG_INTEGER ? "a whole number" : "a number", text);
    json_set_number(line->values, flag->key, number);
    return OK;
}

static enum status add_json(struct line *line, const struct verb_flag *flag, const char *path,
                            struct err *err)
{
    struct buf text;
    struct json *value = NULL;
    buf_init(&text, MAX_JSON_FILE);
    enum status status = fs_read_file(path, &text, err);
    if (status == OK)
        status = json_parse(text.data, text.len, &value, err);
    if (status == OK)
        json_set(line->values, flag->key, value);
    else
        err_prefix(err, "%s %s: ", flag->name, path);
    buf_deinit(&text);
    return status;
}

static void add_text(struct line *line, const struct verb_flag *flag, const char *text)
{
    struct json **array = &line->arrays[flag - line->verb->flags];
    if (!is_repeated(flag->kind)) {
        json_set_string(line->values, flag->key, text);
        return;
    }
    if (!*array)
        *array = json_set_array(line->values, flag->key);
    json_add_string(*array, text);
}

/* Stored absolute and without links; an output folder is made first. */
static enum status add_path(struct line *line, const struct verb_flag *flag, const char *path,
                            struct err *err)
{
    enum status status = flag->kind == FLAG_OUTPUT ? fs_make_folders(path, err) : OK;
    if (status != OK)
        return status;
    char *resolved = realpath(path, NULL);
    if (!resolved)
        return err_errno(err, "%s %s cannot be opened", flag->name, path);
    add_text(line, flag, resolved);
    free(resolved);
    return OK;
}

/* "x/y" that need not exist: stored absolute, and beside it "KEY_folder", the folder x. */
static enum status add_new_file(struct line *line, const struct verb_flag *flag, const char *path,
                                struct err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(err, E_INVALID, "%s %s names no file to make.", flag->name, path);
    char *folder = mem_printf("%.*s/", slash ? (int)(slash - path) : 1, slash ? path : ".");
    char *key = mem_printf("%s_folder", flag->key);
    enum status status = OK;
    char *resolved = realpath(folder, NULL);
    if (resolved) {
        char *whole = mem_printf("%s/%s", resolved, name);
        json_set_string(line->values, key, resolved);
        add_text(line, flag, whole);
        mem_free(whole);
    } else if (errno == ENOENT) {
        status = err_set(err, E_INVALID, "%s %s cannot be made: there is no folder %s.", flag->name,
                         path, folder);
    } else {
        status = err_errno(err, "%s %s cannot be made", flag->name, path);
    }
    free(resolved);
    mem_free(folder);
    mem_free(key);
    return status;
}

static enum status add_value(struct line *line, const struct verb_flag *flag, const char *text,
                             struct err *err)
{
    if (flag->kind == FLAG_INTEGER || flag->kind == FLAG_NUMBER)
        return add_number(line, flag, text, err);
    if (flag->kind == FLAG_JSON)
        return add_json(line, flag, text, err);
    if (flag->kind == FLAG_NEW_FILE)
        return add_new_file(line, flag, text, err);
    if (is_path(flag->kind))
        return add_path(line, flag, text, err);
    add_text(line, flag, text);
    return OK;
}

/* One flag, with its value in the same word or the next. *used counts the words. */
static enum status add_flag(struct line *line, int argc, char **argv, int *used, struct err *err)
{
    const char *equals = strchr(argv[0], '=');
    size_t len = equals ? (size_t)(equals - argv[0]) : strlen(argv[0]);
    const struct verb_flag *flag = NULL;
    for (size_t i = 0; i < line->verb->n_flags && !flag; i++)
        if (strlen(line->verb->flags[i].name) == len &&
            strncmp(line->verb->flags[i].name, argv[0], len) == 0)
            flag = &line->verb->flags[i];
    if (!flag)
        return unknown_flag(line->verb, argv[0], err);
    *used = 1;
    if (flag->kind == FLAG_SWITCH && !equals) {
        json_set_bool(line->values, flag->key, true);
        return OK;
    }
    if (equals && flag->kind != FLAG_SWITCH)
        return add_value(line, flag, equals + 1, err);
    if (flag->kind == FLAG_SWITCH || argc < 2)
        return err_set(err, E_INVALID, "%s takes %s.", flag->name,
                       flag->kind == FLAG_SWITCH ? "no value" : "a value");
    *used = 2;
    return add_value(line, flag, argv[1], err);
}

enum status flags_parse(const struct verb *verb, int argc, char **argv, struct json **document,
                        struct err *err)
{
    struct line line = {.verb = verb, .values = json_new_object()};
    enum status status = OK;
    if (verb->n_flags > MAX_FLAGS)
        status = err_set(err, E_INTERNAL, "%s has too many flags.", verb->name);
    for (int at = 0, used = 0; status == OK && at < argc; at += used)
        status = add_flag(&line, argc - at, argv + at, &used, err);
    struct json *whole = json_new_object();
    json_set_string(whole, "verb", verb->name);
    json_each(value, line.values) set_at(whole, json_key(value), json_copy(value));
    json_free(line.values);
    if (status == OK)
        status = flags_check(verb, whole, err);
    if (status == OK)
        *document = whole;
    else
        json_free(whole);
    return status;
}

static const enum json_type types[] = {
    [FLAG_TEXT] = JSON_STRING,     [FLAG_INTEGER] = JSON_NUMBER, [FLAG_NUMBER] = JSON_NUMBER,
    [FLAG_SWITCH] = JSON_BOOL,     [FLAG_TEXTS] = JSON_ARRAY,    [FLAG_INPUT] = JSON_STRING,
    [FLAG_INPUTS] = JSON_ARRAY,    [FLAG_OUTPUT] = JSON_STRING,  [FLAG_JSON] = JSON_OBJECT,
    [FLAG_NEW_FILE] = JSON_STRING,
};

enum status flags_check(const struct verb *verb, const struct json *document, struct err *err)
{
    for (size_t i = 0; i < verb->n_flags; i++) {
        const struct verb_flag *flag = &verb->flags[i];
        const struct json *value = value_at(document, flag->key);
        if (json_type(value) == JSON_NULL) {
            if (flag->required)
                return err_set(err, E_INVALID, "%s needs %s %s: %s.", verb->name, flag->name,
                               flag->value ? flag->value : "", flag->help);
        } else if (json_type(value) != types[flag->kind]) {
            return err_set(err, E_INVALID, "%s: \"%s\" must be %s, not %s.", verb->name, flag->key,
                           json_type_name(types[flag->kind]), json_type_name(json_type(value)));
        }
    }
    return OK;
}

/* The folder of a FLAG_NEW_FILE. */
static const struct json *folder_at(const struct json *document, const char *path)
{
    char *key = mem_printf("%s_folder", path);
    const struct json *folder = value_at(document, key);
    mem_free(key);
    return folder;
}

static enum status add_sandbox_path(struct sandbox_options *sandbox, bool write, const char *path,
                                    struct err *err)
{
    size_t max = write ? ARRAY_LEN(sandbox->write) : ARRAY_LEN(sandbox->read);
    size_t *n = write ? &sandbox->n_write : &sandbox->n_read;
    if (*n == max)
        return err_set(err, E_INVALID, "At most %zu files can be opened at once.", max);
    (write ? sandbox->write : sandbox->read)[(*n)++] = path;
    return OK;
}

enum status flags_add_paths(const struct verb *verb, const struct json *document,
                            struct sandbox_options *sandbox, struct err *err)
{
    enum status status = OK;
    for (size_t i = 0; i < verb->n_flags; i++) {
        const struct verb_flag *flag = &verb->flags[i];
        bool new_file = flag->kind == FLAG_NEW_FILE;
        const struct json *value =
            new_file ? folder_at(document, flag->key) : value_at(document, flag->key);
        if ((!new_file && !is_path(flag->kind)) || json_type(value) == JSON_NULL)
            continue;
        size_t n = is_repeated(flag->kind) ? json_len(value) : 1;
        for (size_t k = 0; status == OK && k < n; k++) {
            const struct json *path = is_repeated(flag->kind) ? json_at(value, k) : value;
            status = add_sandbox_path(sandbox, new_file || flag->kind == FLAG_OUTPUT,
                                      json_as_string(path, ""), err);
        }
    }
    return status;
}

const char *flags_output(const struct verb *verb, const struct json *document)
{
    for (size_t i = 0; i < verb->n_flags; i++)
        if (verb->flags[i].kind == FLAG_OUTPUT)
            return json_as_string(value_at(document, verb->flags[i].key), NULL);
    return NULL;
}

void flags_print_help(const struct verb *verb, struct buf *out)
{
    buf_printf(out, "thaw-engine %s -- %s\n\n", verb->name, verb->summary);
    for (size_t i = 0; i < verb->n_flags; i++) {
        const struct verb_flag *flag = &verb->flags[i];
        char usage[64];
        snprintf(usage, sizeof usage, "%s %s", flag->name, flag->value ? flag->value : "");
        buf_printf(out, "  %-24s %s%s%s\n", usage, flag->help,
                   is_repeated(flag->kind) ? " (may be repeated)" : "",
                   flag->required ? " (required)" : "");
    }
    buf_puts(out, "  --sandbox MODE           auto, require or off (auto)\n"
                  "  --wire                   take the document and speak frames on fd 3\n");
}
