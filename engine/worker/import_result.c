/* import_result.c -- class names, lineage, and what an import leaves. */
#include "engine/worker/import_result.h"

#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/utf8.h"

#define MAX_CLASSES_FILE (16u << 20)

/* --- Class names ----------------------------------------------------------------------------- */

/* One name a line; a last line may lack its end. */
static enum status parse_classes(const char *text, size_t len, struct json **classes,
                                 struct err *err)
{
    if (!utf8_is_valid(text, len) || memchr(text, '\0', len))
        return err_set(err, E_INVALID, "The list of class names is not UTF-8 text.");
    *classes = json_new_array();
    for (const char *line = text, *end = text + len; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        size_t n = (size_t)(stop - line);
        while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == ' '))
            n--;
        char *name = mem_printf("%.*s", (int)n, line);
        json_add_string(*classes, name);
        mem_free(name);
        line = stop + 1;
    }
    return OK;
}

static enum status read_classes_file(const char *path, struct json **classes, struct err *err)
{
    struct buf text;
    buf_init(&text, MAX_CLASSES_FILE);
    enum status status = fs_read_file(path, &text, err);
    if (status == OK)
        status = parse_classes(text.data, text.len, classes, err);
    buf_deinit(&text);
    return status;
}

enum status import_given_classes(const struct json *document, struct json **classes,
                                 struct err *err)
{
    const struct json *array = json_get(document, "classes");
    const char *path = json_string(document, "classes_file", NULL);
    *classes = NULL;
    if (json_type(array) == JSON_NULL && !path)
        return OK;
    enum status status = OK;
    if (path)
        status = read_classes_file(path, classes, err);
    else
        *classes = json_copy(array);
    if (status == OK)
        status = model_check_classes(*classes, err);
    if (status != OK) {
        json_free(*classes);
        *classes = NULL;
        err_name(err, "bad_classes", NULL);
    }
    return status;
}

static struct json *index_classes(int64_t n)
{
    struct json *classes = json_new_array();
    for (int64_t i = 0; i < n; i++) {
        char *label = mem_printf("%lld", (long long)i);
        json_add_string(classes, label);
        mem_free(label);
    }
    return classes;
}

enum status import_settle_classes(struct model_info *info, int64_t rows, struct json *given,
                                  struct err *err)
{
    if (given) {
        json_free(info->classes);
        info->classes = given;
    }
    if (!info->classes && rows > 0)
        info->classes = index_classes(rows);
    if ((int64_t)json_len(info->classes) == rows)
        return OK;
    if (rows == 0)
        err_set(err, E_INVALID,
                "There are %zu class names, but the weights have no classifier: leave them out.",
                json_len(info->classes));
    else
        err_set(err, E_INVALID,
                "There are %zu class names, but the classifier of these weights has %lld classes.",
                json_len(info->classes), (long long)rows);
    err_name(err, "bad_classes", NULL);
    return E_INVALID;
}

/* --- The end -------------------------------------------------------------------------------- */

void import_set_lineage(struct model_info *info, const struct tensor_source *source,
                        const char *convention)
{
    if (info->lineage)
        return;
    info->lineage = json_new_object();
    json_set_string(info->lineage, "origin", "import");
    json_set_string(info->lineage, "format", source->format);
    if (convention)
        json_set_string(info->lineage, "names", convention);
}

static struct json *make_result(const struct imported *imported, const char *hex)
{
    int64_t *parameters = mem_alloc(((size_t)imported->n_groups + 1) * sizeof *parameters);
    int64_t total = 0, tensors = 0;
    const struct model_info *info = imported->info;
    for (int i = 0; i < imported->graph->n_params; i++) {
        const struct param *param = imported->graph->params[i];
        if (param->group >= imported->n_groups)
            continue;
        tensors++;
        if (!param_is_statistic(param))
            parameters[param->group] += (int64_t)param->n_elements;
    }
    struct json *result = json_new_object(), *groups = json_new_array();
    for (int i = 0; i < imported->n_groups; i++) {
        char name[IMPORT_GROUP_NAME];
        struct json *group = json_add_object(groups);
        imported->name_group(imported->context, i, name);
        json_set_string(group, "name", name);
        json_set_integer(group, "parameters", parameters[i]);
        total += parameters[i];
    }
    json_set_string(result, "kind", model_info_kind(info));
    json_set_string(result, "architecture", info->architecture);
    json_set_string(result, "head", info->head);
    json_set_integer(result, "parameters", total);
    json_set(result, "groups", groups);
    json_set(result, "classes", json_copy(info->classes));
    json_set_integer(result, "n_classes", imported->n_classes);
    json_set_integer(result, "tensors", tensors);
    if (model_info_is_text(info))
        json_set(result, "text", model_text_summary(&info->text));
    else
        json_set_integer(result, "image_size", info->image_size);
    json_set_string(result, "weights_sha256", hex);
    mem_free(parameters);
    return result;
}

enum status import_write(struct report *report, const char *out, const struct imported *imported,
                         struct err *err)
{
    char hex[SHA256_HEX];
    char *weights = mem_printf("%s/weights.safetensors", out);
    enum status status = model_file_write(weights, imported->info, imported->graph, hex, err);
    if (status == OK) {
        struct json *result = make_result(imported, hex);
        status = report_result(report, result, out, "model", err);
        json_free(result);
    }
    mem_free(weights);
    return status;
}
