/* driver.c -- runs one case of the oracle on the engine: numbers in, numbers out.
 *
 *     driver CASE.json IN.safetensors OUT.safetensors
 *
 * CASE.json
 *   network    {"layers": [...]} (network.h), or {"architecture", "head", "classes", "smooth"}
 *   mode       "train" | "infer"; batch, height, width, frozen_groups, frozen_norm_trains
 *   steps      how many (1); first_step and seed choose the dropout masks
 *   optimizer  null, or {beta2, eps, weight_decay, decay_norm_bias, clip, rates: [one a group],
 *              momentum: [one a step], scale: [of the rates, one a step; 1],
 *              taken: steps it has taken before}
 *   loss       absent: cross-entropy; or {kind: "labels" | "soft" | "binary", smoothing}, with
 *              soft.K (rows, classes) and class_weights.K in IN where they are wanted
 *   given      true: no forward or backward, the optimiser gets the gradients of IN
 * IN   param.NAME of every parameter; for step K input.K (N,H,W,C), and labels.K or
 *      output_gradient.K where there is a backward; gradient.NAME, moment1.NAME, moment2.NAME where
 *      the optimiser goes on from a state
 * OUT  output.K, loss.K, row_loss.K, mask.K.NODE (dropout, training); gradient.NAME of the last
 * step for every parameter that trains; param.NAME at the end, with an optimizer moment1.NAME and
 *      moment2.NAME too The plan
 * goes to stdout. What the numbers should be is run.py's business. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/core/plan.h"
#include "engine/core/plan_build.h"
#include "engine/format/safetensors.h"
#include "engine/op/bce.h"
#include "engine/op/xent.h"
#include "engine/train/optim.h"
#include "engine/zoo/zoo.h"
#include "tests/oracle/support/results.h"
#include "tests/unit/engine/op/network.h"

#define MAX_CASE_BYTES (4u << 20)

static const char *const part_names[N_PARAM_PARTS] = {
    [PARAM_VALUE] = "param.",
    [PARAM_GRADIENT] = "gradient.",
    [PARAM_MOMENT1] = "moment1.",
    [PARAM_MOMENT2] = "moment2.",
};

/* --- one case -----------------------------------------------------------------------------------
 */

struct run {
    struct json *spec;           /* owned */
    struct tensor_source source; /* owned; open where `opened` */
    bool opened;
    struct graph *graph; /* owned */
    struct plan *plan;   /* owned */
    struct optim optim;
    double rates[ZOO_MAX_GROUPS];
    struct results results;
};

static enum status read_spec(struct run *run, const char *path, struct err *err)
{
    struct buf text;
    buf_init(&text, MAX_CASE_BYTES);
    enum status status = fs_read_file(path, &text, err);
    if (!status)
        status = json_parse(text.data, text.len, &run->spec, err);
    buf_deinit(&text);
    return status;
}

static enum status build_architecture(struct run *run, const struct json *network, struct err *err)
{
    const char *name = json_string(network, "architecture", "");
    const struct zoo_net *net = zoo_find(name);
    struct zoo_options options = {.classes = json_integer(network, "classes", 2),
                                  .smooth = json_bool(network, "smooth", false)};
    if (!net || !zoo_head_from_name(json_string(network, "head", "v2"), &options.head))
        return err_set(err, E_INVALID, "The network %s, or its head, is not known.", name);
    run->graph = zoo_build(net, &options);
    return OK;
}

static enum status build_graph(struct run *run, struct err *err)
{
    const struct json *network = json_get(run->spec, "network");
    const struct json *layers = json_get(network, "layers");
    return layers ? network_build(layers, &run->graph, err) : build_architecture(run, network, err);
}

static enum status build_plan(struct run *run, struct err *err)
{
    const struct json *spec = run->spec;
    bool train = strcmp(json_string(spec, "mode", "train"), "train") == 0;
    struct plan_options options = {
        .mode = train ? PLAN_TRAIN : PLAN_INFER,
        .batch = json_integer(spec, "batch", 1),
        .height = json_integer(spec, "height", 1),
        .width = json_integer(spec, "width", 1),
        .frozen_groups = (int)json_integer(spec, "frozen_groups", 0),
        .frozen_norm_trains = json_bool(spec, "frozen_norm_trains", true),
    };
    return plan_new(run->graph, &options, &run->plan, err);
}

static void print_plan(const struct plan *plan)
{
    struct buf text;
    buf_init(&text, MAX_CASE_BYTES);
    plan_print(plan, &text);
    fputs(text.data, stdout);
    buf_deinit(&text);
}

