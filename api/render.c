/* render.c -- from rows to JSON: the names here are the contract. */
#include "api/render.h"

#include <string.h>

#include "base/clock.h"
#include "store/base_models.h"

static void set_time(struct json *object, const char *key, int64_t ms)
{
    char text[CLOCK_TEXT];
    if (ms == 0) {
        json_set_null(object, key);
        return;
    }
    clock_format(ms, text);
    json_set_string(object, key, text);
}

/* A column that holds JSON; NULL, or (which never happens) damaged, is null. */
static void set_column(struct json *object, const char *key, const char *text)
{
    struct json *value = NULL;
    if (text && json_parse(text, strlen(text), &value, NULL) == OK)
        json_set(object, key, value);
    else
        json_set_null(object, key);
}

/* Negative means unknown. */
static void set_count(struct json *object, const char *key, int64_t value)
{
    if (value < 0)
        json_set_null(object, key);
    else
        json_set_integer(object, key, value);
}

static void set_dataset_progress(struct json *object, const struct dataset_row *row)
{
    if (row->status != DATASET_PROCESSING) {
        json_set_null(object, "progress");
        return;
    }
    struct json *progress = json_set_object(object, "progress");
    json_set_integer(progress, "done", row->done);
    set_count(progress, "total", row->total > 0 ? row->total : -1);
    if (row->total > 0)
        json_set_number(progress, "fraction", (double)row->done / (double)row->total);
    else
        json_set_null(progress, "fraction");
}

struct json *render_dataset(const struct dataset_row *row)
{
    struct json *object = json_new_object();
    json_set_string(object, "id", row->id);
    json_set_string(object, "object", "dataset");
    json_set_string(object, "name", row->name);
    json_set_string(object, "kind", row->status == DATASET_READY ? row->kind : NULL);
    json_set_string(object, "status", dataset_status_name(row->status));
    set_dataset_progress(object, row);
    set_count(object, "items", row->items);
    set_column(object, "classes", row->classes);
    set_column(object, "splits", row->splits);
    set_column(object, "rejected", row->rejected);
    set_column(object, "warnings", row->warnings);
    set_column(object, "options", row->options);
    json_set_integer(object, "bytes", row->bytes);
    json_set_string(object, "sha256", row->sha256);
    json_set_string(object, "parent", row->parent);
    set_time(object, "created_at", row->created_ms);
    set_column(object, "error", row->error);
    return object;
}

/* Beside what was estimated, what it came to; a job that has not been planned has none. */
static void set_estimate(struct json *object, const struct job_row *row)
{
    static const struct {
        const char *name, *of_progress;
    } actual[] = {{"seconds", "elapsed_seconds"}, {"peak_memory_bytes", "peak_memory_bytes"}};
    struct json *estimate = NULL, *progress = NULL;
    if (row->estimate)
        json_parse(row->estimate, strlen(row->estimate), &estimate, NULL);
    if (!json_len(estimate)) {
        json_free(estimate);
        json_set_null(object, "estimate");
        return;
    }
    if (row->progress)
        json_parse(row->progress, strlen(row->progress), &progress, NULL);
    struct json *came_to = json_set_object(estimate, "actual");
    for (size_t i = 0; i < ARRAY_LEN(actual); i++) {
        const struct json *value = json_get(progress, actual[i].of_progress);
        json_set_null(came_to, actual[i].name);
        if (value)
            json_set(came_to, actual[i].name, json_copy(value));
    }
    json_free(progress);
    json_set(object, "estimate", estimate);
}

struct json *render_job(const struct job_row *row, int64_t queue_position)
{
    struct json *object = json_new_object();
    json_set_string(object, "id", row->id);
    json_set_string(object, "object", "job");
    json_set_string(object, "status", job_status_name(row->status));
    set_column(object, "spec", row->spec);
    json_set_string(object, "name", row->name);
    set_column(object, "metadata", row->metadata);
    json_set_string(object, "dataset", row->dataset);
    json_set_string(object, "model", *row->model ? row->model : NULL);
    set_column(object, "progress", row->progress);
    set_column(object, "latest", row->latest);
    set_column(object, "best", row->best);
    set_count(object, "queue_position", queue_position);
    set_time(object, "created_at", row->created_ms);
    set_time(object, "started_at", row->started_ms);
    set_time(object, "finished_at", row->finished_ms);
    set_time(object, "estimated_finish", row->estimated_finish_ms);
    set_estimate(object, row);
    set_column(object, "reason", row->reason);
    set_column(object, "error", row->error);
    json_set_string(object, "parent", row->parent);
    json_set_string(object, "rerun_of", row->rerun_of);
    set_column(object, "rerun", row->rerun);
    json_set_string(object, "result_model", row->result_model);
    json_set_string(object, "weights_sha256", row->weights_sha256);
    set_column(object, "engine", row->engine);
    return object;
}

