/* export.c -- the verb `export`: a model of this service for programs that are not ours.
 *
 * Writes the file that the table of formats names into `out`, then out/result.json: the result
 * comes last, so where it is the file is whole. */
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/format/onnx.h"
#include "engine/format/words.h"
#include "engine/worker/bundle.h"
#include "engine/worker/export_torch.h"
#include "engine/worker/verb.h"
#include "engine/zoo/zoo.h"

struct export;

struct format {
    const char *name, *file; /* as the wire has them */
    enum status (*write)(struct export *export, struct err *err);
};

struct export
{
    struct tensor_source source;
    struct model_info info;
    const struct format *format;
    char *path;          /* owned; of the file */
    const char *out;     /* borrowed */
    struct graph *graph; /* owned; NULL until it is needed */
};

/* --- Networks for pictures, as ONNX ----------------------------------------------------------- */

static enum status build(struct export *export, struct err *err)
{
    struct zoo_options options = {.classes = (int64_t)json_len(export->info.classes)};
    const struct zoo_net *net = zoo_find(export->info.architecture);
    if (model_info_is_text(&export->info)) {
        err_set(
            err, E_INVALID,
            "A model of text is not had as %s: take it as safetensors or pth, its vocabulary as "
            "itos.",
            export->format->name);
        err_name(err, "not_for_text", NULL);
        return E_INVALID;
    }
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

static enum status write_onnx(struct export *export, struct err *err)
{
    enum status status = build(export, err);
    return status ? status : onnx_write(export->path, export->graph, &export->info, err);
}

static enum status write_bundle(struct export *export, struct err *err)
{
    char *onnx = mem_printf("%s/bundled.onnx", export->out);
    enum status status = build(export, err);
    if (status == OK)
        status = onnx_write(onnx, export->graph, &export->info, err);
    if (status == OK)
        status = bundle_write(export->path, onnx, &export->source, &export->info, err);
    unlink(onnx);
    mem_free(onnx);
    return status;
}

/* --- For PyTorch ------------------------------------------------------------------------------ */

static enum status write_pth(struct export *export, struct err *err)
{
    return export_torch(export->path, &export->source, &export->info, false, err);
}

static enum status write_encoder(struct export *export, struct err *err)
{
    return export_torch(export->path, &export->source, &export->info, true, err);
}

static enum status write_itos(struct export *export, struct err *err)
{
    if (model_info_is_text(&export->info))
        return words_write_pickle(export->path, export->info.text.vocabulary, err);
    return err_set(err, E_INVALID, "The model is one of pictures: it has no vocabulary.");
}

/* --- All of it -------------------------------------------------------------------------------- */

static const struct format formats[] = {
    {"onnx", "model.onnx", write_onnx}, {"bundle", "bundle.zip", write_bundle},
    {"pth", "model.pth", write_pth},    {"encoder", "encoder.pth", write_encoder},
    {"itos", "itos.pkl", write_itos},
};

static enum status choose_format(const struct json *document, struct export *export,
                                 struct err *err)
{
    const char *name = json_string(document, "format", "");
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            export->format = &formats[i];
    if (!export->format)
        return err_set(err, E_INVALID,
                       "The format is \"%.40s\"; it can be onnx, bundle, pth, encoder or itos.",
                       name);
    export->out = json_string(document, "out", "");
    export->path = mem_printf("%s/%s", export->out, export->format->file);
    return OK;
}

static enum status write_result(struct report *report, const struct json *document,
                                const struct export *export, struct err *err)
{
    uint64_t bytes = 0;
    enum status status = fs_file_size(export->path, &bytes, err);
    if (status != OK)
        return status;
    struct json *result = json_new_object();
    json_set_string(result, "format", export->format->name);
    json_set_string(result, "file", export->format->file);
    json_set_integer(result, "bytes", (int64_t)bytes);
    status = report_result(report, result, json_string(document, "out", ""), "export", err);
    json_free(result);
    return status;
}

static enum status convert(struct report *report, const struct json *document,
                           struct export *export, struct err *err)
{
    enum status status = report_check(report, err);
    if (status == OK)
        status = export->format->write(export, err);
    if (status != OK)
        return status;
    report_progress(report, 1, 1);
    return write_result(report, document, export, err);
}

static enum status export_run(struct report *report, const struct json *document, struct err *err)
{
    struct export export = {0};
    enum status status = choose_format(document, &export, err);
    if (status == OK)
        status = model_file_open(json_string(document, "weights", ""), &export.source, &export.info,
                                 err);
    if (status == OK) {
        status = convert(report, document, &export, err);
        tensor_source_close(&export.source);
        model_info_deinit(&export.info);
    }
    graph_free(export.graph);
    mem_free(export.path);
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
     .value = "FORMAT",
     .help = "onnx, or bundle: a zip with all that is needed to use it; pth: a state dict; of text "
             "encoder, itos: what fastai loads",
     .required = true},
    {.name = "--out",
     .key = "out",
     .kind = FLAG_OUTPUT,
     .value = "DIR",
     .help = "gets the file, and result.json",
     .required = true},
};

const struct verb verb_export = {
    .name = "export",
    .summary = "a model as ONNX, as a zip that works without Thaw, or for PyTorch and fastai",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .run = export_run,
};
