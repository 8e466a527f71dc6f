/* What fastai publishes of its archives: the size, and the MD5 of the first MiB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "server/pull.h"

static const struct base_model large = {.name = "large",
                                        .file = "large.tgz",
                                        .architecture = "awd-lstm",
                                        .head_md5 = "7202826a7791073fe2787f0c94603278",
                                        .bytes = (1 << 20) + 3};
static const struct base_model small = {.name = "small",
                                        .file = "small.tgz",
                                        .architecture = "awd-lstm",
                                        .head_md5 = "900150983cd24fb0d6963f7d28e17f72",
                                        .bytes = 3};

static char path[64];
static struct err err;

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/thaw-pull-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

/* A MiB of `head`, then `tail`. */
static enum status check(const struct base_model *base, char head, const char *tail)
{
    size_t len = (1 << 20) + strlen(tail);
    char *bytes = mem_alloc(len + 1);
    memset(bytes, head, 1 << 20);
    memcpy(bytes + (1 << 20), tail, strlen(tail));
    assert_int_equal(fs_write_file(path, bytes, len, &err), OK);
    mem_free(bytes);
    err = (struct err){0};
    return pull_check_head(base, path, &err);
}

static void the_published_file_is_taken(void **state)
{
    (void)state;
    assert_int_equal(check(&large, 'a', "xyz"), OK);
    assert_int_equal(fs_write_file(path, "abc", 3, &err), OK);
    assert_int_equal(pull_check_head(&small, path, &err), OK);
}

static void another_size_or_another_beginning_is_refused(void **state)
{
    (void)state;
    assert_int_equal(check(&large, 'a', "xy"), E_INVALID);
    assert_non_null(strstr(err.detail, "1048578 bytes, where 1048579 are expected"));
    assert_int_equal(check(&large, 'b', "xyz"), E_INVALID);
    assert_non_null(strstr(err.detail, "MD5 of its first MiB"));
    assert_int_equal(fs_write_file(path, "abd", 3, &err), OK);
    assert_int_equal(pull_check_head(&small, path, &err), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_published_file_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_size_or_another_beginning_is_refused, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
