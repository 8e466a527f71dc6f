#include "tests/unit/engine/format/fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/format/weights_digest.h"

static struct tensor_view view_of(const char *name, enum dtype dtype, int64_t n, const void *data)
{
    return (struct tensor_view){.name = name,
                                .dtype = dtype,
                                .n_dims = 1,
                                .dims = {n},
                                .strides = {1},
                                .n_elements = (size_t)n,
                                .data = data};
}

static void half_floats_are_exact(void **state)
{
    (void)state;
    const uint16_t halves[] = {0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0001,
                               0x03ff, 0x0400, 0x7c00, 0xfc00, 0x7e00};
    const float expected[] = {0,        -0.f,     1,         -2, 65504, 0x1p-24f, 1023 * 0x1p-24f,
                              0x1p-14f, INFINITY, -INFINITY, NAN};
    float got[ARRAY_LEN(halves)];
    struct tensor_view view = view_of("h", DTYPE_F16, ARRAY_LEN(halves), halves);
    tensor_read(&view, got);
    for (size_t i = 0; i + 1 < ARRAY_LEN(halves); i++) {
        assert_true(got[i] == expected[i]);
        assert_int_equal(signbit(got[i]) != 0, signbit(expected[i]) != 0);
    }
    assert_true(isnan(got[ARRAY_LEN(halves) - 1]));
}

static void brain_floats_and_integers_are_converted(void **state)
{
    (void)state;
    const uint16_t brains[] = {0x3f80, 0xc040, 0x0001};
    const int64_t longs[] = {-1, INT64_C(1) << 40};
    const uint64_t unsigneds[] = {UINT64_MAX};
    float got[3];
    struct tensor_view view = view_of("b", DTYPE_BF16, 3, brains);
    tensor_read(&view, got);
    assert_true(got[0] == 1 && got[1] == -3 && got[2] == 0x1p-133f);
    view = view_of("l", DTYPE_I64, 2, longs);
    tensor_read(&view, got);
    assert_true(got[0] == -1 && got[1] == 0x1p40f);
    view = view_of("u", DTYPE_U64, 1, unsigneds);
    tensor_read(&view, got);
    assert_true(got[0] == 0x1p64f);
}

static void unaligned_and_strided_elements_are_read(void **state)
{
    (void)state;
    uint8_t bytes[1 + 12 * sizeof(float)];
    float got[6];
    for (int i = 0; i < 12; i++)
        memcpy(bytes + 1 + (size_t)i * sizeof(float), &(float){(float)i}, sizeof(float));
    struct tensor_view view = {.name = "v",
                               .dtype = DTYPE_F32,
                               .n_dims = 3,
                               .dims = {2, 1, 3},
                               .strides = {6, 99, 2},
                               .n_elements = 6,
                               .data = bytes + 1};
    tensor_read(&view, got);
    for (int i = 0; i < 6; i++)
        assert_true(got[i] == (float)(2 * i));
    uint8_t raw[6 * sizeof(float)];
    tensor_read_raw(&view, raw);
    assert_memory_equal(raw, got, sizeof raw);
}

static void names_of_types_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < N_DTYPES; i++) {
        enum dtype dtype;
        assert_true(dtype_from_name(dtype_name((enum dtype)i), &dtype));
        assert_int_equal(dtype, i);
        assert_true(dtype_size(dtype) >= 1);
    }
    enum dtype dtype;
    assert_false(dtype_from_name("f32", &dtype));
}

static enum status add(struct tensor_view view, uint64_t room, struct err *err)
{
    struct tensor_source source = {0};
    enum status status = tensor_source_add(&source, &view, room, err);
    tensor_source_close(&source);
    return status;
}

static void a_view_must_lie_inside_its_room(void **state)
{
    (void)state;
    struct err err;
    float data[8];
    struct tensor_view view = view_of("t", DTYPE_F32, 8, data);
    assert_ok(add(view, 32, &err), &err);
    assert_refused(add(view, 31, &err), &err, "The tensor t reaches beyond");
    view.strides[0] = 2;
    view.dims[0] = 4;
    assert_ok(add(view, 28, &err), &err);
    assert_refused(add(view, 27, &err), &err, "reaches beyond");
    view.dims[0] = 0;
    assert_ok(add(view, 0, &err), &err);
    view.strides[0] = -1;
    assert_refused(add(view, 32, &err), &err, "negative");
    view = view_of("t", DTYPE_F32, 2, data);
    view.strides[0] = INT64_MAX;
    assert_refused(add(view, 32, &err), &err, "large");
    view = view_of("t", DTYPE_F32, INT64_MAX, data);
    view.strides[0] = 0;
    assert_refused(add(view, 32, &err), &err, "large");
    view.n_dims = TENSOR_MAX_DIMS + 1;
    assert_refused(add(view, 32, &err), &err, "9 dimensions");
}

