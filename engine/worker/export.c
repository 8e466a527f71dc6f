/* export.c -- the verb `export`: a model of this service for programs that are not ours.
 *
 * Writes out/model.onnx or out/bundle.zip, then out/result.json: the result comes last, so where it
 * is the file is whole. */
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/format/onnx.h"
#include "engine/worker/bundle.h"
#include "engine/worker/verb.h"
#include "engine/zoo/zoo.h"

#define ONNX_FILE   "model.onnx"
#define BUNDLE_FILE "bundle.zip"

struct export
{
    struct tensor_source source;
    struct model_info info;
    struct graph *graph; /* owned */
    char *onnx;          /* owned; path of the ONNX file */
    char *bundle;        /* owned; path of the zip; NULL: none is wanted */
};

static enum status choose_files(const struct json *document, struct export *export, struct err *err)
{
    const char *format = json_string(document, "format", "");
    const char *out = json_string(document, "out", "");
    bool bundle = strcmp(format, "bundle") == 0;
    if (!bundle && strcmp(format, "onnx") != 0)
        return err_set(err, E_INVALID, "The format is \"%.40s\"; it can be onnx or bundle.",
                       format);
    export->onnx = mem_printf("%s/%s", out, ONNX_FILE);
    export->bundle = bundle ? mem_printf("%s/%s", out, BUNDLE_FILE) : NULL;
    return OK;
}

static enum status build(struct export *export, struct err *err)
{
    struct zoo_options options = {.classes = (int64_t)json_len(export->info.classes)};
    const struct zoo_net *net = zoo_find(export->info.architecture);
    if (!net)
        return err_set(err, E_INVALID, "The weights are of an unknown network \"%.60s\".",
                       export->info.architecture);
    if (!export->info.classes || !zoo_head_from_name(export->info.head, &options.head)) {
        err_set(err, E_INVALID, "The model has no classifier, so it has no output to export.");
        err_name(err, "no_classifier",
                 "Train a job on it first, or take the weights as safetensors.");
        return E_INVALID;
    }
    export->graph = zoo_build(net, &options);
    return model_file_load(&export->source, export->graph, NULL, err);
}

static enum status write_result(struct report *report, const struct json *document,
                                const struct export *export, struct err *err)
{
    uint64_t bytes = 0;
    enum status status = fs_file_size(export->bundle ? export->bundle : export->onnx, &bytes, err);
    if (status != OK)
        return status;
    char *path = mem_printf("%s/result.json", json_string(document, "out", ""));
    struct json *result = json_new_object(), *header = json_new_object();
    json_set_string(result, "format", json_string(document, "format", ""));
    json_set_string(result, "file", export->bundle ? BUNDLE_FILE : ONNX_FILE);
    json_set_integer(result, "bytes", (int64_t)bytes);
    char *text = json_text(result);
    status = fs_write_file(path, text, strlen(text), err);
    json_set_string(header, "type", "result");
    if (!report_is_wire(report))
        json_set(header, "export", json_copy(result));
    if (status == OK)
        report_send(report, header);
    json_free(header);
    json_free(result);
    mem_free(text);
    mem_free(path);
    return status;
}

static enum status convert(struct report *report, const struct json *document,
                           struct export *export, struct err *err)
{
    int64_t total = export->bundle ? 2 : 1;
    enum status status = build(export, err);
    if (status == OK)
        status = report_check(report, err);
    if (status == OK)
        status = onnx_write(export->onnx, export->graph, &export->info, err);
    if (status == OK && export->bundle) {
        report_progress(report, 1, total);
        status = bundle_write(export->bundle, export->onnx, &export->source, &export->info, err);
        unlink(export->onnx);
    }
    if (status != OK)
        return status;
    report_progress(report, total, total);
    return write_result(report, document, export, err);
}

static enum status export_run(struct report *report, const struct json *document, struct err *err)
{
    struct export export = {0};
    enum status status = choose_files(document, &export, err);
    if (status == OK)
        status = model_file_open(json_string(document, "weights", ""), &export.source, &export.info,
                                 err);
    if (status == OK) {
        status = convert(report, document, &export, err);
        tensor_source_close(&export.source);
        model_info_deinit(&export.info);
    }
    graph_free(export.graph);
    mem_free(export.onnx);
    mem_free(export.bundle);
    return status;
}

static const struct verb_flag flags[] = {
    {.name = "--weights",
     .key = "weights",
     .kind = FLAG_INPUT,
     .value = "FILE",
     .help = "a model: imported or trained",
     .required = true},
    {.name = "--format",
     .key = "format",
     .kind = FLAG_TEXT,
     .value = "onnx|bundle",
     .help = "the network alone, or a zip with all that is needed to use it",
     .required = true},
    {.name = "--out",
     .key = "out",
     .kind = FLAG_OUTPUT,
     .value = "DIR",
     .help = "gets model.onnx or bundle.zip, and result.json",
     .required = true},
};

const struct verb verb_export = {
    .name = "export",
    .summary = "a model as ONNX, or as a zip that works without Thaw",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .run = export_run,
};
