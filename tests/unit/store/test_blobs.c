/* Blobs: whole or absent, stored once, collected when nobody needs them. */
#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"

static char *in(struct fixture *f, const char *name)
{
    return arena_printf(&f->arena, "%s/%s", f->folder, name);
}

static struct blob put(struct fixture *f, const char *content)
{
    struct blob blob;
    char *path = in(f, "tmp/new");
    assert_int_equal(fs_write_file(path, content, strlen(content), NULL), OK);
    assert_ok(f, blob_move(f->store, path, &blob, &f->err));
    assert_int_not_equal(access(path, F_OK), 0);
    return blob;
}

static bool is_there(struct fixture *f, const struct blob *blob)
{
    char path[PATH_MAX];
    assert_ok(f, blob_path(f->store, blob->sha256, path, sizeof path, &f->err));
    return access(path, R_OK) == 0;
}

static void age(struct fixture *f, const struct blob *blob, int seconds)
{
    char path[PATH_MAX];
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    assert_ok(f, blob_path(f->store, blob->sha256, path, sizeof path, &f->err));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static struct blob_sweep collect(struct fixture *f)
{
    struct blob_sweep sweep;
    assert_ok(f, blobs_collect(f->store, &sweep, &f->err));
    return sweep;
}

static void a_blob_is_named_by_what_it_holds_and_stored_once(void **state)
{
    struct fixture *f = *state;
    struct blob a = put(f, "abc"), b = put(f, "abc");
    assert_string_equal(a.sha256,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(a.sha256, b.sha256);
    assert_int_equal(a.bytes, 3);
    int fd = -1;
    char read_back[8] = "";
    assert_ok(f, blob_open(f->store, a.sha256, &fd, &f->err));
    assert_int_equal(read(fd, read_back, sizeof read_back), 3);
    assert_memory_equal(read_back, "abc", 3);
    close(fd);
    assert_int_equal(blob_open(f->store, "../../etc/passwd", &fd, &f->err), E_INTERNAL);
    a.sha256[0] = 'c';
    assert_int_equal(blob_open(f->store, a.sha256, &fd, &f->err), E_NOT_FOUND);
}

static void a_copy_leaves_the_source_and_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct blob blob;
    char *path = in(f, "tmp/source");
    assert_int_equal(fs_write_file(path, "abc", 3, NULL), OK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(blob_copy(f->store, fd, 2, &blob, &f->err), E_TOO_LARGE);
    assert_ok(f, blob_copy(f->store, fd, 3, &blob, &f->err));
    close(fd);
    assert_int_equal(access(path, F_OK), 0);
    assert_true(is_there(f, &blob));
    struct blob same = put(f, "abc");
    assert_string_equal(blob.sha256, same.sha256);
}

static void links_are_not_taken_in(void **state)
{
    struct fixture *f = *state;
    struct blob blob;
    char *target = in(f, "tmp/target"), *link_path = in(f, "tmp/link");
    assert_int_equal(fs_write_file(target, "abc", 3, NULL), OK);
    assert_int_equal(symlink(target, link_path), 0);
    assert_int_not_equal(blob_move(f->store, link_path, &blob, &f->err), OK);
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(link(target, link_path), 0);
    assert_int_equal(blob_move(f->store, link_path, &blob, &f->err), E_INVALID);
    assert_int_equal(mkfifo(in(f, "tmp/fifo"), 0600), 0);
    assert_int_equal(blob_move(f->store, in(f, "tmp/fifo"), &blob, &f->err), E_INVALID);
}

static void only_what_is_old_unused_and_closed_is_collected(void **state)
{
    struct fixture *f = *state;
    struct blob young = put(f, "young"), old = put(f, "old"), open_one = put(f, "open"),
                again = put(f, "again");
    age(f, &old, 3700);
    age(f, &open_one, 3700);
    age(f, &again, 3700);
    int fd = -1;
    assert_ok(f, blob_open(f->store, open_one.sha256, &fd, &f->err));
    put(f, "again"); /* somebody stored the same bytes: a row will follow */
    struct blob_sweep sweep = collect(f);
    assert_int_equal(sweep.removed, 1);
    assert_int_equal(sweep.bytes_removed, 3);
    assert_int_equal(sweep.kept, 3);
    assert_false(is_there(f, &old));
    assert_true(is_there(f, &young) && is_there(f, &open_one) && is_there(f, &again));
    close(fd);
    collect(f);
    assert_false(is_there(f, &open_one));
}

static void every_kind_of_reference_keeps_its_blob(void **state)
{
    struct fixture *f = *state;
    struct blob pack = put(f, "pack"), index = put(f, "index"), weights = put(f, "weights"),
                checkpoint = put(f, "checkpoint"), start = put(f, "start"), other = put(f, "other");
    struct blob *all[] = {&pack, &index, &weights, &checkpoint, &start, &other};
    const char *dataset = fixture_dataset(f, "x");
    struct dataset_row ready = {.id = dataset,
                                .status = DATASET_READY,
                                .items = 1,
                                .pack = pack.sha256,
                                .index = index.sha256};
    assert_ok(f, dataset_finish(f->store, &ready, &f->err));
    struct model_row model = {.name = "m",
                              .kind = "image",
                              .architecture = "resnet18",
                              .origin = "import",
                              .weights = weights.sha256};
    assert_ok(f, model_insert(f->store, &model, &f->arena, &f->err));
    struct job_row job = {
        .id = "job_1",
        .spec = "{}",
        .dataset = dataset,
        .model = "m",
        .weights = start.sha256,
        .ensemble = arena_printf(&f->arena, "[\"%s\",\"%s\"]", weights.sha256, other.sha256)};
    assert_ok(f, job_insert(f->store, &job, &f->err));
    struct checkpoint_row row = {
        .job = "job_1", .slot = "best", .name = "best", .sha256 = checkpoint.sha256};
    struct job_report report = {.checkpoint = &row};
    assert_ok(f, job_report(f->store, "job_1", &report, true, &f->err));
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        age(f, all[i], 3700);
    assert_int_equal(collect(f).removed, 0);

    /* A job that has ended needs its starting weights no more, nor those of an ensemble. */
    assert_ok(f, job_transition(f->store, "job_1", JOB_QUEUED, JOB_CANCELLED, NULL, &f->err));
    assert_int_equal(collect(f).removed, 2);
    assert_false(is_there(f, &start));
    assert_false(is_there(f, &other));
    assert_ok(f, job_delete(f->store, "job_1", &f->err));
    assert_ok(f, model_delete(f->store, model.id, &f->err));
    assert_ok(f, dataset_delete(f->store, dataset, &f->err));
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_false(is_there(f, all[i]));
}

/* A ready dataset whose pack and index are these blobs. */
static const char *dataset_of(struct fixture *f, const char *name, const struct blob *pack,
                              const struct blob *index)
{
    const char *id = fixture_dataset(f, name);
    struct dataset_row row = {.id = id,
                              .status = DATASET_READY,
                              .kind = "image",
                              .items = 4,
                              .classes = "[]",
                              .splits = "{}",
                              .rejected = "{}",
                              .pack = pack->sha256,
                              .index = index->sha256};
    assert_ok(f, dataset_finish(f->store, &row, &f->err));
    return id;
}

static void a_delete_frees_the_disk_at_once(void **state)
{
    struct fixture *f = *state;
    struct blob pack = put(f, "pack"), index = put(f, "index");
    const char *id = dataset_of(f, "one", &pack, &index);
    assert_ok(f, dataset_delete(f->store, id, &f->err));
    assert_false(is_there(f, &pack));
    assert_false(is_there(f, &index));

    struct blob weights = put(f, "weights");
    struct model_row model = {.name = "m",
                              .kind = "image",
                              .architecture = "resnet18",
                              .origin = "import",
                              .weights = weights.sha256};
    assert_ok(f, model_insert(f->store, &model, &f->arena, &f->err));
    assert_ok(f, model_delete(f->store, model.id, &f->err));
    assert_false(is_there(f, &weights));

    const char *job = fixture_job_in(f, JOB_RUNNING);
    struct blob stage = put(f, "stage"), report = put(f, "report");
    struct checkpoint_row checkpoint = {
        .job = job, .slot = "best", .name = "best", .sha256 = stage.sha256};
    struct artifact_row artifact = {.job = job, .name = "report.json", .sha256 = report.sha256};
    struct job_report news = {.checkpoint = &checkpoint, .artifact = &artifact};
    assert_ok(f, job_report(f->store, job, &news, true, &f->err));
    assert_ok(f, job_transition(f->store, job, JOB_RUNNING, JOB_FAILED, NULL, &f->err));
    assert_ok(f, artifact_get(f->store, job, "report.json", &f->arena, &artifact, &f->err));
    assert_string_equal(artifact.sha256, report.sha256);
    age(f, &report, 4000);
    assert_int_equal(collect(f).removed, 0);
    assert_ok(f, job_delete(f->store, job, &f->err));
    assert_false(is_there(f, &stage));
    assert_false(is_there(f, &report));
}

static void a_delete_leaves_what_others_use_or_are_about_to(void **state)
{
    struct fixture *f = *state;
    struct blob shared = put(f, "shared"), first = put(f, "1"), second = put(f, "2");
    const char *one = dataset_of(f, "one", &shared, &first);
    const char *two = dataset_of(f, "two", &shared, &second);
    assert_ok(f, dataset_delete(f->store, one, &f->err));
    assert_true(is_there(f, &shared)); /* another row refers to it */
    assert_false(is_there(f, &first));

    int fd = -1;
    assert_ok(f, blob_open(f->store, second.sha256, &fd, &f->err));
    put(f, "shared"); /* somebody stored the same bytes; the row is still to come */
    assert_ok(f, dataset_delete(f->store, two, &f->err));
    assert_true(is_there(f, &shared));
    assert_true(is_there(f, &second)); /* held open: a download */
    close(fd);
    blob_settle(f->store, shared.sha256); /* that row came, and went */
    blob_release(f->store, shared.sha256);
    blob_release(f->store, second.sha256);
    assert_false(is_there(f, &shared));
    assert_false(is_there(f, &second));
}

static void folders_are_swept_of_what_no_row_knows(void **state)
{
    struct fixture *f = *state;
    const char *open_job = fixture_job(f, 0), *ended = fixture_job_in(f, JOB_FAILED);
    struct dataset_row row = {
        .name = "d", .kind = "image", .options = "{}", .upload = "wanted", .sha256 = "y"};
    bool created;
    assert_ok(f, dataset_insert(f->store, &row, &f->arena, &created, &f->err));
    const struct {
        const char *path;
        bool stays;
    } files[] = {
        {"uploads/wanted", true},
        {"uploads/forgotten", false},
        {"tmp/anything", false},
        {arena_printf(&f->arena, "jobs/%s/checkpoints/best", open_job), true},
        {arena_printf(&f->arena, "jobs/%s/checkpoints/best", ended), false},
        {arena_printf(&f->arena, "jobs/%s/log", ended), true},
        {"jobs/job_of_nobody/log", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char *path = in(f, files[i].path);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        assert_int_equal(fs_make_folders(path, NULL), OK);
        *slash = '/';
        assert_int_equal(fs_write_file(path, "x", 1, NULL), OK);
    }
    assert_ok(f, store_sweep_folders(f->store, &f->err));
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        assert_int_equal(access(in(f, files[i].path), F_OK) == 0, files[i].stays);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_blob_is_named_by_what_it_holds_and_stored_once,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_copy_leaves_the_source_and_is_bounded, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(links_are_not_taken_in, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(only_what_is_old_unused_and_closed_is_collected,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(every_kind_of_reference_keeps_its_blob, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_delete_frees_the_disk_at_once, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_delete_leaves_what_others_use_or_are_about_to,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(folders_are_swept_of_what_no_row_knows, fixture_open,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
