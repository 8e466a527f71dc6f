/* Packs: what is written is read again, and no index that was tampered with is opened. */
#include "tests/unit/engine/data/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/mem.h"

static const struct fixture_item five[] = {
    {SPLIT_VALID, 1}, {SPLIT_TRAIN, 0}, {SPLIT_TRAIN, 1}, {SPLIT_UNLABELLED, -1}, {SPLIT_TEST, 0}};

static void items_come_back_sorted_by_path_with_their_bytes(void **state)
{
    static const char *const paths[] = {"test/0/00004.jpg", "train/0/00001.jpg",
                                        "train/1/00002.jpg", "unlabelled/-1/00003.jpg",
                                        "valid/1/00000.jpg"};
    static const int labels[] = {0, 0, 1, -1, 1}, numbers[] = {4, 1, 2, 3, 0};
    struct err err = {0};
    struct pack *pack = fixture_pack(state, five, 5, 2, 32);
    assert_int_equal(pack_n_items(pack), 5);
    assert_int_equal(pack_n_classes(pack), 2);
    assert_string_equal(pack_class_name(pack, 0), "a");
    assert_string_equal(pack_class_name(pack, 1), "b");
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < 5; i++) {
        const struct pack_record *item = pack_item(pack, i);
        assert_string_equal(pack_item_path(pack, i), paths[i]);
        assert_int_equal(item->label, labels[i]);
        assert_int_equal(item->split, five[numbers[i]].split);
        struct buf file;
        uint8_t sha256[32];
        fixture_jpeg(&file, (size_t)(labels[i] < 0 ? 0 : labels[i]), (uint64_t)numbers[i], 32);
        assert_int_equal(item->size, file.len);
        char *read = mem_alloc(file.len);
        assert_int_equal(pack_read(pack, i, read, &err), OK);
        assert_memory_equal(read, file.data, file.len);
        sha256_bytes(file.data, file.len, sha256);
        assert_memory_equal(item->sha256, sha256, 32);
        bytes += file.len;
        mem_free(read);
        buf_deinit(&file);
    }
    assert_int_equal(pack_bytes(pack), bytes);
    pack_close(pack);
}

static void an_item_without_a_split_is_left_out(void **state)
{
    static const char *const names[] = {"a"};
    struct err err = {0};
    struct pack *pack;
    char *pack_path = fixture_path(state, "pack"), *index_path = fixture_path(state, "index");
    int pack_fd = open(pack_path, O_RDWR | O_CREAT, 0600);
    int index_fd = open(index_path, O_RDWR | O_CREAT, 0600);
    struct pack_writer *writer = pack_writer_new(pack_fd, index_fd);
    struct pack_record record = {.orientation = 1, .width = 1, .height = 1};
    assert_int_equal(pack_writer_add(writer, &record, "x", "xyz", 3, &err), OK);
    assert_int_equal(pack_writer_add(writer, &record, "y", "ab", 2, &err), OK);
    pack_writer_item(writer, 0)->split = N_SPLITS;
    assert_int_equal(pack_writer_finish(writer, names, 1, &err), OK);
    assert_int_equal(pack_open_fds(pack_fd, index_fd, &pack, &err), OK);
    assert_int_equal(pack_n_items(pack), 1);
    assert_string_equal(pack_item_path(pack, 0), "y");
    assert_int_equal(pack_bytes(pack), 5);
    pack_close(pack);
    pack_writer_free(writer);
    close(pack_fd);
    close(index_fd);
    mem_free(pack_path);
    mem_free(index_path);
}

