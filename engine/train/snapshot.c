#include "engine/train/snapshot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/format/safetensors.h"

#define KEY_RUN      "thaw_run"      /* run_sha256 */
#define KEY_POSITION "thaw_position" /* JSON text of the position */

static const char *const resume_slots[] = {"resume-a", "resume-b"};
static const char *const part_suffixes[] = {
    [PARAM_VALUE] = "", [PARAM_MOMENT1] = ".moment1", [PARAM_MOMENT2] = ".moment2"};
static const enum param_part saved_parts[] = {PARAM_VALUE, PARAM_MOMENT1, PARAM_MOMENT2};

struct position position_start(void)
{
    return (struct position){.latest = scores_unknown(), .best = scores_unknown()};
}

static char *slot_path(const char *folder, const char *slot)
{
    return mem_printf("%s/%s.safetensors", folder, slot);
}

enum status snapshot_write(const char *folder, const char *slot, const struct graph *graph,
                           const struct model_info *info, char hex[SHA256_HEX], struct err *err)
{
    char *path = slot_path(folder, slot);
    enum status status = model_file_write(path, info, graph, hex, err);
    mem_free(path);
    return status;
}

/* --- the position as JSON --------------------------------------------------------------------- */

static const struct {
    const char *key;
    size_t offset;
} counters[] = {
    {"generation", offsetof(struct position, generation)},
    {"stage", offsetof(struct position, stage)},
    {"step", offsetof(struct position, step)},
    {"total_steps", offsetof(struct position, total_steps)},
    {"optim_steps", offsetof(struct position, optim_steps)},
    {"loss_count", offsetof(struct position, loss.count)},
    {"threads", offsetof(struct position, threads)},
};

static int64_t *counter(struct position *position, size_t i)
{
    return (int64_t *)(void *)((char *)position + counters[i].offset);
}

static char *position_text(const struct position *position)
{
    struct position copy = *position;
    struct json *json = json_new_object();
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        json_set_integer(json, counters[i].key, *counter(&copy, i));
    json_set_string(json, "plans", position->plans);
    json_set_number(json, "loss_average", position->loss.average);
    scores_set(&position->latest, json_set_object(json, "latest"));
    scores_set(&position->best, json_set_object(json, "best"));
    char *text = json_text(json);
    json_free(json);
    return text;
}

static enum status position_parse(const char *text, struct position *position, struct err *err)
{
    struct json *json;
    enum status status = json_parse(text, strlen(text), &json, err);
    if (status != OK)
        return status;
    struct position p = position_start();
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        *counter(&p, i) = json_integer(json, counters[i].key, -1);
        if (*counter(&p, i) < 0)
            status = err_set(err, E_INVALID, "its position lacks \"%s\"", counters[i].key);
    }
    snprintf(p.plans, sizeof p.plans, "%s", json_string(json, "plans", ""));
    p.loss.average = json_number(json, "loss_average", NAN);
    p.latest = scores_parse(json_get(json, "latest"));
    p.best = scores_parse(json_get(json, "best"));
    if (!isfinite(p.loss.average))
        status = err_set(err, E_INVALID, "its smoothed loss is no number");
    json_free(json);
    if (status == OK)
        *position = p;
    return status;
}

/* --- resume files: writing -------------------------------------------------------------------- */

struct tensor {
    const struct param *param;
    enum param_part part;
    char name[128];
};

static void fill_tensor(void *context, size_t item, float *plain)
{
    const struct tensor *tensors = context;
    param_read(tensors[item].param, tensors[item].part, plain);
}

/* Every value, and the moments of what trains. Returns how many; `tensors` holds three a param. */
static size_t list_tensors(const struct graph *graph, struct tensor *tensors)
{
    size_t n = 0;
    for (int i = 0; i < graph->n_params; i++) {
        const struct param *param = graph->params[i];
        for (size_t k = 0; k < ARRAY_LEN(saved_parts); k++) {
            enum param_part part = saved_parts[k];
            if (!param->parts[part])
                continue;
            tensors[n].param = param;
            tensors[n].part = part;
            snprintf(tensors[n].name, sizeof tensors[n].name, "%s%s", param->name,
                     part_suffixes[part]);
            n++;
        }
    }
    return n;
}

static enum status write_tensors(const char *path, const struct graph *graph,
                                 const struct json *metadata, struct err *err)
{
    size_t most = (size_t)graph->n_params * ARRAY_LEN(saved_parts);
    struct tensor *tensors = mem_alloc(most * sizeof *tensors);
    struct safetensors_item *items = mem_alloc(most * sizeof *items);
    size_t n = list_tensors(graph, tensors);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct safetensors_item){tensors[i].name, tensors[i].param->n_dims,
                                             tensors[i].param->dims};
    struct safetensors_content content = {.metadata = metadata,
                                          .items = items,
                                          .n_items = n,
                                          .fill = fill_tensor,
                                          .context = tensors};
    enum status status = safetensors_write(path, &content, NULL, err);
    mem_free(items);
    mem_free(tensors);
    return status;
}

