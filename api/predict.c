/* predict.c -- pictures or texts in, labels out, or a text that goes on. Each of a request is one
 * ask of the predictor a model; the reply is made when the last is answered, on the predictor's
 * thread. */
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/ensemble.h"
#include "api/handlers.h"
#include "api/predict_body.h"
#include "api/spec/jobspec.h"
#include "api/spec/wire.h"
#include "store/blobs.h"
#include "store/checkpoints.h"
#include "store/models.h"

#define DEFAULT_TOP_K 5

struct question;

/* One model's answer to one question. */
struct answer {
    struct question *question; /* borrowed */
    struct json *json;         /* owned: as app.h says */
    struct err err;
    struct predict_ask ask;
};

/* One picture or text. */
struct question {
    struct prediction *prediction; /* borrowed */
    const char *name;              /* for the sentence when it fails; or NULL */
    void *mapped;                  /* owned: a picture's file */
    const char *text;              /* borrowed from the request; of a text */
    size_t bytes;
    struct answer *answers; /* one a model */
    struct json *mean;      /* owned: of an ensemble, {predictions, tokens} */
    struct err err;
};

struct chosen {
    const char *id;   /* mdl_ or ckpt_ */
    const char *path; /* of its weights */
};

/* One request; in its arena. */
struct prediction {
    const struct request *request;
    struct reply *reply;
    struct chosen models[JOBSPEC_MAX_ENSEMBLE]; /* the path's, then those of ?ensemble= */
    size_t n_models;
    size_t top_k;
    struct question *questions;
    size_t n;
    atomic_size_t left; /* answers that have not come */
};

