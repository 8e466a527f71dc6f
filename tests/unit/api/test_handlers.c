/* Handlers as thawd calls them, with a store of their own, fake ports and no socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "api/handlers.h"
#include "base/fs.h"
#include "base/version.h"
#include "store/blobs.h"
#include "store/datasets.h"
#include "store/exports.h"
#include "store/jobs.h"
#include "store/models.h"

struct fixture {
    char folder[32];
    struct app app;
    struct arena arena; /* of the whole test */
    struct request request;
    struct reply reply;
    struct err err;
    struct json *body; /* of the last reply */
    int n_wakes, n_resumes;
    const struct import_ask *import;
    const struct export_ask *export;
    const struct predict_ask *asks[8];
    int n_asks;
    int n_names; /* import: class names at the time of the ask */
};

static void wake(void *context)
{
    ((struct fixture *)context)->n_wakes++;
}

static void import(void *context, const struct import_ask *ask)
{
    struct fixture *fixture = context;
    fixture->import = ask;
    fixture->n_names = (int)json_len(ask->classes);
}

static void export(void *context, const struct export_ask *ask)
{
    ((struct fixture *)context)->export = ask;
}

static void predict(void *context, const struct predict_ask *ask)
{
    struct fixture *fixture = context;
    fixture->asks[fixture->n_asks++] = ask;
}

static void resume(void *context)
{
    ((struct fixture *)context)->n_resumes++;
}

static int open_app(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof(*fixture));
    memcpy(fixture->folder, "/tmp/thaw-api-XXXXXX", 21);
    if (!mkdtemp(fixture->folder) || store_open(fixture->folder, &fixture->app.store, NULL))
        return -1;
    arena_init(&fixture->arena);
    reply_init(&fixture->reply);
    fixture->app.data = fixture->folder;
    fixture->app.version = "1.2.3";
    fixture->app.ports = (struct ports){.supervisor = fixture,
                                        .wake = wake,
                                        .import = import,
                                        .export = export,
                                        .predictor = fixture,
                                        .predict = predict};
    *state = fixture;
    return 0;
}

static int close_app(void **state)
{
    struct fixture *fixture = *state;
    json_free(fixture->body);
    reply_deinit(&fixture->reply);
    arena_deinit(&fixture->arena);
    store_close(fixture->app.store);
    fs_remove_tree(fixture->folder, NULL);
    mem_free(fixture);
    return 0;
}

/* Parses the reply, where it is JSON. */
static void read_body(struct fixture *fixture)
{
    json_free(fixture->body);
    fixture->body = NULL;
    if (fixture->reply.kind == REPLY_TEXT)
        json_parse(fixture->reply.text, fixture->reply.bytes, &fixture->body, NULL);
}

/* Calls a handler with what fixture->request holds besides, then empties that. */
static enum status call(struct fixture *fixture, handler_fn *handler, const char *id)
{
    struct request *request = &fixture->request;
    reply_deinit(&fixture->reply);
    reply_init(&fixture->reply);
    fixture->err = (struct err){0};
    request->id = "req_1";
    request->path = "/";
    request->arena = &fixture->arena;
    request->resume = resume;
    request->resume_arg = fixture;
    if (id) {
        request->params[0] = (struct pair){"id", id};
        request->n_params = 1;
    }
    enum status status = handler(&fixture->app, request, &fixture->reply, &fixture->err);
    read_body(fixture);
    return status;
}

static void clear_request(struct fixture *fixture)
{
    fixture->request = (struct request){0};
}

static const char *body_id(struct fixture *fixture)
{
    return arena_strdup(&fixture->arena, json_string(fixture->body, "id", NULL));
}

/* A file as an upload leaves it. */
static struct upload *make_upload(struct fixture *fixture, const char *name, const char *content)
{
    uint8_t digest[SHA256_BYTES];
    struct upload *upload = arena_alloc(&fixture->arena, sizeof(*upload));
    upload->part = "";
    upload->path = arena_printf(&fixture->arena, "%s/uploads/%s", fixture->folder, name);
    upload->bytes = strlen(content);
    sha256_bytes(content, strlen(content), digest);
    digest_hex(digest, sizeof(digest), upload->sha256);
    assert_int_equal(fs_write_file(upload->path, content, strlen(content), NULL), OK);
    return upload;
}

