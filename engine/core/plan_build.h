/* plan_build.h -- the inside of a plan, for those who make it: plan.c, fuse.c, arena.c and
 * engine/op.
 *
 * A plan is two lists of steps (forward, backward) over numbered buffers. While ops append steps,
 * each operand notes when its buffer is used; arena.c turns those lifetimes into offsets; then
 * every step's operands are bound to addresses, once. Running is a walk over a list.
 *
 * Nodes are executed in chains (fuse.c): a convolution or batch norm takes a following batch norm,
 * addition and ReLU into its own kernel. The chain's first node is its head: its op row builds the
 * steps; the value belongs to the chain's last node, `end`. Everybody else refers to values by the
 * node that a consumer reads, which is always an end. */
#ifndef THAW_ENGINE_CORE_PLAN_BUILD_H
#define THAW_ENGINE_CORE_PLAN_BUILD_H

#include "engine/core/dnn.h"
#include "engine/core/plan.h"

#define STEP_MAX_OPERANDS 16
#define NONE              (-1)

struct shape {
    int64_t n, h, w, c; /* rows (N,C) have h = w = 1; sequences (T,B,C) are n, h, c */
};

int64_t shape_rows(const struct shape *shape); /* N*H*W */
size_t shape_floats(const struct shape *shape);

struct buffer {
    size_t floats, offset; /* offset in floats, from the arena's start */
    int first, last;       /* times of first and last use */
    bool persistent;       /* lives outside the arena: keeps its content between runs */
    float *data;           /* persistent: owned; else inside the arena */
};

/* Where one argument of a step lies: a buffer, or a part of a parameter. */
struct operand {
    int arg;    /* DNNL_ARG_...; 0 for our own kernels, which go by position */
    int buffer; /* or NONE */
    const struct param *param;
    enum param_part part;
    struct dnn_layout layout; /* only for primitives */
};

struct step {
    char what[96];
    void (*run)(struct plan *plan, const struct step *step); /* our own kernel, or NULL */
    dnnl_primitive_t primitive;                              /* owned, or NULL */
    struct operand operands[STEP_MAX_OPERANDS];
    int n_operands;
    float *at[STEP_MAX_OPERANDS];            /* bound addresses, in the operands' order */
    dnnl_exec_arg_t args[STEP_MAX_OPERANDS]; /* bound memories, owned */
    const struct node *node;
    struct shape in, out; /* of the node; what a kernel loops over */
    bool accumulate;      /* add to the target instead of overwriting it */
    bool relu;            /* the kernel ends with a ReLU, */
    float ceiling;        /* cut off at this: 6 for ReLU6, else infinity */
    bool other;           /* the kernel adds another value before it */
};

struct steps {
    struct step *at; /* owned */
    int n;
};

/* What a plan knows of one node. */
struct plan_node {
    struct shape shape;
    int buffer,
        gradient;        /* of the node's value; NONE until made (gradient: until contributed to) */
    bool needed;         /* for the plan's output; the value itself, or what leads to it */
    bool needs_gradient; /* something trainable lies at or before it */
    bool batch_statistics;       /* batchnorm: normalises by the batch, and trains */
    int head, end;               /* of the chain that the node is part of */
    int norm, other, activation; /* what the head took in: nodes, or NONE; `other` is an end */
    int mask;                 /* dropout: buffer of its mask; max pool: of the winners; or NONE */
    int mean, deviation;      /* batchnorm: buffers of batch mean and 1/std, for the backward */
    int states, gates, cells; /* LSTM: buffers; `states` or NONE says whether it runs */
};

/* Weights in a kernel's own layout, made by plan_refresh; with `norm`, the batch norm folded in. */
struct prepared {
    void (*prepare)(struct plan *plan, const struct prepared *prepared);
    const struct param *param; /* LSTM: the weights; convolution: NULL */
    const struct node *conv;
    const struct node *norm; /* or NULL */
    struct dnn_layout layout;
    int weights, bias; /* persistent buffers; bias NONE without norm */
};

struct plan {
    struct graph *graph; /* borrowed */
    struct plan_options options;
    int output;              /* the node whose value the plan yields */
    int threads;             /* that the kernels' scratch is made for */
    struct plan_node *nodes; /* owned, one for each of the graph's */
    struct buffer *buffers;  /* owned */
    int n_buffers;
    struct prepared *prepared; /* owned */
    int n_prepared;
    struct steps forward, backward;
    struct steps *building; /* where plan_step appends */
    int time;
    float *arena; /* owned */
    size_t arena_floats, persistent_floats;
    uint64_t seed, run_step; /* of the current forward: for dropout */
    int64_t steps;           /* T of the current run */
    bool add_gradients;
    int targets, words; /* decoder: buffers of int32 (T,B); or NONE */
    int begins, ends;   /* sequence pool: buffers of int32 (B); or NONE */
};

/* --- cut.c: says which nodes the plan's output needs */
enum status plan_mark_needed(struct plan *plan, struct err *err);

/* --- fuse.c */
void plan_fuse(struct plan *plan);

/* --- arena.c */
enum status plan_allocate(struct plan *plan, struct err *err);

/* --- for ops: nodes */
const struct node *plan_graph_node(const struct plan *plan, int node);
bool plan_trains(const struct plan *plan, const struct param *param);
/* The plan computes the node's value: it is needed, and not what the plan is fed with. */
bool plan_runs(const struct plan *plan, int node);

/* --- for ops: buffers. Ids stay valid, addresses exist after plan_allocate. */
int plan_buffer(struct plan *plan, size_t floats);
int plan_persistent_buffer(struct plan *plan, size_t floats);
/* The buffer for the value of chain `head` (made now). */
int plan_output_buffer(struct plan *plan, int head);
/* The buffer that a contribution to the gradient of `node`'s value goes to, and whether it must be
 * added to what is there. NONE when nobody needs that gradient. */
int plan_contribute(struct plan *plan, int node, bool *accumulate);

/* --- for ops: steps. The pointer is good until the next plan_step. */
struct step *plan_step(struct plan *plan, int head, const char *what);
void step_buffer(struct plan *plan, struct step *step, int buffer);
void step_param(struct step *step, const struct param *param, enum param_part part);
void step_buffer_arg(struct plan *plan, struct step *step, int arg, int buffer,
                     const struct dnn_layout *layout);
void step_param_arg(struct step *step, int arg, const struct param *param, enum param_part part,
                    const struct dnn_layout *layout);

#endif