static enum status prepare_optimizer(struct run *run, struct err *err)
{
    const struct json *o = json_get(run->spec, "optimizer");
    int64_t taken = json_integer(o, "taken", 0);
    struct optim_options options = {
        .beta2 = json_number(o, "beta2", .99),
        .eps = json_number(o, "eps", 1e-5),
        .weight_decay = json_number(o, "weight_decay", .01),
        .decay_norm_bias = json_bool(o, "decay_norm_bias", false),
        .clip = json_number(o, "clip", 0),
    };
    optim_init(&run->optim, &options);
    for (size_t g = 0; g < ZOO_MAX_GROUPS; g++)
        run->rates[g] = json_as_number(json_at(json_get(o, "rates"), g), 0);
    optim_reset(&run->optim, run->graph);
    if (taken == 0)
        return OK;
    run->optim.steps = taken;
    enum status status =
        network_load(run->graph, &run->source, part_names[PARAM_MOMENT1], PARAM_MOMENT1, err);
    return status ? status
                  : network_load(run->graph, &run->source, part_names[PARAM_MOMENT2], PARAM_MOMENT2,
                                 err);
}

static enum status read_tensor(struct run *run, const char *what, int64_t k, size_t n, float *out,
                               struct err *err)
{
    char *name = mem_printf("%s.%lld", what, (long long)k);
    enum status status = network_read(&run->source, name, n, out, err);
    mem_free(name);
    return status;
}

static bool has_tensor(const struct run *run, const char *what, int64_t k)
{
    char *name = mem_printf("%s.%lld", what, (long long)k);
    bool has = tensor_source_find(&run->source, name) != NULL;
    mem_free(name);
    return has;
}

static struct shape output_shape(const struct run *run)
{
    return run->plan->nodes[run->graph->output].shape;
}

static bool trains(const struct run *run)
{
    return run->plan->options.mode == PLAN_TRAIN;
}

static void add_masks(struct run *run, int64_t k)
{
    for (int i = 0; i < run->graph->n_nodes; i++) {
        const float *mask = plan_dropout_mask(run->plan, i);
        const struct shape *s = &run->plan->nodes[i].shape;
        int64_t dims[] = {s->n, s->h, s->w, s->c};
        if (mask)
            results_add(&run->results, mem_printf("mask.%lld.%d", (long long)k, i), 4, dims, mask);
    }
}

struct targets {
    int32_t *labels;       /* owned; (rows) */
    float *soft, *weights; /* owned; (rows, classes) and (classes), or NULL */
};

static enum status read_optional(struct run *run, const char *what, int64_t k, size_t n,
                                 float **out, struct err *err)
{
    if (!has_tensor(run, what, k))
        return OK;
    *out = mem_alloc(n * sizeof **out);
    return read_tensor(run, what, k, n, *out, err);
}

/* The mean loss; gradient and row_loss as in xent.h. */
static double mean_loss(const struct run *run, const struct targets *t, int64_t rows,
                        int64_t classes, float *gradient, float *row_loss)
{
    const struct json *loss = json_get(run->spec, "loss");
    const float *logits = plan_output(run->plan);
    if (strcmp(json_string(loss, "kind", "labels"), "binary") == 0) {
        double n = (double)(rows * classes);
        return bce_sum(logits, t->soft, t->weights, rows, classes, n, gradient, row_loss) / n;
    }
    struct xent_options options = {json_number(loss, "smoothing", 0), t->weights};
    struct xent_targets targets = {t->labels, t->soft};
    double n = xent_weight(&options, &targets, rows);
    return xent_sum(&options, logits, &targets, rows, classes, n, gradient, row_loss) / n;
}

/* The loss of the labels of step k, and its gradient where the plan trains. */
static enum status add_loss(struct run *run, int64_t k, struct err *err)
{
    struct shape shape = output_shape(run);
    size_t rows = (size_t)shape_rows(&shape);
    int64_t one = 1, n_rows = shape_rows(&shape);
    float *numbers = mem_alloc(rows * sizeof *numbers);
    struct targets targets = {.labels = mem_alloc(rows * sizeof *targets.labels)};
    enum status status = read_tensor(run, "labels", k, rows, numbers, err);
    if (!status)
        status = read_optional(run, "soft", k, rows * (size_t)shape.c, &targets.soft, err);
    if (!status)
        status = read_optional(run, "class_weights", k, (size_t)shape.c, &targets.weights, err);
    if (!status) {
        for (size_t i = 0; i < rows; i++)
            targets.labels[i] = (int32_t)numbers[i];
        float *row_loss =
            results_add(&run->results, mem_printf("row_loss.%lld", (long long)k), 1, &n_rows, NULL);
        float *gradient = trains(run) ? plan_output_gradient(run->plan) : NULL;
        float loss = (float)mean_loss(run, &targets, n_rows, shape.c, gradient, row_loss);
        results_add(&run->results, mem_printf("loss.%lld", (long long)k), 1, &one, &loss);
    }
    mem_free(numbers);
    mem_free(targets.labels);
    mem_free(targets.soft);
    mem_free(targets.weights);
    return status;
}

