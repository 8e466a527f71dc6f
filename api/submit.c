/* submit.c -- the checks of a job spec that need the store. */
#include "api/submit.h"

#include <string.h>

#include "api/spec/jobspec.h"
#include "base/clock.h"
#include "store/datasets.h"

#define TEXT_ARCHITECTURE "awd-lstm" /* of language models from nothing */

/* A name inside a body that is unknown is 422, not 404. */
static enum status as_invalid(struct err *err, const char *pointer)
{
    struct err found = *err;
    return err_at(err, E_INVALID, pointer, "%s", found.detail);
}

static enum status check_dataset(struct store *store, const char *id, struct arena *arena,
                                 bool *ready, const char **kind, struct err *err)
{
    struct dataset_row row;
    enum status status = dataset_get(store, id, arena, &row, err);
    if (status == E_NOT_FOUND)
        return as_invalid(err, "/dataset");
    *ready = status == OK && row.status == DATASET_READY;
    *kind = *ready ? row.kind : NULL; /* not known before */
    if (status || row.status != DATASET_FAILED)
        return status;
    return err_at(err, E_INVALID, "/dataset",
                  "The dataset %s could not be processed, so nothing can be trained on it: GET "
                  "/v1/datasets/%s says why.",
                  id, id);
}

/* What a spec's "model" turned out to be. */
struct start {
    const char *name;    /* for the resolved spec */
    const char *weights; /* blob, or NULL */
    const char *architecture;
    const char *kind; /* "image" or "text"; NULL: not known */
};

static enum status start_from_checkpoint(struct store *store, const char *id, struct arena *arena,
                                         struct start *start, struct err *err)
{
    struct checkpoint_row row;
    enum status status = checkpoint_get(store, id, arena, &row, err);
    if (status)
        return status;
    struct job_row job;
    status = job_get(store, row.job, arena, &job, err);
    if (status == OK)
        *start = (struct start){row.id, row.sha256, job.architecture, NULL};
    return status;
}

static enum status no_weights(const struct model_row *row, struct err *err)
{
    if (row->random)
        return err_at(err, E_INVALID, "/model",
                      "%s has no pretrained weights: say \"weights\": \"random\" to train it from "
                      "nothing, or name a model that a job made of it.",
                      row->name);
    if (row->progress)
        return err_at(err, E_INVALID, "/model",
                      "The weights of %s are on their way: GET /v1/models/%s says how far they "
                      "are; submit the job when it is available.",
                      row->name, row->name);
    return err_at(
        err, E_INVALID, "/model",
        "The weights of %s are not here yet: POST /v1/models {\"pull\": \"%s\"} downloads "
        "them; or import a file of them with POST /v1/models?name=my-%s&architecture=%s "
        "and name that model; or say \"weights\": \"random\" to train it from nothing.",
        row->name, row->name, row->name, row->architecture);
}

static enum status start_from_model(struct store *store, const char *name, bool random,
                                    struct arena *arena, struct start *start, struct err *err)
{
    struct model_row row;
    enum status status = model_get(store, name, arena, &row, err);
    if (status)
        return status;
    bool is_base = strcmp(row.origin, "base") == 0;
    if (random) {
        *start = (struct start){row.architecture, NULL, row.architecture, row.kind};
        return OK;
    }
    *start = (struct start){is_base ? row.name : row.id, row.weights, row.architecture, row.kind};
    return row.weights ? OK : no_weights(&row, err);
}

static enum status start_from(struct store *store, const char *name, bool random,
                              struct arena *arena, struct start *start, struct err *err)
{
    return strncmp(name, "ckpt_", 5) == 0
               ? start_from_checkpoint(store, name, arena, start, err)
               : start_from_model(store, name, random, arena, start, err);
}

static enum status find_start(struct store *store, const struct json *spec, struct arena *arena,
                              struct start *start, struct err *err)
{
    const char *name = json_string(spec, "model", "");
    if (json_type(json_get(spec, "model")) == JSON_NULL) {
        *start = (struct start){"", NULL, TEXT_ARCHITECTURE, "text"};
        return OK;
    }
    bool random = strcmp(json_string(spec, "weights", ""), "random") == 0;
    if (strncmp(name, "ckpt_", 5) == 0 && random)
        return err_at(err, E_INVALID, "/weights",
                      "A checkpoint has weights: leave out \"weights\": \"random\", or name the "
                      "architecture as the model.");
    enum status status = start_from(store, name, random, arena, start, err);
    return status == E_NOT_FOUND ? as_invalid(err, "/model") : status;
}

static const char *keep_text(struct arena *arena, const struct json *value)
{
    char *text = json_text(value);
    const char *kept = arena_strdup(arena, text);
    mem_free(text);
    return kept;
}

