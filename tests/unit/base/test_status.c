/* Errors are one full sentence, whatever happens to it on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/status.h"

static void every_status_has_a_name_that_reads_back(void **state)
{
    (void)state;
    for (int s = 0; s < N_STATUS; s++) {
        assert_int_equal(status_from_name(status_name((enum status)s)), s);
        assert_true(status_http((enum status)s) >= 200 && status_http((enum status)s) < 600);
        assert_true(strlen(status_title((enum status)s)) > 1);
    }
    assert_int_equal(status_from_name("no such name"), E_INTERNAL);
    assert_int_equal(status_from_name(NULL), E_INTERNAL);
    assert_int_equal(status_http((enum status)99), 500);
    assert_int_equal(status_http(E_INVALID), 422);
}

static void a_new_error_replaces_all_of_the_old_one(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_at(&err, E_INVALID, "/epochs", "%d epochs are too many.", 7), E_INVALID);
    err_name(&err, "too_many_epochs", "Use fewer.");
    assert_string_equal(err.detail, "7 epochs are too many.");
    assert_string_equal(err.pointer, "/epochs");
    assert_string_equal(err.code, "too_many_epochs");
    err_name(&err, NULL, "Use 3.");
    assert_string_equal(err.code, "too_many_epochs");
    assert_string_equal(err.hint, "Use 3.");
    err_set(&err, E_IO, "Other.");
    assert_string_equal(err.pointer, "");
    assert_string_equal(err.code, "");
    assert_string_equal(err.hint, "");
    assert_int_equal(err.status, E_IO);
}

static void a_sentence_may_contain_the_old_one(void **state)
{
    (void)state;
    struct err err = {0};
    err_set(&err, E_INVALID, "The end is missing.");
    err_prefix(&err, "Member %s: ", "a/b.jpg");
    assert_string_equal(err.detail, "Member a/b.jpg: The end is missing.");
    err_set(&err, err.status, "Archive: %s", err.detail);
    assert_string_equal(err.detail, "Archive: Member a/b.jpg: The end is missing.");
}

static void a_sentence_too_long_ends_in_dots(void **state)
{
    (void)state;
    struct err err = {0};
    char longer[2000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    err_at(&err, E_INVALID, longer, "%s", longer);
    assert_int_equal(strlen(err.detail), sizeof(err.detail) - 1);
    assert_string_equal(err.detail + sizeof(err.detail) - 4, "...");
    assert_int_equal(strlen(err.pointer), sizeof(err.pointer) - 1);
    err_prefix(&err, "%s", longer);
    err_name(&err, longer, longer);
    assert_int_equal(strlen(err.code), sizeof(err.code) - 1);
    assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

static void errno_decides_the_status(void **state)
{
    (void)state;
    struct err err = {0};
    errno = ENOENT;
    assert_int_equal(err_errno(&err, "The file %s could not be opened", "x"), E_IO);
    assert_string_equal(err.detail, "The file x could not be opened: No such file or directory");
    errno = ENOSPC;
    assert_int_equal(err_errno(&err, "Writing failed"), E_NO_SPACE);
    errno = EDQUOT;
    assert_int_equal(err_errno(&err, "Writing failed"), E_NO_SPACE);
}

static void nobody_has_to_want_the_sentence(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, E_GONE, "x"), E_GONE);
    assert_int_equal(err_at(NULL, E_GONE, "/x", "x"), E_GONE);
    err_name(NULL, "x", "y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_that_reads_back),
        cmocka_unit_test(a_new_error_replaces_all_of_the_old_one),
        cmocka_unit_test(a_sentence_may_contain_the_old_one),
        cmocka_unit_test(a_sentence_too_long_ends_in_dots),
        cmocka_unit_test(errno_decides_the_status),
        cmocka_unit_test(nobody_has_to_want_the_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
