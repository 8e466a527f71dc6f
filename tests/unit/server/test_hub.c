#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "server/hub.h"
#include "store/datasets.h"
#include "store/jobs.h"

struct fixture {
    char folder[32];
    struct store *store;
    struct hub *hub;
};

/* A connection: asleep when the hub says so, until the hub wakes it. */
struct reader {
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool asleep;
    struct stream *stream;
    struct buf text;
};

static void suspend(void *context)
{
    struct reader *reader = context;
    pthread_mutex_lock(&reader->lock);
    reader->asleep = true;
    pthread_mutex_unlock(&reader->lock);
}

static void resume(void *context)
{
    struct reader *reader = context;
    pthread_mutex_lock(&reader->lock);
    reader->asleep = false;
    pthread_cond_signal(&reader->woken);
    pthread_mutex_unlock(&reader->lock);
}

static enum status reader_open(struct reader *reader, struct hub *hub, const char *job,
                               int64_t after, struct err *err)
{
    struct stream_port port = {reader, suspend, resume};
    *reader = (struct reader){0};
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->woken, NULL);
    buf_init(&reader->text, 8 << 20);
    return stream_open(hub, job, after, &port, &reader->stream, err);
}

static void reader_close(struct reader *reader)
{
    stream_close(reader->stream);
    buf_deinit(&reader->text);
}

/* Reads until `text` was seen (NULL: until the end), in pieces of `piece` bytes. */
static void read_until(struct reader *reader, const char *text, size_t piece)
{
    char out[4096];
    while (!text || !strstr(reader->text.data, text)) {
        size_t n;
        enum stream_state state = stream_read(reader->stream, out, piece, &n);
        buf_append(&reader->text, out, n);
        if (state == STREAM_ENDED) {
            assert_null(text);
            return;
        }
        pthread_mutex_lock(&reader->lock);
        while (state == STREAM_ASLEEP && reader->asleep)
            pthread_cond_wait(&reader->woken, &reader->lock);
        pthread_mutex_unlock(&reader->lock);
    }
}

/* Checks that the frames read are exactly seq `first`..`last`. */
static void assert_frames(const struct reader *reader, int64_t first, int64_t last)
{
    const char *at = reader->text.data;
    for (int64_t seq = first; seq <= last; seq++) {
        char want[64];
        at = strstr(at, "id: ");
        assert_non_null(at);
        int n = snprintf(want, sizeof(want), "id: %lld\ndata: {\"seq\":%lld,", (long long)seq,
                         (long long)seq);
        assert_memory_equal(at, want, (size_t)n);
        at += n;
    }
    assert_null(strstr(at, "id: "));
}

static void append(struct fixture *fixture, const char *type, const char *job, int n)
{
    for (int i = 0; i < n; i++) {
        struct event_new event = {.type = type, .job = job, .data = "{\"detail\":\"x\"}"};
        assert_int_equal(events_append(fixture->store, &event, 1, false, NULL), OK);
    }
}

static void insert_jobs(struct fixture *fixture)
{
    static const char *const ids[] = {"job_a", "job_b", "job_x"};
    struct arena arena;
    bool created;
    arena_init(&arena);
    struct dataset_row dataset = {
        .name = "d", .kind = "image", .options = "{}", .upload = "up_1", .bytes = 1, .sha256 = "1"};
    assert_int_equal(dataset_insert(fixture->store, &dataset, &arena, &created, NULL), OK);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct job_row job = {.id = ids[i],
                              .spec = "{}",
                              .metadata = "{}",
                              .model = "thaw-small",
                              .dataset = dataset.id};
        assert_int_equal(job_insert(fixture->store, &job, NULL), OK);
    }
    arena_deinit(&arena);
}

static int open_hub(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof(*fixture));
    memcpy(fixture->folder, "/tmp/thaw-hub-XXXXXX", 21);
    if (!mkdtemp(fixture->folder) || store_open(fixture->folder, &fixture->store, NULL) ||
        hub_start(fixture->store, 8, &fixture->hub, NULL))
        return -1;
    store_on_events(fixture->store, hub_ring, fixture->hub);
    *state = fixture;
    return 0;
}

static int close_hub(void **state)
{
    struct fixture *fixture = *state;
    hub_stop(fixture->hub);
    store_close(fixture->store);
    fs_remove_tree(fixture->folder, NULL);
    mem_free(fixture);
    return 0;
}

