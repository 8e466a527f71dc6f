/* predict_answer.c -- the parts of an answer that both kinds have. */
#include <string.h>

#include "base/frame.h"
#include "engine/infer/predict.h"
#include "engine/worker/predict_kind.h"

#define DEFAULT_TOP_K 5
#define MAX_TOP_K     1000
#define MAX_LABELS    (FRAME_MAX_HEADER - 4096) /* bytes of labels that fit an answer's frame */

struct json *predict_header(const struct json *id)
{
    struct json *header = json_new_object();
    json_set_string(header, "type", "prediction");
    json_set(header, "id", json_copy(id));
    return header;
}

void predict_set_failure(struct json *header, enum status status, const struct err *err)
{
    json_set_string(header, "status", status_name(status));
    json_set_string(header, "detail", err->detail);
}

int64_t predict_top_k_of(const struct json *wish, int64_t classes)
{
    int64_t top_k = json_integer(wish, "top_k", DEFAULT_TOP_K);
    int64_t most = classes < MAX_TOP_K ? classes : MAX_TOP_K;
    return top_k < 1 ? 1 : top_k > most ? most : top_k;
}

void predict_set_classes(struct json *header, const float *probabilities, int64_t classes,
                         int64_t top_k, const char *(*label)(const void *context, int64_t index),
                         const void *context)
{
    int64_t indices[MAX_TOP_K];
    predict_top_k(probabilities, classes, top_k, indices);
    json_set_integer(header, "classes", classes);
    struct json *list = json_set_array(header, "predictions");
    size_t room = MAX_LABELS;
    for (int64_t k = 0; k < top_k; k++) {
        const char *name = label(context, indices[k]);
        size_t bytes = 2 * strlen(name) + 64; /* quotes escaped, keys, a number */
        if (bytes > room)
            return;
        room -= bytes;
        struct json *prediction = json_add_object(list);
        json_set_string(prediction, "label", name);
        json_set_number(prediction, "probability", (double)probabilities[indices[k]]);
    }
}
