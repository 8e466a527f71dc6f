/* field.c -- checks and completes documents by their tables; prints the tables. */
#include "api/spec/field.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "base/utf8.h"

#define MAX_POINTER  160
#define MAX_SENTENCE 512

/* Appends "/token" to a pointer, with RFC 6901's escapes. */
static void point(char out[MAX_POINTER], const char *at, const char *token)
{
    struct buf pointer;
    buf_init(&pointer, MAX_POINTER - 1);
    buf_printf(&pointer, "%s/", at);
    for (; *token; token++)
        buf_printf(&pointer, *token == '~' ? "~0" : *token == '/' ? "~1" : "%c", *token);
    snprintf(out, MAX_POINTER, "%s", pointer.data);
    buf_deinit(&pointer);
}

/* --- What a field takes, in words --- */

static void say(struct buf *out, const char *text)
{
    if (out->len)
        buf_puts(out, " or ");
    buf_puts(out, text);
}

static void say_number(double value, const char *before, struct buf *out)
{
    buf_printf(out, "%s%.16g", before, value); /* 2^53-1 in full, and .99 as .99 */
}

static void say_range(const struct field *field, const char *what, struct buf *out)
{
    say(out, what);
    say_number(field->min, field->above_min ? " above " : " from ", out);
    say_number(field->max, field->above_min ? " and at most " : " to ", out);
}

static void say_choices(const struct field *field, struct buf *out)
{
    say(out, field->choices[1] ? "one of " : "");
    for (const char *const *choice = field->choices; *choice; choice++)
        buf_printf(out, "%s\"%s\"", choice == field->choices ? "" : ", ", *choice);
}

static void say_length(const struct field *field, const char *unit, struct buf *out)
{
    if (field->shortest == field->longest)
        buf_printf(out, " of %zu %s", field->longest, unit);
    else
        buf_printf(out, " of %zu to %zu %s", field->shortest, field->longest, unit);
}

static void describe(const struct field *field, struct buf *out);

static void say_list(const struct field *field, struct buf *out)
{
    struct buf element;
    buf_init(&element, MAX_SENTENCE);
    describe(field->element, &element);
    say(out, "an array");
    say_length(field, "elements", out);
    buf_printf(out, ", each %s", element.data);
    buf_deinit(&element);
}

static void describe(const struct field *field, struct buf *out)
{
    if (field->takes & TAKES_CHOICE)
        say_choices(field, out);
    if (field->takes & TAKES_INTEGER)
        say_range(field, "an integer", out);
    if (field->takes & TAKES_NUMBER)
        say_range(field, "a number", out);
    if (field->takes & TAKES_BOOL)
        say(out, "true or false");
    if (field->takes & TAKES_TEXT) {
        say(out, "a text");
        say_length(field, "bytes", out);
    }
    if (field->takes & TAKES_NAME) {
        say(out, "a name");
        say_length(field, "letters, digits, dots, dashes, underscores or @", out);
    }
    if (field->takes & TAKES_OBJECT)
        say(out, "an object");
    if (field->takes & TAKES_LIST)
        say_list(field, out);
    if (field->takes & TAKES_NULL)
        say(out, "null");
}

/* The value as an error shows it: short, whatever it was. */
static void show(const struct json *value, char *out, size_t size)
{
    char *text = json_text(value);
    if (json_type(value) == JSON_ARRAY || json_type(value) == JSON_OBJECT)
        snprintf(out, size, "%s", json_type_name(json_type(value)));
    else
        snprintf(out, size, "%.*s%s", 60, text, strlen(text) > 60 ? "..." : "");
    mem_free(text);
}

static enum status refuse(const struct field *field, const struct json *value, const char *at,
                          enum status status, struct err *err)
{
    struct buf expected;
    char shown[80];
    buf_init(&expected, MAX_SENTENCE);
    describe(field, &expected);
    show(value, shown, sizeof(shown));
    if (json_type(value) == JSON_STRING && !(field->takes & (TAKES_TEXT | TAKES_NAME)))
        err_at(err, status, at, "\"%s\" is the text %s: %s is expected.", field->name, shown,
               expected.data);
    else
        err_at(err, status, at, "\"%s\" is %s: %s is expected.", field->name, shown, expected.data);
    buf_deinit(&expected);
    return status;
}

/* --- Checking --- */

static enum status check_value(const struct field *field, const struct json *value, const char *at,
                               struct err *err);

