#include "tests/unit/engine/format/fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/format/safetensors.h"
#include "engine/format/weights_digest.h"

static void file_of(const char *header, size_t n_data, struct buf *out)
{
    buf_init(out, 1u << 20);
    put(out, strlen(header), 8);
    buf_puts(out, header);
    for (size_t i = 0; i < n_data; i++)
        put(out, i, 1);
}

static enum status parse(const char *header, size_t n_data, struct tensor_source *source,
                         struct err *err)
{
    struct buf bytes;
    file_of(header, n_data, &bytes);
    enum status status =
        tensor_source_from_bytes((const uint8_t *)bytes.data, bytes.len, source, err);
    if (status == OK)
        tensor_source_close(source);
    buf_deinit(&bytes);
    return status;
}

#define assert_header_refused(header, n_data, words)                                               \
    assert_refused(parse(header, n_data, &source, &err), &err, words)

static void a_header_is_validated_as_a_whole(void **state)
{
    (void)state;
    struct tensor_source source;
    struct err err;
    assert_ok(parse("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}   ", 2,
                    &source, &err),
              &err);
    assert_header_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}", 2,
                          "header");
    assert_header_refused("{\"a\":{\"dtype\":\"F8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2,
                          "the dtype \"F8\"");
    assert_header_refused("{\"a\":{\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "dtype");
    assert_header_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":2,\"data_offsets\":[0,2]}}", 2,
                          "shape");
    assert_header_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,2]}}", 2,
                          "whole number");
    assert_header_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1.5],\"data_offsets\":[0,2]}}", 2,
                          "whole number");
    assert_header_refused(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,2]}}", 2,
        "at most 8");
    assert_header_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0]}}", 2,
                          "data_offsets");
    assert_header_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 2,
                          "data_offsets");
    assert_header_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2,
                          "reaches beyond");
    assert_header_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2,
                          "need 1");
    assert_header_refused("{\"__metadata__\":[]}", 0, "not an object");
    assert_header_refused("{\"__metadata__\":{\"a\":1}}", 0, "not a string");
    assert_header_refused("{\"\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2,
                          "name");
    assert_header_refused("{\"a\\u0007\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
                          2, "name");
}

static void products_that_overflow_are_refused(void **state)
{
    (void)state;
    struct tensor_source source;
    struct err err;
    assert_header_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4],"
                          "\"data_offsets\":[0,0]}}",
                          0, "large");
    assert_header_refused("{\"a\":{\"dtype\":\"F64\",\"shape\":[9007199254740991],"
                          "\"data_offsets\":[0,8]}}",
                          8, "large");
}

static void holes_overlaps_and_remainders_are_refused(void **state)
{
    (void)state;
    struct tensor_source source;
    struct err err;
    char header[256];
#define TWO(begin, end)                                                                            \
    snprintf(header, sizeof header,                                                                \
             "{\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[%d,%d]},"                   \
             "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",                     \
             begin, end)
    TWO(4, 8);
    assert_ok(parse(header, 8, &source, &err), &err);
    assert_header_refused(header, 9, "appended");
    assert_header_refused(header, 7, "truncated");
    TWO(5, 9);
    assert_header_refused(header, 9, "hole or overlap");
    TWO(3, 7);
    assert_header_refused(header, 7, "hole or overlap");
#undef TWO
}

static void a_truncated_header_is_refused(void **state)
{
    (void)state;
    struct buf bytes;
    struct tensor_source source;
    struct err err;
    file_of("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        uint8_t *exact = test_malloc(len + 1);
        memcpy(exact, bytes.data, len);
        assert_int_equal(tensor_source_from_bytes(exact, len, &source, &err), E_INVALID);
        test_free(exact);
    }
    buf_deinit(&bytes);
}

static void a_header_past_the_limit_is_refused_unread(void **state)
{
    (void)state;
    struct buf bytes;
    struct tensor_source source;
    struct err err;
    buf_init(&bytes, 64);
    put(&bytes, SAFETENSORS_MAX_HEADER + 1, 8);
    buf_puts(&bytes, "{}");
    assert_refused(tensor_source_from_bytes((const uint8_t *)bytes.data, bytes.len, &source, &err),
                   &err, "larger than");
    buf_deinit(&bytes);
}

static void many_brackets_cost_no_memory(void **state)
{
    (void)state;
    size_t n = 4u << 20;
    struct tensor_source source;
    struct err err;
    char *header = test_malloc(n + 1);
    memset(header, ',', n);
    header[0] = '{';
    header[n] = '\0';
    struct buf bytes;
    buf_init(&bytes, n + 64);
    put(&bytes, n, 8);
    buf_puts(&bytes, header);
    assert_refused(tensor_source_from_bytes((const uint8_t *)bytes.data, bytes.len, &source, &err),
                   &err, "more than");
    buf_deinit(&bytes);
    test_free(header);
}

/* --- Writing --------------------------------------------------------------------------------- */

static const int64_t dims_a[] = {2, 3}, dims_b[] = {4};
static const struct safetensors_item items[] = {
    {"layer.weight", 2, dims_a}, {"bias", 1, dims_b}, {"scalar", 0, NULL}};