enum status snapshot_write_resume(const char *folder, const struct graph *graph,
                                  const struct model_info *info, struct position *position,
                                  const char *run_sha256, const char **slot, struct err *err)
{
    position->generation++;
    *slot = resume_slots[position->generation % 2];
    char *path = slot_path(folder, *slot), *text = position_text(position);
    struct json *metadata = model_info_metadata(info);
    json_set_string(metadata, KEY_RUN, run_sha256);
    json_set_string(metadata, KEY_POSITION, text);
    enum status status = write_tensors(path, graph, metadata, err);
    json_free(metadata);
    mem_free(text);
    mem_free(path);
    return status;
}

/* --- resume files: reading -------------------------------------------------------------------- */

struct candidate {
    const char *slot;
    struct tensor_source source;
    struct position position;
    bool open;
};

static void add_warning(char warning[SNAPSHOT_WARNING], const char *slot, const struct err *err)
{
    size_t len = strlen(warning);
    snprintf(warning + len, SNAPSHOT_WARNING - len, "%s%s was passed over: %.200s", len ? " " : "",
             slot, err->detail);
}

/* Every parameter's value is there with its shape, and each moment is wholly there or not. */
static enum status check_tensors(const struct tensor_source *source, const struct graph *graph,
                                 struct err *err)
{
    for (int i = 0; i < graph->n_params; i++) {
        const struct param *param = graph->params[i];
        for (size_t k = 0; k < ARRAY_LEN(saved_parts); k++) {
            char name[128];
            snprintf(name, sizeof name, "%s%s", param->name, part_suffixes[saved_parts[k]]);
            const struct tensor_view *view = tensor_source_find(source, name);
            bool fits = view ? tensor_has_shape(view, param->n_dims, param->dims)
                             : saved_parts[k] != PARAM_VALUE;
            if (!fits)
                return err_set(err, E_INVALID, "its tensor %s is missing or has another shape.",
                               name);
        }
    }
    return OK;
}

static enum status check_candidate(struct candidate *candidate, const char *run_sha256,
                                   const struct graph *graph, struct err *err)
{
    const struct json *metadata = candidate->source.metadata;
    if (strcmp(json_string(metadata, KEY_RUN, ""), run_sha256) != 0)
        return err_set(err, E_INVALID, "it belongs to another run.");
    enum status status =
        position_parse(json_string(metadata, KEY_POSITION, ""), &candidate->position, err);
    return status == OK ? check_tensors(&candidate->source, graph, err) : status;
}

/* Opens a slot's file if it is there, whole and of this run. */
static void open_candidate(struct candidate *candidate, const char *folder, const char *run_sha256,
                           const struct graph *graph, char warning[SNAPSHOT_WARNING])
{
    struct err err = {0};
    char *path = slot_path(folder, candidate->slot);
    if (access(path, F_OK) == 0) {
        if (tensor_source_open(path, &candidate->source, &err) != OK) {
            add_warning(warning, candidate->slot, &err);
        } else if (check_candidate(candidate, run_sha256, graph, &err) != OK) {
            add_warning(warning, candidate->slot, &err);
            tensor_source_close(&candidate->source);
        } else {
            candidate->open = true;
        }
    }
    mem_free(path);
}

static size_t largest_param(const struct graph *graph)
{
    size_t largest = 1;
    for (int i = 0; i < graph->n_params; i++)
        if (graph->params[i]->n_elements > largest)
            largest = graph->params[i]->n_elements;
    return largest;
}

static enum status load_candidate(const struct candidate *candidate, struct graph *graph,
                                  struct err *err)
{
    void *plain;
    enum status status =
        mem_try_alloc(largest_param(graph), sizeof(float), "the largest tensor", &plain, err);
    if (status != OK)
        return status;
    for (int i = 0; i < graph->n_params; i++) {
        for (size_t k = 0; k < ARRAY_LEN(saved_parts); k++) {
            char name[128];
            snprintf(name, sizeof name, "%s%s", graph->params[i]->name,
                     part_suffixes[saved_parts[k]]);
            const struct tensor_view *view = tensor_source_find(&candidate->source, name);
            if (!view)
                continue;
            tensor_read(view, plain);
            param_write(graph->params[i], saved_parts[k], plain);
        }
    }
    mem_free(plain);
    return OK;
}

enum status snapshot_resume(const char *folder, const char *run_sha256, struct graph *graph,
                            struct position *position, bool *found, char warning[SNAPSHOT_WARNING],
                            struct err *err)
{
    struct candidate candidates[ARRAY_LEN(resume_slots)] = {0};
    struct candidate *newest = NULL;
    enum status status = OK;
    *found = false;
    warning[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(candidates); i++) {
        candidates[i].slot = resume_slots[i];
        open_candidate(&candidates[i], folder, run_sha256, graph, warning);
        if (candidates[i].open &&
            (!newest || candidates[i].position.generation > newest->position.generation))
            newest = &candidates[i];
    }
    if (newest) {
        status = load_candidate(newest, graph, err);
        *position = newest->position;
        *found = status == OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(candidates); i++)
        if (candidates[i].open)
            tensor_source_close(&candidates[i].source);
    return status;
}

enum status snapshot_load(const char *folder, const char *slot, struct graph *graph,
                          struct err *err)
{
    struct tensor_source source;
    struct model_info info;
    char *path = slot_path(folder, slot);
    enum status status = model_file_open(path, &source, &info, err);
    if (status == OK) {
        status = model_file_load(&source, graph, NULL, err);
        model_info_deinit(&info);
        tensor_source_close(&source);
    }
    mem_free(path);
    return status;
}
