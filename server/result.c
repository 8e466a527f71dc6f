#include "server/result.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/spec/wire.h"
#include "base/fs.h"

#define MAX_COUNT 9007199254740991.0

enum shape_kind {
    SHAPE_TEXT,    /* low..high bytes */
    SHAPE_INTEGER, /* low..high */
    SHAPE_BOOL,
    SHAPE_OBJECT, /* of `fields` */
    SHAPE_LIST,   /* at most high elements, each an object of `fields`, or a text without them */
};

enum shape_presence {
    NEEDED,
    NULLABLE, /* must be there, may be null */
    OPTIONAL  /* may be null or absent */
};

struct shape {
    const char *name;
    enum shape_kind kind;
    enum shape_presence presence;
    double low, high;
    const struct shape *fields;
    size_t n_fields;
};

static const struct shape class_fields[] = {
    {"name", SHAPE_TEXT, NEEDED, 1, 1024, NULL, 0},
    {"items", SHAPE_INTEGER, NEEDED, 0, MAX_COUNT, NULL, 0},
};
static const struct shape split_fields[] = {
    {"train", SHAPE_INTEGER, NEEDED, 0, MAX_COUNT, NULL, 0},
    {"valid", SHAPE_INTEGER, NEEDED, 0, MAX_COUNT, NULL, 0},
    {"test", SHAPE_INTEGER, NEEDED, 0, MAX_COUNT, NULL, 0},
    {"unlabelled", SHAPE_INTEGER, NEEDED, 0, MAX_COUNT, NULL, 0},
};
static const struct shape rejected_item_fields[] = {
    {"path", SHAPE_TEXT, NEEDED, 0, 4096, NULL, 0},
    {"reason", SHAPE_TEXT, NEEDED, 0, 1024, NULL, 0},
};
static const struct shape rejected_fields[] = {
    {"count", SHAPE_INTEGER, NEEDED, 0, MAX_COUNT, NULL, 0},
    {"items", SHAPE_LIST, NEEDED, 0, 1000, rejected_item_fields, ARRAY_LEN(rejected_item_fields)},
};
static const struct shape dataset_fields[] = {
    {"kind", SHAPE_TEXT, NEEDED, 1, 16, NULL, 0},
    {"items", SHAPE_INTEGER, NEEDED, 1, MAX_COUNT, NULL, 0},
    {"classes", SHAPE_LIST, NEEDED, 0, 65536, class_fields, ARRAY_LEN(class_fields)},
    {"splits", SHAPE_OBJECT, NEEDED, 0, 0, split_fields, ARRAY_LEN(split_fields)},
    {"rejected", SHAPE_OBJECT, NEEDED, 0, 0, rejected_fields, ARRAY_LEN(rejected_fields)},
    {"warnings", SHAPE_LIST, NEEDED, 0, 100, NULL, 0},
};
static const struct shape group_fields[] = {
    {"name", SHAPE_TEXT, NEEDED, 1, 128, NULL, 0},
    {"parameters", SHAPE_INTEGER, NEEDED, 0, MAX_COUNT, NULL, 0},
};
static const struct shape text_fields[] = {
    {"vocabulary", SHAPE_INTEGER, NEEDED, 1, 1 << 24, NULL, 0},
    {"embedding", SHAPE_INTEGER, NEEDED, 1, 1 << 20, NULL, 0},
    {"hidden", SHAPE_INTEGER, NEEDED, 1, 1 << 20, NULL, 0},
    {"layers", SHAPE_INTEGER, NEEDED, 1, 64, NULL, 0},
    {"seq_len", SHAPE_INTEGER, NEEDED, 1, 1 << 20, NULL, 0},
    {"max_len", SHAPE_INTEGER, NEEDED, 1, 1 << 20, NULL, 0},
    {"backwards", SHAPE_BOOL, NEEDED, 0, 0, NULL, 0},
};
static const struct shape model_fields[] = {
    {"text", SHAPE_OBJECT, OPTIONAL, 0, 0, text_fields, ARRAY_LEN(text_fields)},
    {"architecture", SHAPE_TEXT, NEEDED, 1, 64, NULL, 0},
    {"parameters", SHAPE_INTEGER, NEEDED, 0, MAX_COUNT, NULL, 0},
    {"groups", SHAPE_LIST, NEEDED, 1, 16, group_fields, ARRAY_LEN(group_fields)},
    {"classes", SHAPE_LIST, NULLABLE, 0, 65536, NULL, 0},
    {"weights_sha256", SHAPE_TEXT, NEEDED, 64, 64, NULL, 0},
};

enum status result_read(const char *folder, struct json **result, struct err *err)
{
    int fd = -1;
    struct stat info;
    void *text = NULL;
    enum status status = fs_open_beneath(folder, "result.json", WIRE_MAX_RESULT, &fd, err);
    if (status)
        return status;
    if (fstat(fd, &info))
        status = err_errno(err, "The engine's result cannot be examined");
    if (status == OK)
        status = mem_try_alloc((size_t)info.st_size + 1, 1, "the engine's result", &text, err);
    if (status == OK)
        status = fs_read_at(fd, text, (size_t)info.st_size, 0, err);
    if (status == OK)
        status = json_parse(text, (size_t)info.st_size, result, err);
    close(fd);
    mem_free(text);
    return status;
}

