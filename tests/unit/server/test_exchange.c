/* Whole requests, from headers to reply, without a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "server/exchange.h"
#include "server/router.h"
#include "server/static.h"
#include "store/db.h"

struct fixture {
    char folder[32];
    struct app app;
    struct exchange_env env;
    struct exchange *exchange;
    int n_wakes;
};

static void wake(void *context)
{
    (void)context;
}

static int open_env(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof(*fixture));
    memcpy(fixture->folder, "/tmp/thaw-exch-XXXXXX", 22);
    if (!mkdtemp(fixture->folder) || store_open(fixture->folder, &fixture->app.store, NULL))
        return -1;
    fixture->app.max_upload = 1000;
    fixture->app.asset = static_asset;
    fixture->app.ports.wake = wake;
    fixture->env.app = &fixture->app;
    fixture->env.guard.port = 80;
    char *uploads = mem_printf("%s/uploads", fixture->folder);
    enum status status = spool_start(uploads, 0, 4, &fixture->env.spool, NULL);
    mem_free(uploads);
    *state = fixture;
    return (int)status;
}

static int close_env(void **state)
{
    struct fixture *fixture = *state;
    spool_stop(fixture->env.spool);
    store_close(fixture->app.store);
    fs_remove_tree(fixture->folder, NULL);
    mem_free(fixture);
    return 0;
}

/* "METHOD target", then headers as name, value, ..., NULL. True: the answer goes out at once. */
static bool begin(struct fixture *fixture, const char *method, const char *target,
                  const char *const headers[])
{
    fixture->exchange = exchange_new(&fixture->env, target, wake, fixture);
    exchange_header(fixture->exchange, "host", "localhost");
    for (size_t i = 0; headers && headers[i]; i += 2)
        exchange_header(fixture->exchange, headers[i], headers[i + 1]);
    return exchange_begin(fixture->exchange, method);
}
#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct reply *finish(struct fixture *fixture, const char *body)
{
    size_t len = strlen(body), taken = 0;
    while (len > 0) {
        assert_true(exchange_body(fixture->exchange, body, len, &taken));
        body += taken;
        len -= taken;
    }
    while (!exchange_finish(fixture->exchange))
        usleep(1000);
    assert_true(router_answer(fixture->exchange));
    return &fixture->exchange->reply;
}

static void end(struct fixture *fixture)
{
    exchange_free(fixture->exchange);
}

static int get(struct fixture *fixture, const char *target, const char *const headers[])
{
    begin(fixture, "GET", target, headers);
    return finish(fixture, "")->status;
}

static void a_request_reaches_its_handler(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(get(fixture, "/healthz", NULL), 200);
    assert_string_equal(fixture->exchange->reply.text, "{\"status\":\"ok\"}\n");
    assert_memory_equal(fixture->exchange->request.id, "req_", 4);
    end(fixture);
}

static void what_is_wrong_with_the_headers_is_answered(void **state)
{
    static const struct {
        const char *target, *name, *value;
        int status;
    } cases[] = {
        {"/nothing", "accept", "x", 404},
        {"/healthz?x", "accept", "x", 400},
        {"/%00", "accept", "x", 400},
        {"/healthz", "host", "evil", 400}, /* a second Host */
        {"/healthz", "origin", "http://evil", 403},
        {"/healthz", "sec-fetch-site", "cross-site", 403},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int status = get(fixture, cases[i].target, HEADERS(cases[i].name, cases[i].value));
        assert_int_equal(status, cases[i].status);
        assert_string_equal(fixture->exchange->reply.content_type, "application/problem+json");
        end(fixture);
    }
}

static void a_body_too_long_is_refused_before_it_is_read(void **state)
{
    struct fixture *fixture = *state;
    assert_true(begin(fixture, "POST", "/v1/datasets", HEADERS("content-length", "99999999")));
    assert_true(router_answer(fixture->exchange));
    assert_int_equal(fixture->exchange->reply.status, 413);
    end(fixture);
    assert_true(begin(fixture, "POST", "/v1/datasets",
                      HEADERS("content-length", "1001", "expect", "100-continue")));
    end(fixture);
}

static void a_short_body_nobody_wants_is_read_and_dropped(void **state)
{
    struct fixture *fixture = *state;
    assert_false(begin(fixture, "POST", "/nothing", HEADERS("content-length", "3")));
    assert_int_equal(finish(fixture, "abc")->status, 404);
    end(fixture);
}

