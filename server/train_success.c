/* train_success.c -- a job that succeeded: its model, checkpoints and artifacts, in one
 * transaction with the last edge. */
#include <string.h>

#include "api/spec/jobspec.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/rerun.h"
#include "server/train_work.h"
#include "store/datasets.h"

/* ["ants", "bees"] from the dataset's [{name, items}]. */
static char *class_names(struct train *train)
{
    struct dataset_row dataset;
    struct json *classes = NULL, *names = json_new_array();
    struct err ignored;
    if (dataset_get(train->work.supervisor->store, train->row.dataset, &train->arena, &dataset,
                    &ignored) == OK &&
        dataset.classes &&
        json_parse(dataset.classes, strlen(dataset.classes), &classes, &ignored) == OK)
        json_each(class, classes) json_add_string(names, json_string(class, "name", ""));
    char *text = json_text(names);
    json_free(classes);
    json_free(names);
    return text;
}

/* The network's groups, as its base model has them. */
static const char *group_names(struct train *train)
{
    struct model_row base;
    struct err ignored;
    if (model_get(train->work.supervisor->store, train->row.architecture, &train->arena, &base,
                  &ignored) != OK)
        return NULL;
    return base.groups;
}

/* What a success brings beside its model. */
struct products {
    struct job_change change;
    struct checkpoint_row checkpoints[TRAIN_MAX_STAGES + 3];
    struct artifact_row artifacts[16];
};

static void collect_products(struct train *train, struct products *products)
{
    struct job_change *change = &products->change;
    change->checkpoints = products->checkpoints;
    change->artifacts = products->artifacts;
    for (const struct train_file *file = train->files; file; file = file->next) {
        if (file->status)
            continue;
        if (file->artifact && change->n_artifacts < ARRAY_LEN(products->artifacts))
            products->artifacts[change->n_artifacts++] = train_artifact_row(train, file);
        else if (!file->artifact && change->n_checkpoints < ARRAY_LEN(products->checkpoints))
            train_checkpoint_row(train, file, &train->arena,
                                 &products->checkpoints[change->n_checkpoints++]);
    }
}

/* --- Texts: the language model is a model of its own ------------------------------------------ */

/* A file that is in the store. */
static const struct train_file *find_file(const struct train *train, const char *slot)
{
    for (const struct train_file *file = train->files; file; file = file->next)
        if (!strcmp(file->slot, slot) && !file->status)
            return file;
    return NULL;
}

/* What the engine said of its network. */
static const char *text_sizes(struct train *train)
{
    static const char *const names[] = {"vocabulary", "embedding", "hidden",   "layers",
                                        "seq_len",    "max_len",   "backwards"};
    struct json *sizes = json_new_object();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        json_set(sizes, names[i], json_copy(json_get(train->work.result, names[i])));
    char *text = json_text(sizes);
    const char *kept = arena_strdup(&train->arena, text);
    mem_free(text);
    json_free(sizes);
    return kept;
}

/* Of the model that the job started from; NULL: from nothing, from a checkpoint, or it is gone. */
static const char *lineage_of(struct train *train, const struct job_row *row)
{
    struct model_row start;
    struct err ignored;
    if (!*row->model ||
        model_get(train->work.supervisor->store, row->model, &train->arena, &start, &ignored) != OK)
        return NULL;
    return model_lineage_after(&start, &train->arena);
}

/* What the classifier `model` stands on; without a file it is not inserted. */
static struct model_row language_model_row(struct train *train, const struct model_row *model,
                                           const char *id, const struct train_file *file)
{
    struct model_row row = *model;
    row.id = arena_strdup(&train->arena, id);
    row.name = arena_printf(&train->arena, "%s-language-model", model->name);
    row.classes = NULL;
    row.parameters = -1;
    row.metrics = "{}";
    row.weights_sha256 = NULL;
    row.weights = file ? file->blob.sha256 : NULL;
    row.bytes = file ? file->blob.bytes : -1;
    return row;
}

enum status train_write_success(struct train *train, const struct job_row *row,
                                const struct train_file *final, struct err *err)
{
    char id[40];
    id_new("mdl_", id);
    char *classes = class_names(train);
    struct json *scores = progress_scores(train->work.result);
    char *metrics = json_text(scores);
    const char *sha256 = json_string(train->work.result, "weights_sha256", NULL);
    struct model_row model = {
        .id = id,
        .name = row->name ? row->name
                          : arena_printf(&train->arena, "%s-%s", row->architecture,
                                         train->work.id + strlen("job_")),
        .kind = "image",
        .architecture = row->architecture,
        .origin = "job",
        .available = true,
        .job = train->work.id,
        .dataset = row->dataset,
        .classes = classes,
        .groups = group_names(train),
        .parameters = train->trainable_parameters,
        .metrics = metrics,
        .weights = final ? final->blob.sha256 : NULL,
        .bytes = final ? final->blob.bytes : 0,
        .weights_sha256 = sha256,
    };
    struct model_row language_model = {0};
    const struct train_file *language = find_file(train, "language-model");
    bool text = jobspec_is_text(train->spec);
    if (text) {
        char other[40];
        id_new("mdl_", other);
        model.kind = "text";
        model.classes = json_bool(train->work.result, "classifier", false) ? classes : NULL;
        model.text = text_sizes(train);
        model.lineage = lineage_of(train, row);
        language_model = language_model_row(train, &model, other, language);
    }
    struct products products = {.change = {.result_model = id, .weights_sha256 = sha256}};
    collect_products(train, &products);
    char *rerun = row->rerun_of ? rerun_compare(train->work.supervisor->store, row, sha256) : NULL;
    products.change.rerun = rerun;
    if (final && language)
        products.change.language_model = &language_model;
    if (final)
        products.change.model = &model;
    else
        products.change.result_model = NULL;
    enum status status = job_transition(train->work.supervisor->store, train->work.id, row->status,
                                        JOB_SUCCEEDED, &products.change, err);
    mem_free(rerun);
    json_free(scores);
    mem_free(metrics);
    mem_free(classes);
    return status;
}
