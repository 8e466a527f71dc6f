/* predict.c -- the verb `predict`: stays resident and answers images with labels.
 *
 * On the wire, requests that wait together run as one batch; answers come in the order of the
 * requests; an image that cannot be read fails its own request alone. By hand, the images are files
 * and each answer is one JSON line. */
#include <omp.h>
#include <string.h>

#include "api/spec/wire.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/infer/predict.h"
#include "engine/worker/verb.h"

#define DEFAULT_TOP_K 5
#define MAX_TOP_K     1000
#define MAX_LABELS    (FRAME_MAX_HEADER - 4096) /* bytes of labels that fit an answer's frame */

/* Requests that run together. */
struct batch {
    struct predict_item items[PREDICT_MAX_BATCH];
    struct json *ids[PREDICT_MAX_BATCH]; /* owned: values to echo */
    int64_t top_k[PREDICT_MAX_BATCH];
    char *bytes[PREDICT_MAX_BATCH]; /* owned */
    size_t n;
    float *probabilities; /* owned; (PREDICT_MAX_BATCH, classes) */
};

static void batch_clear(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        json_free(batch->ids[i]);
        mem_free(batch->bytes[i]);
    }
    batch->n = 0;
}

/* Takes id and bytes; `wish` holds top_k and tta. */
static void batch_add(struct batch *batch, int64_t classes, struct json *id,
                      const struct json *wish, char *bytes, size_t len)
{
    int64_t top_k = json_integer(wish, "top_k", DEFAULT_TOP_K);
    size_t i = batch->n++;
    int64_t most = classes < MAX_TOP_K ? classes : MAX_TOP_K;
    batch->ids[i] = id;
    batch->top_k[i] = top_k < 1 ? 1 : top_k > most ? most : top_k;
    batch->bytes[i] = bytes;
    batch->items[i] =
        (struct predict_item){.bytes = bytes,
                              .len = len,
                              .tta = json_bool(wish, "tta", false),
                              .probabilities = batch->probabilities + (int64_t)i * classes};
}

static void set_predictions(struct json *header, const struct predictor *predictor,
                            const struct predict_item *item, int64_t top_k)
{
    int64_t indices[MAX_TOP_K];
    predict_top_k(item->probabilities, predictor_n_classes(predictor), top_k, indices);
    struct json *list = json_set_array(header, "predictions");
    size_t room = MAX_LABELS;
    for (int64_t k = 0; k < top_k; k++) {
        const char *label = predictor_class(predictor, indices[k]);
        size_t bytes = 2 * strlen(label) + 64; /* quotes escaped, keys, a number */
        if (bytes > room)
            return;
        room -= bytes;
        struct json *prediction = json_add_object(list);
        json_set_string(prediction, "label", label);
        json_set_number(prediction, "probability", (double)item->probabilities[indices[k]]);
    }
}

static void send_answer(struct report *report, const struct predictor *predictor,
                        const struct batch *batch, size_t i)
{
    const struct predict_item *item = &batch->items[i];
    struct json *header = json_new_object();
    json_set_string(header, "type", "prediction");
    json_set(header, "id", json_copy(batch->ids[i]));
    if (item->status == OK) {
        set_predictions(header, predictor, item, batch->top_k[i]);
    } else {
        json_set_string(header, "status", status_name(item->status));
        json_set_string(header, "detail", item->err.detail);
    }
    report_send(report, header);
    json_free(header);
}

static void answer_batch(struct report *report, struct predictor *predictor, struct batch *batch)
{
    if (batch->n > 0)
        predictor_run(predictor, batch->items, batch->n);
    for (size_t i = 0; i < batch->n; i++)
        send_answer(report, predictor, batch, i);
    batch_clear(batch);
}

/* --- on the wire ------------------------------------------------------------------------------ */

