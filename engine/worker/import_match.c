/* import_match.c -- recognition: the network most of whose body stands in the file, by name and
 * shape. (A resnet34 holds every tensor of a resnet18: the one with more tensors found wins.) */
#include "engine/worker/import_match.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define ENOUGH 2 /* recognised when at least 1/ENOUGH of the body's tensors are there */

/* The original classifier for two classes: only the body is looked at. */
static struct graph *build_any(const struct zoo_net *net)
{
    return zoo_build(net, &(struct zoo_options){.head = ZOO_HEAD_ORIGINAL, .classes = 2});
}

struct score {
    int fit, named, body; /* tensors with the right name and shape, with the name; all of a body */
};

static struct score score(const struct tensor_source *source, const struct zoo_net *net)
{
    struct score result = {0};
    struct graph *graph = build_any(net);
    for (int i = 0; i < graph->n_params; i++) {
        const struct param *param = graph->params[i];
        const struct tensor_view *view = tensor_source_find(source, param->name);
        if (zoo_is_head_param(graph, param))
            continue;
        result.body++;
        result.named += view != NULL;
        result.fit += view && tensor_has_shape(view, param->n_dims, param->dims);
    }
    graph_free(graph);
    return result;
}

static bool is_better(struct score a, struct score b)
{
    if (a.fit != b.fit)
        return a.fit > b.fit;
    if (a.named != b.named)
        return a.named > b.named;
    return a.body < b.body;
}

static enum status unrecognised(const struct tensor_source *source, const struct zoo_net *closest,
                                struct score score, struct err *err)
{
    struct buf text;
    buf_init(&text, sizeof err->detail - 1);
    buf_printf(&text, "The weights (%s, %zu tensors) are of no architecture that is known here: ",
               source->format, source->n_tensors);
    zoo_print_names(&text);
    if (score.named > 0) {
        struct model_match match;
        struct graph *graph = build_any(closest);
        model_file_match(source, graph, closest->classifier, &match);
        buf_printf(&text, "; closest is %s, but %s", closest->name, match.problems);
        graph_free(graph);
    } else if (source->n_tensors > 0) {
        buf_printf(&text, "; their first tensor is %s", source->tensors[0].name);
    }
    err_set(err, E_INVALID, "%s.", text.data);
    err_name(
        err, "unknown_architecture",
        "Tensors must have the names of torchvision, timm or fastai, as in model.state_dict().");
    buf_deinit(&text);
    return E_INVALID;
}

static enum status recognise(const struct tensor_source *source, const struct zoo_net **net,
                             struct err *err)
{
    struct score best = {.body = INT_MAX};
    *net = zoo_at(0);
    for (size_t i = 0; i < zoo_count(); i++) {
        struct score now = score(source, zoo_at(i));
        if (is_better(now, best)) {
            best = now;
            *net = zoo_at(i);
        }
    }
    if (best.fit > 0 && best.fit * ENOUGH >= best.body)
        return OK;
    return unrecognised(source, *net, best, err);
}

static enum status find_net(const struct tensor_source *source, const char *architecture,
                            const struct zoo_net **net, struct err *err)
{
    if (!architecture)
        return recognise(source, net, err);
    *net = zoo_find(architecture);
    if (*net)
        return OK;
    struct buf names;
    buf_init(&names, 256);
    zoo_print_names(&names);
    err_set(err, E_INVALID, "There is no architecture \"%.64s\"; known are %s.", architecture,
            names.data);
    err_name(err, "unknown_architecture", NULL);
    buf_deinit(&names);
    return E_INVALID;
}

/* The weights of a graph's last layer: its rows are the classes. */
static const struct param *last_weight(const struct graph *graph)
{
    const struct param *last = NULL;
    for (int i = 0; i < graph->n_params; i++) {
        if (zoo_is_head_param(graph, graph->params[i]) && graph->params[i]->kind == PARAM_WEIGHT)
            last = graph->params[i];
    }
    return last;
}

