/* conv.c -- 2-d convolution by oneDNN, NHWC activations, weights in the kernel's own layout.
 *
 *   forward   y = [relu](conv(x, w) + b [+ other])
 *   backward  dw, db from (x, dy); dx from (w, dy); a fused ReLU first masks dy in place.
 * A parameter's stored layout is the one that the first plan's forward wished for. Where a kernel
 * wishes otherwise, trainable weights are reordered at each step; those that do not change, and
 * those with a batch norm folded in, are prepared once by plan_refresh. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/op/op.h"

struct shape conv_shape_of(const struct node *node, const struct shape *inputs)
{
    int kernel = node->u.conv.kernel, stride = node->u.conv.stride, padding = node->u.conv.padding;
    struct shape shape = inputs[0];
    shape.h = (inputs[0].h + 2 * padding - kernel) / stride + 1;
    shape.w = (inputs[0].w + 2 * padding - kernel) / stride + 1;
    shape.c = node->channels;
    return shape;
}

static struct dnn_conv_options options_of(const struct plan *plan, int head)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct plan_node *known = &plan->nodes[head];
    const struct shape *in = &plan->nodes[node->inputs[0]].shape, *out = &known->shape;
    return (struct dnn_conv_options){
        .n = in->n,
        .h = in->h,
        .w = in->w,
        .c = in->c,
        .out_h = out->h,
        .out_w = out->w,
        .out_c = out->c,
        .kernel = node->u.conv.kernel,
        .stride = node->u.conv.stride,
        .padding = node->u.conv.padding,
        .bias = node->n_params > 1 || known->norm != NONE,
        .relu = known->activation != NONE,
        .ceiling = op_relu_ceiling(plan, head),
        .sum = known->other != NONE,
        .training = plan->nodes[known->end].needs_gradient,
    };
}

/* A primitive's step, with scratch memory that only this step uses. */
static struct step *conv_step(struct plan *plan, int head, const char *what,
                              const struct dnn_conv *conv)
{
    char text[96];
    snprintf(text, sizeof text, "%s %s", what, conv->implementation);
    int scratch = conv->scratch_floats ? plan_buffer(plan, conv->scratch_floats) : NONE;
    struct step *step = plan_step(plan, head, text);
    step->primitive = conv->primitive;
    if (scratch != NONE) {
        int64_t n = (int64_t)conv->scratch_floats;
        struct dnn_layout layout = dnn_layout_plain(1, &n);
        step_buffer_arg(plan, step, DNNL_ARG_SCRATCHPAD, scratch, &layout);
    }
    return step;
}

/* --- weights in the layout a kernel wishes ------------------------------------------------------
 */

/* w' = w * gamma / sqrt(var + eps) for each output channel, b' = beta + (b - mean) * the same. */
static void fold(const struct prepared *p, const float *bias, float *weights, float *folded_bias)
{
    const float *gamma = p->norm->params[0]->parts[PARAM_VALUE];
    const float *beta = p->norm->params[1]->parts[PARAM_VALUE];
    const float *mean = p->norm->params[2]->parts[PARAM_VALUE];
    const float *variance = p->norm->params[3]->parts[PARAM_VALUE];
    int64_t channels = p->conv->channels;
    int64_t each = (int64_t)p->conv->params[0]->n_elements / channels;
    for (int64_t o = 0; o < channels; o++) {
        double scale = gamma[o] / sqrt((double)variance[o] + p->norm->u.norm.epsilon);
        for (int64_t i = 0; i < each; i++)
            weights[o * each + i] = (float)(weights[o * each + i] * scale);
        folded_bias[o] = (float)(beta[o] + ((bias ? bias[o] : 0.f) - mean[o]) * scale);
    }
}

