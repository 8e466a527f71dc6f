/* predict.c -- the verb `predict`: stays resident and answers pictures and texts.
 *
 * On the wire, requests that wait together run as one batch; a picture or a text that cannot be
 * read fails its own request alone. By hand, pictures are files, texts are arguments, and each
 * answer is one JSON line. What a model answers, its kind knows (predict_kind.h). */
#include <omp.h>
#include <string.h>

#include "api/spec/wire.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/worker/predict_kind.h"
#include "engine/worker/verb.h"

struct service {
    const struct predict_kind *kind;
    void *model; /* owned; of that kind */
    size_t n;    /* asks that were added */
};

static void answer_all(struct service *service, struct report *report)
{
    service->kind->answer(service->model, report);
    service->n = 0;
}

/* --- on the wire ------------------------------------------------------------------------------ */

/* Takes the frame's payload; what is of the other kind is refused at once. */
static void take_ask(struct service *service, struct report *report, struct frame *frame)
{
    struct err err = {0};
    const struct json *id = json_get(frame->header, "id");
    const char *kind = json_string(frame->header, "kind", "image");
    if (strcmp(kind, service->kind->name) == 0) {
        service->kind->add(service->model, json_copy(id), frame->header, frame->payload,
                           frame->payload_len);
        frame->payload = NULL;
        service->n++;
        return;
    }
    struct json *header = predict_header(id);
    err_set(&err, E_INVALID, "%s", service->kind->expect);
    predict_set_failure(header, E_INVALID, &err);
    report_send(report, header);
    json_free(header);
}

/* Waits for one request, then takes what else is there already. */
static enum status receive_some(struct service *service, struct report *report, struct err *err)
{
    while (service->n < service->kind->most) {
        struct frame frame;
        enum status status =
            report_receive(report, service->n == 0 ? -1 : 0, WIRE_MAX_IMAGE, &frame, err);
        if (status != OK)
            return service->n > 0 ? OK : status; /* what was asked is answered before the end */
        if (!frame.header && service->n > 0)
            return OK;
        if (frame.header && strcmp(json_string(frame.header, "type", ""), "predict") == 0)
            take_ask(service, report, &frame);
        frame_deinit(&frame);
    }
    return OK;
}

static enum status serve(struct service *service, struct report *report, struct err *err)
{
    enum status status;
    while ((status = receive_some(service, report, err)) == OK)
        answer_all(service, report);
    return status;
}

/* --- by hand ---------------------------------------------------------------------------------- */

static enum status read_item(const struct predict_kind *kind, const struct json *item,
                             struct buf *bytes, struct err *err)
{
    const char *text = json_as_string(item, "");
    buf_init(bytes, WIRE_MAX_IMAGE);
    if (kind == &predict_images)
        return fs_read_file(text, bytes, err);
    buf_puts(bytes, text);
    return OK;
}

static enum status predict_by_hand(struct service *service, struct report *report,
                                   const struct json *document, struct err *err)
{
    enum status status = OK;
    bool images = service->kind == &predict_images;
    if (json_len(json_get(document, images ? "texts" : "images")) > 0)
        return err_set(err, E_INVALID, "%s", service->kind->expect);
    json_each(item, json_get(document, images ? "images" : "texts"))
    {
        struct buf bytes;
        status = read_item(service->kind, item, &bytes, err);
        size_t len = bytes.len;
        if (status == OK) {
            service->kind->add(service->model, json_copy(item), document, buf_take(&bytes), len);
            service->n++;
        }
        buf_deinit(&bytes);
        if (status != OK)
            break;
        if (service->n == service->kind->most)
            answer_all(service, report);
    }
    answer_all(service, report);
    return status;
}

/* --- the verb --------------------------------------------------------------------------------- */

static enum status find_kind(const char *weights, const struct predict_kind **kind, struct err *err)
{
    struct tensor_source source;
    struct model_info info;
    enum status status = model_file_open(weights, &source, &info, err);
    if (status != OK)
        return status;
    *kind = model_info_is_text(&info) ? &predict_texts : &predict_images;
    model_info_deinit(&info);
    tensor_source_close(&source);
    return OK;
}

static enum status run(struct report *report, const struct json *document, struct err *err)
{
    int64_t threads = json_integer(document, "threads", 0);
    const char *weights = json_string(document, "weights", "");
    struct service service = {0};
    if (threads < 0 || threads > 1024)
        return err_set(err, E_INVALID,
                       "A model runs on 1 to 1024 threads, or 0 for all there are.");
    omp_set_num_threads(threads > 0 ? (int)threads : omp_get_num_procs());
    enum status status = find_kind(weights, &service.kind, err);
    if (status == OK)
        status = service.kind->open(weights, &service.model, err);
    if (status != OK)
        return status;
    if (report_is_wire(report)) {
        report_started(report, omp_get_max_threads(), service.kind->plan_hash(service.model));
        status = serve(&service, report, err);
    } else {
        status = predict_by_hand(&service, report, document, err);
    }
    service.kind->close(service.model);
    return status;
}

static const struct verb_flag flags[] = {
    {"--weights", "weights", FLAG_INPUT, "FILE", "a model: imported or trained", true},
    {"--image", "images", FLAG_INPUTS, "FILE", "an image to name", false},
    {"--text", "texts", FLAG_TEXTS, "TEXT", "a text to classify, or to go on with", false},
    {"--next", "next", FLAG_INTEGER, "N", "words that a language model goes on for (0)", false},
    {"--temperature", "temperature", FLAG_NUMBER, "T",
     "of its words: 0 is always the most probable one (1)", false},
    {"--seed", "seed", FLAG_INTEGER, "N", "of what it draws (0)", false},
    {"--top-k", "top_k", FLAG_INTEGER, "K", "labels an image, most probable first (5)", false},
    {"--tta", "tta", FLAG_SWITCH, NULL, "averages over augmented views, five times the work",
     false},
    {"--threads", "threads", FLAG_INTEGER, "N", "of the kernels (all cores)", false},
};

const struct verb verb_predict = {
    .name = "predict",
    .summary = "names what is on images, classifies texts and goes on with them; stays resident on "
               "the wire",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .run = run,
    .runs_kernels = true,
};
