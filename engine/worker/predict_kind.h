/* predict_kind.h -- what the verb `predict` does for one kind of model: of pictures, or of texts.
 *
 * predict.c opens the weights, sees what they are, receives what is asked and hands it on; a kind
 * keeps what was asked until `answer`, and answers each with one `prediction` header. */
#ifndef THAW_ENGINE_WORKER_PREDICT_KIND_H
#define THAW_ENGINE_WORKER_PREDICT_KIND_H

#include <stdint.h>

#include "base/json.h"
#include "engine/worker/report.h"

struct predict_kind {
    const char *name;   /* as model_info_kind and the wire have it */
    const char *expect; /* what this model wants instead of the other kind, a sentence */
    size_t most;        /* asks that are answered at once */
    enum status (*open)(const char *weights, void **service, struct err *err);
    void (*close)(void *service);
    const char *(*plan_hash)(const void *service);
    /* Takes id (any value, echoed) and bytes; `wish` is the ask's header, borrowed. */
    void (*add)(void *service, struct json *id, const struct json *wish, char *bytes, size_t len);
    /* All that were added since, in their order. */
    void (*answer)(void *service, struct report *report);
};

extern const struct predict_kind predict_images, predict_texts;

/* --- for the kinds: the parts of an answer --- */

struct json *predict_header(const struct json *id); /* owned by the caller */
void predict_set_failure(struct json *header, enum status status, const struct err *err);

/* How many classes are wanted of those there are. */
int64_t predict_top_k_of(const struct json *wish, int64_t classes);
/* "predictions": the most probable classes, as many as fit a frame. */
void predict_set_classes(struct json *header, const float *probabilities, int64_t classes,
                         int64_t top_k, const char *(*label)(const void *context, int64_t index),
                         const void *context);

#endif
