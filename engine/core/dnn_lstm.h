/* dnn_lstm.h -- oneDNN's LSTM of one layer and direction: the part of dnn.h that is for sequences.
 *
 * B = batch, T = steps, I = inputs, H = hidden. Sequences are (T,B,C). The plain layout of weights
 * is torch's, (4H,I) with gates i, f, g, o; a kernel may wish for another. One bias (4H), which is
 * the sum of torch's two. Backward adds to the weights' gradients: they are to be zeroed before.
 * Written for oneDNN 2.6. */
#ifndef THAW_ENGINE_CORE_DNN_LSTM_H
#define THAW_ENGINE_CORE_DNN_LSTM_H

#include "engine/core/dnn.h"

struct dnn_lstm_options {
    int64_t steps, batch, in, hidden;
    bool training; /* forward keeps what backward needs in a workspace */
};

enum dnn_lstm_arg {
    DNN_LSTM_SRC,        /* (T,B,I) */
    DNN_LSTM_SRC_H,      /* (B,H) state before the first step */
    DNN_LSTM_SRC_C,      /* (B,H) */
    DNN_LSTM_WEIGHTS_IH, /* in layouts[] of this kernel */
    DNN_LSTM_WEIGHTS_HH, /* likewise */
    DNN_LSTM_BIAS,       /* (4H) */
    DNN_LSTM_DST,        /* (T,B,H) */
    DNN_LSTM_DST_H,      /* (B,H) state after the last step */
    DNN_LSTM_DST_C,      /* (B,H) */
    DNN_LSTM_WORKSPACE,  /* training */
    DNN_LSTM_SCRATCH,
    DNN_LSTM_DIFF_SRC, /* backward: all below */
    DNN_LSTM_DIFF_SRC_H,
    DNN_LSTM_DIFF_SRC_C,
    DNN_LSTM_DIFF_WEIGHTS_IH,
    DNN_LSTM_DIFF_WEIGHTS_HH,
    DNN_LSTM_DIFF_BIAS,
    DNN_LSTM_DIFF_DST,
    DNN_LSTM_DIFF_DST_H,
    DNN_LSTM_DIFF_DST_C,
    N_DNN_LSTM_ARGS
};

struct dnn_lstm {
    dnnl_primitive_t primitive;              /* owned */
    dnnl_memory_t memories[N_DNN_LSTM_ARGS]; /* owned; NULL where the kernel has none */
    struct dnn_layout layouts[N_DNN_LSTM_ARGS];
    size_t floats[N_DNN_LSTM_ARGS]; /* that an argument takes */
    char implementation[48];
};

/* Weights as a kernel takes them: the layouts of one already made, or NULL for the kernel's wish.
 */
enum status dnn_lstm_new(const struct dnn_lstm_options *options, bool backward,
                         const struct dnn_lstm *like, struct dnn_lstm *lstm, struct err *err);
void dnn_lstm_deinit(struct dnn_lstm *lstm); /* zeroed is fine */

/* Runs it on the addresses at[arg] and waits. */
void dnn_lstm_run(const struct dnn_lstm *lstm, float *const *at);

struct dnn_layout dnn_layout_lstm(int64_t in, int64_t hidden); /* plain */

#endif
