#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api/render.h"
#include "api/reply.h"
#include "api/request.h"

static void a_number_has_a_range(void **state)
{
    static const struct {
        const char *text;
        enum status status;
    } cases[] = {{"1", OK},
                 {"100", OK},
                 {"0", E_INVALID},
                 {"101", E_INVALID},
                 {"", E_INVALID},
                 {"x", E_INVALID},
                 {" 1", E_INVALID},
                 {"1 ", E_INVALID},
                 {"+1", E_INVALID},
                 {"0x1", E_INVALID},
                 {"99999999999999999999", E_INVALID}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct request request = {.query = {{"limit", cases[i].text}}, .n_query = 1};
        struct err err = {0};
        int64_t value;
        if (request_integer(&request, "limit", 1, 100, 20, &value, &err) != cases[i].status)
            fail_msg("\"%s\" was judged wrongly", cases[i].text);
        assert_int_equal(request_integer(&request, "other", 1, 100, 20, &value, &err), OK);
        assert_int_equal(value, 20);
    }
}

static void accept_is_read_by_elements(void **state)
{
    static const char *const yes[] = {"text/csv", "a/b, text/csv", "a/b,text/csv;q=0.1",
                                      "text/csv ; x=1", "TEXT/CSV"};
    static const char *const no[] = {
        "", "*/*", "text/csvx", "xtext/csv", "text/csv;q=0", "text/csv; q=0.0", "text"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(request_accepts(&(struct request){.accept = yes[i]}, "text/csv"));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(request_accepts(&(struct request){.accept = no[i]}, "text/csv"));
    assert_false(request_accepts(&(struct request){0}, "text/csv"));
}

struct replying {
    struct arena arena;
    struct request request;
    struct reply reply;
    struct json *body;
};

static void begin(struct replying *r)
{
    *r = (struct replying){0};
    arena_init(&r->arena);
    r->request.arena = &r->arena;
    reply_init(&r->reply);
}

static void end(struct replying *r)
{
    json_free(r->body);
    reply_deinit(&r->reply);
    arena_deinit(&r->arena);
}

static void an_error_has_every_field_of_the_contract(void **state)
{
    struct replying r;
    struct err err = {0};
    (void)state;
    begin(&r);
    err_at(&err, E_INVALID, "/epochs", "epochs is 0.");
    err_name(&err, NULL, "Use 1.");
    reply_problem(&r.reply, &r.arena, &err, "req_1", "/v1/jobs");
    assert_int_equal(r.reply.status, 422);
    assert_string_equal(r.reply.content_type, "application/problem+json");
    assert_int_equal(json_parse(r.reply.text, r.reply.bytes, &r.body, NULL), OK);
    assert_string_equal(json_string(r.body, "type", ""), "urn:thaw:error:invalid");
    assert_string_equal(json_string(r.body, "title", ""), "Unprocessable Content");
    assert_int_equal(json_integer(r.body, "status", 0), 422);
    assert_string_equal(json_string(r.body, "detail", ""), "epochs is 0.");
    assert_string_equal(json_string(r.body, "instance", ""), "/v1/jobs");
    assert_string_equal(json_string(r.body, "hint", ""), "Use 1.");
    const struct json *first = json_first(json_get(r.body, "errors"));
    assert_string_equal(json_string(first, "pointer", ""), "/epochs");
    end(&r);
}

static void an_error_that_quotes_a_clients_bytes_is_still_json(void **state)
{
    struct replying r;
    struct err err = {0};
    (void)state;
    begin(&r);
    err_set(&err, E_SYNTAX, "Bad: \"\xff\x01\xe2\x82\" \\ \n.");
    reply_problem(&r.reply, &r.arena, &err, "req_1", "/");
    assert_int_equal(json_parse(r.reply.text, r.reply.bytes, &r.body, NULL), OK);
    assert_string_equal(json_string(r.body, "detail", ""), "Bad: \"????\" \\ ?.");
    end(&r);
}

static void nothing_breaks_out_of_a_header(void **state)
{
    struct replying r;
    (void)state;
    begin(&r);
    reply_header(&r.reply, &r.request, "Location", "/v1/x\r\nSet-Cookie: a=b");
    assert_string_equal(r.reply.headers[0].value, "/v1/x");
    reply_file(&r.reply, &r.request, -1, 0, "application/octet-stream", "a\"b\r\n/c\xc3\xa9.bin");
    assert_string_equal(r.reply.headers[1].value, "attachment; filename=\"a_b___c__.bin\"");
    end(&r);
}

static void a_rendered_row_has_every_field_and_null_for_what_is_unknown(void **state)
{
    static const char *const fields[] = {
        "id",         "object",       "status",         "spec",
        "name",       "metadata",     "dataset",        "model",
        "progress",   "latest",       "best",           "queue_position",
        "created_at", "started_at",   "finished_at",    "estimated_finish",
        "error",      "result_model", "weights_sha256", "engine",
        "estimate",   "reason",       "parent",         "rerun_of",
        "rerun"};
    struct job_row row = {.id = "job_1",
                          .status = JOB_QUEUED,
                          .model = "", /* none: texts, from nothing */
                          .spec = "{\"seed\":7}",
                          .created_ms = 1000,
                          .progress = "not JSON"};
    (void)state;
    struct json *job = render_job(&row, 3);
    assert_int_equal(json_len(job), ARRAY_LEN(fields));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        assert_non_null(json_get(job, fields[i]));
    assert_string_equal(json_string(job, "created_at", ""), "1970-01-01T00:00:01.000Z");
    assert_int_equal(json_integer(json_get(job, "spec"), "seed", 0), 7);
    assert_int_equal(json_integer(job, "queue_position", 0), 3);
    assert_int_equal(json_type(json_get(job, "progress")), JSON_NULL);
    assert_int_equal(json_type(json_get(job, "model")), JSON_NULL);
    assert_int_equal(json_type(json_get(job, "started_at")), JSON_NULL);
    json_free(job);
}

static void an_events_own_fields_never_replace_the_common_ones(void **state)
{
    struct event_row row = {.seq = 9,
                            .time_ms = 1,
                            .type = "step",
                            .job = "job_1",
                            .data = "{\"seq\":1,\"job\":\"job_2\",\"dataset\":\"x\",\"step\":4}"};
    (void)state;
    struct json *event = render_event(&row);
    assert_int_equal(json_integer(event, "seq", 0), 9);
    assert_string_equal(json_string(event, "job", ""), "job_1");
    assert_int_equal(json_type(json_get(event, "dataset")), JSON_NULL);
    assert_int_equal(json_integer(event, "step", 0), 4);
    json_free(event);
}

static void a_list_names_its_ends(void **state)
{
    (void)state;
    struct json *data = json_new_array();
    json_set_string(json_add_object(data), "id", "a");
    json_set_string(json_add_object(data), "id", "b");
    struct json *list = render_list(data, true, "id"),
                *empty = render_list(json_new_array(), 0, "id");
    assert_string_equal(json_string(list, "first_id", ""), "a");
    assert_string_equal(json_string(list, "last_id", ""), "b");
    assert_true(json_bool(list, "has_more", false));
    assert_int_equal(json_type(json_get(empty, "last_id")), JSON_NULL);
    json_free(list);
    json_free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_has_a_range),
        cmocka_unit_test(accept_is_read_by_elements),
        cmocka_unit_test(an_error_has_every_field_of_the_contract),
        cmocka_unit_test(an_error_that_quotes_a_clients_bytes_is_still_json),
        cmocka_unit_test(nothing_breaks_out_of_a_header),
        cmocka_unit_test(a_rendered_row_has_every_field_and_null_for_what_is_unknown),
        cmocka_unit_test(an_events_own_fields_never_replace_the_common_ones),
        cmocka_unit_test(a_list_names_its_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
