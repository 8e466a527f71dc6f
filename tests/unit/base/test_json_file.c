/* JSON files are whole or absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json_file.h"
#include "base/mem.h"

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_json_file.XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct json *json = json_new_object(), *read = NULL;
    json_set_string(json, "word", "th\303\251");
    assert_int_equal(json_write_file(json, folder, "a.json", NULL), OK);
    json_set_integer(json, "n", 3);
    assert_int_equal(json_write_file(json, folder, "a.json", NULL), OK);
    struct buf text;
    char *path = mem_printf("%s/a.json", folder);
    buf_init(&text, 1000);
    assert_int_equal(fs_read_file(path, &text, NULL), OK);
    assert_int_equal(json_parse(text.data, text.len, &read, NULL), OK);
    assert_true(json_equal(read, json));
    buf_deinit(&text);
    mem_free(path);
    json_free(read);
    json_free(json);
    assert_int_equal(fs_remove_tree(folder, NULL), OK);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct err err = {0};
    struct json *json = json_new_object();
    assert_int_equal(json_write_file(json, "/tmp/no-such-folder", "a.json", &err), E_IO);
    assert_non_null(strstr(err.detail, "/tmp/no-such-folder/a.json"));
    json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
