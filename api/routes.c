/* routes.c -- the table of routes, and how a path finds its row. */
#include "api/routes.h"

#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "api/spec/dataset_options.h"
#include "base/nearest.h"

#define UPLOAD (BODY_FILE | BODY_FORM)

const struct route routes[] = {
    {"GET", "/", page_show, SCOPE_PUBLIC, BODY_NONE, 0, "",
     "the page that shows jobs as they train"},
    {"GET", "/app.css", page_show, SCOPE_PUBLIC, BODY_NONE, 0, "", "its style"},
    {"GET", "/icon.svg", page_show, SCOPE_PUBLIC, BODY_NONE, 0, "", "its icon"},
    {"GET", "/js/{file}", page_show, SCOPE_PUBLIC, BODY_NONE, 0, "", "its modules"},
    {"GET", "/healthz", health_show, SCOPE_PUBLIC, BODY_NONE, 0, "", "whether the server answers"},
    {"GET", "/version", version_show, SCOPE_READ, BODY_NONE, 0, "",
     "versions of the server, the engine and their libraries"},

    {"POST", "/v1/datasets", datasets_post, SCOPE_WRITE, UPLOAD, ROUTE_CREATES | ROUTE_DURABLE,
     "name" DATASET_OPTION_NAMES,
     "uploads a dataset, raw or as a form: an archive of pictures or texts, a table, lines of "
     "text"},
    {"GET", "/v1/datasets", datasets_index, SCOPE_READ, BODY_NONE, 0, "after limit",
     "lists datasets, newest first"},
    {"GET", "/v1/datasets/{id}", datasets_show, SCOPE_READ, BODY_NONE, 0, "", "one dataset"},
    {"DELETE", "/v1/datasets/{id}", datasets_remove, SCOPE_WRITE, BODY_NONE, 0, "",
     "deletes a dataset that no open job uses"},
    {"GET", "/v1/datasets/{id}/items", items_index, SCOPE_READ, BODY_NONE, 0,
     "class split after limit", "lists a dataset's items: number, class, split, how a text begins"},
    {"GET", "/v1/datasets/{id}/items/{n}/content", items_content, SCOPE_READ, BODY_NONE, 0, "",
     "an item's bytes: the picture, or the text in UTF-8"},
    {"GET", "/v1/datasets/{id}/items/{n}/thumbnail", items_thumbnail, SCOPE_READ, BODY_NONE, 0, "",
     "a small picture of an item, where it has one"},

    {"POST", "/v1/jobs", jobs_post, SCOPE_WRITE, BODY_JSON, ROUTE_CREATES | ROUTE_DEFERS,
     "dry_run points", "submits a job, or with dry_run=true shows what it would do"},
    {"GET", "/v1/jobs", jobs_index, SCOPE_READ, BODY_NONE, 0, "status after limit",
     "lists jobs, newest first"},
    {"GET", "/v1/jobs/{id}", jobs_show, SCOPE_READ, BODY_NONE, 0, "", "one job"},
    {"PATCH", "/v1/jobs/{id}", jobs_patch, SCOPE_WRITE, BODY_JSON, 0, "",
     "changes stages that have not begun, name, metadata or priority"},
    {"DELETE", "/v1/jobs/{id}", jobs_remove, SCOPE_WRITE, BODY_NONE, 0, "",
     "deletes a job that has ended"},
    {"POST", "/v1/jobs/{id}/cancel", jobs_cancel, SCOPE_WRITE, BODY_NONE, 0, "", "cancels a job"},
    {"POST", "/v1/jobs/{id}/pause", jobs_pause, SCOPE_WRITE, BODY_NONE, 0, "",
     "pauses a job at a checkpoint"},
    {"POST", "/v1/jobs/{id}/resume", jobs_resume, SCOPE_WRITE, BODY_NONE, 0, "",
     "lets a paused job go on"},
    {"POST", "/v1/jobs/{id}/promote", jobs_promote, SCOPE_WRITE, BODY_JSON,
     ROUTE_CREATES | ROUTE_DEFERS, "", "runs a job again on more of the data"},
    {"GET", "/v1/jobs/{id}/events", jobs_events, SCOPE_READ, BODY_NONE, 0, "after limit",
     "a job's events, as a list or as a stream (Accept: text/event-stream)"},
    {"GET", "/v1/jobs/{id}/metrics", jobs_metrics, SCOPE_READ, BODY_NONE, 0, "",
     "a job's history by epoch, as JSON, CSV or NDJSON"},
    {"GET", "/v1/jobs/{id}/schedule", jobs_schedule, SCOPE_READ, BODY_NONE, 0, "points",
     "what a job does at every step: rates, momentum, what is frozen"},
    {"GET", "/v1/jobs/{id}/report", jobs_report, SCOPE_READ, BODY_NONE, 0, "",
     "the report on the validation set"},
    {"GET", "/v1/jobs/{id}/confusion_matrix", jobs_confusion_matrix, SCOPE_READ, BODY_NONE, 0, "",
     "of the report: rows are what is so, columns what was predicted"},
    {"GET", "/v1/jobs/{id}/most_confused", jobs_most_confused, SCOPE_READ, BODY_NONE, 0, "",
     "of the report: pairs of classes, most often confused first"},
    {"GET", "/v1/jobs/{id}/top_losses", jobs_top_losses, SCOPE_READ, BODY_NONE, 0, "k",
     "of the report: the items with the greatest loss"},
    {"GET", "/v1/jobs/{id}/predictions", jobs_predictions, SCOPE_READ, BODY_NONE, 0, "format",
     "a row an item, as CSV or NDJSON"},
    {"GET", "/v1/jobs/{id}/lr_find", jobs_lr_find, SCOPE_READ, BODY_NONE, 0, "",
     "the learning-rate finder's curve and suggestions"},
    {"GET", "/v1/jobs/{id}/log", jobs_log, SCOPE_READ, BODY_NONE, 0, "", "the engine's log"},
    {"GET", "/v1/jobs/{id}/checkpoints", jobs_checkpoints, SCOPE_READ, BODY_NONE, 0, "",
     "a job's checkpoints"},
    {"GET", "/v1/events", all_events, SCOPE_READ, BODY_NONE, 0, "after limit",
     "all events, as a list or as a stream"},

    {"GET", "/v1/models", models_index, SCOPE_READ, BODY_NONE, 0, "origin after limit",
     "lists models, newest first"},
    {"POST", "/v1/models", models_post, SCOPE_WRITE, UPLOAD | BODY_JSON,
     ROUTE_CREATES | ROUTE_DURABLE | ROUTE_DEFERS, "name architecture classes backwards",
     "imports weights: safetensors, a torch state dict, or an archive of fastai's language models; "
     "or pulls a base model's: {\"pull\": NAME}"},
    {"GET", "/v1/models/{id}", models_show, SCOPE_READ, BODY_NONE, 0, "",
     "one model, by id or name"},
    {"DELETE", "/v1/models/{id}", models_remove, SCOPE_WRITE, BODY_NONE, 0, "",
     "deletes an imported or fine-tuned model; stops the download of a base model"},
    {"GET", "/v1/models/{id}/weights", models_weights, SCOPE_READ, BODY_NONE, ROUTE_DEFERS,
     "format",
     "a model's weights: safetensors, onnx, a bundle that works without "
     "Thaw, or for PyTorch and fastai pth, encoder and itos"},
    {"POST", "/v1/models/{id}/predict", models_predict, SCOPE_READ, UPLOAD | BODY_JSON,
     ROUTE_DEFERS | ROUTE_IMAGES, "top_k tta ensemble",
     "classifies one picture, or several in a form; or {\"text\"} or {\"texts\"}; with ensemble, "
     "the mean over other models, too; a language model goes on with a text: {\"text\", "
     "\"next\", \"temperature\", \"seed\"}"},
    {"GET", "/v1/checkpoints/{id}/weights", checkpoint_weights, SCOPE_READ, BODY_NONE, ROUTE_DEFERS,
     "format", "a checkpoint's weights, in the same formats"},
};
const size_t n_routes = ARRAY_LEN(routes);