static void names_are_printable_and_unique(void **state)
{
    (void)state;
    struct err err;
    float data[1];
    char name[TENSOR_MAX_NAME + 2];
    memset(name, 'n', sizeof name);
    name[TENSOR_MAX_NAME + 1] = '\0';
    assert_refused(add(view_of(name, DTYPE_F32, 1, data), 4, &err), &err, "name");
    assert_ok(add(view_of(name + 1, DTYPE_F32, 1, data), 4, &err), &err);
    assert_refused(add(view_of("", DTYPE_F32, 1, data), 4, &err), &err, "name");
    assert_refused(add(view_of("a\nb", DTYPE_F32, 1, data), 4, &err), &err, "name");
    assert_refused(add(view_of("\xc3\xa4", DTYPE_F32, 1, data), 4, &err), &err, "name");

    struct tensor_source source = {0};
    struct tensor_view view = view_of("twice", DTYPE_F32, 1, data);
    assert_ok(tensor_source_add(&source, &view, 4, &err), &err);
    assert_ok(tensor_source_add(&source, &view, 4, &err), &err);
    assert_refused(tensor_source_finish(&source, &err), &err, "two tensors named twice");
    tensor_source_close(&source);
}

static void tensors_are_counted(void **state)
{
    (void)state;
    struct err err;
    float data[1];
    char name[16];
    struct tensor_source source = {0};
    for (int i = 0; i < TENSOR_MAX_COUNT; i++) {
        snprintf(name, sizeof name, "t%d", i);
        struct tensor_view view = view_of(name, DTYPE_F32, 1, data);
        assert_int_equal(tensor_source_add(&source, &view, 4, &err), OK);
    }
    struct tensor_view view = view_of("more", DTYPE_F32, 1, data);
    assert_refused(tensor_source_add(&source, &view, 4, &err), &err, "more than 65536");
    assert_ok(tensor_source_finish(&source, &err), &err);
    assert_string_equal(tensor_source_find(&source, "t777")->name, "t777");
    tensor_source_close(&source);
}

static void shapes_are_told_as_torch_does(void **state)
{
    (void)state;
    char text[32], tiny[8];
    assert_string_equal(tensor_shape_text(3, (int64_t[]){64, 3, 7}, text, sizeof text),
                        "(64, 3, 7)");
    assert_string_equal(tensor_shape_text(0, NULL, text, sizeof text), "()");
    assert_string_equal(tensor_shape_text(3, (int64_t[]){64, 3, 7}, tiny, sizeof tiny), "(64, 3,");
}

/* What is digested is the logical content: a transposed view equals its copy. */
static void the_digest_ignores_strides_but_not_shape_name_or_type(void **state)
{
    (void)state;
    struct err err;
    const float rows[] = {1, 2, 3, 4}, columns[] = {1, 3, 2, 4};
    struct tensor_view base = {.name = "w",
                               .dtype = DTYPE_F32,
                               .n_dims = 2,
                               .dims = {2, 2},
                               .strides = {2, 1},
                               .n_elements = 4,
                               .data = (const uint8_t *)rows};
    struct tensor_view variants[5] = {base, base, base, base, base};
    variants[1].data = (const uint8_t *)columns;
    variants[1].strides[0] = 1;
    variants[1].strides[1] = 2;
    variants[2].name = "v";
    variants[3].dims[0] = 4;
    variants[3].dims[1] = variants[3].strides[0] = 1;
    variants[4].dtype = DTYPE_I32;
    char hex[5][SHA256_HEX];
    for (int i = 0; i < 5; i++) {
        struct tensor_source source = {.tensors = &variants[i], .n_tensors = 1};
        assert_ok(weights_sha256(&source, hex[i], &err), &err);
    }
    assert_string_equal(hex[0], hex[1]);
    for (int i = 2; i < 5; i++)
        assert_string_not_equal(hex[0], hex[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_floats_are_exact),
        cmocka_unit_test(brain_floats_and_integers_are_converted),
        cmocka_unit_test(unaligned_and_strided_elements_are_read),
        cmocka_unit_test(names_of_types_round_trip),
        cmocka_unit_test(a_view_must_lie_inside_its_room),
        cmocka_unit_test(names_are_printable_and_unique),
        cmocka_unit_test(tensors_are_counted),
        cmocka_unit_test(shapes_are_told_as_torch_does),
        cmocka_unit_test(the_digest_ignores_strides_but_not_shape_name_or_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