static enum status post_dataset(struct fixture *fixture, struct upload *upload)
{
    clear_request(fixture);
    fixture->request.body = BODY_FILE;
    fixture->request.uploads = upload;
    fixture->request.n_uploads = 1;
    return call(fixture, datasets_post, NULL);
}

static enum status post_job(struct fixture *fixture, const char *spec)
{
    struct json *json = NULL;
    clear_request(fixture);
    assert_int_equal(json_parse(spec, strlen(spec), &json, NULL), OK);
    fixture->request.body = BODY_JSON;
    fixture->request.json = json;
    enum status status = call(fixture, jobs_post, NULL);
    json_free(json);
    return status;
}

static const char *make_job(struct fixture *fixture)
{
    assert_int_equal(post_dataset(fixture, make_upload(fixture, "up_j", "job's data")), OK);
    const char *spec = arena_printf(&fixture->arena,
                                    "{\"dataset\":\"%s\",\"model\":\"thaw-small\","
                                    "\"weights\":\"random\",\"name\":\"n\"}",
                                    body_id(fixture));
    assert_int_equal(post_job(fixture, spec), OK);
    return body_id(fixture);
}

static void an_upload_becomes_a_dataset_and_keeps_its_file(void **state)
{
    struct fixture *fixture = *state;
    struct upload *upload = make_upload(fixture, "up_1", "bytes");
    assert_int_equal(post_dataset(fixture, upload), OK);
    assert_int_equal(fixture->reply.status, 201);
    assert_true(upload->taken);
    assert_int_equal(fixture->n_wakes, 1);
    assert_string_equal(json_string(fixture->body, "sha256", ""), upload->sha256);
    assert_string_equal(fixture->reply.headers[0].name, "Location");

    struct upload *again = make_upload(fixture, "up_2", "bytes");
    assert_int_equal(post_dataset(fixture, again), OK);
    assert_int_equal(fixture->reply.status, 200);
    assert_false(again->taken);
}

static void a_form_needs_the_part_called_file(void **state)
{
    struct fixture *fixture = *state;
    struct upload *upload = make_upload(fixture, "up_1", "bytes");
    upload->part = "data";
    clear_request(fixture);
    fixture->request = (struct request){.body = BODY_FORM, .uploads = upload, .n_uploads = 1};
    assert_int_equal(call(fixture, datasets_post, NULL), E_INVALID);
    upload->part = "file";
    assert_int_equal(call(fixture, datasets_post, NULL), OK);
}

static void a_job_is_resolved_queued_and_rung_for(void **state)
{
    struct fixture *fixture = *state;
    const char *id = make_job(fixture);
    assert_int_equal(fixture->reply.status, 202);
    assert_string_equal(json_string(fixture->body, "status", ""), "queued");
    assert_string_equal(json_string(fixture->body, "name", ""), "n");
    assert_true(json_len(json_get(json_get(fixture->body, "spec"), "stages")) > 0);
    assert_int_equal(fixture->n_wakes, 2);
    clear_request(fixture);
    assert_int_equal(call(fixture, jobs_show, id), OK);
    assert_non_null(fixture->reply.etag);
    assert_int_equal(json_integer(fixture->body, "queue_position", -1), 0);
}

static void a_job_for_what_does_not_exist_is_invalid_at_its_place(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(post_job(fixture, "{\"dataset\":\"ds_x\",\"model\":\"thaw-small\"}"),
                     E_INVALID);
    assert_string_equal(fixture->err.pointer, "/dataset");
    assert_int_equal(post_dataset(fixture, make_upload(fixture, "up_1", "x")), OK);
    const char *dataset = body_id(fixture);
    static const char *const models[] = {"nothing", "mdl_x", "ckpt_x", "resnet34", "thaw-small"};
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        const char *spec = arena_printf(&fixture->arena, "{\"dataset\":\"%s\",\"model\":\"%s\"}",
                                        dataset, models[i]);
        assert_int_equal(post_job(fixture, spec), E_INVALID);
        assert_string_equal(fixture->err.pointer, "/model");
    }
}