static const struct safetensors_item items_reversed[] = {
    {"scalar", 0, NULL}, {"bias", 1, dims_b}, {"layer.weight", 2, dims_a}};

static void fill(void *context, size_t item, float *plain)
{
    const struct safetensors_item *all = context;
    int n = all[item].n_dims == 2 ? 6 : all[item].n_dims == 1 ? 4 : 1;
    for (int i = 0; i < n; i++)
        plain[i] = (float)(n * 10 + i) / 4;
}

static struct json *some_metadata(bool reversed)
{
    struct json *metadata = json_new_object();
    json_set_string(metadata, reversed ? "zebra" : "architecture", reversed ? "1" : "net \"x\"");
    json_set_string(metadata, reversed ? "architecture" : "zebra", reversed ? "net \"x\"" : "1");
    return metadata;
}

static void write_some(const char *path, bool reversed, char hex[SHA256_HEX])
{
    struct err err;
    struct json *metadata = some_metadata(reversed);
    const struct safetensors_item *which = reversed ? items_reversed : items;
    struct safetensors_content content = {.metadata = metadata,
                                          .items = which,
                                          .n_items = 3,
                                          .fill = fill,
                                          .context = (void *)(uintptr_t)which};
    assert_ok(safetensors_write(path, &content, hex, &err), &err);
    json_free(metadata);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    struct tensor_source source;
    struct err err;
    char hex[SHA256_HEX], again[SHA256_HEX];
    float plain[6];
    scratch_make();
    write_some(scratch_path("m.safetensors"), false, hex);
    assert_int_equal(access(scratch_path("m.safetensors.tmp"), F_OK), -1);
    assert_ok(tensor_source_open(scratch_path("m.safetensors"), &source, &err), &err);
    assert_string_equal(source.format, "safetensors");
    assert_int_equal(source.n_tensors, 3);
    assert_string_equal(source.tensors[0].name, "bias");
    assert_string_equal(json_string(source.metadata, "architecture", ""), "net \"x\"");
    const struct tensor_view *view = tensor_source_find(&source, "layer.weight");
    assert_true(tensor_has_shape(view, 2, dims_a));
    tensor_read(view, plain);
    for (int i = 0; i < 6; i++)
        assert_true(plain[i] == (float)(60 + i) / 4);
    assert_true(tensor_has_shape(tensor_source_find(&source, "scalar"), 0, NULL));
    assert_null(tensor_source_find(&source, "weight"));
    assert_ok(weights_sha256(&source, again, &err), &err);
    assert_string_equal(hex, again);
    tensor_source_close(&source);
    scratch_remove();
}

static void equal_content_gives_equal_bytes(void **state)
{
    (void)state;
    struct buf first, second;
    char hex[SHA256_HEX], other[SHA256_HEX];
    scratch_make();
    write_some(scratch_path("a"), false, hex);
    write_some(scratch_path("b"), true, other);
    read_file(scratch_path("a"), &first);
    read_file(scratch_path("b"), &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    uint64_t header = 0;
    memcpy(&header, first.data, 8);
    assert_int_equal(header % 8, 0);
    assert_string_equal(hex, other);
    buf_deinit(&first);
    buf_deinit(&second);
    scratch_remove();
}

/* The value was computed with Python's hashlib after weights_digest.h. */
static void the_digest_is_the_documented_one(void **state)
{
    (void)state;
    char hex[SHA256_HEX];
    scratch_make();
    write_some(scratch_path("m"), false, hex);
    scratch_remove();
    assert_string_equal(hex, "257f470c7d7af282a9b9349a07d45e723fb551d97e26122c37863b42cb93b0f3");
}

static void a_failed_write_leaves_nothing(void **state)
{
    (void)state;
    struct err err;
    struct safetensors_content content = {
        .items = items, .n_items = 3, .fill = fill, .context = (void *)(uintptr_t)items};
    scratch_make();
    assert_int_equal(safetensors_write(scratch_path("absent/m"), &content, NULL, &err), E_IO);
    char *long_path = test_malloc(8192);
    memset(long_path, 'x', 8191);
    long_path[8191] = '\0';
    assert_refused(safetensors_write(long_path, &content, NULL, &err), &err, "too long");
    test_free(long_path);
    /* the final name is taken by a folder: the rename fails, the temporary file goes */
    mkdir(scratch_path("taken"), 0700);
    mkdir(scratch_path("taken/inside"), 0700);
    assert_int_not_equal(safetensors_write(scratch_path("taken"), &content, NULL, &err), OK);
    assert_int_equal(access(scratch_path("taken.tmp"), F_OK), -1);
    scratch_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_validated_as_a_whole),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(holes_overlaps_and_remainders_are_refused),
        cmocka_unit_test(a_truncated_header_is_refused),
        cmocka_unit_test(a_header_past_the_limit_is_refused_unread),
        cmocka_unit_test(many_brackets_cost_no_memory),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(equal_content_gives_equal_bytes),
        cmocka_unit_test(the_digest_is_the_documented_one),
        cmocka_unit_test(a_failed_write_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
