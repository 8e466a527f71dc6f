/* plan.h -- a graph made ready to run: for one batch, one image size, one set of frozen groups.
 *
 * Over sequences it is made for a batch and a most number of time steps (options.steps).
 *
 * Making a plan chooses kernels and layouts, places reorders, decides what is frozen, plans one
 * arena for every activation and gradient from their lifetimes; running it allocates nothing.
 *
 * Freezing is compiled in: a frozen parameter has no gradient and no moments; the backward pass
 * stops at the lowest trainable node; a fully frozen prefix is compiled as inference (batch norm
 * folded into the convolution, ReLU fused). Several plans may share a graph (training and
 * validation do): they share its parameters. A plan borrows the graph. One thread runs a plan. */
#ifndef THAW_ENGINE_CORE_PLAN_H
#define THAW_ENGINE_CORE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/core/graph.h"

struct plan; /* owns activations, gradients and scratch */

enum plan_mode { PLAN_INFER, PLAN_TRAIN };

struct plan_options {
    enum plan_mode mode;
    int64_t batch, height, width;
    int64_t steps;           /* most time steps T of a run over sequences; 0 = pictures */
    int frozen_groups;       /* groups 0..frozen_groups-1 are frozen (PLAN_TRAIN) */
    bool frozen_norm_trains; /* fastai's train_bn: in frozen groups gamma and beta train, on batch
                                statistics; otherwise they use stored statistics and stay */
    int input_node;      /* start from this node's value in place of the picture; 0 = the picture */
    int output_node;     /* end with this node's value; 0 = the graph's output */
    bool input_gradient; /* PLAN_TRAIN from an input_node that something trainable leads to: yields
                            plan_input_gradient, for the plan that computes that node */
    bool dry;            /* for its bytes, flops and text alone: cannot run, and takes no memory for
                            activations, gradients and moments */
};

#define NODE_NONE (-1)

/* Sets `trainable` of every parameter (PLAN_TRAIN). E_NO_SPACE when the arena cannot be had. */
enum status plan_new(struct graph *graph, const struct plan_options *options, struct plan **plan,
                     struct err *err);
void plan_free(struct plan *plan);

/* Whether a plan of these options trains the parameter: a weight or bias above the frozen groups,
 * or a norm's wherever frozen norms train. */
bool plan_will_train(const struct plan_options *options, const struct param *param);

/* Where a training plan of these options can begin instead of at the picture: the one value that
 * leads from what never changes (frozen, batch norm on stored statistics, no dropout) to what
 * trains. NODE_NONE if there is none worth it, with the reason in *why, a clause. */
int plan_find_cut(const struct graph *graph, const struct plan_options *options, const char **why);

/* Floats of one row, one picture, of the plan's input and of its output. */
size_t plan_input_row(const struct plan *plan);
size_t plan_output_row(const struct plan *plan);

float *plan_input(struct plan *plan); /* (N,H,W,C): write a batch here before each forward; with
                                         input_node that node's value */

/* Forward; every kind of dropout draws from the stream of (seed, step), so a resumed step repeats
 * itself. */
void plan_forward(struct plan *plan, uint64_t seed, uint64_t step);
const float *plan_output(const struct plan *plan); /* (N, classes) logits of the last forward */
float *plan_output_gradient(struct plan *plan);    /* (N, classes): write it before the backward;
                                                      NULL if nothing trains */

/* Backward: overwrites the gradient of every trainable parameter. (A decoder's share is computed
 * along with its loss, by plan_forward.) */
void plan_backward(struct plan *plan);

/* --- sequences: plans with options.steps. B is the batch, T the steps of the run. ------------- */

/* How many steps the runs from now on have, 1..options.steps; at first that many. All (T,B,...)
 * arrays are time-major: of fewer steps they use the first part. E_INTERNAL for other numbers. */
enum status plan_set_steps(struct plan *plan, int64_t steps, struct err *err);
int64_t plan_steps(const struct plan *plan);

int32_t *plan_tokens(struct plan *plan);  /* (T,B): write before each forward; ids below V */
int32_t *plan_targets(struct plan *plan); /* (T,B), of a decoder: -1 is not counted */
/* Of a decoder, after forward. plan_output has each target's loss, 0 where it is not counted; the
 * gradient is that of the mean over the counted. */
double plan_mean_loss(const struct plan *plan);
const int32_t *plan_words(const struct plan *plan); /* (T,B) the likeliest word, -1 not counted */
/* (n,V) logits of rows t*B+b of the last forward of a PLAN_INFER with a decoder. */
void plan_word_logits(const struct plan *plan, const int32_t *rows, int64_t n, float *logits);

/* Of a sequence pool: the steps [begin,end) of each row that count, (B), begin < end <= T. */
int32_t *plan_begins(struct plan *plan);
int32_t *plan_ends(struct plan *plan);

/* The state of the LSTMs, as the last forward left it; the next one goes on from there. */
void plan_clear_state(struct plan *plan, int64_t row); /* of one row; -1: of all */
size_t plan_state_floats(const struct plan *plan);
void plan_read_state(const struct plan *plan, float *state);
void plan_write_state(struct plan *plan, const float *state);

/* From now on forward and backward add to the parameters' gradients (of a network over sequences)
 * instead of overwriting them, until told otherwise: the chunks of one long text. */
void plan_add_gradients(struct plan *plan, bool add);

/* (T,B,C) after backward, of a plan with options.input_gradient; NULL if nothing below trains. */
const float *plan_input_gradient(const struct plan *plan);

/* After weights change outside a training step (load, best model restored), and before a PLAN_INFER
 * that follows training: folded weights are made again. plan_forward of an inference plan does not
 * do it by itself. */
void plan_refresh(struct plan *plan);

size_t plan_bytes(const struct plan *plan); /* arena and scratch, known before the first step */
/* Multiplications and additions of one step (forward, and backward where it trains), of its
 * convolutions and linear layers. */
double plan_flops(const struct plan *plan);
void plan_print(const struct plan *plan, struct buf *out); /* kernels, layouts, reorders, bytes */
void plan_hash(const struct plan *plan, char hex[65]);     /* SHA-256 of what plan_print says */

/* The dropout mask (1/(1-p) or 0) that the last forward used at `node`, (N,C) or locked (B,C); NULL
 * if it is no dropout node of a training plan. For tests. */
const float *plan_dropout_mask(const struct plan *plan, int node);
/* The same for masks that are not kept: of an embedding's words (V), of an LSTM's hidden-to-hidden
 * weights (4H,H). False if the node has none. */
bool plan_read_mask(const struct plan *plan, int node, float *mask);

#endif
