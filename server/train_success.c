/* train_success.c -- a job that succeeded: its model, checkpoints and artifacts, in one
 * transaction with the last edge. */
#include <string.h>

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
    struct checkpoint_row checkpoints[TRAIN_MAX_STAGES + 2];
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
    struct products products = {.change = {.result_model = id, .weights_sha256 = sha256}};
    collect_products(train, &products);
    char *rerun = row->rerun_of ? rerun_compare(train->work.supervisor->store, row, sha256) : NULL;
    products.change.rerun = rerun;
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
