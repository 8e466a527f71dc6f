/* plan_sequence.c -- the part of plan.h that is for networks over sequences. */
#include <string.h>

#include "engine/core/plan_build.h"
#include "engine/op/op.h"
#include "engine/op/sequence.h"

static bool runs_lstm(const struct plan *plan, int node)
{
    return plan->nodes[node].states != NONE;
}

enum status plan_set_steps(struct plan *plan, int64_t steps, struct err *err)
{
    if (steps < 1 || steps > plan->options.steps)
        return err_set(err, E_INTERNAL, "A plan of %lld time steps cannot run %lld.",
                       (long long)plan->options.steps, (long long)steps);
    plan->steps = steps;
    return OK;
}

int64_t plan_steps(const struct plan *plan)
{
    return plan->steps;
}

static void *data_of(const struct plan *plan, int buffer)
{
    return buffer == NONE ? NULL : plan->buffers[buffer].data;
}

int32_t *plan_tokens(struct plan *plan)
{
    return data_of(plan, plan->nodes[plan->options.input_node].buffer);
}

int32_t *plan_targets(struct plan *plan)
{
    return data_of(plan, plan->targets);
}

const int32_t *plan_words(const struct plan *plan)
{
    return data_of(plan, plan->words);
}

int32_t *plan_begins(struct plan *plan)
{
    return data_of(plan, plan->begins);
}

int32_t *plan_ends(struct plan *plan)
{
    return data_of(plan, plan->ends);
}

double plan_mean_loss(const struct plan *plan)
{
    const int32_t *targets = data_of(plan, plan->targets);
    const float *losses = plan_output(plan);
    int64_t n = plan->steps * plan->options.batch, counted = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        counted += targets[i] >= 0;
        sum += (double)losses[i];
    }
    return counted ? sum / (double)counted : 0;
}

void plan_word_logits(const struct plan *plan, const int32_t *rows, int64_t n, float *logits)
{
    decoder_logits(plan, plan->output, rows, n, logits);
}

void plan_clear_state(struct plan *plan, int64_t row)
{
    for (int i = 0; i < plan->graph->n_nodes; i++) {
        if (!runs_lstm(plan, i))
            continue;
        size_t floats, c = (size_t)plan->nodes[i].shape.c;
        float *state = lstm_state(plan, i, &floats);
        if (row < 0) {
            memset(state, 0, floats * sizeof *state);
            continue;
        }
        memset(state + (size_t)row * c, 0, c * sizeof *state);
        memset(state + floats / 2 + (size_t)row * c, 0, c * sizeof *state);
    }
}

size_t plan_state_floats(const struct plan *plan)
{
    size_t sum = 0;
    for (int i = 0; i < plan->graph->n_nodes; i++)
        if (runs_lstm(plan, i))
            sum += (size_t)(2 * plan->options.batch * plan->nodes[i].shape.c);
    return sum;
}

void plan_read_state(const struct plan *plan, float *state)
{
    for (int i = 0; i < plan->graph->n_nodes; i++) {
        if (!runs_lstm(plan, i))
            continue;
        size_t floats;
        const float *from = lstm_state(plan, i, &floats);
        memcpy(state, from, floats * sizeof *state);
        state += floats;
    }
}

void plan_write_state(struct plan *plan, const float *state)
{
    for (int i = 0; i < plan->graph->n_nodes; i++) {
        if (!runs_lstm(plan, i))
            continue;
        size_t floats;
        float *to = lstm_state(plan, i, &floats);
        memcpy(to, state, floats * sizeof *state);
        state += floats;
    }
}

void plan_add_gradients(struct plan *plan, bool add)
{
    plan->add_gradients = add;
}

const float *plan_input_gradient(const struct plan *plan)
{
    if (!plan->options.input_gradient)
        return NULL;
    return data_of(plan, plan->nodes[plan->options.input_node].gradient);
}

bool plan_read_mask(const struct plan *plan, int node, float *mask)
{
    const struct node *n = plan_graph_node(plan, node);
    if (plan->options.mode != PLAN_TRAIN)
        return false;
    if (n->op == OP_EMBEDDING && n->u.embedding.dropout > 0) {
        for (int64_t word = 0; word < n->params[0]->dims[0]; word++)
            mask[word] = embedding_draw(plan, node, word);
        return true;
    }
    if (n->op != OP_LSTM || n->u.dropout <= 0)
        return false;
    for (int64_t row = 0; row < 4 * n->channels; row++)
        lstm_draw_row(plan, node, row, mask + row * n->channels, n->channels);
    return true;
}