/* --- Ensembles -------------------------------------------------------------------------------- */

static enum status find_member(struct store *store, const char *name, const struct start *first,
                               const struct json *ids, struct arena *arena, struct start *start,
                               struct err *err)
{
    enum status status = start_from(store, name, false, arena, start, err);
    if (status)
        return status;
    bool twice = strcmp(start->name, first->name) == 0;
    json_each(id, ids) twice |= strcmp(start->name, json_as_string(id, "")) == 0;
    if (twice)
        return err_set(err, E_INVALID,
                       "The model %s is in the ensemble twice: name each once, and \"model\" not "
                       "among the others.",
                       start->name);
    if (start->kind && first->kind && strcmp(start->kind, first->kind) != 0)
        return err_set(err, E_INVALID,
                       "The model %s is for %ss, and %s for %ss: models of one kind "
                       "can be averaged.",
                       start->name, start->kind, first->name, first->kind);
    return OK;
}

/* The other models' names become ids; *weights: JSON [blob...], in the arena, or NULL. Whether
 * their classes are the same, the engine sees. */
static enum status find_ensemble(struct store *store, struct json *spec, const struct start *first,
                                 struct arena *arena, const char **weights, struct err *err)
{
    struct json *ids = json_new_array(), *blobs = json_new_array();
    const struct json *names = json_get(spec, "ensemble");
    enum status status = OK;
    *weights = NULL;
    for (size_t k = 0; !status && k < json_len(names); k++) {
        struct start start = {0};
        const char *name = json_as_string(json_at(names, k), "");
        status = find_member(store, name, first, ids, arena, &start, err);
        if (status) {
            status = as_invalid(err, arena_printf(arena, "/ensemble/%zu", k));
            break;
        }
        json_add_string(ids, start.name);
        json_add_string(blobs, start.weights);
    }
    if (!status && json_len(ids) > 0) {
        *weights = keep_text(arena, blobs);
        json_set(spec, "ensemble", json_copy(ids));
    }
    json_free(ids);
    json_free(blobs);
    return status;
}

/* --- The whole -------------------------------------------------------------------------------- */

static void fill_row(struct job_row *row, struct json *spec, const struct start *start,
                     const char *ensemble, struct arena *arena)
{
    char id[40];
    id_new("job_", id);
    if (*start->name)
        json_set_string(spec, "model", start->name);
    const struct json *metadata = json_get(spec, "metadata");
    *row = (struct job_row){
        .id = arena_strdup(arena, id),
        .name = arena_strdup(arena, json_string(spec, "name", NULL)),
        .spec = keep_text(arena, spec),
        .metadata = metadata ? keep_text(arena, metadata) : "{}",
        .dataset = arena_strdup(arena, json_string(spec, "dataset", NULL)),
        .model = start->name,
        .architecture = start->architecture,
        .weights = start->weights,
        .ensemble = ensemble,
        .priority = json_integer(spec, "priority", 0),
    };
}

/* Whether dataset, or else model, are of texts: a dataset that is still processing may become
 * either. */
static bool is_of_texts(struct store *store, const struct json *spec, struct arena *arena)
{
    struct dataset_row dataset;
    struct model_row model;
    struct err ignored;
    if (dataset_get(store, json_string(spec, "dataset", ""), arena, &dataset, &ignored) == OK &&
        dataset.status == DATASET_READY)
        return strcmp(dataset.kind, "text") == 0;
    return model_get(store, json_string(spec, "model", ""), arena, &model, &ignored) == OK &&
           strcmp(model.kind, "text") == 0;
}

/* What the spec leaves open about the kind of data is decided. */
static enum status resolve(struct store *store, const struct json *spec, struct arena *arena,
                           struct json **resolved, struct err *err)
{
    struct json *copy = json_copy(spec);
    if (json_type(copy) == JSON_OBJECT)
        jobspec_set_kind(copy, is_of_texts(store, copy, arena));
    enum status status = jobspec_resolve(copy, resolved, err);
    json_free(copy);
    return status;
}

static enum status check_kind(const struct json *spec, const char *kind, struct err *err)
{
    bool text = jobspec_is_text(spec);
    if (text == (strcmp(kind, "text") == 0))
        return OK;
    return err_at(err, E_INVALID, "/dataset",
                  "The dataset holds %ss, but this job is on %s (its task is %s): name another "
                  "dataset, or leave the task out.",
                  kind, text ? "texts" : "pictures", json_string(spec, "task", ""));
}

