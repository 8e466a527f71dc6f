/* predict_image.c -- the verb `predict` of models of pictures. */
#include <string.h>

#include "base/mem.h"
#include "engine/infer/predict.h"
#include "engine/worker/predict_kind.h"

/* The model, and asks that run together. */
struct service {
    struct predictor *predictor; /* owned */
    struct predict_item items[PREDICT_MAX_BATCH];
    struct json *ids[PREDICT_MAX_BATCH]; /* owned: values to echo */
    int64_t top_k[PREDICT_MAX_BATCH];
    char *bytes[PREDICT_MAX_BATCH]; /* owned */
    size_t n;
    float *probabilities; /* owned; (PREDICT_MAX_BATCH, classes) */
};

static enum status open_service(const char *weights, void **out, struct err *err)
{
    struct service *service = mem_alloc(sizeof *service);
    enum status status = predictor_open(weights, &service->predictor, err);
    if (status != OK) {
        mem_free(service);
        return status;
    }
    service->probabilities =
        mem_alloc(PREDICT_MAX_BATCH * (size_t)predictor_n_classes(service->predictor) *
                  sizeof *service->probabilities);
    *out = service;
    return OK;
}

static void clear(struct service *service)
{
    for (size_t i = 0; i < service->n; i++) {
        json_free(service->ids[i]);
        mem_free(service->bytes[i]);
    }
    service->n = 0;
}

static void close_service(void *context)
{
    struct service *service = context;
    clear(service);
    predictor_close(service->predictor);
    mem_free(service->probabilities);
    mem_free(service);
}

static const char *hash_of(const void *context)
{
    return predictor_plan_hash(((const struct service *)context)->predictor);
}

static void add(void *context, struct json *id, const struct json *wish, char *bytes, size_t len)
{
    struct service *service = context;
    int64_t classes = predictor_n_classes(service->predictor);
    size_t i = service->n++;
    service->ids[i] = id;
    service->top_k[i] = predict_top_k_of(wish, classes);
    service->bytes[i] = bytes;
    service->items[i] =
        (struct predict_item){.bytes = bytes,
                              .len = len,
                              .tta = json_bool(wish, "tta", false),
                              .probabilities = service->probabilities + (int64_t)i * classes};
}

static const char *label(const void *context, int64_t index)
{
    return predictor_class(((const struct service *)context)->predictor, index);
}

static void send_answer(struct report *report, const struct service *service, size_t i)
{
    const struct predict_item *item = &service->items[i];
    struct json *header = predict_header(service->ids[i]);
    if (item->status == OK)
        predict_set_classes(header, item->probabilities, predictor_n_classes(service->predictor),
                            service->top_k[i], label, service);
    else
        predict_set_failure(header, item->status, &item->err);
    report_send(report, header);
    json_free(header);
}

static void answer(void *context, struct report *report)
{
    struct service *service = context;
    if (service->n > 0)
        predictor_run(service->predictor, service->items, service->n);
    for (size_t i = 0; i < service->n; i++)
        send_answer(report, service, i);
    clear(service);
}

const struct predict_kind predict_images = {
    .name = "image",
    .expect = "The model is one of pictures: send a picture (curl --data-binary @photo.jpg), not a "
              "text.",
    .most = PREDICT_MAX_BATCH,
    .open = open_service,
    .close = close_service,
    .plan_hash = hash_of,
    .add = add,
    .answer = answer,
};
