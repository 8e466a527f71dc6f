/* decoder_loss.c -- softmax cross-entropy over a vocabulary, from (T,B,E) to a loss a word,
 * together with its gradient, in chunks of rows: the logits of all rows never exist at once.
 *
 *   logits = x W' + b;  loss = log sum exp(logits) - logits[target]
 *   with d = (softmax - onehot) / counted:  dx = d W;  dW += d' x;  db += column sums of d
 *
 * W (V,E) is the embedding's (tied). Targets below 0 count nothing: their loss is 0. A training
 * plan computes the gradients in its forward, while a chunk's logits are there, and the embedding's
 * backward adds to dW later. Each row is one thread's, each column's sum too; the chunks follow one
 * another: the same numbers for any number of threads that sgemm gives the same numbers for. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/core/simd.h"
#include "engine/op/fast_exp.h"
#include "engine/op/op.h"
#include "engine/op/sequence.h"

#define CHUNK_FLOATS ((int64_t)16 << 20) /* of logits: beyond it, larger products are no faster */
#define COLUMNS      2048                /* of d that a thread scales and sums at a time */

enum { X, WEIGHT, BIAS, TARGETS, LOSSES, WORDS, LOGITS, SCALES, DX, DWEIGHT, DBIAS };

static int64_t chunk_rows(int64_t rows, int64_t vocabulary)
{
    int64_t most = CHUNK_FLOATS / vocabulary;
    return most < 1 ? 1 : most < rows ? most : rows;
}

static int64_t vocabulary_of(const struct step *step)
{
    return step->node->params[0]->dims[0];
}

/* One row's loss: logits become exp(logits - max); *scale is 1 / their sum. */
SIMD static float row_loss(float *logits, const float *bias, int64_t n, int32_t target,
                           float *scale, int32_t *word)
{
    float top = add_and_max(logits, bias, n);
    int64_t best = 0;
    while (best < n - 1 && logits[best] != top)
        best++;
    float at_target = logits[target] - top;
    double sum = exp_and_sum(logits, top, n);
    *word = (int32_t)best;
    *scale = (float)(1 / sum);
    return (float)(log(sum) - at_target);
}

struct chunk {
    const int32_t *targets;
    float *losses, *scales;
    int32_t *words;
    int64_t rows;
};

static void chunk_losses(const struct step *step, const struct chunk *c, int64_t counted)
{
    int64_t v = vocabulary_of(step);
    float *logits = step->at[LOGITS];
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < c->rows; r++) {
        if (c->targets[r] < 0) {
            memset(logits + r * v, 0, (size_t)v * sizeof *logits);
            c->losses[r] = c->scales[r] = 0.f;
            c->words[r] = -1;
            continue;
        }
        c->losses[r] =
            row_loss(logits + r * v, step->at[BIAS], v, c->targets[r], &c->scales[r], &c->words[r]);
        c->scales[r] /= (float)counted;
    }
}

/* Columns [begin,end): d = scale * exp, summed into db. */
SIMD static void scale_columns(float *d, const float *scales, int64_t rows, int64_t v,
                               int64_t begin, int64_t end, float *db)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = begin; i < end; i++) {
            d[r * v + i] *= scales[r];
            db[i] += d[r * v + i];
        }
}

static void chunk_gradient(const struct step *step, const struct chunk *c, int64_t counted)
{
    int64_t v = vocabulary_of(step);
    float *d = step->at[LOGITS], *db = step->at[DBIAS], one = 1.f / (float)counted;
#pragma omp parallel for schedule(static)
    for (int64_t begin = 0; begin < v; begin += COLUMNS)
        scale_columns(d, c->scales, c->rows, v, begin, begin + COLUMNS < v ? begin + COLUMNS : v,
                      db);
    for (int64_t r = 0; r < c->rows; r++) {
        if (c->targets[r] < 0)
            continue;
        d[r * v + c->targets[r]] -= one;
        db[c->targets[r]] -= one;
    }
}

static int64_t count(const int32_t *targets, int64_t n)
{
    int64_t counted = 0;
    for (int64_t i = 0; i < n; i++)
        counted += targets[i] >= 0;
    return counted;
}

/* Nothing of the chunk counts. */
static void skip_chunk(const struct chunk *c, float *dx, int64_t e)
{
    for (int64_t r = 0; r < c->rows; r++) {
        c->losses[r] = 0.f;
        c->words[r] = -1;
    }
    if (dx)
        memset(dx, 0, (size_t)(c->rows * e) * sizeof *dx);
}

