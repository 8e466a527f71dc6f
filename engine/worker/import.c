/* import.c -- the verb `import`: a weights file of others becomes a model of this service.
 *
 * Reads safetensors and torch.save's formats under the names of torchvision, timm or fastai,
 * recognises the architecture, checks every tensor it needs (name, shape, finite), and writes
 * out/weights.safetensors and out/result.json: the result comes last, so where it is the weights
 * are whole. */
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/format/model_file.h"
#include "engine/worker/import_match.h"
#include "engine/worker/import_names.h"
#include "engine/worker/verb.h"

#define MAX_CLASSES_FILE (16u << 20)
#define MAX_EXTRA_NAMED  3

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

/* The names that came with the document; NULL when none did. */
static enum status given_classes(const struct json *document, struct json **classes,
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

/* Settles info.classes: those given, else the file's own, else indices. Takes `given`. */
static enum status settle_classes(struct import_match *match, struct json *given, struct err *err)
{
    struct model_info *info = &match->info;
    if (given) {
        json_free(info->classes);
        info->classes = given;
    }
    if (!info->classes && match->rows > 0)
        info->classes = index_classes(match->rows);
    if ((int64_t)json_len(info->classes) == match->rows)
        return OK;
    if (match->rows == 0)
        err_set(err, E_INVALID,
                "There are %zu class names, but the weights have no classifier: leave them out.",
                json_len(info->classes));
    else
        err_set(err, E_INVALID,
                "There are %zu class names, but the classifier of these weights has %lld classes.",
                json_len(info->classes), (long long)match->rows);
    err_name(err, "bad_classes", NULL);
    return E_INVALID;
}

/* --- Conversion ------------------------------------------------------------------------------ */

/* num_batches_tracked counts torch's training steps; nothing here reads it. */
static bool is_known(const struct graph *graph, const char *name)
{
    static const char counter[] = ".num_batches_tracked";
    size_t len = strlen(name), tail = sizeof counter - 1;
    return graph_find_param(graph, name) || (len > tail && strcmp(name + len - tail, counter) == 0);
}

static void warn_of_extra(struct report *report, const struct tensor_source *source,
                          const struct import_match *match)
{
    int n = 0;
    struct buf names;
    buf_init(&names, MAX_EXTRA_NAMED * (TENSOR_MAX_NAME + 2));
    for (size_t i = 0; i < source->n_tensors; i++) {
        const char *name = source->tensors[i].name;
        if (!is_known(match->graph, name) && n++ < MAX_EXTRA_NAMED)
            buf_printf(&names, "%s%s", names.len ? ", " : "", name);
    }
    if (n > MAX_EXTRA_NAMED)
        buf_printf(&names, " and %d more", n - MAX_EXTRA_NAMED);
    if (n > 0)
        report_warning(report, "extra_tensors", "%s has no such tensors, they were left out: %s.",
                       match->net->name, names.data);
    buf_deinit(&names);
}

/* A model of this service keeps the story it came with. */
static void set_lineage(struct model_info *info, const struct tensor_source *source,
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

static struct json *make_result(const struct import_match *match, const char *hex)
{
    int64_t parameters[ZOO_MAX_GROUPS] = {0}, total = 0, tensors = 0;
    int n_groups = match->net->n_groups - (match->rows == 0);
    for (int i = 0; i < match->graph->n_params; i++) {
        const struct param *param = match->graph->params[i];
        if (param->group >= n_groups)
            continue;
        tensors++;
        if (!param_is_statistic(param))
            parameters[param->group] += (int64_t)param->n_elements;
    }
    struct json *result = json_new_object(), *groups = json_new_array();
    for (int i = 0; i < n_groups; i++) {
        struct json *group = json_add_object(groups);
        json_set_string(group, "name", match->net->groups[i]);
        json_set_integer(group, "parameters", parameters[i]);
        total += parameters[i];
    }
    json_set_string(result, "architecture", match->net->name);
    json_set_string(result, "head", match->info.head);
    json_set_integer(result, "parameters", total);
    json_set(result, "groups", groups);
    json_set(result, "classes", json_copy(match->info.classes));
    json_set_integer(result, "n_classes", match->rows);
    json_set_integer(result, "tensors", tensors);
    json_set_integer(result, "image_size", match->info.image_size);
    json_set_string(result, "weights_sha256", hex);
    return result;
}

static enum status write_results(struct report *report, const char *out,
                                 const struct import_match *match, struct err *err)
{
    char hex[SHA256_HEX];
    char *weights = mem_printf("%s/weights.safetensors", out);
    char *path = mem_printf("%s/result.json", out);
    enum status status = model_file_write(weights, &match->info, match->graph, hex, err);
    if (status == OK) {
        struct json *result = make_result(match, hex), *header = json_new_object();
        char *text = json_text(result);
        status = fs_write_file(path, text, strlen(text), err);
        json_set_string(header, "type", "result");
        if (!report_is_wire(report))
            json_set(header, "model", json_copy(result));
        if (status == OK)
            report_send(report, header);
        json_free(header);
        json_free(result);
        mem_free(text);
    }
    mem_free(weights);
    mem_free(path);
    return status;
}

static enum status convert(struct report *report, const struct json *document,
                           const struct tensor_source *source, const char *convention,
                           struct import_match *match, struct err *err)
{
    const char *skip = match->rows > 0 ? NULL : match->prefix;
    int64_t total = (int64_t)source->n_bytes;
    struct json *given = NULL;
    enum status status = given_classes(document, &given, err);
    if (status == OK)
        status = settle_classes(match, given, err);
    if (status == OK) {
        report_progress(report, 0, total);
        status = model_file_load(source, match->graph, skip, err);
    }
    if (status == OK)
        status = report_check(report, err);
    if (status != OK)
        return status;
    warn_of_extra(report, source, match);
    set_lineage(&match->info, source, convention);
    report_progress(report, total, total);
    return write_results(report, json_string(document, "out", ""), match, err);
}

static enum status import_run(struct report *report, const struct json *document, struct err *err)
{
    struct tensor_source source;
    struct import_match match;
    const char *convention = NULL;
    enum status status = tensor_source_open(json_string(document, "source", ""), &source, err);
    if (status != OK)
        return status;
    status = import_rename(&source, &convention, err);
    if (status == OK)
        status = import_match(&source, json_string(document, "architecture", NULL), &match, err);
    if (status == OK) {
        status = convert(report, document, &source, convention, &match, err);
        import_match_deinit(&match);
    }
    tensor_source_close(&source);
    return status;
}

static const struct verb_flag flags[] = {
    {.name = "--source",
     .key = "source",
     .kind = FLAG_INPUT,
     .value = "FILE",
     .help = "safetensors, or a state dict written by torch.save",
     .required = true},
    {.name = "--out",
     .key = "out",
     .kind = FLAG_OUTPUT,
     .value = "DIR",
     .help = "gets weights.safetensors and result.json",
     .required = true},
    {.name = "--architecture",
     .key = "architecture",
     .kind = FLAG_TEXT,
     .value = "NAME",
     .help = "what the weights are of (recognised by their tensors)"},
    {.name = "--classes",
     .key = "classes_file",
     .kind = FLAG_INPUT,
     .value = "FILE",
     .help = "class names in order, one a line (indices)"},
};

const struct verb verb_import = {
    .name = "import",
    .summary = "weights of others become a model: checked, named, as safetensors",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .run = import_run,
};
