/* predict.h -- a model that is loaded and answers.
 *
 * A predictor holds one graph and plans for 1, 4 and 16 rows that share its parameters; rows run
 * on the smallest plan that holds them, its unused rows ignored. An image is one row, with
 * test-time augmentation one a view more. */
#ifndef THAW_ENGINE_INFER_PREDICT_H
#define THAW_ENGINE_INFER_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define PREDICT_MAX_BATCH 16

struct predictor;

/* Loads a weights file (its metadata name architecture, head, classes and image size). */
enum status predictor_open(const char *weights, struct predictor **predictor, struct err *err);
void predictor_close(struct predictor *predictor);

int64_t predictor_n_classes(const struct predictor *predictor);
const char *predictor_class(const struct predictor *predictor, int64_t index); /* label */
const char *predictor_plan_hash(const struct predictor *predictor);            /* 64 hex digits */

struct predict_item {
    const void *bytes; /* an encoded image; borrowed */
    size_t len;
    bool tta;             /* with test-time augmentation (tta.h) */
    float *probabilities; /* (classes): filled where status is OK; borrowed */
    enum status status;   /* an image that cannot be read says why in err, the others go on */
    struct err err;
};

/* Decodes, preprocesses and runs up to PREDICT_MAX_BATCH items. Each item's answer does not depend
 * on what it is batched with, but for rounding between plans. n in 1..PREDICT_MAX_BATCH. */
void predictor_run(struct predictor *predictor, struct predict_item *items, size_t n);

/* The indices of the k largest probabilities, k <= classes, largest first; ties by index. */
void predict_top_k(const float *probabilities, int64_t classes, int64_t k, int64_t *indices);

#endif
