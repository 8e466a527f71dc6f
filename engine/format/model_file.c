/* model_file.c -- the metadata of a model, and a graph's parameters to and from a file. */
#include "engine/format/model_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/format/safetensors.h"

#define MIN_IMAGE_SIZE 8
#define MAX_IMAGE_SIZE 4096
#define MAX_NAMED      3 /* missing tensors that a sentence names */
#define MIB            (1024.0 * 1024)
#define ROOM_IN_HEADER (1u << 20) /* for tensors' entries, a resume file's position, lineage */

/* --- Metadata -------------------------------------------------------------------------------- */

struct model_info model_info_default(const char *architecture)
{
    struct model_info info = {.image_size = 224,
                              .head = MODEL_HEAD_NONE,
                              .mean = {0.485, 0.456, 0.406},
                              .std = {0.229, 0.224, 0.225}};
    snprintf(info.architecture, sizeof info.architecture, "%s", architecture);
    return info;
}

void model_info_deinit(struct model_info *info)
{
    json_free(info->classes);
    json_free(info->lineage);
    info->classes = info->lineage = NULL;
    model_text_deinit(&info->text);
}

bool model_info_is_text(const struct model_info *info)
{
    return info->text.vocabulary != NULL;
}

const char *model_info_kind(const struct model_info *info)
{
    return model_info_is_text(info) ? "text" : "image";
}

bool model_info_has_classes(const struct model_info *info)
{
    return strcmp(info->head, MODEL_HEAD_NONE) != 0 && strcmp(info->head, MODEL_HEAD_DECODER) != 0;
}

bool model_info_is_multilabel(const struct model_info *info)
{
    return strcmp(json_string(info->lineage, "task", ""), "image_multilabel") == 0;
}

/* Sets `key` to a value's JSON text; takes the value (NULL: "null"). */
static void set_json(struct json *metadata, const char *key, struct json *value)
{
    char *text = value ? json_text(value) : mem_strdup("null");
    json_set_string(metadata, key, text);
    mem_free(text);
    json_free(value);
}

static struct json *array_of(const double numbers[3])
{
    struct json *array = json_new_array();
    for (int i = 0; i < 3; i++)
        json_add_number(array, numbers[i]);
    return array;
}

static void set_image(struct json *metadata, const struct model_info *info)
{
    char size[16];
    snprintf(size, sizeof size, "%d", info->image_size);
    json_set_string(metadata, MODEL_KEY_IMAGE_SIZE, size);
    set_json(metadata, MODEL_KEY_MEAN, array_of(info->mean));
    set_json(metadata, MODEL_KEY_STD, array_of(info->std));
}

struct json *model_info_metadata(const struct model_info *info)
{
    struct json *metadata = json_new_object();
    json_set_string(metadata, MODEL_KEY_FORMAT, MODEL_FORMAT);
    json_set_string(metadata, MODEL_KEY_ARCHITECTURE, info->architecture);
    json_set_string(metadata, MODEL_KEY_HEAD, info->head);
    set_json(metadata, MODEL_KEY_CLASSES, info->classes ? json_copy(info->classes) : NULL);
    set_json(metadata, MODEL_KEY_LINEAGE, info->lineage ? json_copy(info->lineage) : NULL);
    if (model_info_is_text(info))
        set_json(metadata, MODEL_KEY_TEXT, model_text_to_json(&info->text));
    else
        set_image(metadata, info);
    return metadata;
}

static enum status unusable(const char *key, const char *expected, struct err *err)
{
    return err_set(err, E_INVALID, "The model's metadata \"%s\" is not %s.", key, expected);
}

static bool copy_text(const struct json *metadata, const char *key, char *out, size_t size)
{
    const char *text = json_string(metadata, key, "");
    return text[0] && (size_t)snprintf(out, size, "%s", text) < size;
}