static enum status check(const struct json *object, const struct shape *fields, size_t n_fields,
                         struct err *err);

static bool is_text(const struct json *value, const struct shape *shape)
{
    double len = (double)strlen(json_as_string(value, ""));
    return json_type(value) == JSON_STRING && len >= shape->low && len <= shape->high;
}

static bool is_integer(const struct json *value, const struct shape *shape)
{
    double number = json_as_number(value, -1);
    return json_is_integer(value) && number >= shape->low && number <= shape->high;
}

static bool is_list(const struct json *value, const struct shape *shape)
{
    static const struct shape label = {"", SHAPE_TEXT, NEEDED, 0, 1024, NULL, 0};
    struct err ignored;
    if (json_type(value) != JSON_ARRAY || (double)json_len(value) > shape->high)
        return false;
    json_each(element, value)
    {
        if (shape->fields ? check(element, shape->fields, shape->n_fields, &ignored) != OK
                          : !is_text(element, &label))
            return false;
    }
    return true;
}

static bool fits(const struct json *value, const struct shape *shape)
{
    struct err ignored;
    if (json_type(value) == JSON_NULL &&
        (value ? shape->presence != NEEDED : shape->presence == OPTIONAL))
        return true;
    switch (shape->kind) {
    case SHAPE_TEXT:
        return is_text(value, shape);
    case SHAPE_INTEGER:
        return is_integer(value, shape);
    case SHAPE_BOOL:
        return json_type(value) == JSON_BOOL;
    case SHAPE_OBJECT:
        return check(value, shape->fields, shape->n_fields, &ignored) == OK;
    case SHAPE_LIST:
        return is_list(value, shape);
    }
    return false;
}

static enum status check(const struct json *object, const struct shape *fields, size_t n_fields,
                         struct err *err)
{
    if (json_type(object) != JSON_OBJECT)
        return err_set(err, E_INVALID, "The engine's result is not an object.");
    for (size_t i = 0; i < n_fields; i++)
        if (!fits(json_get(object, fields[i].name), &fields[i]))
            return err_set(err, E_INVALID, "The engine's result has no usable \"%s\".",
                           fields[i].name);
    return OK;
}

/* The known part of a value: fields that no table names stay behind. */
static struct json *known_part(const struct json *value, const struct shape *fields,
                               size_t n_fields)
{
    if (json_type(value) == JSON_ARRAY) {
        struct json *list = json_new_array();
        json_each(element, value) json_add(list, known_part(element, fields, n_fields));
        return list;
    }
    if (json_type(value) != JSON_OBJECT)
        return json_copy(value);
    struct json *object = json_new_object();
    for (size_t i = 0; i < n_fields; i++)
        json_set(object, fields[i].name,
                 known_part(json_get(value, fields[i].name), fields[i].fields, fields[i].n_fields));
    return object;
}

static const char *keep(const struct json *result, const char *name, const struct shape *fields,
                        size_t n_fields, struct arena *arena)
{
    for (size_t i = 0; i < n_fields; i++) {
        if (strcmp(fields[i].name, name) != 0)
            continue;
        struct json *part =
            known_part(json_get(result, name), fields[i].fields, fields[i].n_fields);
        char *text = json_type(part) == JSON_NULL ? NULL : json_text(part);
        const char *kept = arena_strdup(arena, text);
        mem_free(text);
        json_free(part);
        return kept;
    }
    return NULL;
}

enum status result_dataset(const struct json *result, struct arena *arena, struct dataset_row *row,
                           struct err *err)
{
    const size_t n = ARRAY_LEN(dataset_fields);
    enum status status = check(result, dataset_fields, n, err);
    if (status)
        return status;
    row->kind = arena_strdup(arena, json_string(result, "kind", ""));
    row->items = json_integer(result, "items", 0);
    row->classes = keep(result, "classes", dataset_fields, n, arena);
    row->splits = keep(result, "splits", dataset_fields, n, arena);
    row->rejected = keep(result, "rejected", dataset_fields, n, arena);
    row->warnings = keep(result, "warnings", dataset_fields, n, arena);
    return OK;
}

enum status result_model(const struct json *result, struct arena *arena, struct model_row *row,
                         struct err *err)
{
    const size_t n = ARRAY_LEN(model_fields);
    enum status status = check(result, model_fields, n, err);
    if (status)
        return status;
    row->architecture = arena_strdup(arena, json_string(result, "architecture", ""));
    row->parameters = json_integer(result, "parameters", 0);
    row->groups = keep(result, "groups", model_fields, n, arena);
    row->classes = keep(result, "classes", model_fields, n, arena);
    row->text = keep(result, "text", model_fields, n, arena);
    row->kind = row->text ? "text" : "image";
    row->weights_sha256 = arena_strdup(arena, json_string(result, "weights_sha256", ""));
    return OK;
}