enum status submit_prepare(struct store *store, const struct json *spec, struct arena *arena,
                           struct submission *submission, struct err *err)
{
    struct json *resolved = NULL;
    struct start start = {0};
    const char *kind = NULL, *ensemble = NULL;
    *submission = (struct submission){0};
    enum status status = resolve(store, spec, arena, &resolved, err);
    if (!status)
        status = check_dataset(store, json_string(resolved, "dataset", ""), arena,
                               &submission->dataset_ready, &kind, err);
    if (!status)
        status = find_start(store, resolved, arena, &start, err);
    if (!status && kind)
        status = check_kind(resolved, kind, err);
    if (!status && kind && start.kind && strcmp(kind, start.kind) != 0)
        status = err_at(err, E_INVALID, "/dataset",
                        "The dataset holds %ss, and the model %s is for %ss: name a dataset or a "
                        "model of the other's kind.",
                        kind, start.name, start.kind);
    if (!status)
        status = find_ensemble(store, resolved, &start, arena, &ensemble, err);
    if (!status) {
        fill_row(&submission->row, resolved, &start, ensemble, arena);
        submission->spec = resolved;
    } else {
        json_free(resolved);
    }
    return status;
}

/* --- Promotion -------------------------------------------------------------------------------- */

/* "stage-1@0.01" -> "@0.01"; "" where a stage is of no fraction. */
static const char *fraction_of(const struct json *stage)
{
    const char *at = strrchr(json_string(stage, "name", ""), '@');
    return at ? at : "";
}

/* The stages of the last fraction, on whatever sample the job has, under their own names. */
static struct json *whole_stages(const struct json *stages)
{
    struct json *kept = json_new_array();
    size_t n = json_len(stages);
    const char *last = n ? fraction_of(json_at(stages, n - 1)) : "";
    json_each(stage, stages)
    {
        if (strcmp(fraction_of(stage), last) != 0)
            continue;
        struct json *copy = json_copy(stage);
        char *name = mem_strdup(json_string(stage, "name", ""));
        if (*last)
            *strrchr(name, '@') = '\0';
        json_set_string(copy, "name", name);
        json_remove(copy, "sample");
        json_remove(copy, "fresh");
        json_add(kept, copy);
        mem_free(name);
    }
    return kept;
}

static bool begins_with_language_model(const struct json *spec)
{
    const struct json *first = json_at(json_get(spec, "stages"), 0);
    return strcmp(json_string(first, "phase", ""), "language_model") == 0;
}

/* The name that a classifier's lineage ends with: what it stands on. */
static const char *stands_on(const struct model_row *model, struct arena *arena)
{
    struct json *lineage = NULL;
    struct err ignored;
    if (!model->lineage ||
        json_parse(model->lineage, strlen(model->lineage), &lineage, &ignored) != OK)
        return NULL;
    size_t n = json_len(lineage);
    const char *last =
        n > 0 ? arena_strdup(arena, json_as_string(json_at(lineage, n - 1), "")) : NULL;
    json_free(lineage);
    return last;
}

/* The language model that the job left, under a name that another job's may have by now. */
static bool find_language_model(struct store *store, const struct job_row *job, struct arena *arena,
                                struct model_row *row)
{
    struct err ignored;
    if (model_get(store, job->result_model, arena, row, &ignored) != OK)
        return false;
    if (!row->classes)
        return true; /* time was over before there was a classifier */
    const char *name = stands_on(row, arena);
    return name && model_get(store, name, arena, row, &ignored) == OK && !row->classes &&
           row->job && strcmp(row->job, job->id) == 0;
}

enum status submit_goes_on_from(struct store *store, const struct job_row *job,
                                const struct json *spec, struct arena *arena, const char **model,
                                struct err *err)
{
    struct model_row language_model;
    if (!job->result_model)
        return err_set(err, E_CONFLICT,
                       "The job %s made no model to go on from: say \"fresh\": true.", job->id);
    *model = job->result_model;
    if (!begins_with_language_model(spec))
        return OK;
    if (!find_language_model(store, job, arena, &language_model))
        return err_set(err, E_CONFLICT,
                       "The language model that the job %s trained is gone, and its first stage "
                       "would go on from it: say \"fresh\": true.",
                       job->id);
    *model = language_model.id;
    return OK;
}

struct json *submit_promoted(const struct json *spec, double fraction, const char *model)
{
    struct json *grown = json_copy(spec);
    const struct json *sample = json_get(spec, "sample");
    json_set(grown, "stages", whole_stages(json_get(spec, "stages")));
    if (fraction < 1) {
        struct json *part =
            json_type(sample) == JSON_OBJECT ? json_copy(sample) : json_new_object();
        json_set_number(part, "fraction", fraction);
        json_set(grown, "sample", part);
    } else {
        json_remove(grown, "sample");
    }
    if (model) {
        json_set_string(grown, "model", model);
        json_set_string(grown, "head", "auto"); /* the same classes: a classifier's goes on, too */
        json_remove(grown, "weights");
    }
    return grown;
}
