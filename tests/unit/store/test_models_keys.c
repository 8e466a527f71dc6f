/* Models have unique names; an idempotency key creates once. */
#include "tests/unit/store/fixture.h"

#include <string.h>

#include "base/fs.h"
#include "store/base_models.h"
#include "store/keys.h"

static void a_base_model_gets_weights_and_newer_ones(void **state)
{
    struct fixture *f = *state;
    struct model_row row;
    struct blob blob;
    for (int i = 0; i < 2; i++) {
        const char *path = arena_printf(&f->arena, "%s/weights", f->folder);
        assert_ok(f, fs_write_file(path, i ? "newer" : "old", i ? 5 : 3, &f->err));
        assert_ok(f, blob_move(f->store, path, &blob, &f->err));
        assert_ok(f, base_model_set_weights(f->store, "resnet18", &blob, &f->err));
        assert_ok(f, model_get(f->store, "resnet18", &f->arena, &row, &f->err));
        assert_true(row.available);
        assert_string_equal(row.weights, blob.sha256);
        assert_int_equal(row.bytes, blob.bytes);
    }
    fixture_reopen(f);
    assert_ok(f, model_get(f->store, "resnet18", &f->arena, &row, &f->err));
    assert_string_equal(row.weights, blob.sha256);
}

static void base_models_are_there_from_the_start(void **state)
{
    struct fixture *f = *state;
    struct model_row row;
    static const char *const known[] = {"resnet18", "resnet34", "resnet50", "squeezenet1_1"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        assert_ok(f, model_get(f->store, known[i], &f->arena, &row, &f->err));
        assert_false(row.available);
        assert_string_equal(row.origin, "base");
        assert_true(row.parameters > 1000000);
    }
    assert_ok(f, model_get(f->store, "thaw-small", &f->arena, &row, &f->err));
    assert_true(row.available && row.random);
    assert_int_equal(model_delete(f->store, row.id, &f->err), E_CONFLICT);
    struct model_list before, after;
    struct page page = {.limit = 100};
    assert_ok(f, models_list(f->store, "base", &page, &f->arena, &before, &f->err));
    fixture_reopen(f);
    assert_ok(f, models_list(f->store, "base", &page, &f->arena, &after, &f->err));
    assert_int_equal(after.n, before.n);
}

static struct model_row model(const char *name)
{
    return (struct model_row){.name = name,
                              .kind = "image",
                              .architecture = "resnet18",
                              .origin = "import",
                              .available = true,
                              .parameters = -1,
                              .bytes = 5,
                              .weights = "w"};
}

static void a_name_is_given_once(void **state)
{
    struct fixture *f = *state;
    struct model_row first = model("mine"), second = model("mine"), third = model("resnet34"), row;
    assert_ok(f, model_insert(f->store, &first, &f->arena, &f->err));
    assert_int_equal(model_insert(f->store, &second, &f->arena, &f->err), E_CONFLICT);
    assert_int_equal(model_insert(f->store, &third, &f->arena, &f->err), E_CONFLICT);
    assert_ok(f, model_get(f->store, "mine", &f->arena, &row, &f->err));
    assert_string_equal(row.id, first.id);
    assert_ok(f, model_get(f->store, first.id, &f->arena, &row, &f->err));
    assert_int_equal(row.parameters, -1);
    assert_int_equal(row.bytes, 5);
    assert_null(row.classes);
    assert_ok(f, model_delete(f->store, first.id, &f->err));
    assert_int_equal(model_get(f->store, "mine", &f->arena, &row, &f->err), E_NOT_FOUND);
    struct model_row fourth = model("mine");
    assert_ok(f, model_insert(f->store, &fourth, &f->arena, &f->err));
}

static void a_job_knows_the_network_behind_its_model(void **state)
{
    struct fixture *f = *state;
    struct model_row mine = model("mine");
    assert_ok(f, model_insert(f->store, &mine, &f->arena, &f->err));
    const char *dataset = fixture_dataset(f, "x");
    struct job_row by_id = {.id = "job_1", .spec = "{}", .dataset = dataset, .model = mine.id},
                   by_name = {.id = "job_2", .spec = "{}", .dataset = dataset, .model = "mine"},
                   unknown = {.id = "job_3", .spec = "{}", .dataset = dataset, .model = "yours"},
                   row;
    assert_ok(f, job_insert(f->store, &by_id, &f->err));
    assert_ok(f, job_insert(f->store, &by_name, &f->err));
    assert_int_equal(job_insert(f->store, &unknown, &f->err), E_INVALID);
    assert_string_equal(f->err.pointer, "/model");

    struct checkpoint_row checkpoint = {
        .id = "ckpt_1", .job = "job_1", .slot = "best", .name = "best", .sha256 = "s"};
    struct job_report report = {.checkpoint = &checkpoint};
    assert_ok(f, job_report(f->store, "job_1", &report, true, &f->err));
    struct job_row by_checkpoint = {
        .id = "job_4", .spec = "{}", .dataset = dataset, .model = "ckpt_1"};
    assert_ok(f, job_insert(f->store, &by_checkpoint, &f->err));
    static const char *const jobs[] = {"job_1", "job_2", "job_4"};
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        assert_ok(f, job_get(f->store, jobs[i], &f->arena, &row, &f->err));
        assert_string_equal(row.architecture, "resnet18");
    }
}