static void fill_prepared(struct plan *plan, const struct prepared *p)
{
    const struct param *weight = p->conv->params[0];
    float *plain = mem_alloc(weight->n_elements * sizeof *plain);
    struct dnn_layout from = dnn_layout_plain(weight->n_dims, weight->dims);
    param_read(weight, PARAM_VALUE, plain);
    if (p->norm) {
        const float *bias = p->conv->n_params > 1 ? p->conv->params[1]->parts[PARAM_VALUE] : NULL;
        fold(p, bias, plain, plan->buffers[p->bias].data);
    }
    dnn_reorder(&from, plain, &p->layout, plan->buffers[p->weights].data);
    mem_free(plain);
}

static const struct prepared *prepare(struct plan *plan, int head, const struct dnn_layout *layout)
{
    const struct plan_node *known = &plan->nodes[head];
    plan->prepared =
        mem_realloc(plan->prepared, (size_t)(plan->n_prepared + 1) * sizeof *plan->prepared);
    struct prepared *p = &plan->prepared[plan->n_prepared++];
    p->prepare = fill_prepared;
    p->conv = plan_graph_node(plan, head);
    p->norm = known->norm == NONE ? NULL : plan_graph_node(plan, known->norm);
    p->layout = *layout;
    p->weights = plan_persistent_buffer(plan, dnn_layout_floats(layout));
    p->bias = p->norm ? plan_persistent_buffer(plan, (size_t)known->shape.c) : NONE;
    return p;
}

static int reordered(struct plan *plan, int head, const struct dnn_layout *layout, struct err *err)
{
    const struct param *weight = plan_graph_node(plan, head)->params[0];
    dnnl_primitive_t primitive;
    if (dnn_reorder_new(weight->layout, layout, &primitive, err))
        return NONE;
    int buffer = plan_buffer(plan, dnn_layout_floats(layout));
    struct step *step = plan_step(plan, head, "reorder of weights");
    step->primitive = primitive;
    step_param_arg(step, DNNL_ARG_FROM, weight, PARAM_VALUE, weight->layout);
    step_buffer_arg(plan, step, DNNL_ARG_TO, buffer, layout);
    return buffer;
}

enum status conv_weights(struct plan *plan, int head, const struct dnn_layout *layout, int *buffer,
                         int *bias, struct err *err)
{
    struct param *weight = plan_graph_node(plan, head)->params[0];
    *buffer = *bias = NONE;
    if (plan->nodes[head].norm == NONE) {
        if (param_set_layout(weight, layout, err))
            return err->status;
        if (dnn_layout_equal(weight->layout, layout))
            return OK;
        if (plan_trains(plan, weight)) {
            *buffer = reordered(plan, head, layout, err);
            return *buffer == NONE ? err->status : OK;
        }
    }
    const struct prepared *p = prepare(plan, head, layout);
    *buffer = p->weights;
    *bias = p->bias;
    return OK;
}

static void weights_operand(struct plan *plan, struct step *step, int head, int buffer,
                            const struct dnn_layout *layout)
{
    if (buffer == NONE)
        step_param_arg(step, DNNL_ARG_WEIGHTS, plan_graph_node(plan, head)->params[0], PARAM_VALUE,
                       layout);
    else
        step_buffer_arg(plan, step, DNNL_ARG_WEIGHTS, buffer, layout);
}

/* --- forward ------------------------------------------------------------------------------------
 */

enum status conv_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct plan_node *known = &plan->nodes[head];
    struct dnn_conv_options options = options_of(plan, head);
    struct dnn_conv conv;
    int weights, bias, out;
    if (dnn_conv_new(&options, DNN_FORWARD, &conv, err))
        return err->status;
    if (conv_weights(plan, head, &conv.weights, &weights, &bias, err)) {
        dnnl_primitive_destroy(conv.primitive);
        return err->status;
    }
    if (known->other == NONE)
        out = plan_output_buffer(plan, head);
    else
        out = plan->nodes[known->end].buffer = plan->nodes[known->other].buffer;
    struct step *step = conv_step(plan, head, "conv", &conv);
    step_buffer_arg(plan, step, DNNL_ARG_SRC, plan->nodes[node->inputs[0]].buffer, &conv.src);
    weights_operand(plan, step, head, weights, &conv.weights);
    if (bias != NONE)
        step_buffer_arg(plan, step, DNNL_ARG_BIAS, bias, &conv.bias);
    else if (node->n_params > 1)
        step_param_arg(step, DNNL_ARG_BIAS, node->params[1], PARAM_VALUE, &conv.bias);
    step_buffer_arg(plan, step, DNNL_ARG_DST, out, &conv.dst);
    return OK;
}

