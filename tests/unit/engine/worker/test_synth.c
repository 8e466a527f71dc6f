/* The verb as it is called by hand: a drawn set, written where the flag says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/archive.h"
#include "engine/worker/flags.h"
#include "engine/worker/verb.h"

static char folder[64];
static struct err err;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/thaw-synth-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(folder, &err);
}

/* synth --out FOLDER/name and further words, up to a NULL. */
static enum status synth(const char *name, const char *const *words)
{
    char *argv[16] = {(char[]){"--out"}};
    int pair[2], argc = 2;
    struct json *document = NULL;
    memset(&err, 0, sizeof err);
    argv[1] = mem_printf("%s/%s", folder, name);
    for (; *words; words++)
        argv[argc++] = mem_strdup(*words);
    enum status status = flags_parse(&verb_synth, argc, argv, &document, &err);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct report *report = report_new_wire(pair[0]);
    if (!status)
        status = verb_synth.run(report, document, &err);
    report_free(report);
    close(pair[0]);
    close(pair[1]);
    json_free(document);
    for (int i = 1; i < argc; i++)
        mem_free(argv[i]);
    return status;
}
#define SYNTH(name, ...) synth(name, (const char *const[]){__VA_ARGS__, NULL})

static bool exists(const char *name)
{
    char *path = mem_printf("%s/%s", folder, name);
    bool there = access(path, F_OK) == 0;
    mem_free(path);
    return there;
}

static int count_members(const char *name)
{
    struct archive_limits limits = archive_default_limits();
    struct archive_reader *reader;
    struct archive_member *member;
    char *path = mem_printf("%s/%s", folder, name);
    int n = 0, fd = open(path, O_RDONLY);
    assert_int_equal(archive_reader_open(fd, &limits, &reader, &err), OK);
    while (archive_reader_next(reader, &member, &err) == OK && member)
        n++;
    archive_reader_close(reader);
    close(fd);
    mem_free(path);
    return n;
}

static void an_archive_holds_every_picture_that_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(SYNTH("x.zip", "--set", "b", "--classes", "4", "--per-class", "3", "--valid",
                           "2", "--size", "16"),
                     OK);
    assert_int_equal(count_members("x.zip"), 4 * 5);
    assert_false(exists("x.zip.part"));
    assert_int_equal(SYNTH("y.tar.gz", "--set", "textures", "--per-class", "1", "--valid", "0",
                           "--size", "16", "--format", "png"),
                     OK);
    assert_int_equal(count_members("y.tar.gz"), 9);
}

static void a_folder_is_laid_out_by_split_and_class(void **state)
{
    (void)state;
    assert_int_equal(SYNTH("set", "--set", "b", "--per-class", "2", "--valid", "1", "--size", "16"),
                     OK);
    assert_true(exists("set/train/heart/00001.jpg"));
    assert_true(exists("set/valid/rings/1000000.jpg"));
    assert_false(exists("set/train/heart/00002.jpg"));
}

static void letters_are_written_with_and_without_labels(void **state)
{
    (void)state;
    assert_int_equal(SYNTH("set", "--set", "letters", "--classes", "3", "--per-class", "2",
                           "--valid", "1", "--unlabelled", "4"),
                     OK);
    assert_true(exists("set/train/account/00001.txt"));
    assert_true(exists("set/valid/payment/1000000.txt"));
    assert_true(exists("set/unsup/2000003.txt"));
    assert_false(exists("set/unsup/2000004.txt"));
    assert_false(exists("set/train/quality"));
    assert_int_equal(SYNTH("x.tar", "--set", "b", "--unlabelled", "1"), E_INVALID);
}

static void what_cannot_be_drawn_is_said_before_anything_is_written(void **state)
{
    (void)state;
    assert_int_equal(SYNTH("x.zip", "--set", "c"), E_INVALID);
    assert_non_null(strstr(err.detail, "a, b, shapes, textures"));
    assert_int_equal(SYNTH("x.zip", "--set", "b", "--classes", "7"), E_INVALID);
    assert_non_null(strstr(err.detail, "from 1 to 6"));
    assert_int_equal(SYNTH("x.zip", "--size", "15"), E_INVALID);
    assert_int_equal(SYNTH("x.zip", "--size", "1025"), E_INVALID);
    assert_int_equal(SYNTH("x.zip", "--per-class", "-1"), E_INVALID);
    assert_int_equal(SYNTH("x.zip", "--format", "gif"), E_INVALID);
    assert_int_equal(SYNTH("..", "--set", "b"), E_INVALID);
    assert_non_null(strstr(err.detail, "names no file"));
    assert_int_not_equal(SYNTH("new/x.zip", "--set", "b"), OK);
    assert_false(exists("new"));
    assert_false(exists("x.zip"));
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(an_archive_holds_every_picture_that_was_asked_for),
        IN_A_FOLDER(a_folder_is_laid_out_by_split_and_class),
        IN_A_FOLDER(letters_are_written_with_and_without_labels),
        IN_A_FOLDER(what_cannot_be_drawn_is_said_before_anything_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
