#include "engine/train/snapshot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/format/safetensors.h"
#include "engine/format/weights_digest.h"

#define KEY_RUN      "thaw_run"      /* snapshot_run.sha256 */
#define KEY_STAGES   "thaw_stages"   /* its digest of the stages begun */
#define KEY_POSITION "thaw_position" /* JSON text of the position */

#define DIGEST_NAME  "~sha256"  /* behind all names of parameters: the last tensor */
#define CARRIED_NAME "~carried" /* before it: what is carried from step to step */

static const char *const resume_slots[] = {"resume-a", "resume-b"};
static const char *const part_suffixes[] = {[PARAM_VALUE] = "",
                                            [PARAM_MOMENT1] = ".moment1",
                                            [PARAM_MOMENT2] = ".moment2",
                                            [PARAM_SUM] = ".sum"};
static const enum param_part saved_parts[] = {PARAM_VALUE, PARAM_MOMENT1, PARAM_MOMENT2, PARAM_SUM};
static const int64_t digest_dims[] = {SHA256_BYTES / sizeof(float)};

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

/* --- resume files: writing -------------------------------------------------------------------- */

struct tensor {
    const struct param *param; /* NULL: the digest, or */
    const struct snapshot_carried *carried;
    enum param_part part;
    char name[128];
};

/* What is being written, and the digest of what already was. */
struct writing {
    struct tensor *tensors;
    struct sha256 *digest;
};

/* The metadata that a resume file cannot be without. */
static void digest_metadata(struct sha256 *digest, const struct json *metadata)
{
    static const char *const keys[] = {KEY_RUN, KEY_STAGES, KEY_POSITION};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *text = json_string(metadata, keys[i], "");
        sha256_update(digest, text, strlen(text) + 1);
    }
}

/* Called in order of names, so the digest comes when all else was digested. */
static void fill_tensor(void *context, size_t item, float *plain)
{
    const struct writing *writing = context;
    const struct tensor *tensor = &writing->tensors[item];
    if (tensor->carried) {
        memcpy(plain, tensor->carried->floats, tensor->carried->n * sizeof *plain);
        sha256_update(writing->digest, tensor->name, strlen(tensor->name) + 1);
        sha256_update(writing->digest, plain, tensor->carried->n * sizeof *plain);
        return;
    }
    if (!tensor->param) {
        uint8_t bytes[SHA256_BYTES];
        sha256_finish(writing->digest, bytes);
        memcpy(plain, bytes, sizeof bytes);
        return;
    }
    param_read(tensor->param, tensor->part, plain);
    sha256_update(writing->digest, tensor->name, strlen(tensor->name) + 1);
    sha256_update(writing->digest, plain, tensor->param->n_elements * sizeof(float));
}

/* Every value, what the optimiser keeps of what trains, and the digest. Returns how many. */
static size_t list_tensors(const struct graph *graph, bool with_sums,
                           const struct snapshot_carried *carried, struct tensor *tensors)
{
    size_t n = 0;
    for (int i = 0; i < graph->n_params; i++) {
        const struct param *param = graph->params[i];
        for (size_t k = 0; k < ARRAY_LEN(saved_parts); k++) {
            enum param_part part = saved_parts[k];
            if (!param->parts[part] || (part == PARAM_SUM && !with_sums))
                continue;
            tensors[n].param = param;
            tensors[n].part = part;
            snprintf(tensors[n].name, sizeof tensors[n].name, "%s%s", param->name,
                     part_suffixes[part]);
            n++;
        }
    }
    if (carried && carried->n > 0) {
        tensors[n].carried = carried;
        snprintf(tensors[n++].name, sizeof tensors[n].name, "%s", CARRIED_NAME);
    }
    snprintf(tensors[n].name, sizeof tensors[n].name, "%s", DIGEST_NAME);
    return n + 1;
}

static enum status write_tensors(const char *path, const struct graph *graph, bool with_sums,
                                 const struct snapshot_carried *carried,
                                 const struct json *metadata, struct err *err)
{
    size_t most = (size_t)graph->n_params * ARRAY_LEN(saved_parts) + 2;
    int64_t carried_dims[] = {carried ? (int64_t)carried->n : 0};
    struct tensor *tensors = mem_alloc(most * sizeof *tensors);
    struct safetensors_item *items = mem_alloc(most * sizeof *items);
    struct writing writing = {tensors, sha256_new()};
    size_t n = list_tensors(graph, with_sums, carried, tensors);
    for (size_t i = 0; i + 1 < n; i++)
        items[i] = tensors[i].carried
                       ? (struct safetensors_item){CARRIED_NAME, 1, carried_dims}
                       : (struct safetensors_item){tensors[i].name, tensors[i].param->n_dims,
                                                   tensors[i].param->dims};
    items[n - 1] = (struct safetensors_item){DIGEST_NAME, 1, digest_dims};
    struct safetensors_content content = {.metadata = metadata,
                                          .items = items,
                                          .n_items = n,
                                          .fill = fill_tensor,
                                          .context = &writing};
    digest_metadata(writing.digest, metadata);
    enum status status = safetensors_write(path, &content, NULL, err);
    sha256_free(writing.digest);
    mem_free(items);
    mem_free(tensors);
    return status;
}