static enum status check_number(const struct field *field, const struct json *value, const char *at,
                                struct err *err)
{
    if (!(field->takes & (TAKES_INTEGER | TAKES_NUMBER)) ||
        (!(field->takes & TAKES_NUMBER) && !json_is_integer(value)))
        return refuse(field, value, at, E_SYNTAX, err);
    double number = json_as_number(value, NAN);
    bool low = field->above_min ? number <= field->min : number < field->min;
    if (low || !(number <= field->max))
        return refuse(field, value, at, E_INVALID, err);
    return OK;
}

static bool is_choice(const struct field *field, const char *text)
{
    for (const char *const *choice = field->choices; choice && *choice; choice++)
        if (strcmp(*choice, text) == 0)
            return true;
    return false;
}

static enum status unknown_choice(const struct field *field, const struct json *value,
                                  const char *at, struct err *err)
{
    struct nearest nearest = {.word = json_as_string(value, "")};
    for (const char *const *choice = field->choices; *choice; choice++)
        nearest_offer(&nearest, *choice);
    refuse(field, value, at, E_INVALID, err);
    if (nearest.best && err) {
        char hint[sizeof(err->hint)];
        snprintf(hint, sizeof(hint), "Did you mean \"%s\"?", nearest.best);
        err_name(err, NULL, hint);
    }
    return E_INVALID;
}

static bool is_name(const char *text)
{
    return text[0] != '.' &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789._-@")] == '\0';
}

static enum status check_text(const struct field *field, const struct json *value, const char *at,
                              struct err *err)
{
    const char *text = json_as_string(value, "");
    if (field->takes & TAKES_CHOICE) {
        if (is_choice(field, text))
            return OK;
        /* Where numbers are taken too, a word that is no choice is rather a mistyped number. */
        if (field->takes & (TAKES_INTEGER | TAKES_NUMBER))
            return refuse(field, value, at, E_SYNTAX, err);
        return unknown_choice(field, value, at, err);
    }
    if (!(field->takes & (TAKES_TEXT | TAKES_NAME)))
        return refuse(field, value, at, E_SYNTAX, err);
    size_t len = strlen(text);
    if (len < field->shortest || len > field->longest ||
        ((field->takes & TAKES_NAME) && !is_name(text)))
        return refuse(field, value, at, E_INVALID, err);
    return OK;
}

static enum status check_list(const struct field *field, const struct json *value, const char *at,
                              struct err *err)
{
    size_t n = json_len(value), i = 0;
    if (!(field->takes & TAKES_LIST))
        return refuse(field, value, at, E_SYNTAX, err);
    if (n < field->shortest || n > field->longest) {
        refuse(field, value, at, E_INVALID, err);
        const char *what = n == 1 ? "element" : "elements";
        if (field->shortest == field->longest)
            return err_at(err, E_INVALID, at, "\"%s\" has %zu %s: exactly %zu are expected.",
                          field->name, n, what, field->longest);
        return err_at(err, E_INVALID, at, "\"%s\" has %zu %s: %zu to %zu are expected.",
                      field->name, n, what, field->shortest, field->longest);
    }
    json_each(element, value)
    {
        char pointer[MAX_POINTER], index[24];
        snprintf(index, sizeof(index), "%zu", i++);
        point(pointer, at, index);
        enum status status = check_value(field->element, element, pointer, err);
        if (status != OK)
            return status;
    }
    return OK;
}

static enum status check_value(const struct field *field, const struct json *value, const char *at,
                               struct err *err)
{
    switch (json_type(value)) {
    case JSON_NUMBER:
        return check_number(field, value, at, err);
    case JSON_STRING:
        return check_text(field, value, at, err);
    case JSON_ARRAY:
        return check_list(field, value, at, err);
    case JSON_BOOL:
        return field->takes & TAKES_BOOL ? OK : refuse(field, value, at, E_SYNTAX, err);
    case JSON_OBJECT:
        if (!(field->takes & TAKES_OBJECT))
            return refuse(field, value, at, E_SYNTAX, err);
        return field->members ? fields_check(field->members, value, at, err) : OK;
    default:
        return field->takes & TAKES_NULL ? OK : refuse(field, value, at, E_SYNTAX, err);
    }
}

static const struct field *find(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->n; i++)
        if (strcmp(fields->rows[i].name, name) == 0)
            return &fields->rows[i];
    return NULL;
}

static enum status unknown_field(const struct fields *fields, const char *key, const char *at,
                                 struct err *err)
{
    char pointer[MAX_POINTER];
    point(pointer, at, key);
    struct nearest nearest = {.word = key};
    struct buf names;
    buf_init(&names, MAX_SENTENCE);
    for (size_t i = 0; i < fields->n; i++) {
        nearest_offer(&nearest, fields->rows[i].name);
        buf_printf(&names, "%s%s", i ? ", " : "", fields->rows[i].name);
    }
    if (nearest.best)
        err_at(err, E_SYNTAX, pointer, "\"%.60s\" is not a field of %s: did you mean \"%s\"?", key,
               fields->what, nearest.best);
    else
        err_at(err, E_SYNTAX, pointer, "\"%.60s\" is not a field of %s, whose fields are %s.", key,
               fields->what, names.data);
    buf_deinit(&names);
    return E_SYNTAX;
}

