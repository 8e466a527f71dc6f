/* bench.c -- how fast this machine trains: whole steps on made-up data, one JSON line.
 *
 *   all     forward, loss, backward, AdamW over every layer
 *   frozen  the same with only the new head trainable (and batch norm, as fastai has it)
 *   infer   forward of the compiled inference plan
 * The median over the steps is reported, so one disturbed step does not matter. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/core/plan.h"
#include "engine/op/xent.h"
#include "engine/train/optim.h"
#include "engine/worker/bench_text.h"
#include "engine/worker/verb.h"
#include "engine/zoo/zoo.h"

#define CLASSES    10
#define MAX_STEPS  1000
#define WARM_STEPS 2

struct bench {
    struct bench_text *text; /* owned; of a network over text, which has all below in it */
    struct graph *graph;     /* owned */
    struct plan *plan;       /* owned */
    struct optim optim;
    double rates[ZOO_MAX_GROUPS];
    int32_t *labels; /* owned, (batch) */
    int64_t batch;
    bool trains;
};

static const char *const modes[] = {"all", "frozen", "infer"};

static enum status options_of(const struct json *document, const struct zoo_net *net,
                              struct plan_options *options, struct err *err)
{
    const char *mode = json_string(document, "mode", "all");
    const char *norm = json_string(document, "frozen_batchnorm", "train");
    int64_t size = json_integer(document, "size", net->size);
    *options = (struct plan_options){.mode = PLAN_TRAIN,
                                     .batch = json_integer(document, "batch", 16),
                                     .height = size,
                                     .width = size,
                                     .frozen_norm_trains = strcmp(norm, "eval") != 0};
    if (options->batch < 1 || options->batch > 1024 || size < 32 || size > 1024)
        return err_set(err, E_INVALID, "A bench takes --batch 1 to 1024 and --size 32 to 1024.");
    if (strcmp(mode, modes[0]) == 0)
        return OK;
    if (strcmp(mode, modes[1]) == 0)
        options->frozen_groups = net->n_groups - 1;
    else if (strcmp(mode, modes[2]) == 0)
        options->mode = PLAN_INFER;
    else
        return err_set(err, E_INVALID, "There is no mode \"%s\": use all, frozen or infer.", mode);
    return OK;
}

static enum status bench_init(struct bench *bench, const struct json *document, struct err *err)
{
    const char *name = json_string(document, "model", "resnet34");
    const struct zoo_net *net = zoo_find(name);
    struct zoo_options zoo = {.head = ZOO_HEAD_V2, .classes = CLASSES};
    struct plan_options options;
    if (bench_text_knows(name))
        return bench_text_new(document, &bench->text, err);
    if (!net)
        return err_set(err, E_INVALID, "There is no model \"%s\" to measure.", name);
    if (options_of(document, net, &options, err))
        return err->status;
    bench->graph = zoo_build(net, &zoo);
    zoo_init(bench->graph, zoo.head, 0);
    if (plan_new(bench->graph, &options, &bench->plan, err))
        return err->status;
    struct optim_options optim = optim_defaults(FORM_V2);
    optim_init(&bench->optim, &optim);
    bench->trains = options.mode == PLAN_TRAIN;
    bench->batch = options.batch;
    bench->labels = mem_alloc((size_t)options.batch * sizeof *bench->labels);
    for (int i = 0; i < ZOO_MAX_GROUPS; i++)
        bench->rates[i] = 1e-4;
    struct rng rng = rng_stream("bench", 0, 0, 0);
    for (int64_t i = 0; i < options.batch * options.height * options.width * 3; i++)
        plan_input(bench->plan)[i] = (float)rng_uniform(&rng, -1, 1);
    for (int64_t i = 0; i < options.batch; i++)
        bench->labels[i] = (int32_t)rng_below(&rng, CLASSES);
    return OK;
}

static void bench_deinit(struct bench *bench)
{
    bench_text_free(bench->text);
    mem_free(bench->labels);
    plan_free(bench->plan);
    graph_free(bench->graph);
}