enum status snapshot_write_resume(const char *folder, const struct graph *graph,
                                  const struct model_info *info, struct position *position,
                                  const struct snapshot_run *run, const char **slot,
                                  struct err *err)
{
    position->generation++;
    *slot = resume_slots[position->generation % 2];
    char *path = slot_path(folder, *slot), *text = position_text(position);
    struct json *metadata = model_info_metadata(info);
    json_set_string(metadata, KEY_RUN, run->sha256);
    json_set_string(metadata, KEY_STAGES, run->stages[position->stage]);
    json_set_string(metadata, KEY_POSITION, text);
    enum status status =
        write_tensors(path, graph, position->accumulated > 0, run->carried, metadata, err);
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
    snprintf(warning + len, SNAPSHOT_WARNING - len, "%sThe resume file %s was passed over: %.200s",
             len ? " " : "", slot, err->detail);
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

/* Whether all of it is what was written. Damage may lie anywhere but in what decides nothing. */
static enum status check_digest(const struct tensor_source *source, struct err *err)
{
    const struct tensor_view *written = tensor_source_find(source, DIGEST_NAME);
    if (!written || !tensor_has_shape(written, 1, digest_dims) || written->dtype != DTYPE_F32)
        return err_set(err, E_INVALID, "it lacks its digest.");
    uint8_t wanted[SHA256_BYTES], actual[SHA256_BYTES];
    tensor_read_raw(written, wanted);
    struct sha256 *digest = sha256_new();
    digest_metadata(digest, source->metadata);
    for (size_t i = 0; i < source->n_tensors; i++) {
        const struct tensor_view *view = &source->tensors[i];
        if (view == written)
            continue;
        sha256_update(digest, view->name, strlen(view->name) + 1);
        sha256_update(digest, view->data, view->n_elements * dtype_size(view->dtype));
    }
    sha256_finish(digest, actual);
    sha256_free(digest);
    if (memcmp(wanted, actual, sizeof actual) != 0)
        return err_set(err, E_INVALID, "it is damaged: its content does not have its digest.");
    return OK;
}

static enum status check_candidate(struct candidate *candidate, const struct snapshot_run *run,
                                   struct graph *graph, struct err *err)
{
    const struct json *metadata = candidate->source.metadata;
    const struct position *at = &candidate->position;
    enum status status = check_digest(&candidate->source, err);
    if (status == OK && strcmp(json_string(metadata, KEY_RUN, ""), run->sha256) != 0)
        status = err_set(err, E_INVALID, "it belongs to another run.");
    if (status == OK)
        status = position_parse(json_string(metadata, KEY_POSITION, ""), &candidate->position, err);
    if (status == OK && (at->stage >= run->n_stages || strcmp(json_string(metadata, KEY_STAGES, ""),
                                                              run->stages[at->stage]) != 0))
        status = err_set(err, E_INVALID, "it belongs to another run, which had other stages.");
    if (status == OK && run->find_graph)
        status = run->find_graph(run->context, at->stage, &graph, err);
    return status == OK ? check_tensors(&candidate->source, graph, err) : status;
}

/* Opens a slot's file if it is there, whole and of this run. */
static void open_candidate(struct candidate *candidate, const char *folder,
                           const struct snapshot_run *run, struct graph *graph,
                           char warning[SNAPSHOT_WARNING])
{
    struct err err = {0};
    char *path = slot_path(folder, candidate->slot);
    if (access(path, F_OK) == 0) {
        if (tensor_source_open(path, &candidate->source, &err) != OK) {
            add_warning(warning, candidate->slot, &err);
        } else if (check_candidate(candidate, run, graph, &err) != OK) {
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

static void read_carried(const struct candidate *candidate, struct snapshot_carried *carried)
{
    const struct tensor_view *view = tensor_source_find(&candidate->source, CARRIED_NAME);
    if (!view || !carried)
        return;
    mem_free(carried->floats);
    carried->n = view->n_elements;
    carried->floats = mem_alloc((carried->n + 1) * sizeof *carried->floats);
    tensor_read(view, carried->floats);
}

enum status snapshot_resume(const char *folder, const struct snapshot_run *run, struct graph *graph,
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
        open_candidate(&candidates[i], folder, run, graph, warning);
        if (candidates[i].open &&
            (!newest || candidates[i].position.generation > newest->position.generation))
            newest = &candidates[i];
    }
    if (newest && run->find_graph)
        status = run->find_graph(run->context, newest->position.stage, &graph, err);
    if (newest && status == OK) {
        status = load_candidate(newest, graph, err);
        read_carried(newest, run->carried);
        *position = newest->position;
        *found = status == OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(candidates); i++)
        if (candidates[i].open)
            tensor_source_close(&candidates[i].source);
    return status;
}

enum status snapshot_load(const char *folder, const char *slot, const char *wanted_sha256,
                          struct graph *graph, struct err *err)
{
    struct tensor_source source;
    struct model_info info;
    char hex[SHA256_HEX] = "", *path = slot_path(folder, slot);
    enum status status = model_file_open(path, &source, &info, err);
    mem_free(path);
    if (status != OK)
        return status;
    if (wanted_sha256)
        status = weights_sha256(&source, hex, err);
    if (status == OK && wanted_sha256 && strcmp(hex, wanted_sha256) != 0)
        status =
            err_set(err, E_INVALID, "The checkpoint %s does not hold the weights it should.", slot);
    if (status == OK)
        status = model_file_load(&source, graph, NULL, err);
    model_info_deinit(&info);
    tensor_source_close(&source);
    return status;
}
