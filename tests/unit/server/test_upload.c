#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "server/upload.h"

#define MANY 24

struct fixture {
    char folder[32];
    struct spool *spool;
};

/* Somebody who waits for a file, as a suspended connection does. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t woken;
    int n;
};

static void ready(void *context)
{
    struct waiter *waiter = context;
    pthread_mutex_lock(&waiter->lock);
    waiter->n++;
    pthread_cond_signal(&waiter->woken);
    pthread_mutex_unlock(&waiter->lock);
}

static void waiter_init(struct waiter *waiter)
{
    *waiter = (struct waiter){0};
    pthread_mutex_init(&waiter->lock, NULL);
    pthread_cond_init(&waiter->woken, NULL);
}

static void waiter_wait(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    while (waiter->n == 0)
        pthread_cond_wait(&waiter->woken, &waiter->lock);
    waiter->n--;
    pthread_mutex_unlock(&waiter->lock);
}

static int open_spool(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof(*fixture));
    memcpy(fixture->folder, "/tmp/thaw-upload-XXXXXX", 24);
    if (!mkdtemp(fixture->folder))
        return -1;
    *state = fixture;
    return (int)spool_start(fixture->folder, 0, MANY, &fixture->spool, NULL);
}

static int close_spool(void **state)
{
    struct fixture *fixture = *state;
    spool_stop(fixture->spool);
    fs_remove_tree(fixture->folder, NULL);
    mem_free(fixture);
    return 0;
}

static int n_files(const struct fixture *fixture)
{
    int n = 0;
    DIR *folder = opendir(fixture->folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

/* A freed file may still be in a helper's hands. */
static void assert_files(const struct fixture *fixture, int n)
{
    for (int i = 0; i < 1000 && n_files(fixture) != n; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    assert_int_equal(n_files(fixture), n);
}

static enum status send_all(struct upload_file *file, struct waiter *waiter, const char *bytes,
                            size_t len, struct err *err)
{
    while (len > 0) {
        size_t taken;
        enum status status = upload_write(file, bytes, len, &taken, err);
        if (status)
            return status;
        bytes += taken;
        len -= taken;
        if (len > 0)
            waiter_wait(waiter);
    }
    return OK;
}

static enum status finish(struct upload_file *file, struct waiter *waiter, struct err *err)
{
    for (;;) {
        bool finished;
        enum status status = upload_finish(file, &finished, err);
        if (status || finished)
            return status;
        waiter_wait(waiter);
    }
}

static char *make_bytes(size_t len)
{
    char *bytes = mem_alloc(len + 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    return bytes;
}

static void what_was_sent_is_on_disk_with_its_hash(void **state)
{
    static const size_t sizes[] = {1, 131071, 131072, 131073, 1000003};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct waiter waiter;
        struct upload_file *file;
        struct buf read;
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX], *bytes = make_bytes(sizes[i]);
        waiter_init(&waiter);
        struct upload_options options = {
            .max_bytes = sizes[i], .durable = i % 2, .ready = ready, .context = &waiter};
        assert_int_equal(upload_open(fixture->spool, &options, &file, NULL), OK);
        assert_int_equal(send_all(file, &waiter, bytes, sizes[i], NULL), OK);
        assert_int_equal(finish(file, &waiter, NULL), OK);
        sha256_bytes(bytes, sizes[i], digest);
        digest_hex(digest, sizeof(digest), hex);
        assert_string_equal(upload_sha256(file), hex);
        assert_true(upload_bytes(file) == sizes[i]);
        buf_init(&read, 2000000);
        assert_int_equal(fs_read_file(upload_path(file), &read, NULL), OK);
        assert_int_equal(read.len, sizes[i]);
        assert_memory_equal(read.data, bytes, sizes[i]);
        buf_deinit(&read);
        mem_free(bytes);
        upload_free(file, false);
        assert_files(fixture, 0);
    }
}

static void a_file_that_is_kept_stays_and_any_other_goes(void **state)
{
    struct fixture *fixture = *state;
    for (int keep = 0; keep < 2; keep++) {
        struct waiter waiter;
        struct upload_file *file;
        waiter_init(&waiter);
        struct upload_options options = {.max_bytes = 10, .ready = ready, .context = &waiter};
        assert_int_equal(upload_open(fixture->spool, &options, &file, NULL), OK);
        assert_int_equal(send_all(file, &waiter, "abc", 3, NULL), OK);
        if (keep)
            assert_int_equal(finish(file, &waiter, NULL), OK);
        upload_free(file, keep);
        assert_files(fixture, keep);
    }
}

