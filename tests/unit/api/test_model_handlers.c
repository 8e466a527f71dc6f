/* Handlers of models: imports, predictions, exports, weights. */
#include "tests/unit/api/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/version.h"
#include "store/blobs.h"
#include "store/datasets.h"
#include "store/exports.h"
#include "store/jobs.h"
#include "store/models.h"

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
    struct json *answer = json_new_object();
    struct json *best = json_add_object(json_set_array(answer, "predictions"));
    json_set_string(best, "label", label);
    json_set_number(best, "probability", 0.5);
    fixture->asks[ask]->done(fixture->asks[ask]->arg, OK, answer, NULL);
    json_free(answer);
}

static void pictures_are_answered_in_their_order_whoever_comes_first(void **state)
{
    struct fixture *fixture = *state;
    ask_about(fixture, 3);
    assert_memory_equal(fixture->asks[1]->bytes, "up_p1", 5);
    assert_string_equal(fixture->asks[1]->kind, "image");
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

/* Asks the model "seer" about a body with ' for ", and has the language model go on with " and". */
static const char *text_after(struct fixture *fixture, const char *body)
{
    struct json *answer = json_new_object(), *json = NULL;
    char *copy = arena_strdup(&fixture->arena, body);
    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    assert_int_equal(json_parse(copy, strlen(copy), &json, NULL), OK);
    clear_request(fixture);
    fixture->request.body = BODY_JSON;
    fixture->request.json = json;
    int ask = fixture->n_asks;
    assert_int_equal(call(fixture, models_predict, "seer"), OK);
    json_set_string(answer, "continuation", " and");
    fixture->asks[ask]->done(fixture->asks[ask]->arg, OK, answer, NULL);
    json_free(answer);
    json_free(json);
    read_body(fixture);
    const struct json *first = json_first(json_get(fixture->body, "predictions"));
    return json_string(first, "text", "");
}

static void fields_of_a_text_are_answered_as_one_that_can_be_read(void **state)
{
    struct fixture *fixture = *state;
    ask_about(fixture, 1);
    answer(fixture, 0, "a");
    assert_string_equal(text_after(fixture, "{'text':['one','two','']}"), "one two  and");
    assert_memory_equal(fixture->asks[1]->bytes, "one\x1ftwo\x1f",
                        8); /* the engine has them apart */
    assert_string_equal(text_after(fixture, "{'text':'one two'}"), "one two and");
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

static enum status post_pull(struct fixture *fixture, const char *body)
{
    struct json *json = NULL;
    clear_request(fixture);
    assert_int_equal(json_parse(body, strlen(body), &json, NULL), OK);
    fixture->request.body = BODY_JSON;
    fixture->request.json = json;
    enum status status = call(fixture, models_post, NULL);
    json_free(json);
    fixture->request.json = NULL;
    return status;
}

static void a_pull_is_written_to_the_row_and_rung_for_once(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(post_pull(fixture, "{\"pull\":\"resnet34\"}"), OK);
    assert_int_equal(fixture->reply.status, 202);
    assert_int_equal(fixture->n_pulls, 1);
    assert_int_equal(json_integer(json_get(fixture->body, "progress"), "done", -1), 0);
    assert_int_equal(post_pull(fixture, "{\"pull\":\"mdl_resnet34\"}"), OK);
    assert_int_equal(fixture->reply.status, 202);
    assert_int_equal(fixture->n_pulls, 1);
    assert_int_equal(post_pull(fixture, "{\"pull\":\"resnet33\"}"), E_INVALID);
    assert_string_equal(fixture->err.pointer, "/pull");
    assert_int_equal(post_pull(fixture, "{\"pull\":\"thaw-small\"}"), E_INVALID);
    assert_int_equal(post_pull(fixture, "{\"pull\":null}"), E_SYNTAX);
    assert_int_equal(post_pull(fixture, "{\"url\":\"http://x\"}"), E_SYNTAX);
    assert_int_equal(fixture->n_pulls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_APP(an_import_replies_when_the_engine_has),
        WITH_APP(an_import_that_fails_replies_with_the_reason),
        WITH_APP(pictures_are_answered_in_their_order_whoever_comes_first),
        WITH_APP(one_damaged_picture_fails_the_request_and_is_named),
        WITH_APP(fields_of_a_text_are_answered_as_one_that_can_be_read),
        WITH_APP(an_export_is_asked_for_once_and_then_kept),
        WITH_APP(an_export_that_fails_replies_with_the_reason),
        WITH_APP(weights_are_a_file_tagged_with_their_hash),
        WITH_APP(a_pull_is_written_to_the_row_and_rung_for_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