static void news_reach_a_reader_that_sleeps(void **state)
{
    struct fixture *fixture = *state;
    struct reader reader;
    assert_int_equal(reader_open(&reader, fixture->hub, NULL, 0, NULL), OK);
    read_until(&reader, ": this stream is open", 4096);
    append(fixture, "log", NULL, 3);
    read_until(&reader, "\"seq\":3,", 7);
    assert_frames(&reader, 1, 3);
    reader_close(&reader);
}

static void one_far_behind_is_served_from_the_store_without_gap_or_repeat(void **state)
{
    struct fixture *fixture = *state;
    struct reader reader;
    append(fixture, "log", NULL, 1500); /* more than the hub remembers */
    assert_int_equal(reader_open(&reader, fixture->hub, NULL, 0, NULL), OK);
    read_until(&reader, "id: 700\n", 4096);
    append(fixture, "log", NULL, 20);
    read_until(&reader, "\"seq\":1520,", 4096);
    assert_frames(&reader, 1, 1520);
    reader_close(&reader);
}

static void one_that_comes_back_gets_what_it_missed(void **state)
{
    struct fixture *fixture = *state;
    struct reader reader;
    append(fixture, "log", NULL, 10);
    assert_int_equal(reader_open(&reader, fixture->hub, NULL, 7, NULL), OK);
    read_until(&reader, "\"seq\":10,", 4096);
    assert_frames(&reader, 8, 10);
    reader_close(&reader);
}

static void a_jobs_stream_has_its_own_events_and_ends_after_done(void **state)
{
    struct fixture *fixture = *state;
    struct reader reader;
    insert_jobs(fixture);
    for (int remembered = 0; remembered < 2; remembered++) {
        const char *job = remembered ? "job_b" : "job_a";
        if (!remembered) {
            append(fixture, "log", job, 2);
            append(fixture, "done", job, 1);
            append(fixture, "log", "job_x", 600); /* pushes it out of the hub's memory */
        }
        assert_int_equal(reader_open(&reader, fixture->hub, job, 0, NULL), OK);
        if (remembered) {
            append(fixture, "log", job, 2);
            append(fixture, "log", "job_x", 5);
            append(fixture, "done", job, 1);
        }
        read_until(&reader, NULL, 4096);
        assert_non_null(strstr(reader.text.data, "\"done\""));
        assert_null(strstr(reader.text.data, "job_x"));
        reader_close(&reader);
    }
}

static void there_is_a_limit(void **state)
{
    struct fixture *fixture = *state;
    struct reader readers[8], more;
    struct err err = {0};
    for (int i = 0; i < 8; i++)
        assert_int_equal(reader_open(&readers[i], fixture->hub, NULL, 0, &err), OK);
    assert_int_equal(reader_open(&more, fixture->hub, NULL, 0, &err), E_TOO_MANY);
    reader_close(&readers[0]);
    assert_int_equal(reader_open(&readers[0], fixture->hub, NULL, 0, &err), OK);
    for (int i = 0; i < 8; i++)
        reader_close(&readers[i]);
}

static void *read_to_end(void *reader)
{
    read_until(reader, NULL, 100);
    return NULL;
}

static void closing_ends_every_stream_also_those_that_sleep(void **state)
{
    struct fixture *fixture = *state;
    struct reader readers[8], more;
    pthread_t threads[8];
    insert_jobs(fixture);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(reader_open(&readers[i], fixture->hub, i % 2 ? "job_a" : NULL, 0, NULL),
                         OK);
        pthread_create(&threads[i], NULL, read_to_end, &readers[i]);
    }
    append(fixture, "log", "job_x", 50);
    hub_close(fixture->hub);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        reader_close(&readers[i]);
    }
    assert_int_equal(reader_open(&more, fixture->hub, NULL, 0, NULL), E_TOO_MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(news_reach_a_reader_that_sleeps, open_hub, close_hub),
        cmocka_unit_test_setup_teardown(
            one_far_behind_is_served_from_the_store_without_gap_or_repeat, open_hub, close_hub),
        cmocka_unit_test_setup_teardown(one_that_comes_back_gets_what_it_missed, open_hub,
                                        close_hub),
        cmocka_unit_test_setup_teardown(a_jobs_stream_has_its_own_events_and_ends_after_done,
                                        open_hub, close_hub),
        cmocka_unit_test_setup_teardown(there_is_a_limit, open_hub, close_hub),
        cmocka_unit_test_setup_teardown(closing_ends_every_stream_also_those_that_sleep, open_hub,
                                        close_hub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