static void an_upload_is_on_disk_when_its_dataset_is_acknowledged(void **state)
{
    struct fixture *fixture = *state;
    assert_false(begin(fixture, "POST", "/v1/datasets?name=x", HEADERS("content-length", "5")));
    assert_int_equal(finish(fixture, "bytes")->status, 201);
    const struct upload *upload = &fixture->exchange->request.uploads[0];
    assert_int_equal(upload->bytes, 5);
    char *path = mem_strdup(upload->path);
    end(fixture);
    assert_int_equal(access(path, R_OK), 0);
    mem_free(path);
}

static void an_upload_nobody_took_is_gone_with_its_request(void **state)
{
    struct fixture *fixture = *state;
    assert_false(begin(fixture, "POST", "/v1/models?name=a/b", HEADERS("content-length", "5")));
    assert_int_equal(finish(fixture, "bytes")->status, 422);
    char *path = mem_strdup(fixture->exchange->request.uploads[0].path);
    end(fixture);
    assert_int_not_equal(access(path, F_OK), 0);
    mem_free(path);
}

static void the_kind_of_body_is_the_routes_choice(void **state)
{
    static const struct {
        const char *target, *type;
        int status;
    } cases[] = {
        {"/v1/jobs", "application/json", 400},
        {"/v1/jobs", "application/x-www-form-urlencoded",
         400}, /* read as JSON, and lacking fields */
        {"/v1/jobs", "multipart/form-data; boundary=b", 415},
        {"/v1/datasets", "application/json; charset=utf-8", 415},
        {"/v1/datasets", "application/jsonx", 201},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(fixture, "POST", cases[i].target,
              HEADERS("content-type", cases[i].type, "content-length", "2"));
        assert_int_equal(finish(fixture, "{}")->status, cases[i].status);
        end(fixture);
    }
}

static int post_with_key(struct fixture *fixture, const char *key, const char *body)
{
    begin(fixture, "POST", "/v1/datasets", HEADERS("idempotency-key", key));
    int status = finish(fixture, body)->status;
    end(fixture);
    return status;
}

static void a_key_replays_its_first_reply_and_refuses_another_request(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(post_with_key(fixture, "k", "one"), 201);
    assert_int_equal(post_with_key(fixture, "\"k\"", "one"), 201); /* else 200: the same bytes */
    assert_int_equal(post_with_key(fixture, "k", "two"), 422);
    assert_int_equal(post_with_key(fixture, "other", "one"), 200);
    assert_int_equal(post_with_key(fixture, "", "one"), 400);
}

static void an_unchanged_document_is_304(void **state)
{
    struct fixture *fixture = *state;
    char etag[64];
    assert_int_equal(get(fixture, "/app.css", NULL), 200);
    snprintf(etag, sizeof(etag), "%s", fixture->exchange->reply.etag);
    end(fixture);
    assert_int_equal(get(fixture, "/app.css", HEADERS("if-none-match", etag)), 304);
    assert_int_equal(fixture->exchange->reply.kind, REPLY_EMPTY);
    end(fixture);
    assert_int_equal(get(fixture, "/app.css", HEADERS("if-none-match", "\"x\"")), 200);
    end(fixture);
}

static void a_stream_has_no_body_to_measure_for_head(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture, "HEAD", "/v1/events", HEADERS("accept", "text/event-stream"));
    assert_int_equal(finish(fixture, "")->kind, REPLY_TEXT);
    assert_string_equal(fixture->exchange->reply.content_type, "text/event-stream");
    end(fixture);
}

static void an_unfinished_request_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    size_t taken;
    begin(fixture, "POST", "/v1/datasets", NULL);
    assert_true(exchange_body(fixture->exchange, "abc", 3, &taken));
    char *path = mem_strdup(fixture->exchange->request.uploads[0].path);
    assert_int_equal(access(path, F_OK), 0);
    end(fixture);
    assert_int_not_equal(access(path, F_OK), 0);
    mem_free(path);
}

#define WITH_ENV(test) cmocka_unit_test_setup_teardown(test, open_env, close_env)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ENV(a_request_reaches_its_handler),
        WITH_ENV(what_is_wrong_with_the_headers_is_answered),
        WITH_ENV(a_body_too_long_is_refused_before_it_is_read),
        WITH_ENV(a_short_body_nobody_wants_is_read_and_dropped),
        WITH_ENV(an_upload_is_on_disk_when_its_dataset_is_acknowledged),
        WITH_ENV(an_upload_nobody_took_is_gone_with_its_request),
        WITH_ENV(the_kind_of_body_is_the_routes_choice),
        WITH_ENV(a_key_replays_its_first_reply_and_refuses_another_request),
        WITH_ENV(an_unchanged_document_is_304),
        WITH_ENV(a_stream_has_no_body_to_measure_for_head),
        WITH_ENV(an_unfinished_request_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
