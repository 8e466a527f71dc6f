/* predict.c -- pictures in, labels out. Each picture of a request is one ask of the predictor; the
 * reply is made when the last is answered, on the predictor's thread. */
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/handlers.h"
#include "api/spec/wire.h"
#include "store/blobs.h"
#include "store/checkpoints.h"
#include "store/models.h"

#define MAX_TOP_K     1000
#define DEFAULT_TOP_K 5

struct prediction;

/* One picture. */
struct picture {
    struct prediction *prediction; /* borrowed */
    const char *file_name;         /* for the sentence when it fails; or NULL */
    void *image;                   /* owned: the mapped file */
    size_t bytes;
    struct json *answer; /* owned: [{label, probability}] */
    struct err err;
    struct predict_ask ask;
};

/* One request; in its arena. */
struct prediction {
    const struct request *request;
    struct reply *reply;
    const char *model; /* id */
    struct picture *pictures;
    size_t n;
    atomic_size_t left; /* pictures without an answer */
};

static enum status map_picture(const struct upload *upload, struct picture *picture,
                               struct err *err)
{
    if (upload->bytes == 0)
        return err_set(err, E_INVALID,
                       "The upload is empty: send a picture as the body (curl --data-binary "
                       "@photo.jpg) or several as a form (curl -F file=@a.jpg -F file=@b.jpg).");
    int fd = open(upload->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "The upload cannot be read");
    picture->image = mmap(NULL, upload->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (picture->image == MAP_FAILED) {
        picture->image = NULL;
        return err_errno(err, "The upload cannot be read");
    }
    picture->bytes = upload->bytes;
    picture->file_name = upload->file_name;
    return OK;
}

static void release(struct prediction *prediction)
{
    for (size_t i = 0; i < prediction->n; i++) {
        struct picture *picture = &prediction->pictures[i];
        if (picture->image)
            munmap(picture->image, picture->bytes);
        json_free(picture->answer);
    }
}

/* --- The reply -------------------------------------------------------------------------------- */

static void add_prediction(struct json *predictions, const struct picture *picture)
{
    struct json *entry = json_add_object(predictions);
    const struct json *best = json_first(picture->answer);
    json_set_string(entry, "label", json_string(best, "label", NULL));
    json_set_number(entry, "probability", json_number(best, "probability", 0));
    json_set(entry, "probabilities", json_copy(picture->answer));
}

static void reply_failure(struct prediction *prediction, struct picture *picture)
{
    const struct request *request = prediction->request;
    if (prediction->n > 1 && picture->file_name)
        err_prefix(&picture->err, "%.100s: ", picture->file_name);
    reply_problem(prediction->reply, request->arena, &picture->err, request->id, request->path);
}

static void finish(struct prediction *prediction)
{
    const struct request *request = prediction->request;
    struct picture *failed = NULL;
    struct json *body = json_new_object();
    json_set_string(body, "model", prediction->model);
    struct json *predictions = json_set_array(body, "predictions");
    for (size_t i = 0; i < prediction->n && !failed; i++) {
        if (prediction->pictures[i].err.status)
            failed = &prediction->pictures[i];
        else
            add_prediction(predictions, &prediction->pictures[i]);
    }
    if (failed) {
        json_free(body);
        reply_failure(prediction, failed);
    } else {
        reply_json(prediction->reply, request, 200, body);
    }
    release(prediction);
    request->resume(request->resume_arg);
}

static void answered(void *argument, enum status status, const struct json *predictions,
                     const struct err *err)
{
    struct picture *picture = argument;
    struct prediction *prediction = picture->prediction;
    if (status)
        picture->err = *err;
    else
        picture->answer = json_copy(predictions);
    if (atomic_fetch_sub(&prediction->left, 1) == 1)
        finish(prediction);
}

/* --- The request ------------------------------------------------------------------------------ */

/* What is asked of every picture. */
struct wish {
    const char *weights; /* path */
    int64_t top_k;
    bool tta;
};

static enum status read_wish(const struct request *request, struct wish *wish, struct err *err)
{
    enum status status =
        request_integer(request, "top_k", 1, MAX_TOP_K, DEFAULT_TOP_K, &wish->top_k, err);
    return status ? status : request_bool(request, "tta", false, &wish->tta, err);
}

static enum status weights_of(struct app *app, const struct request *request, const char **id,
                              const char **sha256, struct err *err)
{
    const char *name = request_param(request, "id");
    if (strncmp(name, "ckpt_", 5) == 0) {
        struct checkpoint_row row;
        enum status status = checkpoint_get(app->store, name, request->arena, &row, err);
        *id = status ? NULL : row.id;
        *sha256 = status ? NULL : row.sha256;
        return status;
    }
    struct model_row row;
    enum status status = model_get(app->store, name, request->arena, &row, err);
    if (status)
        return status;
    *id = row.id;
    *sha256 = row.weights;
    if (row.weights)
        return OK;
    return err_set(err, E_INVALID,
                   "The model %s has no weights here, so it cannot predict: import a file of them, "
                   "or name a model that a job made.",
                   row.name);
}

/* Pictures are the body itself, or a form's parts called "file". */
static enum status check_parts(const struct request *request, struct err *err)
{
    for (size_t i = 0; i < request->n_uploads; i++)
        if (request->body == BODY_FORM && strcmp(request->uploads[i].part, "file") != 0)
            return err_set(
                err, E_INVALID,
                "The form has a file part \"%.80s\"; pictures are parts called \"file\": "
                "curl -F file=@a.jpg -F file=@b.jpg.",
                request->uploads[i].part);
    if (request->n_uploads > 0)
        return OK;
    return err_set(err, E_INVALID,
                   "The form has no file: send pictures as parts called \"file\", with an @ before "
                   "the path: curl -F file=@photo.jpg.");
}

static enum status map_pictures(const struct request *request, struct prediction *prediction,
                                struct err *err)
{
    enum status status = check_parts(request, err);
    if (status)
        return status;
    prediction->n = request->n_uploads;
    prediction->pictures =
        arena_alloc(request->arena, prediction->n * sizeof(*prediction->pictures));
    for (size_t i = 0; !status && i < prediction->n; i++)
        status = map_picture(&request->uploads[i], &prediction->pictures[i], err);
    if (status)
        release(prediction);
    return status;
}

/* After the first ask nothing of the prediction may be touched but through its own picture: the
 * last answer may have come and the request be gone. So all asks are made before. */
static void ask_all(struct app *app, struct prediction *prediction, const struct wish *wish)
{
    size_t n = prediction->n;
    struct picture *pictures = prediction->pictures;
    atomic_init(&prediction->left, n);
    for (size_t i = 0; i < n; i++) {
        pictures[i].prediction = prediction;
        pictures[i].ask = (struct predict_ask){.model = prediction->model,
                                               .weights = wish->weights,
                                               .image = pictures[i].image,
                                               .image_bytes = pictures[i].bytes,
                                               .top_k = (int)wish->top_k,
                                               .tta = wish->tta,
                                               .done = answered,
                                               .arg = &pictures[i]};
    }
    for (size_t i = 0; i < n; i++)
        app->ports.predict(app->ports.predictor, &pictures[i].ask);
}

enum status models_predict(struct app *app, const struct request *request, struct reply *reply,
                           struct err *err)
{
    struct prediction *prediction = arena_alloc(request->arena, sizeof(*prediction));
    *prediction = (struct prediction){.request = request, .reply = reply};
    char *path = arena_alloc(request->arena, 4096);
    struct wish wish = {.weights = path};
    const char *sha256;
    enum status status = read_wish(request, &wish, err);
    if (!status)
        status = weights_of(app, request, &prediction->model, &sha256, err);
    if (!status)
        status = blob_path(app->store, sha256, path, 4096, err);
    if (!status)
        status = map_pictures(request, prediction, err);
    if (!status)
        ask_all(app, prediction, &wish);
    return status;
}
