#include "tests/unit/engine/format/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static struct tensor_source source;
static struct err err;

static void open_golden(const char *name)
{
    assert_ok(tensor_source_open(golden_path(name), &source, &err), &err);
}

/* Reads the tensor and checks its shape and each element. */
static void assert_tensor(const char *name, int n_dims, const int64_t *dims,
                          float (*expected)(size_t))
{
    const struct tensor_view *view = tensor_source_find(&source, name);
    if (!view)
        fail_msg("there is no tensor %s", name);
    assert_true(tensor_has_shape(view, n_dims, dims));
    float *values = test_malloc((view->n_elements + 1) * sizeof *values);
    assert_ok(tensor_read_finite(view, values, &err), &err);
    for (size_t i = 0; i < view->n_elements; i++) {
        if (values[i] != expected(i))
            fail_msg("%s[%zu] is %g, not %g", name, i, (double)values[i], (double)expected(i));
    }
    test_free(values);
}

#define SHAPE(...)                                                                                 \
    (int)ARRAY_LEN(((int64_t[]){__VA_ARGS__})), (const int64_t[])                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static float eighths(size_t i)
{
    return (float)i / 8;
}

static float counting(size_t i)
{
    return (float)i;
}

static float odd_true(size_t i)
{
    return i % 2 == 0;
}

static float two_and_a_half(size_t i)
{
    (void)i;
    return 2.5f;
}

static float seven(size_t i)
{
    (void)i;
    return 7;
}

static float from_one(size_t i)
{
    return (float)(i + 1);
}

static float four(size_t i)
{
    (void)i;
    return 4;
}

/* (2,3,4) permuted to (4,2,3): [k][i][j] = (12i + 4j + k) / 8 */
static float transposed(size_t i)
{
    size_t k = i / 6, a = i / 3 % 2, b = i % 3;
    return (float)(12 * a + 4 * b + k) / 8;
}

static float second_half(size_t i)
{
    return (float)(12 + i) / 8;
}

static float column(size_t i)
{
    return (float)(4 * i + 1) / 8;
}

static void assert_every_type(const char *file, const char *format)
{
    open_golden(file);
    assert_string_equal(source.format, format);
    assert_int_equal(source.n_tensors, 17);
    assert_int_equal(json_len(source.metadata), 0);
    const char *const floats[] = {"f64", "f32", "f16", "bf16"};
    for (size_t i = 0; i < ARRAY_LEN(floats); i++)
        assert_tensor(floats[i], SHAPE(2, 3, 4), eighths);
    const char *const integers[] = {"i64", "i32", "i16", "i8", "u8"};
    for (size_t i = 0; i < ARRAY_LEN(integers); i++)
        assert_tensor(integers[i], SHAPE(6), counting);
    assert_tensor("bool", SHAPE(3), odd_true);
    assert_tensor("scalar", 0, NULL, two_and_a_half);
    assert_tensor("empty", SHAPE(0, 3), counting);
    assert_tensor("transposed", SHAPE(4, 2, 3), transposed);
    assert_tensor("offset", SHAPE(3, 4), second_half);
    assert_tensor("column", SHAPE(2, 3), column);
    assert_tensor("expanded", SHAPE(3, 2), seven);
    assert_tensor("parameter", SHAPE(2), from_one);
    tensor_source_close(&source);
}

static void every_type_and_view_of_a_zip_file_is_read(void **state)
{
    (void)state;
    assert_every_type("types.pth", "torch zip");
    assert_every_type("types-protocol4.pth", "torch zip");
}

static void every_type_and_view_of_a_legacy_file_is_read(void **state)
{
    (void)state;
    assert_every_type("types-legacy.pth", "torch legacy");
}

static void a_module_state_keeps_its_names(void **state)
{
    (void)state;
    const char *const files[] = {"module-state.pth", "module-state-legacy.pth"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        open_golden(files[i]);
        assert_int_equal(source.n_tensors, 7);
        assert_tensor("0.weight", SHAPE(2, 1, 3, 3), counting);
        assert_tensor("1.running_var", SHAPE(2), counting);
        assert_tensor("1.num_batches_tracked", 0, NULL, counting);
        tensor_source_close(&source);
    }
}

static void a_nested_state_dict_is_found_and_module_dropped(void **state)
{
    (void)state;
    const char *const files[] = {"checkpoint.pth", "checkpoint-legacy.pth"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        open_golden(files[i]);
        assert_int_equal(source.n_tensors, 2);
        assert_tensor("a", SHAPE(3), from_one);
        assert_tensor("b.weight", SHAPE(2, 2), four);
        tensor_source_close(&source);
    }
}

static void assert_file_refused(const char *name, const char *words)
{
    assert_refused(tensor_source_open(golden_path(name), &source, &err), &err, words);
}

static void a_pickle_that_calls_a_command_is_refused_and_does_not_run(void **state)
{
    (void)state;
    assert_file_refused("command.pth", "posix.system");
    assert_file_refused("command-legacy.pth", "posix.system");
    assert_int_equal(access("/tmp/thaw-was-here", F_OK), -1);
}