/* The value whose JSON text stands under `key`; NULL for an absent key, "null" or no JSON. */
static struct json *parse_json(const struct json *metadata, const char *key)
{
    struct json *value = NULL;
    struct err ignored;
    const char *text = json_string(metadata, key, "null");
    if (json_parse(text, strlen(text), &value, &ignored) != OK)
        return NULL;
    if (json_type(value) == JSON_NULL) {
        json_free(value);
        return NULL;
    }
    return value;
}

static enum status read_numbers(const struct json *metadata, const char *key, bool positive,
                                double out[3], struct err *err)
{
    struct json *array = parse_json(metadata, key);
    bool good = json_type(array) == JSON_ARRAY && json_len(array) == 3;
    for (size_t i = 0; good && i < 3; i++) {
        out[i] = json_as_number(json_at(array, i), NAN);
        good = isfinite(out[i]) && (!positive || out[i] > 0);
    }
    json_free(array);
    return good ? OK : unusable(key, "an array of three numbers", err);
}

static bool is_label(const struct json *value)
{
    const char *text = json_as_string(value, "");
    return text[0] && strnlen(text, MODEL_MAX_LABEL + 1) <= MODEL_MAX_LABEL;
}

enum status model_check_classes(const struct json *classes, struct err *err)
{
    if (json_type(classes) != JSON_ARRAY || json_len(classes) == 0)
        return err_set(err, E_INVALID, "The class names are not a list of at least one name.");
    if (json_len(classes) > MODEL_MAX_CLASSES)
        return err_set(err, E_INVALID, "There are %zu class names; at most %d can be used.",
                       json_len(classes), MODEL_MAX_CLASSES);
    json_each(label, classes)
    {
        if (!is_label(label))
            return err_set(err, E_INVALID,
                           "A class name is empty, no text, or longer than %d bytes.",
                           MODEL_MAX_LABEL);
    }
    return OK;
}

static enum status read_classes(const struct json *metadata, struct model_info *info,
                                struct err *err)
{
    info->classes = parse_json(metadata, MODEL_KEY_CLASSES);
    if (!model_info_has_classes(info))
        return info->classes
                   ? unusable(MODEL_KEY_CLASSES, "null, although the model has no classifier", err)
                   : OK;
    return model_check_classes(info->classes, err);
}

static enum status read_image(const struct json *metadata, struct model_info *info, struct err *err)
{
    char size[16] = "", *end;
    copy_text(metadata, MODEL_KEY_IMAGE_SIZE, size, sizeof size);
    info->image_size = (int)strtol(size, &end, 10);
    if (*end || info->image_size < MIN_IMAGE_SIZE || info->image_size > MAX_IMAGE_SIZE)
        return unusable(MODEL_KEY_IMAGE_SIZE, "a number of pixels in 8..4096", err);
    enum status status = read_numbers(metadata, MODEL_KEY_MEAN, false, info->mean, err);
    if (status == OK)
        status = read_numbers(metadata, MODEL_KEY_STD, true, info->std, err);
    return status;
}

/* A model of text is one because it says so; its heads are those of text and no others. */
static enum status read_text(const struct json *metadata, struct model_info *info, struct err *err)
{
    static const char *const heads[] = {MODEL_HEAD_NONE, MODEL_HEAD_DECODER, MODEL_HEAD_POOLING};
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        known |= strcmp(info->head, heads[i]) == 0;
    if (!known)
        return unusable(MODEL_KEY_HEAD, "\"decoder\", \"pooling\" or \"none\", as of text", err);
    struct json *object = parse_json(metadata, MODEL_KEY_TEXT);
    enum status status = model_text_from_json(object, &info->text, err);
    json_free(object);
    return status;
}

