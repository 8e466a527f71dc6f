/* Every operation, forward and backward, against numbers that PyTorch computed in float64
 * (tests/golden/ops.py), and every gradient against the slope of the function itself. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/core/plan.h"
#include "engine/core/plan_build.h"
#include "engine/op/xent.h"
#include "tests/unit/engine/op/network.h"

#define MAX_CASES 64
#define MAX_LABEL 64
#define SLOPE     .02 /* relative error that a float32 difference quotient may have */

static struct tensor_source golden;

struct fixture {
    const struct json *spec; /* borrowed */
    const char *name;
    struct graph *graph; /* owned */
    struct plan *plan;   /* owned */
};

static char *key_of(const struct fixture *f, const char *prefix, const char *suffix)
{
    return mem_printf("%s/%s%s", f->name, prefix, suffix);
}

static bool has(const struct fixture *f, const char *key)
{
    char *name = key_of(f, key, "");
    bool found = tensor_source_find(&golden, name) != NULL;
    mem_free(name);
    return found;
}

static void read_into(const struct fixture *f, const char *key, size_t n, float *out)
{
    struct err err = {0};
    char *name = key_of(f, key, "");
    if (network_read(&golden, name, n, out, &err) != OK)
        fail_msg("%s", err.detail);
    mem_free(name);
}

/* The input: as given, or the one-hot code of each position (ops.py in tests/oracle says why). */
static void fill_input(const struct fixture *f)
{
    struct shape shape = f->plan->nodes[0].shape;
    float *input = plan_input(f->plan);
    if (has(f, "input.0")) {
        read_into(f, "input.0", shape_floats(&shape), input);
        return;
    }
    memset(input, 0, shape_floats(&shape) * sizeof *input);
    for (int64_t row = 0; row < shape_rows(&shape); row++)
        input[row * shape.c + row] = 1.f;
}

/* The arena lends the input's place to others after its last use: it is written each time. */
static void forward(struct fixture *f)
{
    fill_input(f);
    plan_forward(f->plan, 1, 0);
}

static struct shape output_shape(const struct fixture *f)
{
    return f->plan->nodes[f->graph->output].shape;
}

static bool trains(const struct fixture *f)
{
    return strcmp(json_string(f->spec, "mode", ""), "train") == 0;
}

/* The scalar that is differentiated, and its gradient: the loss of the labels, or the output times
 * the golden output gradient. */
static double objective(struct fixture *f)
{
    struct shape shape = output_shape(f);
    size_t n = shape_floats(&shape);
    float *gradient = plan_output_gradient(f->plan), labels[MAX_LABEL];
    if (has(f, "labels.0")) {
        int32_t classes[MAX_LABEL];
        read_into(f, "labels.0", (size_t)shape.n, labels);
        for (int64_t i = 0; i < shape.n; i++)
            classes[i] = (int32_t)labels[i];
        return xent_loss(plan_output(f->plan), classes, shape.n, shape.c, gradient, NULL);
    }
    double sum = 0;
    read_into(f, "output_gradient.0", n, gradient);
    for (size_t i = 0; i < n; i++)
        sum += (double)plan_output(f->plan)[i] * (double)gradient[i];
    return sum;
}

static void open_case(struct fixture *f, const struct json *spec)
{
    struct err err = {0};
    *f = (struct fixture){.spec = spec, .name = json_string(spec, "name", "")};
    char *prefix = key_of(f, "param.", "");
    if (network_build(json_get(json_get(spec, "network"), "layers"), &f->graph, &err) != OK ||
        network_load(f->graph, &golden, prefix, PARAM_VALUE, &err) != OK)
        fail_msg("%s", err.detail);
    mem_free(prefix);
    struct plan_options options = {.mode = trains(f) ? PLAN_TRAIN : PLAN_INFER,
                                   .batch = json_integer(spec, "batch", 0),
                                   .height = json_integer(spec, "height", 0),
                                   .width = json_integer(spec, "width", 0)};
    assert_int_equal(plan_new(f->graph, &options, &f->plan, &err), OK);
}

static void close_case(struct fixture *f)
{
    plan_free(f->plan);
    graph_free(f->graph);
}

/* rms(ours - golden) / rms(golden) is within the case's bound. */
static void compare(const struct fixture *f, const char *key, const float *ours, size_t n)
{
    double bound = json_number(f->spec, "bound", 0), difference = 0, size = 0;
    float *expected = mem_alloc(n * sizeof *expected);
    read_into(f, key, n, expected);
    for (size_t i = 0; i < n; i++) {
        double d = (double)ours[i] - (double)expected[i];
        difference += d * d;
        size += (double)expected[i] * (double)expected[i];
    }
    mem_free(expected);
    if (!(sqrt(difference) <= bound * sqrt(size)))
        fail_msg("%s, %s: error %.3g of its rms, bound %.3g", f->name, key, sqrt(difference / size),
                 bound);
}