static void equal_paths_or_unsorted_classes_are_our_own_mistake(void **state)
{
    static const char *const good[] = {"a", "b"}, *const bad[] = {"b", "a"};
    char *path = fixture_path(state, "pack"), *index_path = fixture_path(state, "index");
    for (int twice = 0; twice < 2; twice++) {
        struct err err = {0};
        int pack_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        int index_fd = open(index_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        struct pack_writer *writer = pack_writer_new(pack_fd, index_fd);
        struct pack_record record = {.orientation = 1, .width = 1, .height = 1};
        assert_int_equal(pack_writer_add(writer, &record, "x", "1", 1, &err), OK);
        assert_int_equal(pack_writer_add(writer, &record, twice ? "x" : "y", "2", 1, &err), OK);
        assert_int_equal(pack_writer_finish(writer, twice ? good : bad, 2, &err), E_INTERNAL);
        pack_writer_free(writer);
        close(pack_fd);
        close(index_fd);
    }
    mem_free(path);
    mem_free(index_path);
}

/* --- Several labels an item ----------------------------------------------------------------- */

static const uint32_t sets[] = {0x5, 0x0, 0x2, 0x7};

static void items_with_several_labels_come_back_with_all_of_them(void **state)
{
    struct pack *pack = fixture_multilabel_pack(state, sets, 4, 3, 16);
    assert_true(pack_is_multilabel(pack));
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t *labels;
        uint32_t n = pack_labels(pack, i, &labels), bits = 0;
        for (uint32_t k = 0; k < n; k++)
            bits |= 1u << labels[k];
        assert_int_equal(bits, sets[i]);
        assert_int_equal(pack_item(pack, i)->label, n > 0 ? (int)labels[0] : PACK_NO_LABEL);
    }
    pack_close(pack);
}

static void one_label_an_item_is_written_as_version_1_and_read_as_a_set_of_one(void **state)
{
    struct pack *pack = fixture_pack(state, five, 5, 2, 16);
    struct buf index;
    char *path = fixture_path(state, "index");
    assert_false(pack_is_multilabel(pack));
    for (uint32_t i = 0; i < 5; i++) {
        const uint32_t *labels;
        uint32_t n = pack_labels(pack, i, &labels);
        assert_int_equal(n, pack_item(pack, i)->label != PACK_NO_LABEL);
        assert_true(n == 0 || (int)labels[0] == pack_item(pack, i)->label);
    }
    fixture_read(path, &index);
    assert_int_equal(index.data[8], 1);
    buf_deinit(&index);
    mem_free(path);
    pack_close(pack);
}

static void unsorted_or_too_many_labels_are_not_taken(void **state)
{
    static const uint32_t twice[] = {1, 1};
    static uint32_t many[PACK_MAX_LABELS + 1];
    struct err err = {0};
    (void)state;
    struct pack_writer *writer = pack_writer_new(-1, -1);
    struct pack_record record = {.orientation = 1};
    assert_int_equal(pack_writer_add(writer, &record, "x", "", 0, &err), OK);
    for (uint32_t i = 0; i <= PACK_MAX_LABELS; i++)
        many[i] = i;
    assert_int_equal(pack_writer_set_labels(writer, 0, twice, 2, &err), E_INTERNAL);
    assert_int_equal(pack_writer_set_labels(writer, 0, many, PACK_MAX_LABELS + 1, &err),
                     E_TOO_LARGE);
    assert_int_equal(pack_writer_set_labels(writer, 0, many, PACK_MAX_LABELS, &err), OK);
    pack_writer_free(writer);
}

/* --- Tampering ------------------------------------------------------------------------------ */

/* Opens the pack with this index instead of its own. */
static enum status open_with(void **state, const struct buf *index, struct err *err)
{
    struct pack *pack = NULL;
    char *pack_path = fixture_path(state, "pack"), *index_path = fixture_path(state, "tampered");
    fixture_write(index_path, index->data, index->len);
    enum status status = pack_open(pack_path, index_path, &pack, err);
    pack_close(pack);
    mem_free(pack_path);
    mem_free(index_path);
    return status;
}

static void read_index(void **state, struct buf *index)
{
    char *path = fixture_path(state, "index");
    fixture_read(path, index);
    mem_free(path);
}

static struct pack_header *header_of(struct buf *index)
{
    return (void *)index->data;
}

static struct pack_record *record_of(struct buf *index, uint32_t i)
{
    return (void *)(index->data + header_of(index)->records_offset +
                    i * sizeof(struct pack_record));
}