enum status model_info_from_metadata(const struct json *metadata, struct model_info *info,
                                     struct err *err)
{
    *info = model_info_default("");
    char format[8] = "";
    if (!copy_text(metadata, MODEL_KEY_FORMAT, format, sizeof format) ||
        strcmp(format, MODEL_FORMAT) != 0)
        return err_set(err, E_INVALID,
                       "The file is no model of this service: its metadata lack \"%s\": \"%s\"; "
                       "import it first.",
                       MODEL_KEY_FORMAT, MODEL_FORMAT);
    if (!copy_text(metadata, MODEL_KEY_ARCHITECTURE, info->architecture, sizeof info->architecture))
        return unusable(MODEL_KEY_ARCHITECTURE, "the name of an architecture", err);
    if (!copy_text(metadata, MODEL_KEY_HEAD, info->head, sizeof info->head))
        return unusable(MODEL_KEY_HEAD, "the name of a kind of head", err);
    enum status status = json_get(metadata, MODEL_KEY_TEXT) ? read_text(metadata, info, err)
                                                            : read_image(metadata, info, err);
    if (status == OK)
        status = read_classes(metadata, info, err);
    if (status == OK) {
        info->lineage = parse_json(metadata, MODEL_KEY_LINEAGE);
        if (info->lineage && json_type(info->lineage) != JSON_OBJECT)
            status = unusable(MODEL_KEY_LINEAGE, "an object or null", err);
    }
    if (status != OK)
        model_info_deinit(info);
    return status;
}

/* --- Files ----------------------------------------------------------------------------------- */

struct chosen {
    const struct param **params; /* owned list of borrowed parameters */
    size_t n;
};

static void fill_from_param(void *context, size_t item, float *plain)
{
    const struct chosen *chosen = context;
    param_read(chosen->params[item], PARAM_VALUE, plain);
}

/* All of the graph's parameters; without its last group, the head, where the model has none. */
static struct chosen choose(const struct model_info *info, const struct graph *graph)
{
    bool body_only = strcmp(info->head, MODEL_HEAD_NONE) == 0;
    struct chosen chosen = {.params =
                                mem_alloc(((size_t)graph->n_params + 1) * sizeof *chosen.params)};
    for (int i = 0; i < graph->n_params; i++) {
        if (!body_only || graph->params[i]->group != graph->n_groups - 1)
            chosen.params[chosen.n++] = graph->params[i];
    }
    return chosen;
}

enum status model_info_check_size(const struct model_info *info, struct err *err)
{
    struct json *metadata = model_info_metadata(info);
    char *text = json_text(metadata);
    size_t bytes = strlen(text), most = SAFETENSORS_MAX_HEADER - ROOM_IN_HEADER;
    mem_free(text);
    json_free(metadata);
    if (bytes <= most)
        return OK;
    return err_set(err, E_INVALID,
                   "A model's class names and words take %.1f MiB, and its file has room for %.1f",
                   (double)bytes / MIB, (double)most / MIB);
}

enum status model_file_write(const char *path, const struct model_info *info,
                             const struct graph *graph, char hex[SHA256_HEX], struct err *err)
{
    struct json *metadata = model_info_metadata(info);
    struct chosen chosen = choose(info, graph);
    struct safetensors_item *items = mem_alloc((chosen.n + 1) * sizeof *items);
    for (size_t i = 0; i < chosen.n; i++) {
        const struct param *param = chosen.params[i];
        items[i] = (struct safetensors_item){param->name, param->n_dims, param->dims};
    }
    struct safetensors_content content = {.metadata = metadata,
                                          .items = items,
                                          .n_items = chosen.n,
                                          .fill = fill_from_param,
                                          .context = &chosen};
    enum status status = safetensors_write(path, &content, hex, err);
    mem_free(items);
    mem_free(chosen.params);
    json_free(metadata);
    return status;
}

enum status model_file_open(const char *path, struct tensor_source *source, struct model_info *info,
                            struct err *err)
{
    enum status status = tensor_source_open(path, source, err);
    if (status != OK)
        return status;
    status = model_info_from_metadata(source->metadata, info, err);
    if (status == OK && model_info_is_text(info)) {
        status = model_text_check_weights(&info->text, source, err);
        if (status != OK)
            model_info_deinit(info);
    }
    if (status != OK)
        tensor_source_close(source);
    return status;
}

