/* The verb as it runs: archives written here, and what became of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/archive_writer.h"
#include "engine/data/pack.h"
#include "engine/data/png.h"
#include "engine/data/synth.h"
#include "engine/worker/verb.h"

static char folder[64], upload[96], out[96];
static struct archive_writer *writer;
static struct json *result;  /* result.json of the last ingest; NULL when it failed */
static struct err err;       /* why it failed */
static int64_t ordinals[64]; /* of its item frames */
static size_t n_ordinals;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/thaw-ingest-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(upload, sizeof upload, "%s/upload.zip", folder);
    snprintf(out, sizeof out, "%s/out", folder);
    assert_int_equal(fs_make_folder(out, &err), OK);
    assert_int_equal(archive_writer_open(upload, &writer, &err), OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    archive_writer_close(writer);
    json_free(result);
    result = NULL;
    return fs_remove_tree(folder, &err);
}

/* --- Making uploads ----------------------------------------------------------------------------
 */

static void add(const char *name, const void *bytes, size_t len)
{
    if (archive_writer_add(writer, name, bytes, len, &err))
        fail_msg("%s", err.detail);
}

/* Adds a drawn picture; the number in the name chooses which. */
static void add_picture(const char *name)
{
    static uint64_t drawn;
    uint8_t pixels[16 * 16 * 3];
    struct buf png;
    synth_draw(synth_find_set("a"), 0, 3, drawn++, 16, pixels);
    buf_init(&png, 1 << 20);
    assert_int_equal(image_png_encode(pixels, 16, 16, &png, &err), OK);
    add(name, png.data, png.len);
    buf_deinit(&png);
}

static void add_pictures(const char *const *names)
{
    for (; *names; names++)
        add_picture(*names);
}
#define PICTURES(...) add_pictures((const char *const[]){__VA_ARGS__, NULL})

/* --- Running ------------------------------------------------------------------------------------
 */

/* The parent's side, on a thread of its own: a socket that nobody reads blocks the verb. */
static void *read_frames(void *argument)
{
    int fd = *(const int *)argument;
    struct frame frame;
    struct err end = {0};
    n_ordinals = 0;
    while (frame_read(fd, 0, &frame, &end) == OK) {
        if (strcmp(json_string(frame.header, "type", ""), "item") == 0 &&
            n_ordinals < ARRAY_LEN(ordinals))
            ordinals[n_ordinals++] = json_integer(frame.header, "ordinal", -1);
        frame_deinit(&frame);
    }
    return NULL;
}

static void read_result(void)
{
    struct buf text;
    char path[128];
    json_free(result);
    result = NULL;
    snprintf(path, sizeof path, "%s/result.json", out);
    buf_init(&text, 1 << 20);
    if (access(path, F_OK) == 0 && fs_read_file(path, &text, &err) == OK)
        assert_int_equal(json_parse(text.data, text.len, &result, &err), OK);
    buf_deinit(&text);
}

/* Takes `more`, further keys of the document. */
static enum status ingest_with(struct json *more)
{
    int pair[2];
    pthread_t reader;
    struct err why = {0};
    if (writer)
        assert_int_equal(archive_writer_finish(writer, &err), OK);
    archive_writer_close(writer);
    writer = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    json_set_string(more, "verb", "ingest");
    json_set_string(more, "upload", upload);
    json_set_string(more, "out", out);
    assert_int_equal(pthread_create(&reader, NULL, read_frames, &pair[1]), 0);
    struct report *report = report_new_wire(pair[0]);
    enum status status = verb_ingest.run(report, more, &why);
    report_free(report);
    json_free(more);
    close(pair[0]);
    pthread_join(reader, NULL);
    close(pair[1]);
    read_result();
    err = why;
    return status;
}

static enum status ingest(void)
{
    return ingest_with(json_new_object());
}

static int64_t items_of(const char *class_name)
{
    json_each(class, json_get(result, "classes"))
    {
        if (strcmp(json_string(class, "name", ""), class_name) == 0)
            return json_integer(class, "items", -1);
    }
    return -1;
}