static void set_label(struct buf *index)
{
    record_of(index, 1)->label = 2;
}
static void lose_label(struct buf *index)
{
    record_of(index, 1)->label = PACK_NO_LABEL;
}
static void label_the_unlabelled(struct buf *index)
{
    record_of(index, 3)->label = 0;
}
static void set_split(struct buf *index)
{
    record_of(index, 1)->split = N_SPLITS;
}
static void set_format(struct buf *index)
{
    record_of(index, 1)->format = N_IMAGE_FORMATS;
}
static void set_orientation(struct buf *index)
{
    record_of(index, 1)->orientation = 9;
}
static void set_width(struct buf *index)
{
    record_of(index, 1)->width = 0;
}
static void overlap(struct buf *index)
{
    record_of(index, 1)->offset = record_of(index, 2)->offset + 1;
}
static void leave_the_pack(struct buf *index)
{
    record_of(index, 1)->size = UINT64_MAX - 10;
}
static void empty_an_item(struct buf *index)
{
    record_of(index, 1)->size = 0;
}
static void leave_the_strings(struct buf *index)
{
    record_of(index, 1)->path_offset = UINT64_MAX - 3;
}
static void lengthen_a_path(struct buf *index)
{
    record_of(index, 1)->path_len++;
}
static void swap_paths(struct buf *index)
{
    uint64_t offset = record_of(index, 1)->path_offset;
    record_of(index, 1)->path_offset = record_of(index, 2)->path_offset;
    record_of(index, 2)->path_offset = offset;
}
static void break_utf8(struct buf *index)
{
    index->data[header_of(index)->strings_offset] = (char)0xff;
}
static void lose_the_last_nul(struct buf *index)
{
    index->data[index->len - 1] = 'x';
}
static void set_magic(struct buf *index)
{
    index->data[0] = 'x';
}
static void set_version(struct buf *index)
{
    header_of(index)->version++;
}
static void set_record_size(struct buf *index)
{
    header_of(index)->record_bytes = 40;
}
static void no_items(struct buf *index)
{
    header_of(index)->n_items = 0;
}
static void many_items(struct buf *index)
{
    header_of(index)->n_items = 1u << 26;
}
static void many_classes(struct buf *index)
{
    header_of(index)->n_classes = 60000;
}
static void move_records(struct buf *index)
{
    header_of(index)->records_offset = UINT64_MAX - 7;
}
static void skew_records(struct buf *index)
{
    header_of(index)->records_offset += 4;
}
static void lengthen_strings(struct buf *index)
{
    header_of(index)->strings_len = UINT64_MAX;
}
static void cut(struct buf *index)
{
    index->len--;
}
static void cut_to_nothing(struct buf *index)
{
    index->len = 0;
}

/* --- of version 2; item 1 has the empty set, item 3 all three labels */

static uint32_t *set_of(struct buf *index, uint32_t i)
{
    uint32_t *all = (void *)(index->data + header_of(index)->label_sets_offset);
    return all + record_of(index, i)->label_set - 1;
}
static void label_past_the_classes(struct buf *index)
{
    set_of(index, 3)[3] = 3;
}
static void label_twice(struct buf *index)
{
    set_of(index, 3)[2] = 0;
}
static void another_first_label(struct buf *index)
{
    record_of(index, 3)->label = 1;
}
static void a_label_of_the_empty_set(struct buf *index)
{
    record_of(index, 1)->label = 0;
}
static void lengthen_a_set(struct buf *index)
{
    set_of(index, 3)[0] = UINT32_MAX;
}
static void a_set_behind_all(struct buf *index)
{
    record_of(index, 0)->label_set = UINT32_MAX;
}
static void more_sets_than_bytes(struct buf *index)
{
    header_of(index)->label_sets_len = UINT64_MAX / 4;
}
static void sets_in_the_header(struct buf *index)
{
    header_of(index)->label_sets_offset = 80;
}
static void unlabel_an_item_with_a_set(struct buf *index)
{
    record_of(index, 0)->split = SPLIT_UNLABELLED;
}

static void tampered_labels_are_refused(void **state)
{
    static void (*const tampers[])(struct buf *) = {label_past_the_classes,
                                                    label_twice,
                                                    another_first_label,
                                                    a_label_of_the_empty_set,
                                                    lengthen_a_set,
                                                    a_set_behind_all,
                                                    more_sets_than_bytes,
                                                    sets_in_the_header,
                                                    unlabel_an_item_with_a_set,
                                                    set_version};
    pack_close(fixture_multilabel_pack(state, sets, 4, 3, 16));
    for (size_t i = 0; i < ARRAY_LEN(tampers); i++) {
        struct buf index;
        struct err err = {0};
        read_index(state, &index);
        assert_int_equal(open_with(state, &index, &err), OK);
        tampers[i](&index);
        if (open_with(state, &index, &err) != E_INVALID)
            fail_msg("tampering number %zu was not seen", i);
        buf_deinit(&index);
    }
}