static void compare_param(const struct fixture *f, const struct param *param, enum param_part part)
{
    char *key =
        mem_printf("expected.%s.%s", part == PARAM_GRADIENT ? "gradient" : "param", param->name);
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    param_read(param, part, plain);
    if (part == PARAM_GRADIENT || has(f, key))
        compare(f, key, plain, param->n_elements);
    mem_free(plain);
    mem_free(key);
}

static void the_golden_numbers_are_met(void **state)
{
    struct fixture f;
    open_case(&f, *state);
    forward(&f);
    struct shape shape = output_shape(&f);
    compare(&f, "expected.output.0", plan_output(f.plan), shape_floats(&shape));
    if (trains(&f)) {
        float loss = (float)objective(&f);
        if (has(&f, "labels.0"))
            compare(&f, "expected.loss.0", &loss, 1);
        plan_backward(f.plan);
        for (int i = 0; i < f.graph->n_params; i++) {
            const struct param *param = f.graph->params[i];
            compare_param(&f, param, param_is_statistic(param) ? PARAM_VALUE : PARAM_GRADIENT);
        }
    }
    close_case(&f);
}

/* Moves every parameter by `by` along one random direction (the same each time), and returns what
 * its gradient says the objective will rise by for a step of 1. */
static double move(struct fixture *f, double by)
{
    double slope = 0;
    for (int i = 0; i < f->graph->n_params; i++) {
        struct param *param = f->graph->params[i];
        if (!param->trainable)
            continue;
        struct rng rng = rng_stream("direction", 5, (uint64_t)i, 0);
        float *value = mem_alloc(param->n_elements * sizeof *value);
        float *gradient = mem_alloc(param->n_elements * sizeof *gradient);
        param_read(param, PARAM_VALUE, value);
        param_read(param, PARAM_GRADIENT, gradient);
        for (size_t k = 0; k < param->n_elements; k++) {
            double direction = rng_normal(&rng);
            slope += direction * (double)gradient[k];
            value[k] += (float)(by * direction);
        }
        param_write(param, PARAM_VALUE, value);
        mem_free(value);
        mem_free(gradient);
    }
    return slope;
}

static void the_gradient_is_the_slope(void **state)
{
    struct fixture f;
    open_case(&f, *state);
    if (trains(&f) && json_bool(f.spec, "slope", true)) {
        const double h = 2e-4;
        forward(&f);
        objective(&f);
        plan_backward(f.plan);
        double slope = move(&f, h);
        forward(&f);
        double above = objective(&f);
        move(&f, -2 * h);
        forward(&f);
        double measured = (above - objective(&f)) / (2 * h);
        if (!(fabs(measured - slope) <= SLOPE * (fabs(slope) + 1)))
            fail_msg("%s: the gradient says %g, the difference quotient %g", f.name, slope,
                     measured);
    }
    close_case(&f);
}

static struct CMUnitTest test_of(void (*run)(void **), const struct json *spec, const char *claim)
{
    /* Names live as long as the program. cmocka hands `initial_state` on as it is. */
    return (struct CMUnitTest){.name = mem_printf("%s: %s", claim, json_string(spec, "name", "")),
                               .test_func = run,
                               .initial_state = (void *)(uintptr_t)spec};
}

int main(void)
{
    struct CMUnitTest tests[2 * MAX_CASES];
    struct err err = {0};
    struct json *cases = NULL;
    size_t n = 0;
    if (tensor_source_open("tests/golden/ops.safetensors", &golden, &err) != OK) {
        fprintf(stderr, "%s (tests run from the top of the tree)\n", err.detail);
        return 1;
    }
    const char *text = json_string(golden.metadata, "cases", "");
    if (json_parse(text, strlen(text), &cases, &err) != OK || json_len(cases) > MAX_CASES) {
        fprintf(stderr, "The list of cases cannot be used. %s\n", err.detail);
        return 1;
    }
    json_each(spec, cases)
    {
        tests[n++] = test_of(the_golden_numbers_are_met, spec, "the golden numbers are met");
        tests[n++] = test_of(the_gradient_is_the_slope, spec, "the gradient is the slope");
    }
    int failed = _cmocka_run_group_tests("golden", tests, n, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        mem_free((void *)(uintptr_t)tests[i].name);
    json_free(cases);
    tensor_source_close(&golden);
    return failed;
}
