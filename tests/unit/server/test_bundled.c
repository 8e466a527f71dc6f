/* Weights that come with the program are in the store after each start, whatever was there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs.h"
#include "server/bundled.h"
#include "store/base_models.h"
#include "store/models.h"

struct fixture {
    char folder[64];
    struct store *store;
    struct arena arena;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    *state = f;
    snprintf(f->folder, sizeof f->folder, "/tmp/thaw-bundled-XXXXXX");
    arena_init(&f->arena);
    return mkdtemp(f->folder) && store_open(f->folder, &f->store, &f->err) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    fs_remove_tree(f->folder, NULL);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

/* Installs, and checks that the model's file is whole; returns its digest. */
static const char *install(struct fixture *f)
{
    struct model_row row;
    assert_int_equal(bundled_install(f->store, &f->err), OK);
    assert_int_equal(model_get(f->store, "thaw-small", &f->arena, &row, &f->err), OK);
    assert_true(row.available && row.weights && row.bytes > 1 << 20);
    assert_int_equal(blob_verify(f->store, row.weights, "it", &f->err), OK);
    return row.weights;
}

static void they_replace_others_and_stay_when_they_are_there(void **state)
{
    struct fixture *f = *state;
    struct blob older;
    const char *path = arena_printf(&f->arena, "%s/older", f->folder);
    const char *first = install(f);
    assert_string_equal(install(f), first);
    assert_int_equal(fs_write_file(path, "older", 5, &f->err), OK);
    assert_int_equal(blob_move(f->store, path, &older, &f->err), OK);
    assert_int_equal(base_model_set_weights(f->store, "thaw-small", &older, &f->err), OK);
    assert_string_equal(install(f), first);
}

static void a_damaged_or_missing_file_is_mended(void **state)
{
    struct fixture *f = *state;
    char path[256];
    const char *sha256 = install(f);
    assert_int_equal(blob_path(f->store, sha256, path, sizeof path, &f->err), OK);
    assert_int_equal(fs_write_file(path, "damaged", 7, &f->err), OK);
    assert_int_equal(blob_verify(f->store, sha256, "it", &f->err), E_INVALID);
    assert_string_equal(install(f), sha256);
    assert_int_equal(remove(path), 0);
    assert_string_equal(install(f), sha256);
}

static void a_store_that_takes_no_file_says_so(void **state)
{
    struct fixture *f = *state;
    const char *tmp = arena_printf(&f->arena, "%s/tmp", f->folder);
    assert_int_equal(fs_remove_tree(tmp, &f->err), OK);
    assert_int_not_equal(bundled_install(f->store, &f->err), OK);
    assert_non_null(strstr(f->err.detail, "tmp/thaw-small"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_replace_others_and_stay_when_they_are_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_or_missing_file_is_mended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_takes_no_file_says_so, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
