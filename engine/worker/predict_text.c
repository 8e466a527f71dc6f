/* predict_text.c -- the verb `predict` of models of text. */
#include "base/mem.h"
#include "engine/infer/text.h"
#include "engine/worker/predict_kind.h"

/* The model, and asks that run together. */
struct service {
    struct text_predictor *predictor; /* owned */
    struct text_item items[TEXT_MAX_BATCH];
    struct json *ids[TEXT_MAX_BATCH]; /* owned: values to echo */
    int64_t top_k[TEXT_MAX_BATCH];
    char *bytes[TEXT_MAX_BATCH]; /* owned */
    size_t n;
    float *probabilities; /* owned; (TEXT_MAX_BATCH, classes) */
};

static enum status open_service(const char *weights, void **out, struct err *err)
{
    struct service *service = mem_alloc(sizeof *service);
    enum status status = text_predictor_open(weights, &service->predictor, err);
    if (status != OK) {
        mem_free(service);
        return status;
    }
    size_t values = TEXT_MAX_BATCH * (size_t)text_predictor_n_classes(service->predictor);
    service->probabilities = mem_alloc((values + 1) * sizeof *service->probabilities);
    *out = service;
    return OK;
}

static void clear(struct service *service)
{
    for (size_t i = 0; i < service->n; i++) {
        json_free(service->ids[i]);
        buf_deinit(&service->items[i].written);
        mem_free(service->bytes[i]);
    }
    service->n = 0;
}

static void close_service(void *context)
{
    struct service *service = context;
    clear(service);
    text_predictor_close(service->predictor);
    mem_free(service->probabilities);
    mem_free(service);
}

static const char *hash_of(const void *context)
{
    return text_predictor_plan_hash(((const struct service *)context)->predictor);
}

static void add(void *context, struct json *id, const struct json *wish, char *bytes, size_t len)
{
    struct service *service = context;
    int64_t classes = text_predictor_n_classes(service->predictor);
    size_t i = service->n++;
    struct text_item *item = &service->items[i];
    service->ids[i] = id;
    service->top_k[i] = classes > 0 ? predict_top_k_of(wish, classes) : 0;
    service->bytes[i] = bytes;
    *item = (struct text_item){.text = bytes,
                               .len = len,
                               .probabilities = service->probabilities + (int64_t)i * classes,
                               .next = (int)json_integer(wish, "next", 0),
                               .temperature = json_number(wish, "temperature", 1),
                               .seed = (uint64_t)json_integer(wish, "seed", 0)};
    buf_init(&item->written, TEXT_MAX_WRITTEN);
}

static const char *label(const void *context, int64_t index)
{
    return text_predictor_class(((const struct service *)context)->predictor, index);
}

static void send_answer(struct report *report, const struct service *service, size_t i)
{
    const struct text_item *item = &service->items[i];
    struct json *header = predict_header(service->ids[i]);
    if (item->status != OK) {
        predict_set_failure(header, item->status, &item->err);
    } else {
        json_set_integer(header, "tokens", item->n_words);
        if (text_predictor_is_classifier(service->predictor)) {
            predict_set_classes(header, item->probabilities,
                                text_predictor_n_classes(service->predictor), service->top_k[i],
                                label, service);
        } else {
            json_set_number(header, "perplexity", item->perplexity);
            json_set_string(header, "continuation", item->written.data);
            json_set_bool(header, "backwards", text_predictor_is_backwards(service->predictor));
        }
    }
    report_send(report, header);
    json_free(header);
}

/* What only a language model can do is refused by a classifier, not passed over. */
static void refuse_wishes(struct service *service)
{
    for (size_t i = 0; i < service->n; i++) {
        struct text_item *item = &service->items[i];
        if (item->status == OK && item->next > 0)
            item->status = err_set(&item->err, E_INVALID,
                                   "The model is a classifier: \"next\" is for language models.");
    }
}

static void answer(void *context, struct report *report)
{
    struct service *service = context;
    if (service->n > 0)
        text_predictor_run(service->predictor, service->items, service->n);
    if (text_predictor_is_classifier(service->predictor))
        refuse_wishes(service);
    for (size_t i = 0; i < service->n; i++)
        send_answer(report, service, i);
    clear(service);
}

const struct predict_kind predict_texts = {
    .name = "text",
    .expect = "The model is one of text: send {\"text\": ...} or {\"texts\": [...]}, not a "
              "picture.",
    .most = TEXT_MAX_BATCH,
    .open = open_service,
    .close = close_service,
    .plan_hash = hash_of,
    .add = add,
    .answer = answer,
};
