#include "tests/unit/store/fixture.h"

#include <unistd.h>
#include <string.h>
#include <cmocka.h>

#include "base/fs.h"
#include "store/base_models.h"
#include "store/exports.h"
#include "store/pulls.h"

static struct blob store_blob(struct fixture *f, const char *text)
{
    struct blob blob;
    char *path = arena_printf(&f->arena, "%s/tmp/file", f->folder);
    assert_ok(f, fs_write_file(path, text, strlen(text), &f->err));
    assert_ok(f, blob_move(f->store, path, &blob, &f->err));
    return blob;
}

static bool is_there(struct fixture *f, const char *sha256)
{
    int fd;
    if (blob_open(f->store, sha256, &fd, &f->err) != OK)
        return false;
    close(fd);
    return true;
}

static const char *add_model(struct fixture *f, const char *name, const char *weights)
{
    struct model_row row = {.name = name,
                            .kind = "image",
                            .architecture = "resnet18",
                            .origin = "import",
                            .available = true,
                            .parameters = -1,
                            .weights = weights};
    assert_ok(f, model_insert(f->store, &row, &f->arena, &f->err));
    return row.id;
}

static bool find(struct fixture *f, const char *weights, const char *version,
                 struct export_row *row)
{
    bool found = false;
    assert_ok(f, export_find(f->store, weights, "onnx", version, &f->arena, row, &found, &f->err));
    return found;
}

static void an_export_is_found_by_weights_format_and_version(void **state)
{
    struct fixture *f = *state;
    struct blob weights = store_blob(f, "weights"), onnx = store_blob(f, "onnx");
    struct export_row row = {.weights = weights.sha256,
                             .format = "onnx",
                             .version = "1",
                             .sha256 = onnx.sha256,
                             .bytes = onnx.bytes};
    add_model(f, "m", weights.sha256);
    assert_ok(f, export_put(f->store, &row, &f->err));
    assert_true(find(f, weights.sha256, "1", &row));
    assert_string_equal(row.sha256, onnx.sha256);
    assert_false(find(f, weights.sha256, "2", &row));
    assert_false(find(f, onnx.sha256, "1", &row));
    struct blob better = store_blob(f, "better");
    row = (struct export_row){.weights = weights.sha256,
                              .format = "onnx",
                              .version = "2",
                              .sha256 = better.sha256,
                              .bytes = better.bytes};
    assert_ok(f, export_put(f->store, &row, &f->err));
    assert_true(find(f, weights.sha256, "2", &row));
    assert_false(find(f, weights.sha256, "1", &row));
}

static void an_export_goes_with_the_last_model_of_its_weights(void **state)
{
    struct fixture *f = *state;
    struct blob weights = store_blob(f, "weights"), onnx = store_blob(f, "onnx");
    struct export_row row = {.weights = weights.sha256,
                             .format = "onnx",
                             .version = "1",
                             .sha256 = onnx.sha256,
                             .bytes = onnx.bytes};
    const char *one = add_model(f, "one", weights.sha256);
    const char *other = add_model(f, "other", weights.sha256);
    assert_ok(f, export_put(f->store, &row, &f->err));
    assert_ok(f, model_delete(f->store, one, &f->err));
    assert_true(find(f, weights.sha256, "1", &row) && is_there(f, onnx.sha256));
    assert_ok(f, model_delete(f->store, other, &f->err));
    assert_false(find(f, weights.sha256, "1", &row));
    assert_false(is_there(f, onnx.sha256));
}

static struct model_row get(struct fixture *f, const char *id)
{
    struct model_row row;
    assert_ok(f, model_get(f->store, id, &f->arena, &row, &f->err));
    return row;
}

static size_t count_pulls(struct fixture *f)
{
    const char **ids;
    size_t n;
    assert_ok(f, pulls_list(f->store, &f->arena, &ids, &n, &f->err));
    return n;
}

static void a_pull_is_known_after_a_restart_until_it_ends(void **state)
{
    struct fixture *f = *state;
    bool begun;
    assert_ok(f, pull_begin(f->store, "mdl_resnet34", 100, &begun, &f->err));
    assert_true(begun);
    assert_ok(f, pull_begin(f->store, "mdl_resnet34", 100, &begun, &f->err));
    assert_false(begun);
    bool wanted = false;
    assert_ok(f, pull_progress(f->store, "mdl_resnet34", 40, 100, true, &wanted, &f->err));
    assert_true(wanted);
    fixture_reopen(f);
    assert_int_equal(count_pulls(f), 1);
    assert_string_equal(get(f, "resnet34").progress, "{\"done\":40,\"total\":100}");
    assert_ok(f, pull_fail(f->store, "mdl_resnet34", "{\"code\":\"x\"}", &f->err));
    assert_int_equal(count_pulls(f), 0);
    assert_string_equal(get(f, "resnet34").error, "{\"code\":\"x\"}");
    assert_ok(f, pull_begin(f->store, "mdl_resnet34", 100, &begun, &f->err));
    assert_true(begun);
    assert_null(get(f, "resnet34").error);
}