static const char *reason_of(const char *path)
{
    json_each(item, json_get(json_get(result, "rejected"), "items"))
    {
        if (strcmp(json_string(item, "path", ""), path) == 0)
            return json_string(item, "reason", "");
    }
    return "not rejected";
}

static int64_t rejected(void)
{
    return json_integer(json_get(result, "rejected"), "count", -1);
}

static int64_t split(const char *name)
{
    return json_integer(json_get(result, "splits"), name, -1);
}

static void assert_failed_as(enum status want, const char *code)
{
    struct json *none = result;
    assert_int_equal(err.status, want);
    assert_string_equal(err.code, code);
    assert_null(none);
    char path[128];
    snprintf(path, sizeof path, "%s/pack.part", out);
    assert_int_equal(access(path, F_OK), -1);
}

/* --- Claims -------------------------------------------------------------------------------------
 */

static void a_good_upload_becomes_a_pack_and_a_result(void **state)
{
    (void)state;
    struct pack *pack;
    char pack_path[128], index_path[128];
    PICTURES("set/train/bee/1.png", "set/train/ant/2.png", "set/val/ant/3.png",
             "set/test/bee/4.png", "set/test/5.png");
    assert_int_equal(ingest(), OK);
    assert_string_equal(json_string(result, "kind", ""), "image");
    assert_int_equal(json_integer(result, "items", 0), 5);
    assert_int_equal(items_of("ant"), 2);
    assert_int_equal(items_of("bee"), 2);
    assert_int_equal(split("train"), 2);
    assert_int_equal(split("valid"), 1);
    assert_int_equal(split("test"), 1);
    assert_int_equal(split("unlabelled"), 1);
    assert_int_equal(rejected(), 0);
    snprintf(pack_path, sizeof pack_path, "%s/pack", out);
    snprintf(index_path, sizeof index_path, "%s/index", out);
    assert_int_equal(pack_open(pack_path, index_path, &pack, &err), OK);
    assert_int_equal(pack_n_items(pack), 5);
    assert_string_equal(pack_item_path(pack, 4), "set/val/ant/3.png");
    assert_int_equal(json_integer(result, "bytes", 0), pack_bytes(pack));
    pack_close(pack);
}

static void what_cannot_be_used_is_listed_and_stops_nothing(void **state)
{
    (void)state;
    static const char corrupt[] = "\xff\xd8\xff\xe0 this was a JPEG once";
    PICTURES("a/1.png", "b/2.png");
    add("a/corrupt.jpg", corrupt, sizeof corrupt);
    add("a/readme.txt", "hello", 5);
    add("a/empty.jpg", "", 0);
    add("a/more.zip", "PK\3\4 and so on", 15);
    add_picture("cover.png");
    add_picture("a/1.png"); /* the name again */
    assert_int_equal(ingest(), OK);
    assert_int_equal(json_integer(result, "items", 0), 2);
    assert_int_equal(rejected(), 6);
    assert_non_null(strstr(reason_of("a/corrupt.jpg"), "cannot be decoded"));
    assert_non_null(strstr(reason_of("a/readme.txt"), "neither a JPEG, nor a PNG"));
    assert_non_null(strstr(reason_of("a/empty.jpg"), "empty"));
    assert_non_null(strstr(reason_of("a/more.zip"), "unpack it"));
    assert_non_null(strstr(reason_of("cover.png"), "no folder"));
    assert_non_null(strstr(reason_of("a/1.png"), "same name"));
}

static void a_hundred_rejected_members_are_named_and_all_are_counted(void **state)
{
    (void)state;
    PICTURES("a/1.png", "b/2.png");
    for (int i = 0; i < 130; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/%d.txt", i);
        add(name, "x", 1);
    }
    assert_int_equal(ingest(), OK);
    assert_int_equal(rejected(), 130);
    assert_int_equal(json_len(json_get(json_get(result, "rejected"), "items")), 100);
}

static void a_class_that_never_trains_is_rejected_item_by_item(void **state)
{
    (void)state;
    PICTURES("train/a/1.png", "train/b/2.png", "valid/c/3.png", "valid/a/4.png");
    assert_int_equal(ingest(), OK);
    assert_int_equal(json_len(json_get(result, "classes")), 2);
    assert_int_equal(split("valid"), 1);
    assert_non_null(strstr(reason_of("valid/c/3.png"), "no training picture"));
}