struct json *render_event(const struct event_row *row)
{
    struct json *object = json_new_object(), *data = NULL;
    json_set_integer(object, "seq", row->seq);
    set_time(object, "time", row->time_ms);
    json_set_string(object, "type", row->type);
    json_set_string(object, "job", row->job);
    json_set_string(object, "dataset", row->dataset);
    json_set_string(object, "model", row->model);
    if (row->data && json_parse(row->data, strlen(row->data), &data, NULL) == OK)
        json_each(member, data) if (!json_get(object, json_key(member)))
            json_set(object, json_key(member), json_copy(member));
    json_free(data);
    return object;
}

/* What a base model's weights are published as; null for every other model. */
static void set_published(struct json *object, const struct model_row *row)
{
    bool is_base = strcmp(row->origin, "base") == 0; /* whose ids are mdl_NAME */
    const struct base_model *base = is_base ? base_model_find(row->id + strlen("mdl_")) : NULL;
    if (!base || !base->file) {
        json_set_null(object, "published");
        return;
    }
    struct json *published = json_set_object(object, "published");
    json_set_string(published, "file", base->file);
    json_set_integer(published, "bytes", (int64_t)(base->mebibytes * (1 << 20)));
    if (base->accuracy > 0)
        json_set_number(published, "accuracy", base->accuracy);
    else
        json_set_null(published, "accuracy");
}

struct json *render_model(const struct model_row *row)
{
    struct json *object = json_new_object();
    json_set_string(object, "id", row->id);
    json_set_string(object, "object", "model");
    json_set_string(object, "name", row->name);
    json_set_string(object, "kind", row->kind);
    json_set_string(object, "architecture", row->architecture);
    json_set_string(object, "origin", row->origin);
    json_set_bool(object, "available", row->available);
    set_column(object, "progress", row->progress);
    set_column(object, "error", row->error);
    set_published(object, row);
    json_set_string(object, "job", row->job);
    json_set_string(object, "dataset", row->dataset);
    set_column(object, "classes", row->classes);
    set_column(object, "groups", row->groups);
    set_count(object, "parameters", row->parameters);
    set_column(object, "metrics", row->metrics);
    set_column(object, "text", row->text);
    set_column(object, "lineage", row->lineage);
    set_count(object, "bytes", row->bytes);
    json_set_string(object, "sha256", row->weights);
    json_set_string(object, "weights_sha256", row->weights_sha256);
    set_time(object, "created_at", row->created_ms);
    return object;
}

struct json *render_checkpoint(const struct checkpoint_row *row)
{
    struct json *object = json_new_object();
    json_set_string(object, "id", row->id);
    json_set_string(object, "object", "checkpoint");
    json_set_string(object, "job", row->job);
    json_set_string(object, "name", row->name);
    json_set_integer(object, "stage_index", row->stage_index);
    json_set_integer(object, "epoch", row->epoch);
    json_set_integer(object, "step", row->step);
    set_column(object, "metrics", row->metrics);
    json_set_integer(object, "bytes", row->bytes);
    json_set_string(object, "sha256", row->sha256);
    set_time(object, "created_at", row->created_ms);
    return object;
}

static void set_end(struct json *list, const char *key, const struct json *item, const char *id_key)
{
    const struct json *id = json_get(item, id_key);
    if (id)
        json_set(list, key, json_copy(id));
    else
        json_set_null(list, key);
}

struct json *render_list(struct json *data, bool has_more, const char *id_key)
{
    struct json *list = json_new_object();
    size_t n = json_len(data);
    json_set_string(list, "object", "list");
    json_set(list, "data", data);
    json_set_bool(list, "has_more", has_more);
    set_end(list, "first_id", json_first(data), id_key);
    set_end(list, "last_id", n ? json_at(data, n - 1) : NULL, id_key);
    return list;
}