static void a_cancelled_pull_is_wanted_no_more_and_cannot_fail(void **state)
{
    struct fixture *f = *state;
    bool begun, cancelled, wanted = true;
    struct model_row row;
    assert_ok(f, pull_cancel(f->store, "mdl_resnet34", &cancelled, &f->err));
    assert_false(cancelled);
    assert_ok(f, pull_begin(f->store, "mdl_resnet34", 100, &begun, &f->err));
    assert_ok(f, pull_cancel(f->store, "mdl_resnet34", &cancelled, &f->err));
    assert_true(cancelled);
    assert_ok(f, pull_progress(f->store, "mdl_resnet34", 40, 100, true, &wanted, &f->err));
    assert_false(wanted);
    assert_ok(f, pull_fail(f->store, "mdl_resnet34", "{\"code\":\"x\"}", &f->err));
    assert_ok(f, model_get(f->store, "mdl_resnet34", &f->arena, &row, &f->err));
    assert_null(row.progress);
    assert_null(row.error);
    assert_ok(f, pull_begin(f->store, "mdl_resnet34", 100, &begun, &f->err));
    assert_true(begun);
}

static void a_finished_pull_makes_the_base_model_available_once(void **state)
{
    struct fixture *f = *state;
    struct blob weights = store_blob(f, "weights");
    struct model_row row = {.id = "mdl_resnet18",
                            .classes = "[\"a\"]",
                            .groups = "[]",
                            .parameters = 5,
                            .weights = weights.sha256,
                            .bytes = weights.bytes,
                            .weights_sha256 = weights.sha256};
    bool begun;
    assert_ok(f, pull_finish(f->store, &row, &f->err));
    struct model_row found = get(f, "resnet18");
    assert_true(found.available);
    assert_string_equal(found.weights, weights.sha256);
    assert_string_equal(found.classes, "[\"a\"]");
    assert_int_equal(pull_finish(f->store, &row, &f->err), E_CONFLICT);
    assert_ok(f, pull_begin(f->store, "mdl_resnet18", 1, &begun, &f->err));
    assert_false(begun);
    fixture_reopen(f);
    assert_true(get(f, "resnet18").available);
}

/* NAME-HASH.pth, where HASH is eight hex digits. */
static void published_files_are_named_after_their_hash(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_base_models; i++) {
        const struct base_model *base = &base_models[i];
        size_t len = strlen(base->name);
        if (!base->file || base_model_is_text(base))
            continue;
        assert_memory_equal(base->file, base->name, len);
        assert_int_equal(base->file[len], '-');
        assert_int_equal(strspn(base->file + len + 1, "0123456789abcdef"), 8);
        assert_string_equal(base->file + len + 9, ".pth");
        assert_true(base->mebibytes > 1 && base->accuracy > .5 && base->parameters > 0);
        assert_ptr_equal(base_model_find(base->name), base);
    }
    assert_null(base_model_find("resnet"));
}

/* Of fastai's archives the size and a digest are known. */
static void published_language_models_have_a_size_and_a_digest(void **state)
{
    (void)state;
    size_t n = 0;
    for (size_t i = 0; i < n_base_models; i++) {
        const struct base_model *base = &base_models[i];
        if (!base_model_is_text(base))
            continue;
        n++;
        assert_int_equal(strspn(base->head_md5, "0123456789abcdef"), 32);
        assert_int_equal(strlen(base->head_md5), 32);
        assert_true(base->bytes > 1 << 20 && base->url);
        assert_int_equal((int64_t)(base->mebibytes * (1 << 20)), base->bytes);
        assert_int_equal(base->backwards, strstr(base->name, "bwd") != NULL);
    }
    assert_int_equal(n, 2);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(an_export_is_found_by_weights_format_and_version),
        WITH_STORE(an_export_goes_with_the_last_model_of_its_weights),
        WITH_STORE(a_pull_is_known_after_a_restart_until_it_ends),
        WITH_STORE(a_cancelled_pull_is_wanted_no_more_and_cannot_fail),
        WITH_STORE(a_finished_pull_makes_the_base_model_available_once),
        WITH_STORE(published_files_are_named_after_their_hash),
        WITH_STORE(published_language_models_have_a_size_and_a_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