static void the_same_slot_keeps_its_checkpoint_id(void **state)
{
    struct fixture *f = *state;
    const char *job = fixture_job_in(f, JOB_RUNNING);
    struct checkpoint_row row = {.job = job, .slot = "best", .name = "best", .sha256 = "first"};
    struct job_report report = {.checkpoint = &row};
    struct checkpoint_list list;
    assert_ok(f, job_report(f->store, job, &report, true, &f->err));
    assert_ok(f, checkpoints_list(f->store, job, &f->arena, &list, &f->err));
    const char *id = list.rows[0].id;
    row.sha256 = "second";
    assert_ok(f, job_report(f->store, job, &report, true, &f->err));
    assert_ok(f, checkpoints_list(f->store, job, &f->arena, &list, &f->err));
    assert_int_equal(list.n, 1);
    assert_string_equal(list.rows[0].id, id);
    assert_string_equal(list.rows[0].sha256, "second");
}

/* --- Idempotency keys ------------------------------------------------------------------------- */

static enum status begin(struct fixture *f, const char *key, const char *fingerprint, bool *replay,
                         struct key_reply *reply)
{
    return key_begin(f->store, key, fingerprint, &f->arena, replay, reply, &f->err);
}

static void a_key_replays_its_first_reply(void **state)
{
    struct fixture *f = *state;
    bool replay = true;
    struct key_reply reply;
    assert_int_equal(begin(f, "k", "request", &replay, &reply), OK);
    assert_false(replay);
    assert_int_equal(begin(f, "k", "request", &replay, &reply), E_CONFLICT);
    assert_int_equal(begin(f, "k", "another", &replay, &reply), E_INVALID);
    struct key_reply made = {.http_status = 201,
                             .location = "/v1/datasets/ds_1",
                             .content_type = "application/json",
                             .body = "{}"};
    assert_ok(f, key_finish(f->store, "k", &made, &f->err));
    assert_int_equal(begin(f, "k", "request", &replay, &reply), OK);
    assert_true(replay);
    assert_int_equal(reply.http_status, 201);
    assert_string_equal(reply.location, "/v1/datasets/ds_1");
    assert_string_equal(reply.body, "{}");
    assert_int_equal(begin(f, "k", "another", &replay, &reply), E_INVALID);
    assert_ok(f, keys_expire(f->store, &f->err));
    assert_int_equal(begin(f, "k", "request", &replay, &reply), OK);
    assert_true(replay); /* 24 hours are not over */
}

static void a_key_without_a_reply_is_free_again(void **state)
{
    struct fixture *f = *state;
    bool replay = true;
    struct key_reply reply;
    assert_int_equal(begin(f, "a", "request", &replay, &reply), OK);
    assert_ok(f, key_abandon(f->store, "a", &f->err));
    assert_int_equal(begin(f, "a", "another", &replay, &reply), OK);
    assert_false(replay);
    fixture_reopen(f); /* the server died in the middle */
    assert_int_equal(begin(f, "a", "request", &replay, &reply), OK);
    assert_false(replay);
}

static void a_key_is_neither_empty_nor_long(void **state)
{
    struct fixture *f = *state;
    char text[KEY_MAX_TEXT + 2];
    bool replay;
    struct key_reply reply;
    memset(text, 'k', sizeof text);
    text[KEY_MAX_TEXT + 1] = '\0';
    assert_int_equal(begin(f, text, "r", &replay, &reply), E_SYNTAX);
    assert_int_equal(begin(f, "", "r", &replay, &reply), E_SYNTAX);
    text[KEY_MAX_TEXT] = '\0';
    assert_int_equal(begin(f, text, "r", &replay, &reply), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_base_model_gets_weights_and_newer_ones, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(base_models_are_there_from_the_start, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_name_is_given_once, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_job_knows_the_network_behind_its_model, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(the_same_slot_keeps_its_checkpoint_id, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_key_replays_its_first_reply, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_key_without_a_reply_is_free_again, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(a_key_is_neither_empty_nor_long, fixture_open,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
