/* field.h -- documents described by tables: one row a field, and everything follows from the row.
 *
 * From a table come the check of what a client sent (with a pointer to the place and the nearest
 * name to a misspelt one), the defaults, and the documentation. A value may take several forms
 * ("auto" or an integer; null or an object); each form a row takes is a bit. */
#ifndef THAW_API_SPEC_FIELD_H
#define THAW_API_SPEC_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"

enum field_form {
    TAKES_NULL = 1,
    TAKES_BOOL = 2,
    TAKES_INTEGER = 4,  /* in min..max */
    TAKES_NUMBER = 8,   /* in min..max */
    TAKES_CHOICE = 16,  /* one of the texts in `choices` */
    TAKES_TEXT = 32,    /* of shortest..longest bytes */
    TAKES_NAME = 64,    /* a text of letters, digits and ._- that can be a file's name */
    TAKES_OBJECT = 128, /* with `members`; NULL: any members at all */
    TAKES_LIST = 256,   /* of shortest..longest `element`s */
};

/* What a job's data are; rows that go with one kind alone are refused with the other. */
enum field_kind { FOR_ALL, FOR_PICTURES, FOR_TEXTS };

struct field {
    const char *name;
    enum field_kind only;
    unsigned takes; /* field_form bits */
    double min, max;
    bool above_min;               /* min itself is refused */
    size_t shortest, longest;     /* texts (bytes) and lists (elements) */
    const char *const *choices;   /* NULL-terminated */
    const struct fields *members; /* of an object */
    const struct field *element;  /* of a list */
    bool required;
    const char *fallback; /* the default as JSON text; NULL: none, or it depends */
    const char *shown;    /* what the documentation says about a default that depends */
    const char *meaning;  /* for the documentation */
};

struct fields {
    const char *what; /* "the job spec": for sentences */
    const struct field *rows;
    size_t n;
};

/* Checks all of `object` against the table. E_SYNTAX: unknown, missing or of the wrong type;
 * E_INVALID: out of range. `at` is the object's own pointer, "" for a whole document. */
enum status fields_check(const struct fields *fields, const struct json *object, const char *at,
                         struct err *err);

/* Refuses members (not null) whose rows are for another kind than `kind`; `why` ends the sentence
 * "The field "x" is for pictures, ". E_INVALID. Members of members are not looked at. */
enum status fields_check_kind(const struct fields *fields, const struct json *object,
                              enum field_kind kind, const char *at, const char *why,
                              struct err *err);

/* Removes the members whose rows are for another kind. */
void fields_keep_kind(const struct fields *fields, struct json *object, enum field_kind kind);

/* A new object with the table's fields in the table's order: the given ones (objects completed in
 * turn) and, where absent, the defaults. `object` has passed fields_check. */
struct json *fields_complete(const struct fields *fields, const struct json *object);

/* Markdown rows: name, what it takes, default, meaning; members below their owner, as a.b. */
void fields_print(const struct fields *fields, const char *prefix, struct buf *out);

#endif