/* The segment at `text`, "/" or the end behind it. */
static size_t segment(const char *text)
{
    return strcspn(text, "/");
}

/* Whether `path` has the shape of `pattern`; fills params where arena is given. */
static bool matches(const char *pattern, const char *path, struct arena *arena,
                    struct pair params[REQUEST_MAX_PARAMS], size_t *n_params)
{
    *n_params = 0;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t want = segment(pattern), have = segment(path);
        if (*pattern == '{' && have > 0) {
            params[*n_params].name = arena_strndup(arena, pattern + 1, want - 2);
            params[(*n_params)++].value = arena_strndup(arena, path, have);
        } else if (want != have || memcmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
    }
    return !*pattern && !*path;
}

static void add_method(char allow[64], const char *method)
{
    size_t len = strlen(allow);
    const char *also = strcmp(method, "GET") == 0 ? ", HEAD" : "";
    snprintf(allow + len, 64 - len, "%s%s%s", len ? ", " : "", method, also);
}

/* `path` with its one misspelt word put right by `pattern`; NULL when more than one differs, or one
 * too much. *distance is how much. */
static const char *put_right(const char *pattern, const char *path, struct arena *arena,
                             size_t *distance)
{
    const char *start = path, *right = NULL;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t want = segment(pattern), have = segment(path);
        bool fits = *pattern == '{' ? have > 0 : want == have && !memcmp(pattern, path, want);
        if (!fits) {
            const char *word = arena_strndup(arena, pattern, want);
            struct nearest nearest = {.word = arena_strndup(arena, path, have)};
            nearest_offer(&nearest, word);
            if (right || *pattern == '{' || !nearest.best)
                return NULL;
            *distance = nearest.distance;
            right = arena_printf(arena, "%.*s%s%s", (int)(path - start), start, word, path + have);
        }
        pattern += want;
        path += have;
    }
    return *pattern || *path ? NULL : right;
}

