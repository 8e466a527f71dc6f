/* Handlers of datasets, jobs and events. */
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
