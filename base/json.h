/* json.h -- JSON, strict, and nothing of cJSON beyond json.c.
 *
 * json_parse refuses what cJSON 1.7.15 lets through: \u0000, text after the document, bad UTF-8,
 * duplicate keys, numbers that overflow, integers beyond 2^53-1, more than 32 levels; and lookups
 * are case-sensitive. A document is a tree owned by its root: json_free on the root frees all.
 * Getters take NULL for the object and answer as if the key were absent, so they chain. */
#ifndef THAW_BASE_JSON_H
#define THAW_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define JSON_MAX_DEPTH   32
#define JSON_MAX_INTEGER 9007199254740991LL /* 2^53-1 */

struct json; /* a value: object, array, string, number, bool or null */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* E_SYNTAX with the position (line, column) and the reason. *root is owned by the caller. */
enum status json_parse(const char *text, size_t len, struct json **root, struct err *err);
void json_free(struct json *root);                /* NULL is fine; never on a part of a tree */
struct json *json_copy(const struct json *value); /* deep; a root of its own */
bool json_equal(const struct json *a, const struct json *b);

enum json_type json_type(const struct json *value); /* NULL is JSON_NULL */
const char *json_type_name(enum json_type type);    /* "an object", "a number", ... for sentences */

/* Reading. Absent or of another type: the fallback. */
const struct json *json_get(const struct json *object, const char *key); /* NULL when absent */
const char *json_string(const struct json *object, const char *key, const char *fallback);
double json_number(const struct json *object, const char *key, double fallback);
int64_t json_integer(const struct json *object, const char *key, int64_t fallback);
bool json_bool(const struct json *object, const char *key, bool fallback);
/* Of the value itself. */
const char *json_as_string(const struct json *value, const char *fallback);
double json_as_number(const struct json *value, double fallback);
bool json_as_bool(const struct json *value, bool fallback);
bool json_is_integer(const struct json *value); /* a number with no fraction, |x| <= 2^53-1 */
/* Walking arrays and objects in order. */
size_t json_len(const struct json *container); /* elements or members; 0 for the rest */
const struct json *json_at(const struct json *container, size_t index);
const struct json *json_first(const struct json *container);
const struct json *json_next(const struct json *value);
const char *json_key(const struct json *member); /* the key of an object's member */
#define json_each(item, container)                                                                 \
    for (const struct json *item = json_first(container); item; item = json_next(item))

/* Building. `set` replaces; text is copied; a NULL string, NaN or infinity is written as null. */
struct json *json_new_object(void);
struct json *json_new_array(void);
void json_set(struct json *object, const char *key, struct json *value); /* takes value */
void json_set_string(struct json *object, const char *key, const char *value);
void json_set_number(struct json *object, const char *key, double value);
void json_set_integer(struct json *object, const char *key, int64_t value);
void json_set_bool(struct json *object, const char *key, bool value);
void json_set_null(struct json *object, const char *key);
struct json *json_set_object(struct json *object, const char *key); /* new, inside; borrowed */
struct json *json_set_array(struct json *object, const char *key);  /* new, inside; borrowed */
void json_remove(struct json *object, const char *key);
void json_add(struct json *array, struct json *value); /* takes value */
void json_add_string(struct json *array, const char *value);
void json_add_number(struct json *array, double value);
struct json *json_add_object(struct json *array); /* new, inside; borrowed */

/* Printing, compact; numbers read back as the same double. */
void json_print(const struct json *value, struct buf *out);
char *json_text(const struct json *value); /* free with mem_free */

#endif