enum status fields_check(const struct fields *fields, const struct json *object, const char *at,
                         struct err *err)
{
    json_each(member, object)
    {
        const struct field *field = find(fields, json_key(member));
        if (!field)
            return unknown_field(fields, json_key(member), at, err);
        char pointer[MAX_POINTER];
        point(pointer, at, field->name);
        enum status status = check_value(field, member, pointer, err);
        if (status != OK)
            return status;
    }
    for (size_t i = 0; i < fields->n; i++) {
        const struct field *field = &fields->rows[i];
        if (!field->required || json_get(object, field->name))
            continue;
        char pointer[MAX_POINTER];
        point(pointer, at, field->name);
        return err_at(err, E_SYNTAX, pointer, "\"%s\" is missing in %s: %s.", field->name,
                      fields->what, field->meaning);
    }
    return OK;
}

/* --- Completing --- */

static struct json *complete_value(const struct field *field, const struct json *value)
{
    if (json_type(value) == JSON_OBJECT && field->members)
        return fields_complete(field->members, value);
    if (json_type(value) != JSON_ARRAY)
        return json_copy(value);
    struct json *list = json_new_array();
    json_each(element, value) json_add(list, complete_value(field->element, element));
    return list;
}

/* The default itself, completed too: "{}" is an object of defaults. */
static struct json *default_of(const struct field *field)
{
    struct json *value = NULL;
    if (json_parse(field->fallback, strlen(field->fallback), &value, NULL) != OK)
        return json_copy(NULL);
    struct json *whole = complete_value(field, value);
    json_free(value);
    return whole;
}

struct json *fields_complete(const struct fields *fields, const struct json *object)
{
    struct json *whole = json_new_object();
    for (size_t i = 0; i < fields->n; i++) {
        const struct field *field = &fields->rows[i];
        const struct json *value = json_get(object, field->name);
        if (value)
            json_set(whole, field->name, complete_value(field, value));
        else if (field->fallback)
            json_set(whole, field->name, default_of(field));
    }
    return whole;
}

/* --- Kinds --- */

static bool is_of_another_kind(const struct field *field, enum field_kind kind)
{
    return field->only != FOR_ALL && field->only != kind;
}

enum status fields_check_kind(const struct fields *fields, const struct json *object,
                              enum field_kind kind, const char *at, const char *why,
                              struct err *err)
{
    for (size_t i = 0; i < fields->n; i++) {
        const struct field *field = &fields->rows[i];
        if (!is_of_another_kind(field, kind) ||
            json_type(json_get(object, field->name)) == JSON_NULL)
            continue;
        char pointer[MAX_POINTER];
        point(pointer, at, field->name);
        return err_at(err, E_INVALID, pointer, "The field \"%s\" is for %s, %s: remove it.",
                      field->name, field->only == FOR_TEXTS ? "texts" : "pictures", why);
    }
    return OK;
}

void fields_keep_kind(const struct fields *fields, struct json *object, enum field_kind kind)
{
    for (size_t i = 0; i < fields->n; i++)
        if (is_of_another_kind(&fields->rows[i], kind))
            json_remove(object, fields->rows[i].name);
}

/* --- Printing --- */

void fields_print(const struct fields *fields, const char *prefix, struct buf *out)
{
    static const char *const kinds[] = {
        [FOR_ALL] = "", [FOR_PICTURES] = "pictures: ", [FOR_TEXTS] = "texts: "};
    for (size_t i = 0; i < fields->n; i++) {
        const struct field *field = &fields->rows[i];
        struct buf takes;
        buf_init(&takes, MAX_SENTENCE);
        describe(field, &takes);
        const char *shown = field->required ? "required" : field->shown;
        buf_printf(out, "| `%s%s` | %s | ", prefix, field->name, takes.data);
        buf_printf(out, shown ? "%s" : "`%s`", shown ? shown : field->fallback);
        buf_printf(out, " | %s%s |\n", kinds[field->only], field->meaning);
        buf_deinit(&takes);
        bool is_list = field->element && field->element->members;
        const struct fields *members = is_list ? field->element->members : field->members;
        if (members) {
            char *inner = mem_printf("%s%s%s.", prefix, field->name, is_list ? "[]" : "");
            fields_print(members, inner, out);
            mem_free(inner);
        }
    }
}