static enum status forward_backward(struct run *run, int64_t k, struct err *err)
{
    const struct json *spec = run->spec;
    struct shape shape = output_shape(run);
    struct shape input = run->plan->nodes[0].shape;
    int64_t dims[] = {shape.n, shape.h, shape.w, shape.c};
    enum status status =
        read_tensor(run, "input", k, shape_floats(&input), plan_input(run->plan), err);
    if (status)
        return status;
    plan_forward(run->plan, (uint64_t)json_integer(spec, "seed", 0),
                 (uint64_t)(json_integer(spec, "first_step", 0) + k));
    results_add(&run->results, mem_printf("output.%lld", (long long)k), 4, dims,
                plan_output(run->plan));
    add_masks(run, k);
    bool labelled = has_tensor(run, "labels", k);
    if (labelled)
        status = add_loss(run, k, err);
    else if (has_tensor(run, "output_gradient", k))
        status = read_tensor(run, "output_gradient", k, shape_floats(&shape),
                             plan_output_gradient(run->plan), err);
    else
        return OK;
    if (!status && trains(run))
        plan_backward(run->plan);
    return status;
}

static double momentum_of(const struct json *optimizer, int64_t k)
{
    return json_as_number(json_at(json_get(optimizer, "momentum"), (size_t)k), .9);
}

static void take_step(struct run *run, const struct json *optimizer, int64_t k)
{
    double rates[ZOO_MAX_GROUPS];
    double scale = json_as_number(json_at(json_get(optimizer, "scale"), (size_t)k), 1);
    for (size_t g = 0; g < ZOO_MAX_GROUPS; g++)
        rates[g] = scale * run->rates[g];
    optim_step(&run->optim, run->graph, rates, momentum_of(optimizer, k));
}

static enum status run_steps(struct run *run, struct err *err)
{
    const struct json *o = json_get(run->spec, "optimizer");
    bool given = json_bool(run->spec, "given", false);
    int64_t steps = json_integer(run->spec, "steps", 1);
    enum status status = OK;
    if (given)
        status =
            network_load(run->graph, &run->source, part_names[PARAM_GRADIENT], PARAM_GRADIENT, err);
    for (int64_t k = 0; k < steps && !status; k++) {
        if (!given)
            status = forward_backward(run, k, err);
        if (!status && json_len(o))
            take_step(run, o, k);
    }
    return status;
}

static bool optimises(const struct run *run)
{
    return json_len(json_get(run->spec, "optimizer")) > 0;
}

static void add_params(struct run *run)
{
    for (int i = 0; i < run->graph->n_params; i++) {
        const struct param *param = run->graph->params[i];
        for (int part = PARAM_VALUE; part < N_PARAM_PARTS; part++) {
            bool moment = part == PARAM_MOMENT1 || part == PARAM_MOMENT2;
            if (!param->parts[part] || (moment && !optimises(run)))
                continue;
            float *plain =
                results_add(&run->results, mem_printf("%s%s", part_names[part], param->name),
                            param->n_dims, param->dims, NULL);
            param_read(param, part, plain);
        }
    }
}

static enum status run_case(struct run *run, const char *spec, const char *in, const char *out,
                            struct err *err)
{
    enum status status = read_spec(run, spec, err);
    if (!status)
        status = tensor_source_open(in, &run->source, err);
    run->opened = !status;
    if (!status)
        status = build_graph(run, err);
    if (!status)
        status = network_load(run->graph, &run->source, part_names[PARAM_VALUE], PARAM_VALUE, err);
    if (!status)
        status = build_plan(run, err);
    if (!status) {
        print_plan(run->plan);
        status = prepare_optimizer(run, err);
    }
    if (!status)
        status = run_steps(run, err);
    if (status)
        return status;
    add_params(run);
    return results_write(&run->results, out, err);
}

int main(int argc, char **argv)
{
    struct run run = {0};
    struct err err = {0};
    if (argc != 4) {
        fputs("usage: driver CASE.json IN.safetensors OUT.safetensors\n", stderr);
        return 2;
    }
    enum status status = run_case(&run, argv[1], argv[2], argv[3], &err);
    if (status)
        fprintf(stderr, "driver: %s\n", err.detail);
    plan_free(run.plan);
    graph_free(run.graph);
    if (run.opened)
        tensor_source_close(&run.source);
    results_deinit(&run.results);
    json_free(run.spec);
    return status ? 1 : 0;
}