/* Zeroes the gradients that the chunks add to. */
static void begin_gradients(const struct plan *plan, const struct step *step)
{
    if (!step->other || plan->add_gradients)
        return;
    size_t v = (size_t)vocabulary_of(step);
    memset(step->at[DBIAS], 0, v * sizeof(float));
    memset(step->at[DWEIGHT], 0, v * (size_t)step->in.c * sizeof(float));
}

static void run_forward(struct plan *plan, const struct step *step)
{
    int64_t rows = plan->steps * step->in.h, v = vocabulary_of(step), e = step->in.c;
    int64_t at_once = chunk_rows(shape_rows(&step->in), v);
    const int32_t *targets = (const void *)step->at[TARGETS];
    int64_t counted = count(targets, rows);
    begin_gradients(plan, step);
    for (int64_t begin = 0; begin < rows; begin += at_once) {
        struct chunk c = {targets + begin, step->at[LOSSES] + begin, step->at[SCALES],
                          (int32_t *)(void *)step->at[WORDS] + begin,
                          begin + at_once < rows ? at_once : rows - begin};
        const float *x = step->at[X] + begin * e;
        float *logits = step->at[LOGITS], *dx = step->at[DX] ? step->at[DX] + begin * e : NULL;
        if (count(c.targets, c.rows) == 0) {
            skip_chunk(&c, dx, e);
            continue;
        }
        op_gemm('N', 'T', c.rows, v, e, x, e, step->at[WEIGHT], e, 0.f, logits);
        chunk_losses(step, &c, counted);
        if (step->at[DBIAS])
            chunk_gradient(step, &c, counted);
        if (dx)
            op_gemm('N', 'N', c.rows, e, v, logits, v, step->at[WEIGHT], e, 0.f, dx);
        if (step->other)
            op_gemm('T', 'N', v, e, c.rows, logits, v, x, e, 1.f, step->at[DWEIGHT]);
    }
}

struct shape decoder_loss_shape_of(const struct node *node, const struct shape *inputs)
{
    return (struct shape){inputs[0].n, inputs[0].h, 1, node->channels};
}

/* Where the bias's gradient goes: to the parameter, or, for dx alone, to scratch. */
static void gradient_operands(struct plan *plan, struct step *step, int dx, int scratch)
{
    const struct node *node = step->node;
    step_buffer(plan, step, dx);
    if (step->other) {
        step_param(step, node->params[0], PARAM_GRADIENT);
        step_param(step, node->params[1], PARAM_GRADIENT);
    } else {
        step_buffer(plan, step, NONE);
        step_buffer(plan, step, scratch);
    }
}

enum status decoder_loss_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    const struct shape *in = &plan->nodes[node->inputs[0]].shape;
    int64_t rows = shape_rows(in), v = node->params[0]->dims[0];
    size_t at_once = (size_t)chunk_rows(rows, v);
    bool accumulate, trains = plan_trains(plan, node->params[0]);
    (void)err;
    int out = plan_output_buffer(plan, head);
    plan->targets = plan_persistent_buffer(plan, (size_t)rows);
    plan->words = plan_persistent_buffer(plan, (size_t)rows);
    int logits = plan_buffer(plan, at_once * (size_t)v), scales = plan_buffer(plan, at_once);
    int dx = plan_contribute(plan, node->inputs[0], &accumulate);
    int scratch = dx != NONE && !trains ? plan_buffer(plan, (size_t)v) : NONE;
    struct step *step = op_kernel(plan, head, "decoder and loss", run_forward);
    step->other = trains;
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_param(step, node->params[0], PARAM_VALUE);
    step_param(step, node->params[1], PARAM_VALUE);
    step_buffer(plan, step, plan->targets);
    step_buffer(plan, step, out);
    step_buffer(plan, step, plan->words);
    step_buffer(plan, step, logits);
    step_buffer(plan, step, scales);
    gradient_operands(plan, step, dx, scratch);
    return OK;
}

void decoder_logits(const struct plan *plan, int node, const int32_t *rows, int64_t n,
                    float *logits)
{
    const struct node *decoder = plan_graph_node(plan, node);
    int input = decoder->inputs[0];
    int64_t e = plan->nodes[input].shape.c, v = decoder->params[0]->dims[0];
    const float *x = plan->buffers[plan->nodes[input].buffer].data;
    float *picked = mem_alloc((size_t)(n * e) * sizeof *picked);
    for (int64_t r = 0; r < n; r++)
        memcpy(picked + r * e, x + rows[r] * e, (size_t)e * sizeof *picked);
    op_gemm('N', 'T', n, v, e, picked, e, decoder->params[0]->parts[PARAM_VALUE], e, 0.f, logits);
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < v; i++)
            logits[r * v + i] += decoder->params[1]->parts[PARAM_VALUE][i];
    mem_free(picked);
}
