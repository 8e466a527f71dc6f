/* Data sets of text: rows become a pack that proves itself, labels become classes. */
#include "tests/unit/engine/data/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/split.h"
#include "engine/data/text_set.h"

static int pack_fd = -1, index_fd = -1;
static struct text_set *set;
static struct arrangement arrangement;
static struct buf heard;

static int set_up(void **state)
{
    (void)state;
    pack_fd = memfd_create("pack", MFD_CLOEXEC);
    index_fd = memfd_create("index", MFD_CLOEXEC);
    set = text_set_new(pack_fd, index_fd);
    buf_init(&heard, 1 << 16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    text_set_free(set);
    arrangement_deinit(&arrangement);
    buf_deinit(&heard);
    close(pack_fd);
    close(index_fd);
    return 0;
}

static void add(int64_t line, const char *text, const char *label, enum pack_split split,
                const char *group)
{
    struct err err = {0};
    struct text_row row = {.text = text,
                           .len = strlen(text),
                           .label = label,
                           .label_len = label ? strlen(label) : 0,
                           .group = group,
                           .group_len = group ? strlen(group) : 0,
                           .split = split,
                           .line = line};
    assert_int_equal(text_set_add(set, &row, &err), OK);
}

static void on_rejected(void *context, const char *path, int64_t line, const char *reason)
{
    (void)context;
    buf_printf(&heard, "%s:%d %s\n", path, (int)line, reason);
}

static void on_warning(void *context, const char *sentence)
{
    (void)context;
    buf_printf(&heard, "%s\n", sentence);
}

static enum status finish(struct err *err)
{
    struct text_set_ears ears = {on_rejected, on_warning, NULL};
    return text_set_finish(set, &ears, &arrangement, err);
}

static struct pack *opened(void)
{
    struct pack *pack = NULL;
    struct err err = {0};
    if (finish(&err) || pack_open_fds(pack_fd, index_fd, &pack, &err))
        fail_msg("%s", err.detail);
    assert_true(pack_is_text(pack));
    return pack;
}

static void item_is(const struct pack *pack, uint32_t item, const char *name, const char *text,
                    int32_t label, enum pack_split split)
{
    char read[100] = "", buffer[PACK_NAME_TEXT];
    struct err err = {0};
    assert_string_equal(pack_item_name(pack, item, buffer), name);
    assert_int_equal(pack_read(pack, item, read, &err), OK);
    assert_int_equal(pack_item(pack, item)->size, strlen(text));
    assert_string_equal(read, text);
    assert_int_equal(pack_item(pack, item)->label, label);
    assert_int_equal(pack_item(pack, item)->split, split);
}

static void rows_come_back_in_their_order_with_sorted_classes(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(text_set_file(set, "", SPLIT_TRAIN, &err), OK);
    add(2, "first", "b", N_SPLITS, NULL);
    add(3, "second", NULL, N_SPLITS, "g");
    add(5, "third", "a", SPLIT_VALID, "g");
    add(6, "fourth", "a", N_SPLITS, NULL);
    add(7, "fifth", "c", SPLIT_TEST, NULL);
    add(8, "sixth", "b", SPLIT_UNLABELLED, NULL);
    struct pack *pack = opened();
    assert_int_equal(pack_n_items(pack), 5);
    assert_int_equal(pack_n_classes(pack), 2);
    assert_string_equal(pack_class_name(pack, 0), "a");
    item_is(pack, 0, "line 2", "first", 1, SPLIT_TRAIN);
    item_is(pack, 1, "line 3", "second", PACK_NO_LABEL, SPLIT_UNLABELLED);
    item_is(pack, 2, "line 5", "third", 0, SPLIT_VALID);
    item_is(pack, 3, "line 6", "fourth", 0, SPLIT_TRAIN);
    item_is(pack, 4, "line 8", "sixth", PACK_NO_LABEL, SPLIT_UNLABELLED);
    assert_true(pack_has_groups(pack));
    assert_true(pack_group(pack, 1) && pack_group(pack, 1) == pack_group(pack, 2));
    assert_int_equal(pack_group(pack, 0), 0);
    assert_string_equal(heard.data, ":7 No text to train on has its label.\n");
    assert_int_equal(arrangement.split_items[SPLIT_TRAIN], 2);
    assert_int_equal(arrangement.split_items[SPLIT_UNLABELLED], 2);
    assert_int_equal(arrangement.split_items[SPLIT_TEST], 0);
    assert_int_equal(pack_want_text(pack, false, &err), E_INVALID);
    assert_string_equal(err.code, "wrong_kind");
    pack_close(pack);
}

static void without_any_label_rows_keep_the_splits_they_name(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(text_set_file(set, "test.txt", SPLIT_TEST, &err), OK);
    add(1, "a", NULL, N_SPLITS, NULL);
    assert_int_equal(text_set_file(set, "train.txt", SPLIT_TRAIN, &err), OK);
    add(1, "b", NULL, N_SPLITS, NULL);
    struct pack *pack = opened();
    assert_int_equal(pack_n_classes(pack), 0);
    item_is(pack, 0, "test.txt:1", "a", PACK_NO_LABEL, SPLIT_TEST);
    item_is(pack, 1, "train.txt:1", "b", PACK_NO_LABEL, SPLIT_UNLABELLED);
    assert_int_equal(arrangement.split_items[SPLIT_TEST], 1);
    pack_close(pack);
}

static void one_label_or_none_to_train_on_fails(void **state)
{
    (void)state;
    struct err err = {0};
    add(1, "a", "x", N_SPLITS, NULL);
    add(2, "b", NULL, N_SPLITS, NULL);
    assert_int_equal(finish(&err), E_INVALID);
    assert_string_equal(err.code, "one_class");
    tear_down(NULL);
    set_up(NULL);
    add(1, "a", "x", SPLIT_TEST, NULL);
    add(2, "b", "y", SPLIT_VALID, NULL);
    assert_int_equal(finish(&err), E_INVALID);
    assert_string_equal(err.code, "no_training_texts");
}

static void labels_alike_are_named_once_each(void **state)
{
    (void)state;
    static const char *const labels[] = {"Spam",         "ham",   " spam", "\xc3\x84rger",
                                         "\xc3\xa4rger", "spa m", "hamm"};
    for (int i = 0; i < 7; i++)
        add(i + 1, "text", labels[i], N_SPLITS, NULL);
    pack_close(opened());
    const char *spam = strstr(heard.data, "\" spam\", \"Spam\", \"spa m\"");
    const char *umlaut = strstr(heard.data, "\"\xc3\x84rger\", \"\xc3\xa4rger\"");
    assert_true(spam && umlaut);
    assert_null(strstr(heard.data, "hamm"));
}

/* Thousands of rows and labels cross every buffer; the content's hash divides them as it divides
 * pictures. */
static void many_rows_are_split_as_pictures_are(void **state)
{
    (void)state;
    struct split split;
    struct err err = {0};
    char text[64], label[16];
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof text, "row number %d of many", i);
        snprintf(label, sizeof label, "label %d", i % 1000);
        add(i + 1, text, label, N_SPLITS, NULL);
    }
    struct pack *pack = opened();
    assert_int_equal(pack_n_classes(pack), 1000);
    for (uint32_t i = 0; i < 20000; i += 777) {
        char read[64] = "";
        snprintf(text, sizeof text, "row number %u of many", i);
        snprintf(label, sizeof label, "label %u", i % 1000);
        assert_int_equal(pack_read(pack, i, read, &err), OK);
        assert_string_equal(read, text);
        assert_string_equal(pack_class_name(pack, (uint32_t)pack_item(pack, i)->label), label);
    }
    assert_int_equal(split_make(pack, .25, 0, &split, &err), OK);
    assert_int_equal(split.n_valid, 5000);
    assert_int_equal(split.n_train, 15000);
    split_deinit(&split);
    pack_close(pack);
}