static void a_tampered_index_is_refused(void **state)
{
    static void (*const tampers[])(struct buf *) = {
        set_label,     lose_label,        label_the_unlabelled,
        set_split,     set_format,        set_orientation,
        set_width,     overlap,           leave_the_pack,
        empty_an_item, leave_the_strings, lengthen_a_path,
        swap_paths,    break_utf8,        lose_the_last_nul,
        set_magic,     set_version,       set_record_size,
        no_items,      many_items,        many_classes,
        move_records,  skew_records,      lengthen_strings,
        cut,           cut_to_nothing};
    struct pack *pack = fixture_pack(state, five, 5, 2, 32);
    pack_close(pack);
    for (size_t i = 0; i < ARRAY_LEN(tampers); i++) {
        struct buf index;
        struct err err = {0};
        read_index(state, &index);
        assert_int_equal(open_with(state, &index, &err), OK);
        tampers[i](&index);
        if (open_with(state, &index, &err) != E_INVALID)
            fail_msg("tampering number %zu was not seen", i);
        assert_true(strlen(err.detail) > 0);
        buf_deinit(&index);
    }
}

/* Whatever one changed byte does, opening either refuses it or leaves a pack that can be walked. */
static void change_each_byte(void **state, bool several)
{
    struct buf index;
    char *pack_path = fixture_path(state, "pack"), *index_path = fixture_path(state, "tampered");
    pack_close(several ? fixture_multilabel_pack(state, sets, 4, 3, 16)
                       : fixture_pack(state, five, 5, 2, 16));
    read_index(state, &index);
    for (size_t at = 0; at < index.len; at++) {
        struct err err = {0};
        struct pack *pack = NULL;
        index.data[at] = (char)(index.data[at] ^ 0x81);
        FILE *file = fopen(index_path, "w");
        assert_int_equal(fwrite(index.data, 1, index.len, file), index.len);
        fclose(file);
        if (pack_open(pack_path, index_path, &pack, &err) == OK)
            for (uint32_t i = 0; i < pack_n_items(pack); i++) {
                char *bytes = mem_alloc(pack_item(pack, i)->size);
                assert_int_equal(pack_read(pack, i, bytes, &err), OK);
                assert_true(strlen(pack_item_path(pack, i)) > 0);
                assert_true(pack_item(pack, i)->label < (int)pack_n_classes(pack));
                const uint32_t *labels;
                uint32_t n = pack_labels(pack, i, &labels);
                assert_true(n == 0 || labels[n - 1] < pack_n_classes(pack));
                mem_free(bytes);
            }
        pack_close(pack);
        index.data[at] = (char)(index.data[at] ^ 0x81);
    }
    buf_deinit(&index);
    mem_free(pack_path);
    mem_free(index_path);
}

static void any_changed_byte_is_refused_or_harmless(void **state)
{
    change_each_byte(state, false);
    change_each_byte(state, true);
}

static void a_pack_of_another_length_is_refused(void **state)
{
    struct err err = {0};
    struct pack *pack;
    char *pack_path = fixture_path(state, "pack"), *index_path = fixture_path(state, "index");
    pack_close(fixture_pack(state, five, 5, 2, 16));
    assert_int_equal(truncate(pack_path, 100), 0);
    assert_int_equal(pack_open(pack_path, index_path, &pack, &err), E_INVALID);
    assert_int_equal(unlink(pack_path), 0);
    assert_int_equal(pack_open(pack_path, index_path, &pack, &err), E_IO);
    mem_free(pack_path);
    mem_free(index_path);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_make, fixture_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(items_come_back_sorted_by_path_with_their_bytes),
        IN_A_FOLDER(an_item_without_a_split_is_left_out),
        IN_A_FOLDER(equal_paths_or_unsorted_classes_are_our_own_mistake),
        IN_A_FOLDER(items_with_several_labels_come_back_with_all_of_them),
        IN_A_FOLDER(one_label_an_item_is_written_as_version_1_and_read_as_a_set_of_one),
        IN_A_FOLDER(unsorted_or_too_many_labels_are_not_taken),
        IN_A_FOLDER(a_tampered_index_is_refused),
        IN_A_FOLDER(tampered_labels_are_refused),
        IN_A_FOLDER(any_changed_byte_is_refused_or_harmless),
        IN_A_FOLDER(a_pack_of_another_length_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