static void a_base_model_is_kept_by_name_and_any_other_by_id(void **state)
{
    struct fixture *fixture = *state;
    struct blob blob;
    struct upload *file = make_upload(fixture, "up_w", "weights");
    assert_int_equal(blob_move(fixture->app.store, file->path, &blob, NULL), OK);
    struct model_row model = {.name = "mine",
                              .kind = "image",
                              .architecture = "resnet18",
                              .origin = "import",
                              .available = true,
                              .weights = blob.sha256};
    assert_int_equal(model_insert(fixture->app.store, &model, &fixture->arena, NULL), OK);
    assert_int_equal(post_dataset(fixture, make_upload(fixture, "up_1", "x")), OK);
    const char *dataset = body_id(fixture);
    const struct {
        const char *model, *weights, *kept;
    } cases[] = {{"mine", "pretrained", model.id},
                 {model.id, "pretrained", model.id},
                 {"mine", "random", "resnet18"},
                 {"mdl_resnet50", "random", "resnet50"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *spec = arena_printf(&fixture->arena,
                                        "{\"dataset\":\"%s\",\"model\":\"%s\",\"weights\":\"%s\"}",
                                        dataset, cases[i].model, cases[i].weights);
        assert_int_equal(post_job(fixture, spec), OK);
        assert_string_equal(json_string(fixture->body, "model", ""), cases[i].kept);
        assert_string_equal(json_string(json_get(fixture->body, "spec"), "model", ""),
                            cases[i].kept);
    }
}

static void an_epoch_done_twice_counts_once(void **state)
{
    struct fixture *fixture = *state;
    const char *id = make_job(fixture);
    static const char *const epochs[] = {
        "{\"stage_index\":0,\"epoch\":0,\"train_loss\":3}",
        "{\"stage_index\":1,\"epoch\":0,\"train_loss\":2}",
        "{\"stage_index\":1,\"epoch\":1,\"train_loss\":1}",
        "{\"stage_index\":1,\"epoch\":0,\"train_loss\":5}",
        "{\"stage_index\":1,\"epoch\":1,\"train_loss\":4,\"valid_loss\":null}"};
    for (size_t i = 0; i < ARRAY_LEN(epochs); i++) {
        struct event_new event = {.type = "epoch", .job = id, .data = epochs[i]};
        assert_int_equal(events_append(fixture->app.store, &event, 1, false, NULL), OK);
    }
    clear_request(fixture);
    fixture->request.accept = "text/csv";
    assert_int_equal(call(fixture, jobs_metrics, id), OK);
    assert_string_equal(fixture->reply.text,
                        "stage,epoch,train_loss,valid_loss,accuracy,error_rate,time\n"
                        "stage-1,0,3,,,,\nstage-2,0,5,,,,\nstage-2,1,4,,,,\n");
}

static void a_stream_is_offered_only_to_who_accepts_one(void **state)
{
    struct fixture *fixture = *state;
    const char *id = make_job(fixture);
    clear_request(fixture);
    assert_int_equal(call(fixture, jobs_events, id), OK);
    assert_int_equal(fixture->reply.kind, REPLY_TEXT);
    fixture->request.accept = "text/event-stream";
    fixture->request.last_event_id = "2";
    assert_int_equal(call(fixture, jobs_events, id), OK);
    assert_int_equal(fixture->reply.kind, REPLY_STREAM);
    assert_int_equal(fixture->reply.stream_after, 2);
    assert_string_equal(fixture->reply.stream_job, id);
}

static void after_done_there_is_nothing_to_stream(void **state)
{
    struct fixture *fixture = *state;
    const char *id = make_job(fixture);
    struct event_new done = {.type = "done", .job = id, .data = "{}"};
    int64_t seq;
    assert_int_equal(events_append(fixture->app.store, &done, 1, false, NULL), OK);
    assert_int_equal(events_last_seq(fixture->app.store, &seq, NULL), OK);
    clear_request(fixture);
    fixture->request.accept = "text/event-stream";
    fixture->request.last_event_id = arena_printf(&fixture->arena, "%lld", (long long)seq);
    assert_int_equal(call(fixture, jobs_events, id), OK);
    assert_int_equal(fixture->reply.status, 204);
}

static void an_import_replies_when_the_engine_has(void **state)
{
    struct fixture *fixture = *state;
    clear_request(fixture);
    fixture->request = (struct request){.query = {{"name", "mine"}, {"classes", "imagenet1k"}},
                                        .n_query = 2,
                                        .uploads = make_upload(fixture, "up_1", "w"),
                                        .n_uploads = 1};
    assert_int_equal(call(fixture, models_post, NULL), OK);
    assert_non_null(fixture->import);
    assert_int_equal(fixture->n_names, 1000);
    assert_int_equal(fixture->n_resumes, 0);
    struct model_row model = {.name = "mine",
                              .kind = "image",
                              .architecture = "resnet18",
                              .origin = "import",
                              .available = true};
    assert_int_equal(model_insert(fixture->app.store, &model, &fixture->arena, NULL), OK);
    fixture->import->done(fixture->import->arg, OK, model.id, NULL);
    assert_int_equal(fixture->n_resumes, 1);
    assert_int_equal(fixture->reply.status, 201);
    read_body(fixture);
    assert_string_equal(json_string(fixture->body, "name", ""), "mine");
}

static void an_import_that_fails_replies_with_the_reason(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    clear_request(fixture);
    fixture->request.uploads = make_upload(fixture, "up_1", "w");
    fixture->request.n_uploads = 1;
    assert_int_equal(call(fixture, models_post, NULL), OK);
    err_set(&err, E_INVALID, "The tensor fc.weight is missing.");
    fixture->import->done(fixture->import->arg, E_INVALID, NULL, &err);
    assert_int_equal(fixture->n_resumes, 1);
    assert_int_equal(fixture->reply.status, 422);
    assert_non_null(strstr(fixture->reply.text, "fc.weight"));
}

static void ask_about(struct fixture *fixture, int n)
{
    struct blob blob;
    struct upload *file = make_upload(fixture, "up_w", "weights");
    struct upload *pictures = arena_alloc(&fixture->arena, sizeof(*pictures) * (size_t)n);
    assert_int_equal(blob_move(fixture->app.store, file->path, &blob, NULL), OK);
    struct model_row model = {.name = "seer",
                              .kind = "image",
                              .architecture = "resnet18",
                              .origin = "import",
                              .available = true,
                              .weights = blob.sha256};
    assert_int_equal(model_insert(fixture->app.store, &model, &fixture->arena, NULL), OK);
    for (int i = 0; i < n; i++) {
        const char *name = arena_printf(&fixture->arena, "up_p%d", i);
        pictures[i] = *make_upload(fixture, name, name);
        pictures[i].file_name = name;
    }
    clear_request(fixture);
    fixture->request.uploads = pictures;
    fixture->request.n_uploads = (size_t)n;
    assert_int_equal(call(fixture, models_predict, "seer"), OK);
    assert_int_equal(fixture->n_asks, n);
}

static void answer(struct fixture *fixture, int ask, const char *label)
{
    struct json *predictions = json_new_array();
    struct json *best = json_add_object(predictions);
    json_set_string(best, "label", label);
    json_set_number(best, "probability", 0.5);
    fixture->asks[ask]->done(fixture->asks[ask]->arg, OK, predictions, NULL);
    json_free(predictions);
}

static void pictures_are_answered_in_their_order_whoever_comes_first(void **state)
{
    struct fixture *fixture = *state;
    ask_about(fixture, 3);
    assert_memory_equal(fixture->asks[1]->image, "up_p1", 5);
    answer(fixture, 2, "c");
    answer(fixture, 0, "a");
    assert_int_equal(fixture->n_resumes, 0);
    answer(fixture, 1, "b");
    assert_int_equal(fixture->n_resumes, 1);
    read_body(fixture);
    const struct json *predictions = json_get(fixture->body, "predictions");
    static const char *const labels[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(json_string(json_at(predictions, i), "label", ""), labels[i]);
}

static void one_damaged_picture_fails_the_request_and_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    ask_about(fixture, 2);
    err_set(&err, E_INVALID, "It is damaged.");
    fixture->asks[1]->done(fixture->asks[1]->arg, E_INVALID, NULL, &err);
    answer(fixture, 0, "a");
    assert_int_equal(fixture->n_resumes, 1);
    assert_int_equal(fixture->reply.status, 422);
    read_body(fixture);
    assert_string_equal(json_string(fixture->body, "detail", ""), "up_p1: It is damaged.");
}

static void insert_mine(struct fixture *fixture, struct blob *blob)
{
    struct upload *file = make_upload(fixture, "up_w", "weights");
    assert_int_equal(blob_move(fixture->app.store, file->path, blob, NULL), OK);
    struct model_row model = {.name = "mine",
                              .kind = "image",
                              .architecture = "resnet18",
                              .origin = "import",
                              .available = true,
                              .weights = blob->sha256};
    assert_int_equal(model_insert(fixture->app.store, &model, &fixture->arena, NULL), OK);
    clear_request(fixture);
}

static void an_export_is_asked_for_once_and_then_kept(void **state)
{
    struct fixture *fixture = *state;
    struct blob blob, made;
    insert_mine(fixture, &blob);
    fixture->request.query[0] = (struct pair){"format", "onnx"};
    fixture->request.n_query = 1;
    assert_int_equal(call(fixture, models_weights, "mine"), OK);
    assert_int_equal(fixture->n_resumes, 0);
    assert_string_equal(fixture->export->format, "onnx");
    assert_string_equal(fixture->export->weights, blob.sha256);

    const char *path = arena_printf(&fixture->arena, "%s/tmp/made", fixture->folder);
    assert_int_equal(fs_write_file(path, "a network", 9, NULL), OK);
    assert_int_equal(blob_move(fixture->app.store, path, &made, NULL), OK);
    fixture->export->done(fixture->export->arg, OK, made.sha256, NULL);
    assert_int_equal(fixture->n_resumes, 1);
    assert_int_equal(fixture->reply.bytes, 9);
    assert_memory_equal(fixture->reply.etag + 1, made.sha256, 64);

    const struct export_row row = {.weights = blob.sha256,
                                   .format = "onnx",
                                   .version = THAW_VERSION,
                                   .sha256 = made.sha256,
                                   .bytes = 9};
    assert_int_equal(export_put(fixture->app.store, &row, NULL), OK);
    fixture->export = NULL;
    assert_int_equal(call(fixture, models_weights, "mine"), OK);
    assert_null(fixture->export);
    assert_int_equal(fixture->n_resumes, 2);
    assert_int_equal(fixture->reply.bytes, 9);
}

static void an_export_that_fails_replies_with_the_reason(void **state)
{
    struct fixture *fixture = *state;
    struct blob blob;
    struct err err = {0};
    insert_mine(fixture, &blob);
    fixture->request.query[0] = (struct pair){"format", "bundle"};
    fixture->request.n_query = 1;
    assert_int_equal(call(fixture, models_weights, "mine"), OK);
    err_set(&err, E_INVALID, "The model has no classifier.");
    fixture->export->done(fixture->export->arg, E_INVALID, NULL, &err);
    read_body(fixture);
    assert_int_equal(fixture->n_resumes, 1);
    assert_int_equal(fixture->reply.status, 422);
    assert_string_equal(json_string(fixture->body, "detail", ""), "The model has no classifier.");
}

static void weights_are_a_file_tagged_with_their_hash(void **state)
{
    struct fixture *fixture = *state;
    struct blob blob;
    insert_mine(fixture, &blob);
    assert_int_equal(call(fixture, models_weights, "mine"), OK);
    assert_int_equal(fixture->n_resumes, 1);
    assert_int_equal(fixture->reply.kind, REPLY_FILE);
    assert_int_equal(fixture->reply.bytes, 7);
    assert_memory_equal(fixture->reply.etag + 1, blob.sha256, 64);
    assert_int_equal(call(fixture, models_weights, "resnet18"), E_NOT_FOUND);
}

#define WITH_APP(test) cmocka_unit_test_setup_teardown(test, open_app, close_app)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_APP(an_upload_becomes_a_dataset_and_keeps_its_file),
        WITH_APP(a_form_needs_the_part_called_file),
        WITH_APP(a_job_is_resolved_queued_and_rung_for),
        WITH_APP(a_job_for_what_does_not_exist_is_invalid_at_its_place),
        WITH_APP(a_base_model_is_kept_by_name_and_any_other_by_id),
        WITH_APP(an_epoch_done_twice_counts_once),
        WITH_APP(a_stream_is_offered_only_to_who_accepts_one),
        WITH_APP(after_done_there_is_nothing_to_stream),
        WITH_APP(an_import_replies_when_the_engine_has),
        WITH_APP(an_import_that_fails_replies_with_the_reason),
        WITH_APP(pictures_are_answered_in_their_order_whoever_comes_first),
        WITH_APP(one_damaged_picture_fails_the_request_and_is_named),
        WITH_APP(an_export_is_asked_for_once_and_then_kept),
        WITH_APP(an_export_that_fails_replies_with_the_reason),
        WITH_APP(weights_are_a_file_tagged_with_their_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