static void too_many_bytes_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct waiter waiter;
    struct upload_file *file;
    struct err err = {0};
    waiter_init(&waiter);
    struct upload_options options = {.max_bytes = 4, .ready = ready, .context = &waiter};
    assert_int_equal(upload_open(fixture->spool, &options, &file, NULL), OK);
    assert_int_equal(send_all(file, &waiter, "abcd", 4, &err), OK);
    assert_int_equal(send_all(file, &waiter, "e", 1, &err), E_TOO_LARGE);
    assert_non_null(strstr(err.detail, "4 bytes"));
    upload_free(file, false);
    assert_files(fixture, 0);
}

static void too_many_files_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct upload_file *files[MANY], *more;
    struct upload_options options = {.max_bytes = 4, .ready = ready};
    for (int i = 0; i < MANY; i++)
        assert_int_equal(upload_open(fixture->spool, &options, &files[i], NULL), OK);
    assert_int_equal(upload_open(fixture->spool, &options, &more, NULL), E_TOO_MANY);
    upload_free(files[0], false);
    assert_int_equal(upload_open(fixture->spool, &options, &files[0], NULL), OK);
    for (int i = 0; i < MANY; i++)
        upload_free(files[i], false);
    assert_files(fixture, 0);
}

static void space_that_must_stay_free_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct spool *careful;
    struct err err = {0};
    assert_int_equal(spool_check_space(fixture->spool, 1, &err), OK);
    assert_int_equal(spool_check_space(fixture->spool, UINT64_MAX, &err), E_NO_SPACE);
    assert_int_equal(spool_start(fixture->folder, UINT64_MAX, 1, &careful, NULL), OK);
    assert_int_equal(spool_check_space(careful, 0, &err), E_NO_SPACE);
    spool_stop(careful);
}

struct client {
    struct fixture *fixture;
    unsigned seed;
    bool gives_up;
};

static void *send_one(void *argument)
{
    struct client *client = argument;
    struct waiter waiter;
    struct upload_file *file;
    size_t len = 300000 + client->seed * 1000;
    char *bytes = make_bytes(len);
    waiter_init(&waiter);
    struct upload_options options = {
        .max_bytes = len, .durable = client->seed % 3 == 0, .ready = ready, .context = &waiter};
    if (upload_open(client->fixture->spool, &options, &file, NULL))
        abort();
    size_t sent = client->gives_up ? len / 2 : len;
    if (send_all(file, &waiter, bytes, sent, NULL))
        abort();
    if (!client->gives_up) {
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX];
        if (finish(file, &waiter, NULL))
            abort();
        sha256_bytes(bytes, len, digest);
        digest_hex(digest, sizeof(digest), hex);
        if (strcmp(upload_sha256(file), hex) != 0)
            abort();
    }
    upload_free(file, false);
    mem_free(bytes);
    return NULL;
}

static void many_at_once_keep_apart_and_those_that_give_up_leave_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[MANY];
    pthread_t threads[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        clients[i] = (struct client){fixture, i, i % 4 == 1};
        assert_int_equal(pthread_create(&threads[i], NULL, send_one, &clients[i]), 0);
    }
    for (int i = 0; i < MANY; i++)
        pthread_join(threads[i], NULL);
    assert_files(fixture, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_sent_is_on_disk_with_its_hash, open_spool,
                                        close_spool),
        cmocka_unit_test_setup_teardown(a_file_that_is_kept_stays_and_any_other_goes, open_spool,
                                        close_spool),
        cmocka_unit_test_setup_teardown(too_many_bytes_are_refused, open_spool, close_spool),
        cmocka_unit_test_setup_teardown(too_many_files_are_refused, open_spool, close_spool),
        cmocka_unit_test_setup_teardown(space_that_must_stay_free_is_refused, open_spool,
                                        close_spool),
        cmocka_unit_test_setup_teardown(
            many_at_once_keep_apart_and_those_that_give_up_leave_nothing, open_spool, close_spool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