/* --- backward -----------------------------------------------------------------------------------
 */

static enum status reorder_gradient(struct plan *plan, int head, int buffer,
                                    const struct dnn_layout *layout, struct err *err)
{
    const struct param *weight = plan_graph_node(plan, head)->params[0];
    dnnl_primitive_t primitive;
    if (dnn_reorder_new(layout, weight->layout, &primitive, err))
        return err->status;
    struct step *step = plan_step(plan, head, "reorder of gradient");
    step->primitive = primitive;
    step_buffer_arg(plan, step, DNNL_ARG_FROM, buffer, layout);
    step_param_arg(step, DNNL_ARG_TO, weight, PARAM_GRADIENT, weight->layout);
    return OK;
}

static enum status backward_weights(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct param *weight = node->params[0];
    struct dnn_conv_options options = options_of(plan, head);
    struct dnn_conv conv;
    if (dnn_conv_new(&options, DNN_BACKWARD_WEIGHTS, &conv, err))
        return err->status;
    bool direct = dnn_layout_equal(weight->layout, &conv.weights);
    int buffer = direct ? NONE : plan_buffer(plan, dnn_layout_floats(&conv.weights));
    struct step *step = conv_step(plan, head, "conv weights", &conv);
    step_buffer_arg(plan, step, DNNL_ARG_SRC, plan->nodes[node->inputs[0]].buffer, &conv.src);
    step_buffer_arg(plan, step, DNNL_ARG_DIFF_DST, plan->nodes[plan->nodes[head].end].gradient,
                    &conv.dst);
    if (node->n_params > 1)
        step_param_arg(step, DNNL_ARG_DIFF_BIAS, node->params[1], PARAM_GRADIENT, &conv.bias);
    if (direct) {
        step_param_arg(step, DNNL_ARG_DIFF_WEIGHTS, weight, PARAM_GRADIENT, &conv.weights);
        return OK;
    }
    step_buffer_arg(plan, step, DNNL_ARG_DIFF_WEIGHTS, buffer, &conv.weights);
    return reorder_gradient(plan, head, buffer, &conv.weights, err);
}

static enum status backward_data(struct plan *plan, int head, struct err *err)
{
    int input = plan_graph_node(plan, head)->inputs[0], weights, bias;
    struct dnn_conv_options options = options_of(plan, head);
    struct dnn_conv conv;
    bool accumulate;
    if (dnn_conv_new(&options, DNN_BACKWARD_DATA, &conv, err))
        return err->status;
    if (conv_weights(plan, head, &conv.weights, &weights, &bias, err)) {
        dnnl_primitive_destroy(conv.primitive);
        return err->status;
    }
    int target = plan_contribute(plan, input, &accumulate), direct = target;
    if (accumulate)
        direct = plan_buffer(plan, shape_floats(&plan->nodes[input].shape));
    struct step *step = conv_step(plan, head, "conv data", &conv);
    step_buffer_arg(plan, step, DNNL_ARG_DIFF_DST, plan->nodes[plan->nodes[head].end].gradient,
                    &conv.dst);
    weights_operand(plan, step, head, weights, &conv.weights);
    step_buffer_arg(plan, step, DNNL_ARG_DIFF_SRC, direct, &conv.src);
    if (accumulate)
        op_add_to(plan, input, direct, target);
    return OK;
}

enum status conv_backward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    if (plan->nodes[head].activation != NONE)
        op_relu_mask(plan, head);
    if (plan_trains(plan, node->params[0]) && backward_weights(plan, head, err))
        return err->status;
    if (plan->nodes[node->inputs[0]].needs_gradient && backward_data(plan, head, err))
        return err->status;
    return OK;
}