static bool begins_with(const char *name, const char *prefix)
{
    return prefix && strncmp(name, prefix, strlen(prefix)) == 0;
}

static void note_missing(struct model_match *match, const char *name, struct buf *names)
{
    if (match->n_missing++ < MAX_NAMED)
        buf_printf(names, "%s%s", names->len ? ", " : "", name);
}

static void note_misshapen(struct model_match *match, const struct tensor_view *view,
                           const struct param *param, struct buf *shapes)
{
    char found[128], expected[128];
    if (match->n_misshapen++ > 0)
        return;
    buf_printf(shapes, "%s has the shape %s where %s is expected", view->name,
               tensor_shape_text(view->n_dims, view->dims, found, sizeof found),
               tensor_shape_text(param->n_dims, param->dims, expected, sizeof expected));
}

void model_file_match(const struct tensor_source *source, const struct graph *graph,
                      const char *skip, struct model_match *match)
{
    struct buf names, shapes, text;
    buf_init(&names, MAX_NAMED * (sizeof graph->params[0]->name + 2));
    buf_init(&shapes, sizeof match->problems);
    buf_init(&text, sizeof match->problems - 1);
    *match = (struct model_match){0};
    for (int i = 0; i < graph->n_params; i++) {
        const struct param *param = graph->params[i];
        const struct tensor_view *view = tensor_source_find(source, param->name);
        if (begins_with(param->name, skip))
            continue;
        if (!view)
            note_missing(match, param->name, &names);
        else if (!tensor_has_shape(view, param->n_dims, param->dims))
            note_misshapen(match, view, param, &shapes);
    }
    if (match->n_missing > 0) {
        buf_printf(&text, "%d tensor%s missing: %s", match->n_missing,
                   match->n_missing > 1 ? "s are" : " is", names.data);
        if (match->n_missing > MAX_NAMED)
            buf_printf(&text, " and %d more", match->n_missing - MAX_NAMED);
    }
    if (match->n_misshapen > 0) {
        buf_printf(&text, "%s%s", text.len ? "; " : "", shapes.data);
        if (match->n_misshapen > 1)
            buf_printf(&text, ", and %d more have other shapes", match->n_misshapen - 1);
    }
    snprintf(match->problems, sizeof match->problems, "%s", text.data);
    buf_deinit(&names);
    buf_deinit(&shapes);
    buf_deinit(&text);
}

static enum status load_param(const struct tensor_source *source, struct param *param, float *plain,
                              struct err *err)
{
    const struct tensor_view *view = tensor_source_find(source, param->name);
    char found[128], expected[128];
    if (!view)
        return err_set(err, E_INVALID, "The weights lack the tensor %s.", param->name);
    if (!tensor_has_shape(view, param->n_dims, param->dims))
        return err_set(err, E_INVALID, "The tensor %s has the shape %s where %s is expected.",
                       param->name,
                       tensor_shape_text(view->n_dims, view->dims, found, sizeof found),
                       tensor_shape_text(param->n_dims, param->dims, expected, sizeof expected));
    enum status status = tensor_read_finite(view, plain, err);
    if (status == OK)
        param_write(param, PARAM_VALUE, plain);
    return status;
}

enum status model_file_load(const struct tensor_source *source, struct graph *graph,
                            const char *skip, struct err *err)
{
    size_t largest = 1;
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = graph->params[i]->n_elements;
        largest = n > largest ? n : largest;
    }
    void *plain = NULL;
    enum status status =
        mem_try_alloc(largest, sizeof(float), "reading the largest tensor", &plain, err);
    for (int i = 0; i < graph->n_params && status == OK; i++) {
        if (!begins_with(graph->params[i]->name, skip))
            status = load_param(source, graph->params[i], plain, err);
    }
    mem_free(plain);
    return status;
}
