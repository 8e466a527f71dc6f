/* text_network.h -- the network of a model file of text: its sizes from the file, its weights in
 * it.
 */
#ifndef THAW_ENGINE_ZOO_TEXT_NETWORK_H
#define THAW_ENGINE_ZOO_TEXT_NETWORK_H

#include "engine/format/model_file.h"
#include "engine/zoo/awd_lstm.h"

/* What to build: a language model for the head "decoder", else a classifier (for the head "none",
 * an encoder alone, one of 2 classes). Dropouts are fastai's. The source tells whether the head's
 * linear layers have a bias. */
struct awd_lstm_options text_network_options(const struct model_info *info,
                                             const struct tensor_source *source);

/* The graph, every parameter loaded; E_INVALID for an encoder alone, which has no output. Owned by
 * the caller. */
enum status text_network_load(const struct model_info *info, const struct tensor_source *source,
                              struct graph **graph, struct err *err);

#endif
