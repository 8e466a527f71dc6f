/* A dataset is its bytes and its options; it stays while jobs need it. */
#include "tests/unit/store/fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

static struct dataset_row get(struct fixture *f, const char *id)
{
    struct dataset_row row;
    assert_ok(f, dataset_get(f->store, id, &f->arena, &row, &f->err));
    return row;
}

static bool insert(struct fixture *f, struct dataset_row *row, const char *options,
                   const char *upload)
{
    *row = (struct dataset_row){.name = "again",
                                .kind = "image",
                                .options = options,
                                .upload = upload,
                                .bytes = 10,
                                .sha256 = "same"};
    bool created = false;
    assert_ok(f, dataset_insert(f->store, row, &f->arena, &created, &f->err));
    return created;
}

static void the_same_bytes_and_options_are_the_same_dataset(void **state)
{
    struct fixture *f = *state;
    struct dataset_row first, second, third;
    assert_true(insert(f, &first, "{}", "upload-1"));
    assert_int_equal(first.status, DATASET_PROCESSING);
    assert_false(insert(f, &second, "{}", "upload-2"));
    assert_string_equal(second.id, first.id);
    assert_string_equal(second.upload, "upload-1"); /* the second file was not taken */
    assert_true(insert(f, &third, "{\"label_regex\":\"x\"}", "upload-3"));
    assert_string_not_equal(third.id, first.id);
}

static void a_failed_dataset_is_processed_again(void **state)
{
    struct fixture *f = *state;
    struct dataset_row row, again;
    insert(f, &row, "{}", "upload-1");
    struct dataset_row failed = {
        .id = row.id, .status = DATASET_FAILED, .items = -1, .error = "{\"code\":\"x\"}"};
    assert_ok(f, dataset_finish(f->store, &failed, &f->err));
    assert_string_equal(get(f, row.id).error, "{\"code\":\"x\"}");
    assert_null(get(f, row.id).upload);
    assert_false(insert(f, &again, "{}", "upload-2"));
    assert_string_equal(again.id, row.id);
    assert_string_equal(again.upload, "upload-2");
    again = get(f, row.id);
    assert_int_equal(again.status, DATASET_PROCESSING);
    assert_null(again.error);
}

static void finishing_writes_all_of_it_and_removes_the_upload(void **state)
{
    struct fixture *f = *state;
    char path[200];
    struct dataset_row row;
    insert(f, &row, "{}", "upload-1");
    snprintf(path, sizeof path, "%s/uploads/upload-1", f->folder);
    assert_int_equal(fs_write_file(path, "bytes", 5, NULL), OK);
    assert_ok(f, dataset_progress(f->store, row.id, 3, 10, &f->err));
    assert_int_equal(get(f, row.id).done, 3);
    assert_int_equal(get(f, row.id).items, -1);

    struct dataset_row ready = {.id = row.id,
                                .status = DATASET_READY,
                                .kind = "image",
                                .items = 7,
                                .classes = "[1]",
                                .splits = "{}",
                                .rejected = "{}",
                                .pack = "p",
                                .index = "i"};
    assert_ok(f, dataset_finish(f->store, &ready, &f->err));
    struct dataset_row found = get(f, row.id);
    assert_int_equal(found.status, DATASET_READY);
    assert_int_equal(found.items, 7);
    assert_string_equal(found.pack, "p");
    assert_string_equal(found.index, "i");
    assert_null(found.upload);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(dataset_finish(f->store, &ready, &f->err), E_CONFLICT);
    ready.id = "ds_none";
    assert_int_equal(dataset_finish(f->store, &ready, &f->err), E_NOT_FOUND);
}

static void a_dataset_stays_while_a_job_needs_it(void **state)
{
    struct fixture *f = *state;
    const char *job = fixture_job(f, 0);
    assert_int_equal(dataset_delete(f->store, f->dataset, &f->err), E_CONFLICT);
    assert_ok(f, job_transition(f->store, job, JOB_QUEUED, JOB_CANCELLED, NULL, &f->err));
    assert_ok(f, dataset_delete(f->store, f->dataset, &f->err));
    struct job_row row;
    assert_ok(f, job_get(f->store, job, &f->arena, &row, &f->err));
    assert_string_equal(row.dataset, f->dataset); /* history keeps the name */
    assert_int_equal(dataset_delete(f->store, f->dataset, &f->err), E_NOT_FOUND);
}

static void those_that_are_processing_are_found_oldest_first(void **state)
{
    struct fixture *f = *state;
    const char *a = fixture_dataset(f, "a"), *b = fixture_dataset(f, "b"),
               *c = fixture_dataset(f, "c");
    fixture_ready(f, b);
    fixture_reopen(f);
    struct dataset_list list;
    assert_ok(f, datasets_processing(f->store, &f->arena, &list, &f->err));
    assert_int_equal(list.n, 2);
    assert_string_equal(list.rows[0].id, a);
    assert_string_equal(list.rows[1].id, c);
    struct page page = {.limit = 100};
    assert_ok(f, datasets_list(f->store, &page, &f->arena, &list, &f->err));
    assert_string_equal(list.rows[0].id, c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_bytes_and_options_are_the_same_dataset,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_failed_dataset_is_processed_again, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(finishing_writes_all_of_it_and_removes_the_upload,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_dataset_stays_while_a_job_needs_it, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(those_that_are_processing_are_found_oldest_first,
                                        fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