static enum status map_picture(const struct upload *upload, struct question *question,
                               struct err *err)
{
    if (upload->bytes == 0)
        return err_set(err, E_INVALID,
                       "The upload is empty: send a picture as the body (curl --data-binary "
                       "@photo.jpg) or several as a form (curl -F file=@a.jpg -F file=@b.jpg).");
    int fd = open(upload->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "The upload cannot be read");
    question->mapped = mmap(NULL, upload->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (question->mapped == MAP_FAILED) {
        question->mapped = NULL;
        return err_errno(err, "The upload cannot be read");
    }
    question->bytes = upload->bytes;
    question->name = upload->file_name;
    return OK;
}

static void release(struct prediction *prediction)
{
    for (size_t i = 0; i < prediction->n; i++) {
        struct question *question = &prediction->questions[i];
        if (question->mapped)
            munmap(question->mapped, question->bytes);
        for (size_t k = 0; question->answers && k < prediction->n_models; k++)
            json_free(question->answers[k].json);
        json_free(question->mean);
    }
}

/* --- The reply -------------------------------------------------------------------------------- */

static void set_classes(struct json *entry, const struct json *predictions)
{
    const struct json *best = json_first(predictions);
    json_set_string(entry, "label", json_string(best, "label", NULL));
    json_set_number(entry, "probability", json_number(best, "probability", 0));
    json_set(entry, "probabilities", json_copy(predictions));
}

static const struct json *answer_of(const struct question *question)
{
    return question->mean ? question->mean : question->answers[0].json;
}

/* The text with what the language model wrote behind it, or in front of it. Its fields are shown
 * with a space between them. */
static void set_text(struct json *entry, const struct question *question)
{
    const char *more = json_string(answer_of(question), "continuation", "");
    bool before = json_bool(answer_of(question), "backwards", false);
    char *text = mem_printf("%s%s%s", before ? more : "", question->text, before ? "" : more);
    for (char *c = text; *c; c++)
        if (*c == PREDICT_FIELD_SEPARATOR)
            *c = ' ';
    json_set_string(entry, "text", text);
    json_set_string(entry, "continuation", more);
    json_set_number(entry, "perplexity", json_number(answer_of(question), "perplexity", 0));
    mem_free(text);
}

static void add_prediction(struct json *list, const struct question *question)
{
    struct json *entry = json_add_object(list);
    const struct json *predictions = json_get(answer_of(question), "predictions");
    if (json_type(predictions) == JSON_ARRAY)
        set_classes(entry, predictions);
    else
        set_text(entry, question);
    if (question->text)
        json_set_integer(entry, "tokens", json_integer(answer_of(question), "tokens", 0));
}

static void reply_failure(struct prediction *prediction, struct question *question)
{
    const struct request *request = prediction->request;
    if (prediction->n > 1 && question->name)
        err_prefix(&question->err, "%.100s: ", question->name);
    reply_problem(prediction->reply, request->arena, &question->err, request->id, request->path);
}

/* Of an ensemble: the mean of what its models say, or why there is none. */
static void average(const struct prediction *prediction, struct question *question)
{
    struct ensemble_answer answers[JOBSPEC_MAX_ENSEMBLE];
    struct json *mean = NULL;
    for (size_t k = 0; k < prediction->n_models; k++)
        answers[k] = (struct ensemble_answer){prediction->models[k].id, question->answers[k].json};
    if (ensemble_mean(answers, prediction->n_models, prediction->top_k, &mean, &question->err) !=
        OK)
        return;
    question->mean = json_new_object();
    json_set(question->mean, "predictions", mean);
    json_set(question->mean, "tokens", json_copy(json_get(answers[0].answer, "tokens")));
}

/* Whether all its models have answered it. */
static bool settle(const struct prediction *prediction, struct question *question)
{
    bool ensemble = prediction->n_models > 1;
    for (size_t k = 0; k < prediction->n_models && !question->err.status; k++) {
        question->err = question->answers[k].err;
        if (question->err.status && ensemble)
            err_prefix(&question->err, "The model %s: ", prediction->models[k].id);
    }
    if (!question->err.status && ensemble)
        average(prediction, question);
    return question->err.status == OK;
}

static void finish(struct prediction *prediction)
{
    const struct request *request = prediction->request;
    struct question *failed = NULL;
    struct json *body = json_new_object();
    json_set_string(body, "model", prediction->models[0].id);
    if (prediction->n_models > 1) {
        struct json *models = json_set_array(body, "models");
        for (size_t k = 0; k < prediction->n_models; k++)
            json_add_string(models, prediction->models[k].id);
    }
    struct json *predictions = json_set_array(body, "predictions");
    for (size_t i = 0; i < prediction->n && !failed; i++) {
        if (settle(prediction, &prediction->questions[i]))
            add_prediction(predictions, &prediction->questions[i]);
        else
            failed = &prediction->questions[i];
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

static void answered(void *argument, enum status status, const struct json *json,
                     const struct err *err)
{
    struct answer *answer = argument;
    struct prediction *prediction = answer->question->prediction;
    if (status)
        answer->err = *err;
    else
        answer->json = json_copy(json);
    if (atomic_fetch_sub(&prediction->left, 1) == 1)
        finish(prediction);
}

/* --- The request ------------------------------------------------------------------------------ */

static enum status read_wish(const struct request *request, struct predict_wish *wish,
                             struct err *err)
{
    *wish = (struct predict_wish){.temperature = 1};
    enum status status =
        request_integer(request, "top_k", 1, PREDICT_MAX_TOP_K, DEFAULT_TOP_K, &wish->top_k, err);
    return status ? status : request_bool(request, "tta", false, &wish->tta, err);
}

static enum status weights_of(struct app *app, const struct request *request, const char *name,
                              const char **id, const char **sha256, struct err *err)
{
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

static enum status choose(struct app *app, struct prediction *prediction, const char *name,
                          struct err *err)
{
    const struct request *request = prediction->request;
    struct chosen *chosen = &prediction->models[prediction->n_models];
    char *path = arena_alloc(request->arena, PATH_MAX);
    const char *sha256;
    enum status status = weights_of(app, request, name, &chosen->id, &sha256, err);
    if (!status)
        status = blob_path(app->store, sha256, path, PATH_MAX, err);
    for (size_t k = 0; !status && k < prediction->n_models; k++)
        if (strcmp(prediction->models[k].id, chosen->id) == 0)
            status = err_set(err, E_INVALID,
                             "The model %s is in the ensemble twice: name each once, and that of "
                             "the path not in \"ensemble\".",
                             chosen->id);
    chosen->path = path;
    prediction->n_models += !status;
    return status;
}

/* The path's model, then those of ?ensemble=ID,ID: one that is unknown there is 422, not 404. */
static enum status choose_all(struct app *app, struct prediction *prediction, struct err *err)
{
    const struct request *request = prediction->request;
    const char *others = request_value(request, "ensemble");
    char *rest = others ? arena_strdup(request->arena, others) : NULL;
    enum status status = choose(app, prediction, request_param(request, "id"), err);
    while (!status && rest) {
        char *name = strsep(&rest, ",");
        if (prediction->n_models == JOBSPEC_MAX_ENSEMBLE)
            return err_set(err, E_INVALID,
                           "At most %d models can be averaged, that of the path "
                           "among them.",
                           JOBSPEC_MAX_ENSEMBLE);
        if (!*name)
            return err_set(err, E_INVALID,
                           "ensemble is ids or names of models, with commas "
                           "between them: ?ensemble=mdl_one,mdl_two.");
        status = choose(app, prediction, name, err);
        if (status == E_NOT_FOUND)
            status = err->status = E_INVALID;
    }
    return status;
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
    prediction->questions =
        arena_alloc(request->arena, prediction->n * sizeof(*prediction->questions));
    for (size_t i = 0; !status && i < prediction->n; i++)
        status = map_picture(&request->uploads[i], &prediction->questions[i], err);
    if (status)
        release(prediction);
    return status;
}

static enum status take_texts(const struct request *request, struct prediction *prediction,
                              struct predict_wish *wish, struct err *err)
{
    struct predict_text *texts = NULL;
    enum status status =
        predict_body_read(request->json, request->arena, wish, &texts, &prediction->n, err);
    if (!status && wish->tta)
        status = err_set(err, E_INVALID, "tta is of pictures: a text has no other views.");
    if (status)
        return status;
    prediction->questions =
        arena_alloc(request->arena, prediction->n * sizeof(*prediction->questions));
    for (size_t i = 0; i < prediction->n; i++) {
        struct question *question = &prediction->questions[i];
        question->text = texts[i].bytes;
        question->bytes = texts[i].len;
        question->name = prediction->n > 1 ? arena_printf(request->arena, "/texts/%zu", i) : NULL;
    }
    return OK;
}

static void prepare_ask(struct question *question, size_t k, const struct predict_wish *wish)
{
    struct prediction *prediction = question->prediction;
    struct answer *answer = &question->answers[k];
    answer->question = question;
    answer->ask = (struct predict_ask){
        .model = prediction->models[k].id,
        .weights = prediction->models[k].path,
        .kind = question->text ? "text" : "image",
        .bytes = question->text ? question->text : question->mapped,
        .n_bytes = question->bytes,
        .top_k = prediction->n_models > 1 ? PREDICT_MAX_TOP_K : (int)wish->top_k,
        .tta = wish->tta,
        .next = (int)wish->next,
        .temperature = wish->temperature,
        .seed = wish->seed,
        .done = answered,
        .arg = answer,
    };
}

/* After the first ask nothing of the prediction may be touched but through its own answer: the
 * last one may have come and the request be gone. So all asks are made before. */
static void ask_all(struct app *app, struct prediction *prediction, const struct predict_wish *wish)
{
    size_t n = prediction->n, n_models = prediction->n_models;
    struct answer *answers =
        arena_alloc(prediction->request->arena, n * n_models * sizeof(*answers));
    atomic_init(&prediction->left, n * n_models);
    prediction->top_k = (size_t)wish->top_k;
    for (size_t i = 0; i < n; i++) {
        struct question *question = &prediction->questions[i];
        question->prediction = prediction;
        question->answers = answers + i * n_models;
        for (size_t k = 0; k < n_models; k++)
            prepare_ask(question, k, wish);
    }
    for (size_t i = 0; i < n * n_models; i++)
        app->ports.predict(app->ports.predictor, &answers[i].ask);
}

enum status models_predict(struct app *app, const struct request *request, struct reply *reply,
                           struct err *err)
{
    struct prediction *prediction = arena_alloc(request->arena, sizeof(*prediction));
    *prediction = (struct prediction){.request = request, .reply = reply};
    struct predict_wish wish;
    enum status status = read_wish(request, &wish, err);
    if (!status)
        status = choose_all(app, prediction, err);
    if (!status && request->body == BODY_JSON)
        status = take_texts(request, prediction, &wish, err);
    else if (!status)
        status = map_pictures(request, prediction, err);
    if (!status)
        ask_all(app, prediction, &wish);
    return status;
}