static void the_order_of_the_archive_does_not_show_in_the_index(void **state)
{
    (void)state;
    static const char *const names[] = {"b/1.png", "a/2.png", "a/1.png", "b/0.png", NULL};
    struct pack *pack;
    char pack_path[128], index_path[128];
    add_pictures(names);
    assert_int_equal(ingest(), OK);
    snprintf(pack_path, sizeof pack_path, "%s/pack", out);
    snprintf(index_path, sizeof index_path, "%s/index", out);
    assert_int_equal(pack_open(pack_path, index_path, &pack, &err), OK);
    static const char *const sorted[] = {"a/1.png", "a/2.png", "b/0.png", "b/1.png"};
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(pack_item_path(pack, i), sorted[i]);
        assert_int_equal(pack_item(pack, i)->label, i / 2);
    }
    pack_close(pack);
}

static void every_picture_is_announced_and_skipped_ones_are_not_touched(void **state)
{
    (void)state;
    struct json *document = json_new_object();
    struct json *skip = json_set_array(document, "skip");
    PICTURES("a/0.png", "a/1.png", "b/2.png", "b/3.png");
    json_add_number(skip, 1);
    assert_int_equal(ingest_with(document), OK);
    assert_int_equal(n_ordinals, 3);
    assert_int_equal(ordinals[0], 0);
    assert_int_equal(ordinals[1], 2);
    assert_int_equal(json_integer(result, "items", 0), 3);
    assert_non_null(strstr(reason_of("a/1.png"), "crashed"));
}

static void uploads_without_use_fail_with_a_code_and_leave_no_pack(void **state)
{
    (void)state;
    assert_int_equal(ingest(), E_INVALID); /* a zip of nothing */
    assert_failed_as(E_INVALID, "no_images");
    int fd = open(upload, O_WRONLY | O_TRUNC);
    close(fd);
    assert_int_equal(ingest(), E_INVALID);
    assert_failed_as(E_INVALID, "empty_upload");
    assert_int_equal(fs_write_file(upload, "hello,\0world", 12, &err), OK);
    assert_int_equal(ingest(), E_INVALID);
    assert_failed_as(E_INVALID, "not_an_archive");
}

static void one_class_only_fails_and_names_it(void **state)
{
    (void)state;
    PICTURES("ants/1.png", "ants/2.png");
    assert_int_equal(ingest(), E_INVALID);
    assert_failed_as(E_INVALID, "one_class");
    assert_non_null(strstr(err.detail, "\"ants\""));
}

static void no_training_picture_fails(void **state)
{
    (void)state;
    PICTURES("valid/ants/1.png", "valid/bees/2.png");
    assert_int_equal(ingest(), E_INVALID);
    assert_failed_as(E_INVALID, "no_training_images");
}

static void no_usable_picture_fails_and_names_the_first_member(void **state)
{
    (void)state;
    add("a/notes.bin", "\1\2\3\4\5", 5);
    add("b/notes.bin", "\1\2\3\4\5", 5);
    assert_int_equal(ingest(), E_INVALID);
    assert_failed_as(E_INVALID, "no_images");
    assert_non_null(strstr(err.detail, "a/notes.bin: The content is neither"));
}

static void texts_in_folders_are_a_text_data_set(void **state)
{
    (void)state;
    struct pack *pack;
    char pack_path[128], index_path[128], name[PACK_NAME_TEXT];
    add("b/2.txt", "two", 3);
    add("a/1.txt", "one", 3);
    add("unsup/3.txt", "three", 5);
    assert_int_equal(ingest(), OK);
    assert_string_equal(json_string(result, "kind", ""), "text");
    assert_int_equal(split("train"), 2);
    assert_int_equal(split("unlabelled"), 1);
    snprintf(pack_path, sizeof pack_path, "%s/pack", out);
    snprintf(index_path, sizeof index_path, "%s/index", out);
    assert_int_equal(pack_open(pack_path, index_path, &pack, &err), OK);
    assert_true(pack_is_text(pack));
    assert_string_equal(pack_item_name(pack, 0, name), "a/1.txt");
    pack_close(pack);
}

