/* text_options.h -- "text" of a resolved spec, met with the model that a run starts from: the
 * network's sizes, how it reads, what becomes a vocabulary. */
#ifndef THAW_ENGINE_TRAIN_TEXT_OPTIONS_H
#define THAW_ENGINE_TRAIN_TEXT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/format/model_file.h"
#include "engine/train/recipe.h"
#include "engine/zoo/awd_lstm.h"

struct text_options {
    int64_t embedding, hidden;
    int layers;
    int64_t seq_len; /* steps of a language model's batch, of a chunk of the classifier */
    int64_t max_len; /* outputs that the classifier pools at most */
    double dropout_factor[N_PHASES];
    double alpha, beta;
    bool backwards;
    uint64_t min_freq;
    uint32_t max_vocab;
    double lm_valid_fraction;
    bool lm_on_valid; /* the language model learns from the classifier's validation texts, too */
};

/* `start`: what the weights say of themselves; NULL: from nothing. E_INVALID with a pointer when
 * the spec wants another size than the weights have. */
enum status text_options_parse(struct text_options *options, const struct json *spec,
                               const struct model_info *start, struct err *err);

/* The network of a phase. */
struct awd_lstm_options text_options_network(const struct text_options *options,
                                             enum recipe_phase phase, int64_t vocabulary,
                                             int64_t classes);

/* Layer groups of a phase's network: their number, and names. */
int text_options_groups(const struct text_options *options, enum recipe_phase phase,
                        char names[ZOO_MAX_GROUPS][24]);

#endif
