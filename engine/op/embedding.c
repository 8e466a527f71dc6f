/* embedding.c -- a row of the matrix for each word: y[t,b] = mask[word] * W[word].
 *
 * Dropout takes whole words: all places where a dropped word stands get zeros (fastai's
 * EmbeddingDropout). A word's mask is a stream of its own, drawn where the word stands.
 * Backward adds in the places' order, each thread to columns of its own: the same sums for any
 * number of threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/core/simd.h"
#include "engine/op/op.h"
#include "engine/op/sequence.h"

float embedding_draw(const struct plan *plan, int64_t node, int64_t word)
{
    float share = plan->graph->nodes[node].u.embedding.dropout;
    if (plan->options.mode != PLAN_TRAIN || share <= 0)
        return 1.f;
    uint64_t which = (uint64_t)node << 32 | (uint64_t)word;
    struct rng rng = rng_stream("embedding dropout", plan->seed, plan->run_step, which);
    return rng_float(&rng) < share ? 0.f : 1.f / (1.f - share);
}

static int64_t checked(const struct step *step, int32_t word)
{
    if (word >= 0 && word < step->node->params[0]->dims[0])
        return word;
    fprintf(stderr, "embedding: %s has no word %d\n", step->node->name, word);
    abort();
}

/* at: tokens, W, y, scales (T,B) */
static void run_forward(struct plan *plan, const struct step *step)
{
    int64_t rows = plan->steps * step->out.h, c = step->out.c;
    int64_t node = step->node - plan->graph->nodes;
    const int32_t *tokens = (const void *)step->at[0];
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        int64_t word = checked(step, tokens[r]);
        const float *from = step->at[1] + word * c;
        float scale = step->at[3][r] = embedding_draw(plan, node, word), *to = step->at[2] + r * c;
        for (int64_t i = 0; i < c; i++)
            to[i] = scale * from[i];
    }
}

SIMD static void add_columns(const int32_t *tokens, const float *scales, int32_t padding,
                             const float *dy, int64_t rows, int64_t c, int64_t begin, int64_t end,
                             float *dw)
{
    for (int64_t r = 0; r < rows; r++) {
        float scale = scales[r], *to = dw + tokens[r] * c;
        if (tokens[r] == padding || scale == 0.f)
            continue;
        for (int64_t i = begin; i < end; i++)
            to[i] += scale * dy[r * c + i];
    }
}

/* at: tokens, scales, dy, dW */
static void run_backward(struct plan *plan, const struct step *step)
{
    int64_t c = step->out.c, words = step->node->params[0]->dims[0];
    bool add = step->accumulate || plan->add_gradients;
#pragma omp parallel
    {
        int64_t begin, end;
        simd_share(words, &begin, &end);
        if (!add)
            memset(step->at[3] + begin * c, 0, (size_t)((end - begin) * c) * sizeof(float));
#pragma omp barrier
        simd_share(c, &begin, &end);
        add_columns((const void *)step->at[0], step->at[1], step->node->u.embedding.padding,
                    step->at[2], plan->steps * step->out.h, c, begin, end, step->at[3]);
    }
}

enum status embedding_forward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    struct plan_node *known = &plan->nodes[head];
    (void)err;
    int out = plan_output_buffer(plan, head);
    known->mask = plan_buffer(plan, (size_t)shape_rows(&known->shape));
    struct step *step = op_kernel(plan, head, "embedding", run_forward);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_param(step, node->params[0], PARAM_VALUE);
    step_buffer(plan, step, out);
    step_buffer(plan, step, known->mask);
    return OK;
}

/* A decoder that is tied to the matrix has written its share of the gradient by then. */
static bool is_tied(const struct plan *plan, const struct param *weight)
{
    for (int i = 0; i < plan->graph->n_nodes; i++)
        if (plan_graph_node(plan, i)->op == OP_DECODER_LOSS && plan_runs(plan, i) &&
            plan_graph_node(plan, i)->params[0] == weight)
            return true;
    return false;
}

enum status embedding_backward(struct plan *plan, int head, struct err *err)
{
    const struct node *node = plan_graph_node(plan, head);
    (void)err;
    if (!plan_trains(plan, node->params[0]))
        return OK;
    struct step *step = op_kernel(plan, head, "embedding backward", run_backward);
    step->accumulate = is_tied(plan, node->params[0]);
    step_buffer(plan, step, plan->nodes[node->inputs[0]].buffer);
    step_buffer(plan, step, plan->nodes[head].mask);
    step_buffer(plan, step, plan->nodes[head].gradient);
    step_param(step, node->params[0], PARAM_GRADIENT);
    return OK;
}