/* Waits for one request, then takes what else is there already. */
static enum status receive_batch(struct report *report, const struct predictor *predictor,
                                 struct batch *batch, struct err *err)
{
    while (batch->n < PREDICT_MAX_BATCH) {
        struct frame frame;
        enum status status =
            report_receive(report, batch->n == 0 ? -1 : 0, WIRE_MAX_IMAGE, &frame, err);
        if (status != OK)
            return batch->n > 0 ? OK : status; /* what was asked is answered before the end */
        if (!frame.header && batch->n > 0)
            return OK;
        if (frame.header && strcmp(json_string(frame.header, "type", ""), "predict") == 0) {
            batch_add(batch, predictor_n_classes(predictor),
                      json_copy(json_get(frame.header, "id")), frame.header, frame.payload,
                      frame.payload_len);
            frame.payload = NULL;
        }
        frame_deinit(&frame);
    }
    return OK;
}

static enum status serve(struct report *report, struct predictor *predictor, struct batch *batch,
                         struct err *err)
{
    enum status status;
    while ((status = receive_batch(report, predictor, batch, err)) == OK)
        answer_batch(report, predictor, batch);
    return status;
}

/* --- by hand ---------------------------------------------------------------------------------- */

static enum status add_file(struct batch *batch, const struct predictor *predictor,
                            const struct json *path, const struct json *document, struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, WIRE_MAX_IMAGE);
    enum status status = fs_read_file(json_as_string(path, ""), &bytes, err);
    size_t len = bytes.len;
    if (status == OK)
        batch_add(batch, predictor_n_classes(predictor), json_copy(path), document,
                  buf_take(&bytes), len);
    buf_deinit(&bytes);
    return status;
}

static enum status predict_files(struct report *report, struct predictor *predictor,
                                 const struct json *document, struct batch *batch, struct err *err)
{
    enum status status = OK;
    json_each(path, json_get(document, "images"))
    {
        status = add_file(batch, predictor, path, document, err);
        if (status != OK)
            break;
        if (batch->n == PREDICT_MAX_BATCH)
            answer_batch(report, predictor, batch);
    }
    answer_batch(report, predictor, batch);
    return status;
}

static enum status run(struct report *report, const struct json *document, struct err *err)
{
    int64_t threads = json_integer(document, "threads", 0);
    if (threads < 0 || threads > 1024)
        return err_set(err, E_INVALID,
                       "A model runs on 1 to 1024 threads, or 0 for all there are.");
    omp_set_num_threads(threads > 0 ? (int)threads : omp_get_num_procs());
    struct predictor *predictor;
    enum status status = predictor_open(json_string(document, "weights", ""), &predictor, err);
    if (status != OK)
        return status;
    struct batch *batch = mem_alloc(sizeof *batch);
    batch->probabilities = mem_alloc(PREDICT_MAX_BATCH * (size_t)predictor_n_classes(predictor) *
                                     sizeof *batch->probabilities);
    if (report_is_wire(report)) {
        report_started(report, omp_get_max_threads(), predictor_plan_hash(predictor));
        status = serve(report, predictor, batch, err);
    } else {
        status = predict_files(report, predictor, document, batch, err);
    }
    batch_clear(batch);
    mem_free(batch->probabilities);
    mem_free(batch);
    predictor_close(predictor);
    return status;
}

static const struct verb_flag flags[] = {
    {"--weights", "weights", FLAG_INPUT, "FILE", "a model: imported or trained", true},
    {"--image", "images", FLAG_INPUTS, "FILE", "an image to name", false},
    {"--top-k", "top_k", FLAG_INTEGER, "K", "labels an image, most probable first (5)", false},
    {"--tta", "tta", FLAG_SWITCH, NULL, "averages over augmented views, five times the work",
     false},
    {"--threads", "threads", FLAG_INTEGER, "N", "of the kernels (all cores)", false},
};

const struct verb verb_predict = {
    .name = "predict",
    .summary = "names what is on images; stays resident on the wire",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .run = run,
    .runs_kernels = true,
};
