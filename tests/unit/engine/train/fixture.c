#include "tests/unit/engine/train/fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/data/pack.h"
#include "engine/data/png.h"
#include "engine/train/evaluate.h"
#include "engine/train/evaluate_subject.h"

#define SIDE 32

static void paint(uint8_t *pixels, int label, int index)
{
    struct rng rng = rng_stream("fixture", 1, (uint64_t)label, (uint64_t)index);
    for (int i = 0; i < SIDE * SIDE; i++) {
        for (int c = 0; c < 3; c++) {
            int bright = c == (label ? 0 : 2) ? 90 : 60;
            pixels[3 * i + c] = (uint8_t)(bright + (int)rng_below(&rng, 100));
        }
    }
}

static void add_picture(struct pack_writer *writer, int label, int index)
{
    uint8_t pixels[SIDE * SIDE * 3];
    struct buf png;
    struct err err;
    char path[32];
    buf_init(&png, 1u << 20);
    paint(pixels, label, index);
    assert_int_equal(image_png_encode(pixels, SIDE, SIDE, &png, &err), OK);
    struct pack_record record = {.label = label,
                                 .split = SPLIT_TRAIN,
                                 .format = IMAGE_PNG,
                                 .orientation = 1,
                                 .width = SIDE,
                                 .height = SIDE};
    snprintf(path, sizeof path, "%d/%d.png", label, index);
    assert_int_equal(pack_writer_add(writer, &record, path, png.data, png.len, &err), OK);
    buf_deinit(&png);
}

void fixture_init(struct fixture *fixture, int n_items)
{
    static const char *const names[] = {"blue", "red"};
    struct err err;
    *fixture = (struct fixture){.folder = "/tmp/thaw-test-XXXXXX", .threads = 2};
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->pack, sizeof fixture->pack, "%s/pack", fixture->folder);
    snprintf(fixture->index, sizeof fixture->index, "%s/index", fixture->folder);
    int flags = O_RDWR | O_CREAT | O_CLOEXEC;
    struct pack_writer *writer =
        pack_writer_new(open(fixture->pack, flags, 0600), open(fixture->index, flags, 0600));
    for (int i = 0; i < n_items; i++)
        add_picture(writer, i % 2, i);
    if (pack_writer_finish(writer, names, 2, &err) != OK)
        fail_msg("%s", err.detail);
    pack_writer_free(writer);
    buf_init(&fixture->events, 16u << 20);
    fixture_new_run(fixture);
}

void fixture_deinit(struct fixture *fixture)
{
    struct err err;
    assert_int_equal(fs_remove_tree(fixture->folder, &err), OK);
    buf_deinit(&fixture->events);
}

void fixture_new_run(struct fixture *fixture)
{
    static int number;
    struct err err;
    snprintf(fixture->out, sizeof fixture->out, "%s/run-%d", fixture->folder, number++);
    assert_int_equal(fs_make_folder(fixture->out, &err), OK);
    buf_clear(&fixture->events);
}

static void send(void *context, const struct json *header)
{
    struct fixture *fixture = context;
    json_print(header, &fixture->events);
    buf_puts(&fixture->events, "\n");
}

static void started(void *context, int threads, const char *plan_sha256)
{
    struct json *header = json_new_object();
    json_set_string(header, "type", "started");
    json_set_integer(header, "threads", threads);
    json_set_string(header, "plan_sha256", plan_sha256);
    send(context, header);
    json_free(header);
}

static enum trainer_request poll_requests(void *context)
{
    struct fixture *fixture = context;
    fixture->polls++;
    bool due = fixture->request_at > 0 && fixture->polls >= fixture->request_at;
    if (fixture->request == TRAINER_CHECKPOINT)
        due = fixture->polls == fixture->request_at;
    return due ? fixture->request : TRAINER_GO_ON;
}

static struct json *parse(const char *text)
{
    char *copy = mem_strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    struct json *json = NULL;
    struct err err = {0};
    if (json_parse(copy, strlen(copy), &json, &err) != OK)
        fail_msg("%s", err.detail);
    mem_free(copy);
    return json;
}

enum status fixture_run(struct fixture *fixture, const char *spec, const char *weights)
{
    struct json *json = parse(spec);
    struct trainer_options options = {.spec = json,
                                      .pack = fixture->pack,
                                      .index = fixture->index,
                                      .weights = weights,
                                      .ensemble = fixture->ensemble,
                                      .folder = fixture->out,
                                      .threads = fixture->threads,
                                      .loader_threads = fixture->loader_threads};
    struct trainer_hooks hooks = {
        .context = fixture, .started = started, .send = send, .poll = poll_requests};
    fixture->polls = 0;
    fixture->err = (struct err){0};
    enum status status = evaluate_is_task(json) ? evaluate_run(&options, &hooks, &fixture->err)
                                                : trainer_run(&options, &hooks, &fixture->err);
    json_free(json);
    return status;
}

struct json *fixture_event(const struct fixture *fixture, const char *type, int n)
{
    struct json *found = NULL;
    const char *line = fixture->events.data;
    while (*line && !found) {
        const char *end = strchr(line, '\n');
        struct err err;
        struct json *json = NULL;
        assert_int_equal(json_parse(line, (size_t)(end - line), &json, &err), OK);
        if (strcmp(json_string(json, "type", ""), type) == 0 && n-- == 0)
            found = json;
        else
            json_free(json);
        line = end + 1;
    }
    return found;
}

int fixture_count(const struct fixture *fixture, const char *type)
{
    int n = 0;
    struct json *event;
    while ((event = fixture_event(fixture, type, n))) {
        json_free(event);
        n++;
    }
    return n;
}

const char *fixture_result(const struct fixture *fixture, char hex[65])
{
    struct json *result = fixture_event(fixture, "result", 0);
    snprintf(hex, 65, "%s", json_string(result, "weights_sha256", ""));
    json_free(result);
    return hex;
}

char *fixture_path(const struct fixture *fixture, const char *slot)
{
    return mem_printf("%s/%s.safetensors", fixture->out, slot);
}

int fixture_set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    fixture_init(fixture, N_ITEMS);
    *state = fixture;
    return 0;
}

int fixture_tear_down(void **state)
{
    fixture_deinit(*state);
    mem_free(*state);
    return 0;
}

struct json *fixture_json(const struct fixture *fixture, const char *name)
{
    struct buf text;
    struct err err = {0};
    struct json *json = NULL;
    char *path = mem_printf("%s/%s", fixture->out, name);
    buf_init(&text, 16u << 20);
    if (fs_read_file(path, &text, &err) != OK || json_parse(text.data, text.len, &json, &err) != OK)
        fail_msg("%s", err.detail);
    mem_free(path);
    buf_deinit(&text);
    return json;
}

void fixture_run_ok(struct fixture *fixture, const char *spec, const char *weights)
{
    if (fixture_run(fixture, spec, weights) != OK)
        fail_msg("%s", fixture->err.detail);
}

void fixture_run_anew(struct fixture *fixture, const char *spec, char hex[65])
{
    fixture_new_run(fixture);
    fixture_run_ok(fixture, spec, NULL);
    fixture_result(fixture, hex);
    assert_int_equal(strlen(hex), 64);
}
