#include "engine/core/plan.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "engine/core/plan_build.h"
#include "engine/op/op.h"

int64_t shape_rows(const struct shape *shape)
{
    return shape->n * shape->h * shape->w;
}

size_t shape_floats(const struct shape *shape)
{
    return (size_t)(shape_rows(shape) * shape->c);
}

/* --- what ops use ---------------------------------------------------------------------------- */

const struct node *plan_graph_node(const struct plan *plan, int node)
{
    return &plan->graph->nodes[node];
}

bool plan_trains(const struct plan *plan, const struct param *param)
{
    return plan->options.mode == PLAN_TRAIN && param->trainable;
}

bool plan_runs(const struct plan *plan, int node)
{
    return plan->nodes[node].needed && node != plan->options.input_node;
}

int plan_buffer(struct plan *plan, size_t floats)
{
    plan->buffers =
        mem_realloc(plan->buffers, (size_t)(plan->n_buffers + 1) * sizeof *plan->buffers);
    plan->buffers[plan->n_buffers] =
        (struct buffer){.floats = floats, .first = plan->time, .last = plan->time};
    return plan->n_buffers++;
}

int plan_persistent_buffer(struct plan *plan, size_t floats)
{
    int id = plan_buffer(plan, floats);
    plan->buffers[id].persistent = true;
    return id;
}

int plan_output_buffer(struct plan *plan, int head)
{
    struct plan_node *end = &plan->nodes[plan->nodes[head].end];
    end->buffer = plan_buffer(plan, shape_floats(&end->shape));
    return end->buffer;
}

int plan_contribute(struct plan *plan, int node, bool *accumulate)
{
    struct plan_node *value = &plan->nodes[node];
    if (!value->needs_gradient)
        return NONE;
    *accumulate = value->gradient != NONE;
    if (!*accumulate)
        value->gradient = plan_buffer(plan, shape_floats(&value->shape));
    return value->gradient;
}

struct step *plan_step(struct plan *plan, int head, const char *what)
{
    struct steps *list = plan->building;
    list->at = mem_realloc(list->at, (size_t)(list->n + 1) * sizeof *list->at);
    struct step *step = &list->at[list->n++];
    memset(step, 0, sizeof *step);
    step->node = plan_graph_node(plan, head);
    snprintf(step->what, sizeof step->what, "%s %.63s", what, step->node->name);
    step->out = plan->nodes[plan->nodes[head].end].shape;
    if (step->node->n_inputs)
        step->in = plan->nodes[step->node->inputs[0]].shape;
    plan->time++;
    return step;
}

static struct operand *add_operand(struct step *step)
{
    if (step->n_operands == STEP_MAX_OPERANDS) {
        fprintf(stderr, "plan: step %s has too many operands\n", step->what);
        abort();
    }
    return &step->operands[step->n_operands++];
}

void step_buffer_arg(struct plan *plan, struct step *step, int arg, int buffer,
                     const struct dnn_layout *layout)
{
    struct operand *operand = add_operand(step);
    operand->arg = arg;
    operand->buffer = buffer;
    if (layout)
        operand->layout = *layout;
    if (buffer != NONE)
        plan->buffers[buffer].last = plan->time;
}

void step_buffer(struct plan *plan, struct step *step, int buffer)
{
    step_buffer_arg(plan, step, 0, buffer, NULL);
}

void step_param_arg(struct step *step, int arg, const struct param *param, enum param_part part,
                    const struct dnn_layout *layout)
{
    struct operand *operand = add_operand(step);
    *operand = (struct operand){.arg = arg, .buffer = NONE, .param = param, .part = part};
    if (layout)
        operand->layout = *layout;
}

void step_param(struct step *step, const struct param *param, enum param_part part)
{
    step_param_arg(step, 0, param, part, NULL);
}

/* --- making ---------------------------------------------------------------------------------- */

static enum status set_trainable(struct plan *plan, struct err *err)
{
    enum status status = OK;
    for (int i = 0; i < plan->graph->n_params && !status; i++) {
        struct param *param = plan->graph->params[i];
        bool trains = plan_will_train(&plan->options, param);
        if (plan->options.dry)
            param->trainable = trains;
        else
            status = param_set_trainable(param, trains, err);
    }
    return status;
}

static void describe_node(struct plan *plan, int i)
{
    const struct node *node = plan_graph_node(plan, i);
    struct plan_node *known = &plan->nodes[i];
    struct shape inputs[NODE_MAX_INPUTS];
    known->buffer = known->gradient = known->norm = known->other = known->activation = NONE;
    known->mask = known->mean = known->deviation = NONE;
    known->states = known->gates = known->cells = NONE;
    inputs[0] = node->op == OP_TOKENS
                    ? (struct shape){plan->options.steps, plan->options.batch, 1, 1}
                    : (struct shape){plan->options.batch, plan->options.height, plan->options.width,
                                     node->channels};
    for (int k = 0; k < node->n_inputs; k++) {
        inputs[k] = plan->nodes[node->inputs[k]].shape;
        known->needs_gradient |= plan->nodes[node->inputs[k]].needs_gradient;
    }
    for (int k = 0; k < node->n_params; k++)
        known->needs_gradient |= plan_trains(plan, node->params[k]);
    known->batch_statistics = node->op == OP_BATCHNORM && plan_trains(plan, node->params[0]);
    known->shape = op_table[node->op].shape(node, inputs);
}

