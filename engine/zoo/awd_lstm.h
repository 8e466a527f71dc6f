/* awd_lstm.h -- the network for text: AWD-LSTM (Merity et al. 2017) as fastai's ULMFiT uses it.
 *
 * An encoder (embedding, input dropout, LSTMs with dropout between them; the first reads
 * embeddings, the last yields as many channels as they have), and on top of it
 *   language model   output dropout, a decoder tied to the embedding
 *   classifier       concat pooling over each text's steps, then BN, dropout, linear, ReLU, BN,
 *                    dropout, linear (fastai's PoolingLinearClassifier)
 * Tensors: encoder.weight (V,E), rnns.N.weight_ih_l0, rnns.N.weight_hh_l0, rnns.N.bias_ih_l0,
 * rnns.N.bias_hh_l0, then decoder.bias (V), or head.0 (BN), head.2 (linear), head.4 (BN), head.6.
 * Groups, lowest first:
 *   language model   rnn1 .. rnnL, encoder+decoder (the embedding is in the last)
 *   classifier       embedding, rnn1 .. rnnL, head
 *
 * A classifier is run as two plans. The encoder's ends at awd_lstm_encoder_output and goes over a
 * long text chunk by chunk; the head's begins there (input_node, input_gradient), over all the
 * steps that are kept. */
#ifndef THAW_ENGINE_ZOO_AWD_LSTM_H
#define THAW_ENGINE_ZOO_AWD_LSTM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/graph.h"

#define AWD_LSTM_NAME       "awd-lstm"
#define AWD_LSTM_MAX_LAYERS 6
#define AWD_LSTM_PADDING    1 /* the id of xxpad */

enum awd_lstm_kind { AWD_LSTM_LANGUAGE_MODEL, AWD_LSTM_CLASSIFIER };

/* Shares that are zeroed in training. */
struct awd_lstm_dropouts {
    double output; /* before the decoder; of the classifier's first linear layer */
    double hidden, input, embedding, weight;
};

struct awd_lstm_options {
    enum awd_lstm_kind kind;
    int64_t vocabulary, embedding, hidden;
    int layers;
    struct awd_lstm_dropouts dropouts;
    double alpha, beta; /* activation penalties (graph_penalty) */
    int64_t classes;    /* classifier */
    bool head_bias;     /* classifier: linear layers have a bias (fastai v1) */
};

/* fastai's: 400, 1152, 3 layers, alpha 2, beta 1, and its dropouts times `dropout_factor` (its
 * drop_mult). The vocabulary and the classes are left 0. */
struct awd_lstm_options awd_lstm_defaults(enum awd_lstm_kind kind, double dropout_factor);

/* The graph, with parameters made but not yet given values. Owned by the caller. */
struct graph *awd_lstm_build(const struct awd_lstm_options *options);

/* Where a classifier is divided, where a language model's encoder ends: the last LSTM. */
int awd_lstm_encoder_output(const struct graph *graph);

/* Starting values: embedding U(-.1,.1), LSTMs U(-1/sqrt(H),1/sqrt(H)), linear layers
 * U(-1/sqrt(I),1/sqrt(I)), decoder bias 0, norms 1 and 0 (1e-3 without head_bias, as fastai v2). */
void awd_lstm_init(struct graph *graph, uint64_t seed);
/* The same for what a classifier adds to an encoder that is loaded. */
void awd_lstm_init_head(struct graph *graph, uint64_t seed);

/* True for the encoder's parameters: those that a classifier takes from a language model. */
bool awd_lstm_is_encoder_param(const struct param *param);

/* "rnn1", "encoder+decoder", "embedding", "head". */
void awd_lstm_group_name(const struct awd_lstm_options *options, int group, char *name,
                         size_t size);

#endif
