/* json.c -- the wall around cJSON: `struct json` is a cJSON item and nobody else knows.
 *
 * cJSON allocates with malloc and returns NULL when memory is out; what we build is small, so that
 * aborts (mem.h), except in json_parse, whose text came from outside. */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/mem.h"

static const cJSON *item_of(const struct json *value)
{
    return (const cJSON *)value;
}

static cJSON *item(struct json *value)
{
    return (cJSON *)value;
}

static struct json *must(cJSON *made)
{
    if (!made) {
        fprintf(stderr, "Memory is out: a JSON value could not be allocated.\n");
        abort();
    }
    return (struct json *)made;
}

/* --- Parsing --- */

static int compare_keys(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;
    return strcmp((*x)->string, (*y)->string);
}

/* Sorts the keys, so that an object of a hundred thousand members costs no square of them. */
static enum status check_keys(const cJSON *object, struct err *err)
{
    size_t n = 0;
    for (const cJSON *member = object->child; member; member = member->next)
        n++;
    if (n < 2)
        return OK;
    void *block;
    enum status status =
        mem_try_alloc(n, sizeof(const cJSON *), "the keys of a JSON object", &block, err);
    if (status != OK)
        return status;
    const cJSON **members = block;
    n = 0;
    for (const cJSON *member = object->child; member; member = member->next)
        members[n++] = member;
    qsort(members, n, sizeof(*members), compare_keys);
    for (size_t i = 1; i < n && status == OK; i++)
        if (strcmp(members[i - 1]->string, members[i]->string) == 0)
            status = err_set(err, E_SYNTAX,
                             "The key \"%.100s\" stands twice in one object: remove one of them.",
                             members[i]->string);
    mem_free(block);
    return status;
}

static enum status check_all_keys(const cJSON *value, struct err *err)
{
    enum status status = cJSON_IsObject(value) ? check_keys(value, err) : OK;
    for (const cJSON *child = value->child; child && status == OK; child = child->next)
        status = check_all_keys(child, err);
    return status;
}

enum status json_parse(const char *text, size_t len, struct json **root, struct err *err)
{
    enum status status = json_scan(text, len, err);
    if (status != OK)
        return status;
    cJSON *made = cJSON_ParseWithLength(text, len);
    if (!made)
        return err_set(err, E_NO_SPACE,
                       "There is not enough memory for a JSON document of %zu "
                       "bytes.",
                       len);
    status = check_all_keys(made, err);
    if (status == OK)
        *root = (struct json *)made;
    else
        cJSON_Delete(made);
    return status;
}

void json_free(struct json *root)
{
    cJSON_Delete(item(root));
}

struct json *json_copy(const struct json *value)
{
    if (!value)
        return must(cJSON_CreateNull());
    struct json *copy = must(cJSON_Duplicate(item_of(value), true));
    cJSON_free(item(copy)->string); /* a root has no key, even where the original had one */
    item(copy)->string = NULL;
    return copy;
}

/* --- Reading --- */

enum json_type json_type(const struct json *value)
{
    switch (value ? item_of(value)->type & 0xff : cJSON_NULL) {
    case cJSON_True:
    case cJSON_False:
        return JSON_BOOL;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

const char *json_type_name(enum json_type type)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",     [JSON_BOOL] = "true or false", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a text", [JSON_ARRAY] = "an array",     [JSON_OBJECT] = "an object",
    };
    return names[type];
}

const struct json *json_get(const struct json *object, const char *key)
{
    if (json_type(object) != JSON_OBJECT)
        return NULL;
    return (const struct json *)cJSON_GetObjectItemCaseSensitive(item_of(object), key);
}

const char *json_as_string(const struct json *value, const char *fallback)
{
    return json_type(value) == JSON_STRING ? item_of(value)->valuestring : fallback;
}

double json_as_number(const struct json *value, double fallback)
{
    return json_type(value) == JSON_NUMBER ? item_of(value)->valuedouble : fallback;
}

bool json_as_bool(const struct json *value, bool fallback)
{
    return json_type(value) == JSON_BOOL ? cJSON_IsTrue(item_of(value)) : fallback;
}

bool json_is_integer(const struct json *value)
{
    double number = json_as_number(value, NAN);
    return number == trunc(number) && fabs(number) <= (double)JSON_MAX_INTEGER;
}

const char *json_string(const struct json *object, const char *key, const char *fallback)
{
    return json_as_string(json_get(object, key), fallback);
}

