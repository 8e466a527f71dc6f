/* recipes.c -- schedules and optimisers of the engine, for recipes.py to compare.
 *
 * Reads one request, JSON, on stdin and writes doubles, little-endian, to stdout:
 *   {"schedule": {...}, "form", "lr", "groups", "lengths": [[steps, steps_per_epoch]...]}
 *       for each length, for each step: the rate of each group, then the momentum
 *   {"optimizer": {...}, "form", "start": [...], "steps": [{"rate", "momentum", "gradient"}...]}
 *       after each step the values, then the first moments */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/train/optim.h"
#include "engine/zoo/zoo.h"

#define MAX_REQUEST (64u << 20)

static void write_doubles(const double *values, size_t n)
{
    if (fwrite(values, sizeof *values, n, stdout) != n)
        exit(1);
}

static void write_floats(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        write_doubles(&(double){(double)values[i]}, 1);
}

/* --- schedules --- */

static enum status print_schedule(const struct json *request, enum recipe_form form,
                                  struct err *err)
{
    struct schedule schedule;
    double rates[8], row[9];
    int groups = (int)json_integer(request, "groups", 1);
    enum status status = schedule_parse(json_get(request, "schedule"), form, &schedule, err);
    if (status == OK)
        status = schedule_parse_rates(json_get(request, "lr"), groups, rates, err);
    json_each(length, json_get(request, "lengths"))
    {
        schedule.steps = (int64_t)json_as_number(json_at(length, 0), 1);
        schedule.steps_per_epoch = (int64_t)json_as_number(json_at(length, 1), 1);
        for (int64_t step = 0; step < schedule.steps && status == OK; step++) {
            for (int g = 0; g < groups; g++)
                row[g] = rates[g] * schedule_rate(&schedule, step);
            row[groups] = schedule_momentum(&schedule, step);
            write_doubles(row, (size_t)groups + 1);
        }
    }
    return status;
}

/* --- optimisers --- */

static void read_numbers(const struct json *json, float *out, size_t n)
{
    size_t i = 0;
    json_each(value, json) if (i < n) out[i++] = (float)json_as_number(value, 0);
}

static enum status print_optimizer(const struct json *request, enum recipe_form form,
                                   struct err *err)
{
    const struct json *start = json_get(request, "start");
    size_t n = json_len(start);
    struct graph *graph = graph_new();
    graph_linear(graph, graph_input(graph, (int64_t)n), "fc", 1, false);
    struct param *param = graph->params[0];
    float *plain = mem_alloc(n * sizeof *plain);
    struct optim optim;
    struct optim_options options;
    enum status status = optim_parse(json_get(request, "optimizer"), form, &options, err);
    if (status == OK)
        status = param_set_trainable(param, true, err);
    optim_init(&optim, &options);
    read_numbers(start, plain, n);
    param_write(param, PARAM_VALUE, plain);
    json_each(step, json_get(request, "steps"))
    {
        if (status != OK)
            break;
        double rate = json_number(step, "rate", 0);
        read_numbers(json_get(step, "gradient"), plain, n);
        param_write(param, PARAM_GRADIENT, plain);
        optim_step(&optim, graph, &rate, json_number(step, "momentum", .9));
        write_floats(param->parts[PARAM_VALUE], n);
        write_floats(param->parts[PARAM_MOMENT1], n);
    }
    mem_free(plain);
    graph_free(graph);
    return status;
}

int main(void)
{
    struct err err = {0};
    struct json *request = NULL;
    char *text = mem_alloc(MAX_REQUEST);
    size_t len = fread(text, 1, MAX_REQUEST, stdin);
    enum status status = json_parse(text, len, &request, &err);
    enum recipe_form form =
        strcmp(json_string(request, "form", "v2"), "v1") == 0 ? FORM_V1 : FORM_V2;
    if (status == OK)
        status = json_get(request, "schedule") ? print_schedule(request, form, &err)
                                               : print_optimizer(request, form, &err);
    if (status != OK)
        fprintf(stderr, "%s\n", err.detail);
    json_free(request);
    mem_free(text);
    return status == OK ? 0 : 1;
}