/* The path that a client may have meant: with /v1 before it, or with one word spelt right. */
static const char *suggest(const char *path, struct arena *arena)
{
    struct pair params[REQUEST_MAX_PARAMS];
    const char *best = NULL, *versioned = arena_printf(arena, "/v1%s", path);
    size_t n_params, least = SIZE_MAX, distance = 0;
    for (size_t i = 0; i < n_routes; i++) {
        if (matches(routes[i].pattern, versioned, arena, params, &n_params))
            return versioned;
        const char *right = put_right(routes[i].pattern, path, arena, &distance);
        if (right && distance < least) {
            best = right;
            least = distance;
        }
    }
    return best;
}

enum status route_find(const char *method, const char *path, struct arena *arena,
                       const struct route **route, struct pair params[REQUEST_MAX_PARAMS],
                       size_t *n_params, char allow[64], struct err *err)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    allow[0] = 0;
    for (size_t i = 0; i < n_routes; i++) {
        if (!matches(routes[i].pattern, path, arena, params, n_params))
            continue;
        if (strcmp(routes[i].method, wanted) == 0) {
            *route = &routes[i];
            return OK;
        }
        add_method(allow, routes[i].method);
    }
    *n_params = 0;
    if (allow[0])
        return err_set(err, E_METHOD, "%.20s is not a method of %.200s; it has %s.", method, path,
                       allow);
    const char *meant = suggest(path, arena);
    if (meant)
        return err_set(err, E_NOT_FOUND, "There is nothing at %.200s; did you mean %.200s?", path,
                       meant);
    return err_set(err, E_NOT_FOUND, "There is nothing at %.200s.", path);
}

/* Whether `name` is one of the words of `list`; offers each to `nearest`. */
static bool is_listed(const char *list, const char *name, struct nearest *nearest,
                      struct arena *arena)
{
    while (*list) {
        size_t len = strcspn(list, " ");
        const char *word = arena_strndup(arena, list, len);
        if (strcmp(word, name) == 0)
            return true;
        nearest_offer(nearest, word);
        list += len + (list[len] == ' ');
    }
    return false;
}

static enum status refuse_parameter(const struct route *route, const char *name, const char *best,
                                    struct err *err)
{
    if (best)
        return err_set(err, E_SYNTAX, "There is no parameter \"%.80s\" here; did you mean \"%s\"?",
                       name, best);
    if (!*route->query)
        return err_set(err, E_SYNTAX,
                       "There is no parameter \"%.80s\" here; this route takes none.", name);
    return err_set(err, E_SYNTAX, "There is no parameter \"%.80s\" here; there are: %s.", name,
                   route->query);
}

enum status route_check_query(const struct route *route, const struct pair *query, size_t n_query,
                              struct err *err)
{
    struct arena arena;
    enum status status = OK;
    arena_init(&arena);
    for (size_t i = 0; !status && i < n_query; i++) {
        struct nearest nearest = {.word = query[i].name};
        if (!is_listed(route->query, query[i].name, &nearest, &arena))
            status = refuse_parameter(route, query[i].name, nearest.best, err);
        for (size_t k = 0; !status && k < i; k++)
            if (strcmp(query[k].name, query[i].name) == 0)
                status = err_set(err, E_SYNTAX, "The parameter \"%.80s\" is there twice.",
                                 query[i].name);
    }
    arena_deinit(&arena);
    return status;
}
