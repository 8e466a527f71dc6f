/* result.json is a stranger's file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/spec/wire.h"
#include "base/fs.h"
#include "server/result.h"

static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_result.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/result.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return fs_remove_tree(folder, NULL) == OK ? 0 : -1;
}

static enum status read_text(const char *text, struct json **result)
{
    assert_int_equal(fs_write_file(path, text, strlen(text), NULL), OK);
    return result_read(folder, result, NULL);
}

static void only_a_regular_file_of_the_folder_is_read(void **state)
{
    (void)state;
    struct json *result = NULL;
    char other[128];
    snprintf(other, sizeof other, "%s/other", folder);
    assert_int_not_equal(result_read(folder, &result, NULL), OK); /* absent */
    assert_int_equal(fs_write_file(other, "{}", 2, NULL), OK);
    assert_int_equal(symlink(other, path), 0);
    assert_int_not_equal(result_read(folder, &result, NULL), OK);
    unlink(path);
    assert_int_equal(link(other, path), 0);
    assert_int_not_equal(result_read(folder, &result, NULL), OK);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_not_equal(result_read(folder, &result, NULL), OK);
    unlink(path);
    assert_int_equal(read_text("{}", &result), OK);
    json_free(result);
}

static void bad_json_and_a_huge_file_are_refused(void **state)
{
    (void)state;
    struct json *result = NULL;
    assert_int_not_equal(read_text("{\"a\":1,\"a\":2}", &result), OK);
    assert_int_not_equal(read_text("{} trailing", &result), OK);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, WIRE_MAX_RESULT + 1), 0);
    close(fd);
    assert_int_not_equal(result_read(folder, &result, NULL), OK);
}

static const char dataset_text[] =
    "{\"kind\":\"image\",\"items\":5,\"classes\":[{\"name\":\"ants\",\"items\":5,\"x\":1}],"
    "\"splits\":{\"train\":4,\"valid\":1,\"test\":0,\"unlabelled\":0},"
    "\"rejected\":{\"count\":2,\"items\":[{\"path\":\"a\",\"reason\":\"b\"}]},"
    "\"warnings\":[\"two labels are alike\"],\"bytes\":10,\"secret\":\"x\"}";
static const char model_text[] =
    "{\"architecture\":\"resnet18\",\"parameters\":7,\"groups\":[{\"name\":\"g\",\"parameters\":7}]"
    ","
    "\"classes\":[\"ants\",\"bees\"],\"weights_sha256\":"
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}";

static void what_the_table_names_goes_on_and_nothing_else(void **state)
{
    (void)state;
    struct arena arena;
    struct json *result = NULL;
    struct dataset_row dataset = {0};
    struct model_row model = {0};
    arena_init(&arena);
    assert_int_equal(read_text(dataset_text, &result), OK);
    assert_int_equal(result_dataset(result, &arena, &dataset, NULL), OK);
    assert_int_equal(dataset.items, 5);
    assert_string_equal(dataset.classes, "[{\"name\":\"ants\",\"items\":5}]");
    assert_string_equal(dataset.rejected,
                        "{\"count\":2,\"items\":[{\"path\":\"a\",\"reason\":\"b\"}]}");
    assert_string_equal(dataset.warnings, "[\"two labels are alike\"]");
    json_free(result);
    assert_int_equal(read_text(model_text, &result), OK);
    assert_int_equal(result_model(result, &arena, &model, NULL), OK);
    assert_string_equal(model.classes, "[\"ants\",\"bees\"]");
    assert_string_equal(model.architecture, "resnet18");
    json_set_null(result, "classes");
    assert_int_equal(result_model(result, &arena, &model, NULL), OK);
    assert_null(model.classes);
    assert_string_equal(model.kind, "image");
    assert_null(model.text);
    json_free(result);
    arena_deinit(&arena);
}

/* The words themselves never reach a row. */
static void a_model_of_text_says_its_sizes(void **state)
{
    (void)state;
    static const char text[] =
        "{\"vocabulary\":60000,\"embedding\":400,\"hidden\":1152,\"layers\":3,\"seq_len\":72,"
        "\"max_len\":1440,\"backwards\":true}";
    struct arena arena;
    struct json *result = NULL, *sizes = NULL;
    struct model_row model = {0};
    arena_init(&arena);
    assert_int_equal(json_parse(model_text, strlen(model_text), &result, NULL), OK);
    assert_int_equal(json_parse(text, strlen(text), &sizes, NULL), OK);
    json_set_string(sizes, "unknown", "stays behind");
    json_set(result, "text", json_copy(sizes));
    assert_int_equal(result_model(result, &arena, &model, NULL), OK);
    assert_string_equal(model.kind, "text");
    assert_string_equal(model.text, text);
    json_set(sizes, "vocabulary", json_new_array());
    json_set(result, "text", sizes);
    assert_int_equal(result_model(result, &arena, &model, NULL), E_INVALID);
    json_free(result);
    arena_deinit(&arena);
}

typedef enum status taker(const struct json *result, struct arena *arena);

static enum status take_dataset(const struct json *result, struct arena *arena)
{
    struct dataset_row row = {0};
    return result_dataset(result, arena, &row, NULL);
}

static enum status take_model(const struct json *result, struct arena *arena)
{
    struct model_row row = {0};
    return result_model(result, arena, &row, NULL);
}

/* Every named field, taken out or replaced by what it never is. */
static void try_fields(const char *text, const char *const *fields, size_t n, taker *take)
{
    static const char *const wrong[] = {"true", "-1", "1e300", "[7]", "{\"a\":1}", "\"\""};
    struct arena arena;
    struct json *whole = NULL;
    arena_init(&arena);
    assert_int_equal(json_parse(text, strlen(text), &whole, NULL), OK);
    assert_int_equal(take(whole, &arena), OK);
    for (size_t i = 0; i < n; i++) {
        struct json *changed = json_copy(whole);
        json_remove(changed, fields[i]);
        assert_int_equal(take(changed, &arena), E_INVALID);
        for (size_t w = 0; w < ARRAY_LEN(wrong); w++) {
            struct json *value = NULL;
            assert_int_equal(json_parse(wrong[w], strlen(wrong[w]), &value, NULL), OK);
            json_set(changed, fields[i], value);
            if (take(changed, &arena) != E_INVALID)
                fail_msg("%s = %s was taken", fields[i], wrong[w]);
        }
        json_free(changed);
    }
    json_free(whole);
    arena_deinit(&arena);
}

static void each_field_must_be_there_and_of_its_kind(void **state)
{
    (void)state;
    static const char *const of_dataset[] = {"kind",   "items",    "classes",
                                             "splits", "rejected", "warnings"};
    static const char *const of_model[] = {"architecture", "parameters", "groups", "classes",
                                           "weights_sha256"};
    try_fields(dataset_text, of_dataset, ARRAY_LEN(of_dataset), take_dataset);
    try_fields(model_text, of_model, ARRAY_LEN(of_model), take_model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_a_regular_file_of_the_folder_is_read, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(bad_json_and_a_huge_file_are_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_the_table_names_goes_on_and_nothing_else, make_folder,
                                        remove_folder),
        cmocka_unit_test(a_model_of_text_says_its_sizes),
        cmocka_unit_test_setup_teardown(each_field_must_be_there_and_of_its_kind, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