static double step_seconds(struct bench *bench, uint64_t step)
{
    if (bench->text)
        return bench_text_seconds(bench->text, step);
    double start = clock_seconds();
    plan_forward(bench->plan, 0, step);
    if (bench->trains) {
        xent_loss(plan_output(bench->plan), bench->labels, bench->batch, CLASSES,
                  plan_output_gradient(bench->plan), NULL);
        plan_backward(bench->plan);
        optim_step(&bench->optim, bench->graph, bench->rates, .9);
    }
    return clock_seconds() - start;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_seconds(struct bench *bench, int64_t steps)
{
    double *seconds = mem_alloc((size_t)steps * sizeof *seconds);
    for (uint64_t i = 0; i < WARM_STEPS; i++)
        step_seconds(bench, i);
    for (int64_t i = 0; i < steps; i++)
        seconds[i] = step_seconds(bench, (uint64_t)(WARM_STEPS + i));
    qsort(seconds, (size_t)steps, sizeof *seconds, by_value);
    double median = (seconds[(steps - 1) / 2] + seconds[steps / 2]) / 2;
    mem_free(seconds);
    return median;
}

/* VmHWM: the most memory the process ever had, bytes. */
static int64_t peak_memory_bytes(void)
{
    char line[128];
    long long kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lld kB", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib * 1024;
}

static void print_plan(const struct plan *plan)
{
    struct buf text;
    buf_init(&text, 16u << 20);
    plan_print(plan, &text);
    fputs(text.data, stdout);
    buf_deinit(&text);
}

static void send_result(struct report *report, const struct json *document,
                        const struct bench *bench, double seconds)
{
    struct json *result = json_new_object();
    json_set_string(result, "type", "result");
    json_set_string(result, "model", json_string(document, "model", "resnet34"));
    json_set_string(result, "mode", json_string(document, "mode", "all"));
    if (bench->text) {
        bench_text_describe(bench->text, seconds, result);
    } else {
        json_set_integer(result, "batch", bench->batch);
        json_set_number(result, "images_per_second", (double)bench->batch / seconds);
        json_set_integer(result, "plan_bytes", (int64_t)plan_bytes(bench->plan));
    }
    json_set_number(result, "step_ms", seconds * 1e3);
    json_set_integer(result, "peak_memory_bytes", peak_memory_bytes());
    json_set_integer(result, "threads", omp_get_max_threads());
    report_send(report, result);
    json_free(result);
}

static enum status run(struct report *report, const struct json *document, struct err *err)
{
    struct bench bench = {0};
    int64_t threads = json_integer(document, "threads", omp_get_num_procs());
    int64_t steps = json_integer(document, "steps", 10);
    if (threads < 1 || threads > 1024 || steps < 1 || steps > MAX_STEPS)
        return err_set(err, E_INVALID, "A bench takes --threads 1 to 1024 and --steps 1 to %d.",
                       MAX_STEPS);
    omp_set_num_threads((int)threads);
    enum status status = bench_init(&bench, document, err);
    if (!status) {
        if (json_bool(document, "plan", false))
            print_plan(bench.text ? bench_text_plan(bench.text) : bench.plan);
        send_result(report, document, &bench, median_seconds(&bench, steps));
    }
    bench_deinit(&bench);
    return status;
}

static const struct verb_flag flags[] = {
    {"--model", "model", FLAG_TEXT, "NAME",
     "a network of the zoo, awd-lstm or awd-lstm-classifier (resnet34)", false},
    {"--size", "size", FLAG_INTEGER, "N", "image side in pixels (the network's own)", false},
    {"--batch", "batch", FLAG_INTEGER, "N", "images (16) or texts (32) a step", false},
    {"--vocabulary", "vocabulary", FLAG_INTEGER, "N", "of text: words (30000)", false},
    {"--document", "document", FLAG_INTEGER, "N", "of awd-lstm-classifier: words a text (216)",
     false},
    {"--mode", "mode", FLAG_TEXT, "all|frozen|infer", "what a step is (all)", false},
    {"--frozen-batchnorm", "frozen_batchnorm", FLAG_TEXT, "train|eval", "in frozen layers (train)",
     false},
    {"--threads", "threads", FLAG_INTEGER, "N", "of the kernels (all cores)", false},
    {"--steps", "steps", FLAG_INTEGER, "N", "steps measured, after two that are not (10)", false},
    {"--plan", "plan", FLAG_SWITCH, NULL, "print the plan first: kernels, layouts, bytes", false},
    {"--json", "json", FLAG_SWITCH, NULL, "print JSON, as it does anyway", false},
};

const struct verb verb_bench = {
    .name = "bench",
    .summary = "measures training and inference on made-up images or text",
    .flags = flags,
    .n_flags = sizeof flags / sizeof *flags,
    .run = run,
    .runs_kernels = true,
};
