/* fixture.c -- see fixture.h. */
#include "tests/unit/api/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "store/db.h"

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

static void pull(void *context)
{
    ((struct fixture *)context)->n_pulls++;
}

static void resume(void *context)
{
    ((struct fixture *)context)->n_resumes++;
}

int open_app(void **state)
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
                                        .puller = fixture,
                                        .pull = pull,
                                        .predictor = fixture,
                                        .predict = predict};
    *state = fixture;
    return 0;
}

int close_app(void **state)
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

void read_body(struct fixture *fixture)
{
    json_free(fixture->body);
    fixture->body = NULL;
    if (fixture->reply.kind == REPLY_TEXT)
        json_parse(fixture->reply.text, fixture->reply.bytes, &fixture->body, NULL);
}

enum status call(struct fixture *fixture, handler_fn *handler, const char *id)
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

void clear_request(struct fixture *fixture)
{
    fixture->request = (struct request){0};
}

const char *body_id(struct fixture *fixture)
{
    return arena_strdup(&fixture->arena, json_string(fixture->body, "id", NULL));
}

struct upload *make_upload(struct fixture *fixture, const char *name, const char *content)
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

enum status post_dataset(struct fixture *fixture, struct upload *upload)
{
    clear_request(fixture);
    fixture->request.body = BODY_FILE;
    fixture->request.uploads = upload;
    fixture->request.n_uploads = 1;
    return call(fixture, datasets_post, NULL);
}

enum status post_job(struct fixture *fixture, const char *spec)
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

const char *make_job(struct fixture *fixture)
{
    assert_int_equal(post_dataset(fixture, make_upload(fixture, "up_j", "job's data")), OK);
    const char *spec =
        arena_printf(&fixture->arena,
                     "{\"dataset\":\"%s\",\"model\":\"thaw-small\","
                     "\"weights\":\"random\",\"preset\":\"fine_tune\",\"name\":\"n\"}",
                     body_id(fixture));
    assert_int_equal(post_job(fixture, spec), OK);
    return body_id(fixture);
}
