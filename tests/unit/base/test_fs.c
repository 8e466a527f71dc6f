/* Files are whole or absent, and no link leads out of a folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/test_fs.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fs_remove_tree(folder, NULL) == OK && access(folder, F_OK) != 0 ? 0 : -1;
}

/* A path in the test's folder; four of them live at once. */
static const char *in(const char *name)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static int entries(void)
{
    int n = 0;
    DIR *dir = opendir(folder);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void a_written_file_is_whole_private_and_alone(void **state)
{
    (void)state;
    assert_int_equal(fs_write_file(in("f"), "old", 3, NULL), OK);
    assert_int_equal(fs_write_file(in("f"), "contents", 8, NULL), OK);
    struct buf buf;
    buf_init(&buf, 8);
    assert_int_equal(fs_read_file(in("f"), &buf, NULL), OK);
    assert_string_equal(buf.data, "contents");
    struct stat st;
    assert_int_equal(stat(in("f"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(entries(), 1);
    uint64_t size = 0;
    assert_int_equal(fs_file_size(in("f"), &size, NULL), OK);
    assert_int_equal(size, 8);
    buf_deinit(&buf);
}

static void a_failed_write_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(fs_make_folder(in("occupied"), NULL), OK);
    assert_int_equal(fs_write_file(in("occupied/child"), "x", 1, NULL), OK);
    assert_int_equal(fs_write_file(in("occupied"), "x", 1, NULL), E_IO);
    assert_int_equal(fs_write_file(in("absent/f"), "x", 1, NULL), E_IO);
    assert_int_equal(entries(), 1);
}

static void reading_is_bounded_and_takes_regular_files_only(void **state)
{
    (void)state;
    struct buf buf;
    struct err err = {0};
    buf_init(&buf, 4);
    assert_int_equal(fs_write_file(in("f"), "12345", 5, NULL), OK);
    assert_int_equal(fs_read_file(in("f"), &buf, &err), E_TOO_LARGE);
    buf_clear(&buf);
    assert_int_equal(mkfifo(in("pipe"), 0600), 0);
    assert_int_equal(fs_read_file(in("pipe"), &buf, &err), E_INVALID);
    assert_int_equal(fs_read_file(folder, &buf, &err), E_INVALID);
    assert_int_equal(fs_read_file(in("absent"), &buf, &err), E_IO);
    buf_deinit(&buf);
}

static void opening_beneath_follows_no_link(void **state)
{
    (void)state;
    int fd = -1;
    struct err err = {0};
    assert_int_equal(fs_write_file(in("plain"), "12345", 5, NULL), OK);
    assert_int_equal(fs_write_file(in("twice"), "12345", 5, NULL), OK);
    assert_int_equal(link(in("twice"), in("hard")), 0);
    assert_int_equal(symlink("plain", in("soft")), 0);
    assert_int_equal(symlink("/etc/passwd", in("out")), 0);
    assert_int_equal(mkfifo(in("pipe"), 0600), 0);
    assert_int_equal(fs_open_beneath(folder, "plain", 5, &fd, NULL), OK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    assert_int_equal(fs_open_beneath(folder, "plain", 4, &fd, &err), E_INVALID);
    static const char *const refused[] = {"hard", "soft", "out", "pipe",       "..",
                                          ".",    "",     "a/b", "/etc/passwd"};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_int_equal(fs_open_beneath(folder, refused[i], 5, &fd, &err), E_INVALID);
    assert_int_equal(fs_open_beneath(folder, "absent", 5, &fd, &err), E_IO);
}

static void trees_are_made_and_removed_without_following_links(void **state)
{
    (void)state;
    assert_int_equal(fs_make_folders(in("a/b/c"), NULL), OK);
    assert_int_equal(fs_make_folders(in("a/b/c"), NULL), OK);
    assert_int_equal(fs_make_folder(in("outside"), NULL), OK);
    assert_int_equal(fs_write_file(in("outside/kept"), "x", 1, NULL), OK);
    assert_int_equal(fs_write_file(in("a/b/c/f"), "x", 1, NULL), OK);
    assert_int_equal(symlink("../../outside", in("a/b/link")), 0);
    assert_int_equal(fs_make_folders(in("a/b/c/f/g"), NULL), E_INVALID); /* f is a file */
    assert_int_equal(fs_remove_tree(in("a"), NULL), OK);
    assert_int_not_equal(access(in("a"), F_OK), 0);
    assert_int_equal(access(in("outside/kept"), F_OK), 0);
    assert_int_equal(fs_remove_tree(in("a"), NULL), OK);
}

static void committing_moves_a_finished_file(void **state)
{
    (void)state;
    assert_int_equal(fs_write_file(in("made"), "abc", 3, NULL), OK);
    assert_int_equal(fs_commit(in("made"), in("final"), NULL), OK);
    assert_int_not_equal(access(in("made"), F_OK), 0);
    assert_int_equal(access(in("final"), F_OK), 0);
    assert_int_equal(fs_commit(in("made"), in("final"), NULL), E_IO);
}

static void reading_at_an_offset_is_exact_or_an_error(void **state)
{
    (void)state;
    char bytes[4] = {0};
    int fd;
    assert_int_equal(fs_write_file(in("f"), "0123456789", 10, NULL), OK);
    assert_int_equal(fs_open_beneath(folder, "f", 10, &fd, NULL), OK);
    assert_int_equal(fs_read_at(fd, bytes, 3, 7, NULL), OK);
    assert_string_equal(bytes, "789");
    struct err err = {0};
    assert_int_equal(fs_read_at(fd, bytes, 4, 7, &err), E_INVALID);
    assert_int_equal(fs_read_at(fd, bytes, 1, UINT64_MAX, &err), E_INVALID);
    close(fd);
}

static void a_lock_is_held_once(void **state)
{
    (void)state;
    int first = -1, second = -1;
    struct err err = {0};
    assert_int_equal(fs_lock(in("lock"), &first, NULL), OK);
    assert_int_equal(fs_lock(in("lock"), &second, &err), E_CONFLICT);
    close(first);
    assert_int_equal(fs_lock(in("lock"), &second, &err), OK);
    close(second);
}

static void *close_soon(void *fd)
{
    usleep(120000);
    close(*(int *)fd);
    return NULL;
}

static void a_lock_that_is_given_up_soon_is_waited_for(void **state)
{
    (void)state;
    int first = -1, second = -1;
    pthread_t thread;
    assert_int_equal(fs_lock(in("lock"), &first, NULL), OK);
    pthread_create(&thread, NULL, close_soon, &first);
    assert_int_equal(fs_lock(in("lock"), &second, NULL), OK);
    pthread_join(thread, NULL);
    close(second);
}

static void free_space_is_known(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    assert_int_equal(fs_free_bytes(folder, &bytes, NULL), OK);
    assert_true(bytes > 0);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_written_file_is_whole_private_and_alone),
        IN_FOLDER(a_failed_write_leaves_nothing),
        IN_FOLDER(reading_is_bounded_and_takes_regular_files_only),
        IN_FOLDER(opening_beneath_follows_no_link),
        IN_FOLDER(trees_are_made_and_removed_without_following_links),
        IN_FOLDER(committing_moves_a_finished_file),
        IN_FOLDER(reading_at_an_offset_is_exact_or_an_error),
        IN_FOLDER(a_lock_is_held_once),
        IN_FOLDER(a_lock_that_is_given_up_soon_is_waited_for),
        IN_FOLDER(free_space_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