static void a_truncated_upload_fails_although_its_first_members_are_good(void **state)
{
    (void)state;
    uint64_t size;
    PICTURES("a/1.png", "a/2.png", "b/3.png", "b/4.png");
    assert_int_equal(ingest(), OK);
    char path[128];
    snprintf(path, sizeof path, "%s/result.json", out);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fs_file_size(upload, &size, &err), OK);
    assert_int_equal(truncate(upload, (off_t)(size * 3 / 4)), 0);
    assert_int_equal(ingest(), E_INVALID);
    assert_failed_as(E_INVALID, "archive_damaged");
}

static void limits_of_the_document_hold_and_nonsense_is_refused(void **state)
{
    (void)state;
    struct json *document = json_new_object();
    PICTURES("a/1.png", "b/2.png");
    json_set_integer(json_set_object(document, "limits"), "max_pixels", 255);
    assert_int_equal(ingest_with(document), E_INVALID);
    assert_failed_as(E_INVALID, "no_images");
    assert_non_null(strstr(err.detail, "16 x 16 pixels"));
    document = json_new_object();
    json_set_integer(json_set_object(document, "limits"), "max_bytes", 100);
    assert_int_equal(ingest_with(document), E_TOO_LARGE);
    assert_failed_as(E_TOO_LARGE, "archive_limit");
    document = json_new_object();
    json_set_string(json_set_object(document, "limits"), "max_bytes", "many");
    assert_int_equal(ingest_with(document), E_INVALID);
    document = json_new_object();
    json_set_string(json_set_object(document, "options"), "label_regex", "x");
    assert_int_equal(ingest_with(document), E_INVALID);
    assert_non_null(strstr(err.detail, "label_regex"));
}

/* --- The shared photos ---------------------------------------------------------------------------
 */

struct shared {
    const char *file;
    int64_t items, n_classes, train, valid, test;
};

static void the_shared_photos_are_counted_right(void **state)
{
    (void)state;
    static const struct shared sets[] = {
        {"hymenoptera.zip", 397, 2, 244, 153, 0},
        {"clothing10.tar", 1045, 10, 800, 0, 245},
        {"mnist_tiny.zip", 1408, 2, 709, 699, 0},
    };
    const char *shared = getenv("THAW_SHARED") ? getenv("THAW_SHARED") : "../shared/data";
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        snprintf(upload, sizeof upload, "%s/images/%s", shared, sets[i].file);
        if (access(upload, R_OK) != 0) {
            print_message("skipped: %s is not there\n", upload);
            skip();
        }
        assert_int_equal(ingest(), OK);
        assert_int_equal(json_integer(result, "items", 0), sets[i].items);
        assert_int_equal(json_len(json_get(result, "classes")), sets[i].n_classes);
        assert_int_equal(split("train"), sets[i].train);
        assert_int_equal(split("valid"), sets[i].valid);
        assert_int_equal(split("test"), sets[i].test);
        assert_int_equal(rejected(), 0);
    }
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(a_good_upload_becomes_a_pack_and_a_result),
        IN_A_FOLDER(what_cannot_be_used_is_listed_and_stops_nothing),
        IN_A_FOLDER(a_hundred_rejected_members_are_named_and_all_are_counted),
        IN_A_FOLDER(a_class_that_never_trains_is_rejected_item_by_item),
        IN_A_FOLDER(the_order_of_the_archive_does_not_show_in_the_index),
        IN_A_FOLDER(every_picture_is_announced_and_skipped_ones_are_not_touched),
        IN_A_FOLDER(uploads_without_use_fail_with_a_code_and_leave_no_pack),
        IN_A_FOLDER(one_class_only_fails_and_names_it),
        IN_A_FOLDER(no_training_picture_fails),
        IN_A_FOLDER(no_usable_picture_fails_and_names_the_first_member),
        IN_A_FOLDER(texts_in_folders_are_a_text_data_set),
        IN_A_FOLDER(a_truncated_upload_fails_although_its_first_members_are_good),
        IN_A_FOLDER(limits_of_the_document_hold_and_nonsense_is_refused),
        IN_A_FOLDER(the_shared_photos_are_counted_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