static enum status build_forward(struct plan *plan, struct err *err)
{
    enum status status = OK;
    plan->building = &plan->forward;
    int input = plan_output_buffer(plan, plan->options.input_node);
    plan->buffers[input].persistent = plan->options.steps > 0;
    for (int i = 0; i < plan->graph->n_nodes && !status; i++) {
        int head = plan->nodes[i].head;
        if (plan_runs(plan, i) && plan->nodes[head].end == i)
            status = op_table[plan_graph_node(plan, head)->op].forward(plan, head, err);
    }
    return status;
}

static enum status build_backward(struct plan *plan, struct err *err)
{
    bool accumulate;
    enum status status = OK;
    plan->building = &plan->backward;
    plan_contribute(plan, plan->output, &accumulate);
    for (int i = plan->graph->n_nodes - 1; i >= 0 && !status; i--) {
        int head = plan->nodes[i].head;
        const struct op *op = &op_table[plan_graph_node(plan, head)->op];
        if (plan_runs(plan, i) && plan->nodes[head].end == i && plan->nodes[i].gradient != NONE &&
            op->backward)
            status = op->backward(plan, head, err);
    }
    return status;
}

static enum status bind(struct plan *plan, struct steps *steps, struct err *err)
{
    enum status status = OK;
    for (int i = 0; i < steps->n; i++) {
        struct step *step = &steps->at[i];
        for (int k = 0; k < step->n_operands && !status; k++) {
            const struct operand *operand = &step->operands[k];
            if (operand->param)
                step->at[k] = operand->param->parts[operand->part];
            else if (operand->buffer != NONE)
                step->at[k] = plan->buffers[operand->buffer].data;
            if (!step->primitive)
                continue;
            step->args[k].arg = operand->arg;
            status = dnn_check(dnnl_memory_create(&step->args[k].memory, &operand->layout.md,
                                                  dnn_engine(), step->at[k]),
                               step->what, err);
        }
    }
    return status;
}

enum status plan_new(struct graph *graph, const struct plan_options *options, struct plan **plan,
                     struct err *err)
{
    struct plan *p = mem_alloc(sizeof *p);
    p->graph = graph;
    p->options = *options;
    p->output = options->output_node ? options->output_node : graph->output;
    p->steps = options->steps;
    p->targets = p->words = p->begins = p->ends = NONE;
    p->threads = omp_get_max_threads();
    p->nodes = mem_alloc((size_t)graph->n_nodes * sizeof *p->nodes);
    enum status status = options->mode == PLAN_TRAIN ? set_trainable(p, err) : OK;
    if (status)
        goto done;
    for (int i = 0; i < graph->n_nodes; i++)
        describe_node(p, i);
    status = plan_mark_needed(p, err);
    if (status)
        goto done;
    plan_fuse(p);
    status = build_forward(p, err);
    if (!status && options->mode == PLAN_TRAIN)
        status = build_backward(p, err);
    if (status)
        goto done;
    p->buffers[p->nodes[p->output].buffer].last = p->time;
    if (options->input_gradient && p->nodes[options->input_node].gradient != NONE)
        p->buffers[p->nodes[options->input_node].gradient].last = p->time;
    status = plan_allocate(p, err);
    if (!status && !p->options.dry)
        status = bind(p, &p->forward, err);
    if (!status && !p->options.dry)
        status = bind(p, &p->backward, err);
    if (!status && !p->options.dry)
        plan_refresh(p);
done:
    if (status) {
        plan_free(p);
        return status;
    }
    *plan = p;
    return OK;
}

static void free_steps(struct steps *steps)
{
    for (int i = 0; i < steps->n; i++) {
        struct step *step = &steps->at[i];
        for (int k = 0; k < step->n_operands; k++)
            if (step->args[k].memory)
                dnnl_memory_destroy(step->args[k].memory);
        if (step->primitive)
            dnnl_primitive_destroy(step->primitive);
    }
    mem_free(steps->at);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    free_steps(&plan->forward);
    free_steps(&plan->backward);
    for (int i = 0; i < plan->n_buffers; i++)
        if (plan->buffers[i].persistent)
            mem_free(plan->buffers[i].data);
    mem_free(plan->buffers);
    mem_free(plan->prepared);
    mem_free(plan->nodes);
    mem_free(plan->arena);
    mem_free(plan);
}

