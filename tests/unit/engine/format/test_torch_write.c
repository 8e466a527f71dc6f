#include "tests/unit/engine/format/fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/format/torch_write.h"
#include "engine/format/zip_write.h"

static struct err err;

static void fill(void *context, size_t storage, float *plain)
{
    const size_t *n = context;
    for (size_t i = 0; i < n[storage]; i++)
        plain[i] = (float)i / 4 - (float)storage;
}

static const int64_t square[] = {3, 4}, vector[] = {5};
static const struct torch_item items[] = {{"0.encoder.weight", 2, square, 0},
                                          {"0.encoder_dp.emb.weight", 2, square, 0},
                                          {"1.decoder.bias", 1, vector, 1}};
static size_t counts[] = {12, 5};
static const struct torch_content content = {
    .items = items, .n_items = 3, .n_storages = 2, .fill = fill, .context = counts};

static void a_state_dict_reads_back_and_tied_tensors_share_their_numbers(void **state)
{
    (void)state;
    scratch_make();
    struct tensor_source source;
    float values[12];
    assert_ok(torch_write(scratch_path("m.pth"), &content, &err), &err);
    assert_int_equal(access(scratch_path("m.pth.tmp"), F_OK), -1);
    assert_ok(tensor_source_open(scratch_path("m.pth"), &source, &err), &err);
    assert_string_equal(source.format, "torch zip");
    assert_int_equal(source.n_tensors, 3);
    const struct tensor_view *encoder = tensor_source_find(&source, "0.encoder.weight");
    assert_true(tensor_has_shape(encoder, 2, square));
    assert_ptr_equal(encoder->data, tensor_source_find(&source, "0.encoder_dp.emb.weight")->data);
    assert_int_equal((size_t)(encoder->data - source.bytes) % 64, 0);
    tensor_read(encoder, values);
    for (int i = 0; i < 12; i++)
        assert_true(values[i] == (float)i / 4);
    tensor_read(tensor_source_find(&source, "1.decoder.bias"), values);
    assert_true(values[4] == 0);
    tensor_source_close(&source);
    scratch_remove();
}

static void the_same_content_gives_the_same_bytes(void **state)
{
    (void)state;
    scratch_make();
    struct buf a, b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    assert_ok(torch_write(scratch_path("a"), &content, &err), &err);
    assert_ok(torch_write(scratch_path("b"), &content, &err), &err);
    read_file(scratch_path("a"), &a);
    read_file(scratch_path("b"), &b);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    buf_deinit(&a);
    buf_deinit(&b);
    scratch_remove();
}

static void a_zip_that_was_not_finished_leaves_nothing(void **state)
{
    (void)state;
    scratch_make();
    struct zip_writer *zip;
    assert_ok(zip_writer_open(scratch_path("z"), &zip, &err), &err);
    assert_ok(zip_writer_begin(zip, "a", &err), &err);
    assert_ok(zip_writer_bytes(zip, "x", 1, &err), &err);
    zip_writer_close(zip);
    assert_int_equal(access(scratch_path("z.tmp"), F_OK), -1);
    assert_int_equal(access(scratch_path("z"), F_OK), -1);
    scratch_remove();
    err = (struct err){0};
    assert_int_equal(zip_writer_open("/no/such/folder/z", &zip, &err), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_dict_reads_back_and_tied_tensors_share_their_numbers),
        cmocka_unit_test(the_same_content_gives_the_same_bytes),
        cmocka_unit_test(a_zip_that_was_not_finished_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