/* Writes `value` over `n` bytes of record `item`'s field, and opens. */
static enum status tamper(uint32_t item, size_t field, const void *value, size_t n)
{
    struct pack *pack = NULL;
    struct err err = {0};
    char before[8];
    uint64_t at = sizeof(struct pack_header) + item * sizeof(struct pack_record) + field;
    assert_int_equal(fs_read_at(index_fd, before, n, at, &err), OK);
    assert_int_equal(fs_write_at(index_fd, value, n, at, &err), OK);
    enum status status = pack_open_fds(pack_fd, index_fd, &pack, &err);
    pack_close(pack);
    assert_int_equal(fs_write_at(index_fd, before, n, at, &err), OK);
    return status;
}

static void no_index_that_was_tampered_with_is_opened(void **state)
{
    (void)state;
    add(1, "aaa", "x", N_SPLITS, NULL);
    add(2, "bbb", "y", N_SPLITS, NULL);
    add(3, "ccc", NULL, N_SPLITS, NULL);
    pack_close(opened());
    const uint32_t zero = 0, one = 1, two = 2, far = 99;
    const uint8_t jpeg = PACK_JPEG, valid = SPLIT_VALID, turned = 1;
    const int32_t none = PACK_NO_LABEL;
#define FIELD(name) offsetof(struct pack_record, name)
    assert_int_equal(tamper(1, FIELD(line), &two, 4), OK); /* as it was */
    assert_int_equal(tamper(1, FIELD(line), &one, 4), E_INVALID);
    assert_int_equal(tamper(0, FIELD(line), &zero, 4), E_INVALID);
    assert_int_equal(tamper(0, FIELD(format), &jpeg, 1), E_INVALID);
    assert_int_equal(tamper(0, FIELD(orientation), &turned, 1), E_INVALID);
    assert_int_equal(tamper(0, FIELD(label), &two, 4), E_INVALID);
    assert_int_equal(tamper(0, FIELD(label), &none, 4), E_INVALID);
    assert_int_equal(tamper(2, FIELD(split), &valid, 1), E_INVALID);
    assert_int_equal(tamper(2, FIELD(label), &one, 4), E_INVALID);
    assert_int_equal(tamper(1, FIELD(height), &one, 4), E_INVALID);
    assert_int_equal(tamper(1, FIELD(label_set), &one, 4), E_INVALID);
    assert_int_equal(tamper(1, FIELD(path_len), &far, 4), E_INVALID);
    assert_int_equal(tamper(1, FIELD(offset), &one, 4), E_INVALID);
    assert_int_equal(tamper(2, FIELD(size), &far, 4), E_INVALID);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(rows_come_back_in_their_order_with_sorted_classes),
        EACH(without_any_label_rows_keep_the_splits_they_name),
        EACH(one_label_or_none_to_train_on_fails),
        EACH(labels_alike_are_named_once_each),
        EACH(many_rows_are_split_as_pictures_are),
        EACH(no_index_that_was_tampered_with_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