/* How many classes the file's classifier has; 0 when nothing of it is there. */
static enum status count_rows(const struct tensor_source *source, const struct zoo_net *net,
                              enum zoo_head head, int64_t *rows, struct err *err)
{
    struct graph *graph = zoo_build(net, &(struct zoo_options){.head = head, .classes = 2});
    const struct tensor_view *view = tensor_source_find(source, last_weight(graph)->name);
    enum status status = OK;
    *rows = view && view->n_dims > 0 ? view->dims[0] : 0;
    if (view && (*rows < 1 || *rows > MODEL_MAX_CLASSES))
        status = err_set(err, E_INVALID, "The classifier %s has %lld classes; 1 to %d can be used.",
                         view->name, (long long)*rows, MODEL_MAX_CLASSES);
    for (int i = 0; i < graph->n_params && !view && status == OK; i++) {
        const struct param *param = graph->params[i];
        if (zoo_is_head_param(graph, param) && tensor_source_find(source, param->name))
            status = err_set(err, E_INVALID,
                             "The file has %s, but not %s: its classifier is incomplete.",
                             param->name, last_weight(graph)->name);
    }
    graph_free(graph);
    return status;
}

/* Models of this service say themselves what they are. */
static enum status read_own(const struct tensor_source *source, const char *architecture,
                            struct import_match *match, enum zoo_head *head, struct err *err)
{
    enum status status = model_info_from_metadata(source->metadata, &match->info, err);
    if (status != OK)
        return status;
    if (strcmp(match->info.head, MODEL_HEAD_NONE) != 0 &&
        !zoo_head_from_name(match->info.head, head))
        return err_set(err, E_INVALID, "The model has a head of the unknown kind \"%s\".",
                       match->info.head);
    if (architecture && strcmp(architecture, match->info.architecture) != 0)
        return err_set(err, E_INVALID, "The model says that it is %s, not %.64s.",
                       match->info.architecture, architecture);
    return find_net(source, match->info.architecture, &match->net, err);
}

/* The kind of head by its tensors: fastai's new one ends in head.8, with biases in v1's form. */
static enum zoo_head recognise_head(const struct tensor_source *source)
{
    if (!tensor_source_find(source, "head.8.weight"))
        return ZOO_HEAD_ORIGINAL;
    return tensor_source_find(source, "head.8.bias") ? ZOO_HEAD_V1 : ZOO_HEAD_V2;
}

static enum status identify(const struct tensor_source *source, const char *architecture,
                            struct import_match *match, enum zoo_head *head, struct err *err)
{
    *head = recognise_head(source);
    if (json_get(source->metadata, MODEL_KEY_FORMAT))
        return read_own(source, architecture, match, head, err);
    enum status status = find_net(source, architecture, &match->net, err);
    if (status != OK)
        return status;
    match->info = model_info_default(match->net->name);
    match->info.image_size = (int)match->net->size;
    return OK;
}

static enum status check_fit(const struct tensor_source *source, const struct import_match *match,
                             struct err *err)
{
    struct model_match found;
    model_file_match(source, match->graph, match->rows > 0 ? NULL : match->prefix, &found);
    if (found.n_missing + found.n_misshapen == 0)
        return OK;
    err_set(err, E_INVALID, "The weights do not fit %s: %s.", match->net->name, found.problems);
    err_name(err, "weights_do_not_fit", NULL);
    return E_INVALID;
}

enum status import_match(const struct tensor_source *source, const char *architecture,
                         struct import_match *match, struct err *err)
{
    enum zoo_head head;
    *match = (struct import_match){0};
    enum status status = identify(source, architecture, match, &head, err);
    if (status == OK)
        status = count_rows(source, match->net, head, &match->rows, err);
    if (status == OK) {
        const char *kind = match->rows > 0 ? zoo_head_name(head) : MODEL_HEAD_NONE;
        snprintf(match->info.head, sizeof match->info.head, "%s", kind);
        snprintf(match->prefix, sizeof match->prefix, "%s.", match->net->classifier);
        match->graph =
            zoo_build(match->net, &(struct zoo_options){.head = head,
                                                        .classes = match->rows ? match->rows : 2});
        status = check_fit(source, match, err);
    }
    if (status != OK)
        import_match_deinit(match);
    return status;
}

void import_match_deinit(struct import_match *match)
{
    if (match->graph)
        graph_free(match->graph);
    model_info_deinit(&match->info);
    match->graph = NULL;
}