/* --- running --------------------------------------------------------------------------------- */

static void run_steps(struct plan *plan, const struct steps *steps)
{
    for (int i = 0; i < steps->n; i++) {
        const struct step *step = &steps->at[i];
        if (step->run) {
            step->run(plan, step);
        } else if (dnnl_primitive_execute(step->primitive, dnn_stream(), step->n_operands,
                                          step->args) != dnnl_success ||
                   dnnl_stream_wait(dnn_stream()) != dnnl_success) {
            fprintf(stderr, "plan: oneDNN failed at %s\n", step->what);
            abort();
        }
    }
}

static size_t row_of(const struct plan *plan, int node)
{
    return shape_floats(&plan->nodes[node].shape) / (size_t)plan->options.batch;
}

size_t plan_input_row(const struct plan *plan)
{
    return row_of(plan, plan->options.input_node);
}

size_t plan_output_row(const struct plan *plan)
{
    return row_of(plan, plan->output);
}

float *plan_input(struct plan *plan)
{
    return plan->buffers[plan->nodes[plan->options.input_node].buffer].data;
}

void plan_forward(struct plan *plan, uint64_t seed, uint64_t step)
{
    plan->seed = seed;
    plan->run_step = step;
    run_steps(plan, &plan->forward);
}

const float *plan_output(const struct plan *plan)
{
    return plan->buffers[plan->nodes[plan->output].buffer].data;
}

float *plan_output_gradient(struct plan *plan)
{
    int gradient = plan->nodes[plan->output].gradient;
    return gradient == NONE ? NULL : plan->buffers[gradient].data;
}

void plan_backward(struct plan *plan)
{
    run_steps(plan, &plan->backward);
}

void plan_refresh(struct plan *plan)
{
    for (int i = 0; i < plan->n_prepared; i++)
        plan->prepared[i].prepare(plan, &plan->prepared[i]);
}

size_t plan_bytes(const struct plan *plan)
{
    return (plan->arena_floats + plan->persistent_floats) * sizeof(float);
}

static void print_steps(const struct plan *plan, const char *title, const struct steps *steps,
                        struct buf *out)
{
    char layout[160];
    buf_printf(out, "%s: %d steps\n", title, steps->n);
    for (int i = 0; i < steps->n; i++) {
        const struct step *step = &steps->at[i];
        buf_printf(out, "  %-40s (%lld,%lld,%lld,%lld)", step->what, (long long)step->out.n,
                   (long long)step->out.h, (long long)step->out.w, (long long)step->out.c);
        for (int k = 0; k < step->n_operands; k++) {
            const struct operand *operand = &step->operands[k];
            if (operand->param)
                buf_printf(out, " %s", operand->param->name);
            else if (operand->buffer != NONE)
                buf_printf(out, " @%zu", plan->buffers[operand->buffer].offset * sizeof(float));
            if (step->primitive && operand->param) {
                dnn_layout_print(&operand->layout, layout, sizeof layout);
                buf_printf(out, "[%s]", layout);
            }
        }
        buf_puts(out, "\n");
    }
}

void plan_print(const struct plan *plan, struct buf *out)
{
    buf_printf(out, "plan %s batch %lld size %lldx%lld frozen %d%s threads %d isa %s\n",
               plan->options.mode == PLAN_TRAIN ? "train" : "infer", (long long)plan->options.batch,
               (long long)plan->options.height, (long long)plan->options.width,
               plan->options.frozen_groups,
               plan->options.frozen_norm_trains ? " (norm trains)" : "", plan->threads, dnn_isa());
    if (plan->options.steps)
        buf_printf(out, "steps %lld\n", (long long)plan->options.steps);
    if (plan->options.input_node || plan->options.output_node)
        buf_printf(out, "from %s to %s\n", plan_graph_node(plan, plan->options.input_node)->name,
                   plan_graph_node(plan, plan->output)->name);
    print_steps(plan, "forward", &plan->forward, out);
    print_steps(plan, "backward", &plan->backward, out);
    buf_printf(out, "prepared weights %d, arena %zu bytes, persistent %zu bytes\n",
               plan->n_prepared, plan->arena_floats * sizeof(float),
               plan->persistent_floats * sizeof(float));
}

void plan_hash(const struct plan *plan, char hex[65])
{
    struct buf text;
    uint8_t digest[SHA256_BYTES];
    buf_init(&text, 16u << 20);
    plan_print(plan, &text);
    sha256_bytes(text.data, text.len, digest);
    digest_hex(digest, sizeof digest, hex);
    buf_deinit(&text);
}

const float *plan_dropout_mask(const struct plan *plan, int node)
{
    enum op_kind op = plan_graph_node(plan, node)->op;
    if ((op != OP_DROPOUT && op != OP_LOCKED_DROPOUT) || plan->nodes[node].mask == NONE)
        return NULL;
    return plan->buffers[plan->nodes[node].mask].data;
}