static void what_holds_no_state_dict_is_refused(void **state)
{
    (void)state;
    assert_file_refused("whole-module.pth", "torch.nn.modules.linear.Linear");
    assert_file_refused("list.pth", "holds no state dict");
}

static void values_that_are_not_finite_are_named(void **state)
{
    (void)state;
    float values[2];
    open_golden("not-finite.pth");
    assert_refused(tensor_read_finite(tensor_source_find(&source, "a"), values, &err), &err,
                   "tensor a holds NaN at element 1");
    assert_refused(tensor_read_finite(tensor_source_find(&source, "b"), values, &err), &err,
                   "tensor b holds an infinite value");
    assert_refused(tensor_read_finite(tensor_source_find(&source, "c"), values, &err), &err,
                   "tensor c holds an infinite value");
    tensor_source_close(&source);
}

static void assert_every_cut_refused(const char *name)
{
    struct buf file;
    read_file(golden_path(name), &file);
    for (size_t len = 0; len < file.len; len++) {
        uint8_t *exact = test_malloc(len + 1);
        memcpy(exact, file.data, len);
        assert_int_equal(tensor_source_from_bytes(exact, len, &source, &err), E_INVALID);
        test_free(exact);
    }
    buf_deinit(&file);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    assert_every_cut_refused("types.pth");
    assert_every_cut_refused("types-legacy.pth");
    assert_every_cut_refused("checkpoint-legacy.pth");
}

/* Whatever a changed byte leads to, it is a value or a refusal, never a read outside. */
static void every_changed_byte_is_survived(void **state)
{
    (void)state;
    const char *const files[] = {"checkpoint.pth", "checkpoint-legacy.pth"};
    float values[64];
    for (size_t f = 0; f < ARRAY_LEN(files); f++) {
        struct buf file;
        read_file(golden_path(files[f]), &file);
        for (size_t i = 0; i < file.len; i++) {
            uint8_t *copy = test_malloc(file.len);
            memcpy(copy, file.data, file.len);
            copy[i] ^= (uint8_t)(1u << (i % 8));
            if (tensor_source_from_bytes(copy, file.len, &source, &err) == OK) {
                for (size_t t = 0; t < source.n_tensors; t++) {
                    if (source.tensors[t].n_elements <= ARRAY_LEN(values))
                        tensor_read(&source.tensors[t], values);
                }
                tensor_source_close(&source);
            }
            test_free(copy);
        }
        buf_deinit(&file);
    }
}

static void a_file_of_another_kind_is_refused(void **state)
{
    (void)state;
    const char text[] = "n01440764 tench, Tinca tinca\nn01443537 goldfish\n";
    assert_refused(tensor_source_from_bytes((const uint8_t *)text, sizeof text, &source, &err),
                   &err, "no weights file");
    assert_int_equal(tensor_source_open("tests/golden/torch/absent.pth", &source, &err), E_IO);
    assert_refused(tensor_source_open("tests", &source, &err), &err, "not a regular file");
    assert_refused(tensor_source_open("/dev/null", &source, &err), &err, "not a regular file");
}

static void big_endian_files_are_refused(void **state)
{
    (void)state;
    struct buf zip;
    const struct zip_part parts[] = {{"x/data.pkl", "].", 2}, {"x/byteorder", "big", 3}};
    make_zip(parts, 2, NULL, &zip);
    assert_refused(tensor_source_from_bytes((const uint8_t *)zip.data, zip.len, &source, &err),
                   &err, "big-endian");
    buf_deinit(&zip);
}

/* The shared file that real users have: CIFAR-10's resnet20 in the legacy format. */
static void a_real_legacy_file_is_read(void **state)
{
    (void)state;
    const char *shared = getenv("THAW_SHARED");
    char path[512];
    snprintf(path, sizeof path, "%s/data/weights/cifar10-resnet20-legacy-format.th",
             shared ? shared : "../shared");
    if (access(path, R_OK) != 0) {
        print_message("%s is absent\n", path);
        skip();
    }
    assert_ok(tensor_source_open(path, &source, &err), &err);
    assert_int_equal(source.n_tensors, 97);
    const struct tensor_view *view = tensor_source_find(&source, "conv1.weight");
    assert_non_null(view);
    assert_true(tensor_has_shape(view, SHAPE(16, 3, 3, 3)));
    tensor_source_close(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_view_of_a_zip_file_is_read),
        cmocka_unit_test(every_type_and_view_of_a_legacy_file_is_read),
        cmocka_unit_test(a_module_state_keeps_its_names),
        cmocka_unit_test(a_nested_state_dict_is_found_and_module_dropped),
        cmocka_unit_test(a_pickle_that_calls_a_command_is_refused_and_does_not_run),
        cmocka_unit_test(what_holds_no_state_dict_is_refused),
        cmocka_unit_test(values_that_are_not_finite_are_named),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_changed_byte_is_survived),
        cmocka_unit_test(a_file_of_another_kind_is_refused),
        cmocka_unit_test(big_endian_files_are_refused),
        cmocka_unit_test(a_real_legacy_file_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
