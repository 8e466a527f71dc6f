/* loss.h -- the one loss a run trains and validates with, for every task on images.
 *
 *   image_classification   softmax cross-entropy, as torch.nn.CrossEntropyLoss(weight,
 *                          label_smoothing) computes it: mean of w[y]*loss over sum of w[y]
 *   image_multilabel       BCEWithLogitsLoss(weight): mean over rows and classes
 *   soft targets (mix.h)   CrossEntropyLoss on probabilities: mean over rows; BCE takes them as is
 *
 * Validation uses the same loss as training (smoothing and weights included), as fastai does, but
 * never soft targets. Sums are in double and in one order, whatever the threads.
 *
 * class_weights "balanced" is scikit-learn's n / (k * n_c), counted over the training items; a
 * class that no training item has weighs 1 and is not counted in k. */
#ifndef THAW_ENGINE_TRAIN_LOSS_H
#define THAW_ENGINE_TRAIN_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/data/loader.h"
#include "engine/data/pack.h"

enum loss_kind { LOSS_CROSS_ENTROPY, LOSS_BINARY };

struct loss_options {
    enum loss_kind kind;
    double smoothing;                 /* label_smoothing, in [0,1); LOSS_CROSS_ENTROPY only */
    const struct json *class_weights; /* null, "balanced" or {"NAME": weight}; borrowed by
                                         loss_init alone; NULL is null */
};

struct loss {
    enum loss_kind kind;
    double smoothing;
    int64_t classes;
    float *weights;          /* owned; (classes); NULL: all 1 */
    const struct pack *pack; /* borrowed */
    float *targets;          /* owned; (capacity, classes): the dense targets of a batch */
    int64_t capacity;
};

/* `items`: the training items, which "balanced" counts; with none it only checks. E_INVALID with a
 * pointer into the spec when the data set, the task and the options do not fit each other. Nothing
 * to deinit on failure. */
enum status loss_init(struct loss *loss, const struct loss_options *options,
                      const struct pack *pack, const uint32_t *items, uint32_t n_items,
                      struct err *err);
void loss_deinit(struct loss *loss);

/* Mean loss of a training batch, and its gradient (count, classes) with respect to the logits.
 * `soft` is mix_batch's answer: NULL, or targets (count, classes) in place of the labels. */
double loss_train(struct loss *loss, const float *logits, const struct batch *batch,
                  const float *soft, float *gradient);

/* A mean over many batches that does not depend on how they were cut. */
struct loss_sum {
    double loss, weight;
};

/* Adds a validation batch. row_loss (may be NULL) gets each row's own loss, as torch's
 * reduction="none" (for BCE the mean over its classes). */
void loss_add(struct loss *loss, const float *logits, const struct batch *batch,
              struct loss_sum *sum, float *row_loss);
double loss_sum_mean(const struct loss_sum *sum); /* NaN of nothing */

/* The batch's targets (count, classes), 0 or 1, without smoothing; good until the next call. */
const float *loss_targets(struct loss *loss, const struct batch *batch);

/* Probabilities (rows, classes) of logits: softmax, or a sigmoid each for LOSS_BINARY. */
void loss_probabilities(enum loss_kind kind, const float *logits, int64_t rows, int64_t classes,
                        float *probabilities);

#endif
