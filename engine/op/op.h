/* op.h -- the contract of an operation: one row in table.c, one file beside it.
 *
 * shape:    output shape from the input shapes and the node; aborts on a broken network.
 * forward:  appends the forward steps of chain `head` and makes its value's buffer.
 * backward: appends the steps that turn the gradient of the chain's value into gradients of its
 *           parameters and inputs. Called in reverse order, only where a gradient is needed and has
 *           arrived. NULL: the op passes nothing back.
 * Those over sequences go over the first plan->steps of a buffer's time steps.
 * Our own kernels work on rows of C floats (N*H*W rows), split evenly over OpenMP threads; what
 * they sum over rows they sum in double, in thread order, so results repeat for a given thread
 * count. */
#ifndef THAW_ENGINE_OP_OP_H
#define THAW_ENGINE_OP_OP_H

#include "engine/core/plan_build.h"

struct op {
    const char *name;
    struct shape (*shape)(const struct node *node, const struct shape *inputs);
    enum status (*forward)(struct plan *plan, int head, struct err *err);
    enum status (*backward)(struct plan *plan, int head, struct err *err);
};

extern const struct op op_table[N_OPS];

/* A step of one of our own kernels, with the shapes of the chain's input and output filled in. */
struct step *op_kernel(struct plan *plan, int head, const char *what,
                       void (*run)(struct plan *plan, const struct step *step));

/* Where the ReLU that `head` took in cuts off: 6 for ReLU6, else infinity. */
float op_relu_ceiling(const struct plan *plan, int head);
/* gradient *= (0 < value < ceiling), in place: a ReLU that was fused into `head`, backwards. */
void op_relu_mask(struct plan *plan, int head);
/* target += source, both of `node`'s shape. */
void op_add_to(struct plan *plan, int node, int source, int target);
/* The same, or target = source. */
void op_copy_to(struct plan *plan, int node, int source, int target, bool add);

/* mask (n) of dropout: 0 with probability `share`, else 1 / (1 - share). A stream of its own, named
 * by seed, step, node and row: the same on every machine and thread, and again after a resume. */
void op_draw_mask(const struct plan *plan, const char *purpose, int64_t node, int64_t row,
                  float share, float *mask, int64_t n);

/* c (m,n) = a b + beta c, row-major, by oneDNN; 'T': that operand is stored transposed. */
void op_gemm(char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k, const float *a,
             int64_t lda, const float *b, int64_t ldb, float beta, float *c);

enum status conv_forward(struct plan *plan, int head, struct err *err);
enum status conv_backward(struct plan *plan, int head, struct err *err);
enum status depthwise_forward(struct plan *plan, int head, struct err *err);
enum status depthwise_backward(struct plan *plan, int head, struct err *err);
enum status batchnorm_forward(struct plan *plan, int head, struct err *err);
enum status batchnorm_backward(struct plan *plan, int head, struct err *err);
enum status activation_forward(struct plan *plan, int head, struct err *err);
enum status activation_backward(struct plan *plan, int head, struct err *err);
enum status pool_forward(struct plan *plan, int head, struct err *err);
enum status pool_backward(struct plan *plan, int head, struct err *err);
enum status global_pool_forward(struct plan *plan, int head, struct err *err);
enum status global_pool_backward(struct plan *plan, int head, struct err *err);
enum status concat_pool_forward(struct plan *plan, int head, struct err *err);
enum status concat_pool_backward(struct plan *plan, int head, struct err *err);
enum status add_forward(struct plan *plan, int head, struct err *err);
enum status add_backward(struct plan *plan, int head, struct err *err);
enum status concat_forward(struct plan *plan, int head, struct err *err);
enum status concat_backward(struct plan *plan, int head, struct err *err);
enum status dropout_forward(struct plan *plan, int head, struct err *err);
enum status dropout_backward(struct plan *plan, int head, struct err *err);
enum status linear_forward(struct plan *plan, int head, struct err *err);
enum status linear_backward(struct plan *plan, int head, struct err *err);
enum status embedding_forward(struct plan *plan, int head, struct err *err);
enum status embedding_backward(struct plan *plan, int head, struct err *err);
enum status locked_dropout_forward(struct plan *plan, int head, struct err *err);
enum status locked_dropout_backward(struct plan *plan, int head, struct err *err);
enum status lstm_forward(struct plan *plan, int head, struct err *err);
enum status lstm_backward(struct plan *plan, int head, struct err *err);
enum status penalty_forward(struct plan *plan, int head, struct err *err);
enum status penalty_backward(struct plan *plan, int head, struct err *err);
enum status decoder_loss_forward(struct plan *plan, int head, struct err *err);
enum status sequence_pool_forward(struct plan *plan, int head, struct err *err);
enum status sequence_pool_backward(struct plan *plan, int head, struct err *err);

/* Where a convolution's weights lie in `layout`: *buffer, or the parameter itself when that is
 * NONE. *bias is the folded batch norm's, or NONE. */
enum status conv_weights(struct plan *plan, int head, const struct dnn_layout *layout, int *buffer,
                         int *bias, struct err *err);

struct shape conv_shape_of(const struct node *node, const struct shape *inputs);
struct shape pool_shape_of(const struct node *node, const struct shape *inputs);
struct shape decoder_loss_shape_of(const struct node *node, const struct shape *inputs);
struct shape sequence_pool_shape_of(const struct node *node, const struct shape *inputs);

#endif