double json_number(const struct json *object, const char *key, double fallback)
{
    return json_as_number(json_get(object, key), fallback);
}

int64_t json_integer(const struct json *object, const char *key, int64_t fallback)
{
    const struct json *value = json_get(object, key);
    return json_is_integer(value) ? (int64_t)item_of(value)->valuedouble : fallback;
}

bool json_bool(const struct json *object, const char *key, bool fallback)
{
    return json_as_bool(json_get(object, key), fallback);
}

const struct json *json_first(const struct json *container)
{
    return container ? (const struct json *)item_of(container)->child : NULL;
}

const struct json *json_next(const struct json *value)
{
    return (const struct json *)item_of(value)->next;
}

size_t json_len(const struct json *container)
{
    size_t n = 0;
    json_each(child, container) n++;
    return n;
}

const struct json *json_at(const struct json *container, size_t index)
{
    const struct json *child = json_first(container);
    while (child && index--)
        child = json_next(child);
    return child;
}

const char *json_key(const struct json *member)
{
    return member ? item_of(member)->string : NULL;
}

static bool members_equal(const struct json *a, const struct json *b)
{
    const struct json *twin = json_first(b);
    json_each(member, a)
    {
        const char *key = json_key(member);
        bool in_step = twin && strcmp(json_key(twin), key) == 0; /* the usual case: same order */
        const struct json *other = in_step ? twin : json_get(b, key);
        if (!other || !json_equal(member, other))
            return false;
        twin = twin ? json_next(twin) : NULL;
    }
    return json_len(a) == json_len(b);
}

static bool elements_equal(const struct json *a, const struct json *b)
{
    const struct json *twin = json_first(b);
    json_each(element, a)
    {
        if (!twin || !json_equal(element, twin))
            return false;
        twin = json_next(twin);
    }
    return !twin;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (json_type(a) != json_type(b))
        return false;
    switch (json_type(a)) {
    case JSON_BOOL:
        return json_as_bool(a, false) == json_as_bool(b, false);
    case JSON_NUMBER:
        return json_as_number(a, 0) == json_as_number(b, 0);
    case JSON_STRING:
        return strcmp(json_as_string(a, ""), json_as_string(b, "")) == 0;
    case JSON_ARRAY:
        return elements_equal(a, b);
    case JSON_OBJECT:
        return members_equal(a, b);
    default:
        return true;
    }
}

/* --- Building --- */

struct json *json_new_object(void)
{
    return must(cJSON_CreateObject());
}

struct json *json_new_array(void)
{
    return must(cJSON_CreateArray());
}

static struct json *new_string(const char *value)
{
    return must(value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

static struct json *new_number(double value)
{
    return must(isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

void json_set(struct json *object, const char *key, struct json *value)
{
    cJSON *old = cJSON_GetObjectItemCaseSensitive(item(object), key);
    if (!old) {
        if (!cJSON_AddItemToObject(item(object), key, item(value)))
            must(NULL);
        return;
    }
    item(value)->string = mem_strdup(key); /* a replaced member keeps its place */
    cJSON_ReplaceItemViaPointer(item(object), old, item(value));
}

void json_set_string(struct json *object, const char *key, const char *value)
{
    json_set(object, key, new_string(value));
}

void json_set_number(struct json *object, const char *key, double value)
{
    json_set(object, key, new_number(value));
}

void json_set_integer(struct json *object, const char *key, int64_t value)
{
    json_set(object, key, new_number((double)value));
}

void json_set_bool(struct json *object, const char *key, bool value)
{
    json_set(object, key, must(cJSON_CreateBool(value)));
}

void json_set_null(struct json *object, const char *key)
{
    json_set(object, key, must(cJSON_CreateNull()));
}

struct json *json_set_object(struct json *object, const char *key)
{
    struct json *value = json_new_object();
    json_set(object, key, value);
    return value;
}

struct json *json_set_array(struct json *object, const char *key)
{
    struct json *value = json_new_array();
    json_set(object, key, value);
    return value;
}

void json_remove(struct json *object, const char *key)
{
    cJSON_DeleteItemFromObjectCaseSensitive(item(object), key);
}

void json_add(struct json *array, struct json *value)
{
    cJSON_AddItemToArray(item(array), item(value));
}

void json_add_string(struct json *array, const char *value)
{
    json_add(array, new_string(value));
}

void json_add_number(struct json *array, double value)
{
    json_add(array, new_number(value));
}

struct json *json_add_object(struct json *array)
{
    struct json *value = json_new_object();
    json_add(array, value);
    return value;
}
