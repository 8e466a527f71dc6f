/* import.c -- the verb `import`: a weights file of others becomes a model of this service.
 *
 * Reads safetensors and torch.save's formats under the names of torchvision, timm or fastai, or an
 * archive that holds one, recognises the architecture, checks every tensor it needs (name, shape,
 * finite; a model of text also needs its vocabulary), and writes out/weights.safetensors and
 * out/result.json: the result comes last, so where it is the weights are whole. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/worker/import_archive.h"
#include "engine/worker/import_match.h"
#include "engine/worker/import_names.h"
#include "engine/worker/import_result.h"
#include "engine/worker/import_text.h"
#include "engine/worker/import_text_names.h"
#include "engine/worker/verb.h"

#define MAX_EXTRA_NAMED 3

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

static void name_group(const void *context, int group, char name[IMPORT_GROUP_NAME])
{
    const struct import_match *match = context;
    snprintf(name, IMPORT_GROUP_NAME, "%s", match->net->groups[group]);
}

static enum status convert(struct report *report, const struct json *document,
                           const struct tensor_source *source, const char *convention,
                           struct import_match *match, struct err *err)
{
    const char *skip = match->rows > 0 ? NULL : match->prefix;
    int64_t total = (int64_t)source->n_bytes;
    struct json *given = NULL;
    enum status status = import_given_classes(document, &given, err);
    if (status == OK)
        status = import_settle_classes(&match->info, match->rows, given, err);
    if (status == OK) {
        report_progress(report, 0, total);
        status = model_file_load(source, match->graph, skip, err);
    }
    if (status == OK)
        status = report_check(report, err);
    if (status != OK)
        return status;
    warn_of_extra(report, source, match);
    import_set_lineage(&match->info, source, convention);
    report_progress(report, total, total);
    struct imported imported = {.info = &match->info,
                                .graph = match->graph,
                                .n_groups = match->net->n_groups - (match->rows == 0),
                                .name_group = name_group,
                                .context = match,
                                .n_classes = match->rows};
    return import_write(report, json_string(document, "out", ""), &imported, err);
}

/* Weights of pictures. */
static enum status import_image(struct report *report, const struct json *document,
                                struct tensor_source *source, struct err *err)
{
    struct import_match match;
    const char *convention = NULL;
    enum status status = import_rename(source, &convention, err);
    if (status == OK)
        status = import_match(source, json_string(document, "architecture", NULL), &match, err);
    if (status == OK) {
        status = convert(report, document, source, convention, &match, err);
        import_match_deinit(&match);
    }
    return status;
}

static enum status import_files(struct report *report, const struct json *document,
                                const char *weights, const char *vocabulary, struct err *err)
{
    struct tensor_source source;
    bool is_text = false;
    enum status status = tensor_source_open(weights, &source, err);
    if (status != OK)
        return status;
    status = import_text_rename(&source, &is_text, err);
    if (status == OK && is_text)
        status = import_text(report, document, &source, vocabulary, err);
    else if (status == OK && vocabulary)
        status = err_set(err, E_INVALID,
                         "A vocabulary came with weights that are of no AWD-LSTM: it needs the "
                         "tensors encoder.weight and rnns.0.weight_hh_l0, under fastai's names.");
    else if (status == OK)
        status = import_image(report, document, &source, err);
    tensor_source_close(&source);
    return status;
}

static enum status import_run(struct report *report, const struct json *document, struct err *err)
{
    const char *source = json_string(document, "source", "");
    const char *vocabulary = json_string(document, "vocabulary", NULL);
    struct import_pair pair;
    bool is_archive = false;
    enum status status = import_archive_is_one(source, &is_archive, err);
    if (status != OK)
        return status;
    if (!is_archive)
        return import_files(report, document, source, vocabulary, err);
    status = import_archive_unpack(source, json_string(document, "out", ""), &pair, err);
    if (status != OK)
        return status;
    if (pair.vocabulary && vocabulary)
        status = err_set(err, E_INVALID,
                         "There are two vocabularies, one of them in the archive: send one.");
    else
        status = import_files(report, document, pair.weights,
                              pair.vocabulary ? pair.vocabulary : vocabulary, err);
    import_pair_remove(&pair);
    return status;
}

static const struct verb_flag flags[] = {
    {.name = "--source",
     .key = "source",
     .kind = FLAG_INPUT,
     .value = "FILE",
     .help = "safetensors, a state dict written by torch.save, or an archive with one",
     .required = true},
    {.name = "--vocabulary",
     .key = "vocabulary",
     .kind = FLAG_INPUT,
     .value = "FILE",
     .help = "of a model of text: fastai's itos pickle, or a JSON list of words"},
    {.name = "--backwards",
     .key = "backwards",
     .kind = FLAG_SWITCH,
     .help = "it reads texts from their end"},
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
