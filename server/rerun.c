#include "server/rerun.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"

/* Members of a spec that decide nothing about the weights. */
static bool is_label(const char *key)
{
    static const char *const labels[] = {"name", "metadata", "priority"};
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (!strcmp(labels[i], key))
            return true;
    return false;
}

static struct json *parse(const char *text)
{
    struct json *value = NULL;
    struct err ignored;
    if (text && json_parse(text, strlen(text), &value, &ignored) == OK)
        return value;
    return json_new_object();
}

static void set_copy(struct json *object, const char *key, const struct json *value)
{
    if (value)
        json_set(object, key, json_copy(value));
    else
        json_set_null(object, key);
}

static void add_difference(struct json *differs, const char *input, const struct json *here,
                           const struct json *there)
{
    struct json *difference = json_add_object(differs);
    json_set_string(difference, "input", input);
    set_copy(difference, "here", here);
    set_copy(difference, "there", there);
}

static bool same(const struct json *a, const struct json *b)
{
    bool absent_a = json_type(a) == JSON_NULL, absent_b = json_type(b) == JSON_NULL;
    return absent_a || absent_b ? absent_a == absent_b : json_equal(a, b);
}

static void compare_specs(struct json *differs, const struct json *here, const struct json *there)
{
    json_each(member, here)
    {
        const char *key = json_key(member);
        const struct json *other = json_get(there, key);
        if (!is_label(key) && !same(member, other))
            add_difference(differs, key, member, other);
    }
    json_each(member, there)
    {
        const char *key = json_key(member);
        if (!is_label(key) && !json_get(here, key) && json_type(member) != JSON_NULL)
            add_difference(differs, key, NULL, member);
    }
}

static void compare_engines(struct json *differs, const struct json *here, const struct json *there)
{
    static const char *const inputs[][2] = {{"version", "engine.version"},
                                            {"isa", "engine.isa"},
                                            {"threads", "engine.threads"},
                                            {"plan_sha256", "engine.plan_sha256"}};
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        const struct json *a = json_get(here, inputs[i][0]), *b = json_get(there, inputs[i][0]);
        if (!same(a, b))
            add_difference(differs, inputs[i][1], a, b);
    }
}

static void compare_start(struct json *differs, const char *here, const char *there)
{
    if (!strcmp(here ? here : "", there ? there : ""))
        return;
    struct json *difference = json_add_object(differs);
    json_set_string(difference, "input", "starting weights");
    json_set_string(difference, "here", here);
    json_set_string(difference, "there", there);
}

static void compare(struct json *differs, const struct job_row *row, const struct job_row *other)
{
    struct json *spec = parse(row->spec), *other_spec = parse(other->spec);
    struct json *engine = parse(row->engine), *other_engine = parse(other->engine);
    compare_specs(differs, spec, other_spec);
    compare_start(differs, row->weights, other->weights);
    compare_engines(differs, engine, other_engine);
    json_free(spec);
    json_free(other_spec);
    json_free(engine);
    json_free(other_engine);
}

char *rerun_compare(struct store *store, const struct job_row *row, const char *sha256)
{
    struct arena arena;
    struct job_row other = {0};
    struct err ignored;
    arena_init(&arena);
    bool there = job_get(store, row->rerun_of, &arena, &other, &ignored) == OK;
    struct json *result = json_new_object();
    json_set_string(result, "of", row->rerun_of);
    if (there && sha256 && other.weights_sha256)
        json_set_bool(result, "equal", !strcmp(sha256, other.weights_sha256));
    else
        json_set_null(result, "equal");
    json_set_string(result, "weights_sha256", other.weights_sha256);
    struct json *differs = json_set_array(result, "differs");
    if (there)
        compare(differs, row, &other);
    char *text = json_text(result);
    json_free(result);
    arena_deinit(&arena);
    return text;
}
